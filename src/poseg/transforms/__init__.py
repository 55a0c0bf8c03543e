"""Transforms: a picture with its people, moved. Randomness is passed in."""
