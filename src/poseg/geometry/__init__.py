"""Geometry: the pixel rule, affine maps, boxes, masks, similarity. Arrays in, arrays out."""
