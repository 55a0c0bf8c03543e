"""Interop: people in the files and values of other tools, and back."""

from poseg.interop.image_people import ImagePeople
from poseg.interop.save import save
from poseg.interop.table import to_csv, to_pandas

__all__ = ["ImagePeople", "save", "to_csv", "to_pandas"]
