"""Fields: what a network puts out for each cell, described by values and painted by pure functions."""

from poseg.fields.spec import Fields, FieldSpec, sigmoid

__all__ = ["FieldSpec", "Fields", "sigmoid"]
