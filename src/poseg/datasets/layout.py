"""Where data sets keep their files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from poseg.errors import AnnotationError


def first_there(folder: Path, names: Sequence[str]) -> Path:
    """The first of the names, relative to the folder, that exists. Raises AnnotationError that lists them."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise AnnotationError(f"{folder} holds none of {', '.join(names)}; give the folder of the data set.")


def pictures_of(annotations: Path, file_name: str) -> Path:
    """The folder from which an annotation file names its pictures, found by one of them.

    Looked for beside the file and one folder up: the folder itself, `images`, and folders named after the last word
    of the file's name (`person_keypoints_val2017.json`: `val2017`, `images/val2017`). Raises AnnotationError.
    """
    split = annotations.name.partition(".")[0].rpartition("_")[2]
    homes = (annotations.parent, annotations.parent.parent)
    tried = [home / name for home in homes for name in ("", "images", split, f"images/{split}")]
    for folder in tried:
        if file_name and (folder / file_name).is_file():
            return folder
    places = ", ".join(str(folder) for folder in tried)
    raise AnnotationError(f"The picture {file_name!r} of {annotations} is in none of {places}; say which folder it is.")
