"""Fields: the outputs of a network for each cell, described by specs and encoded by pure functions."""

from poseg.fields.spec import Fields, FieldSpec, sigmoid

__all__ = ["FieldSpec", "Fields", "sigmoid"]
