"""Transforms: an image with its people, warped. Randomness is passed in."""
