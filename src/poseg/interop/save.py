"""One call that saves the people of an image: the ending of the file says how."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from poseg.draw.mask import label_map
from poseg.draw.overlay import overlay
from poseg.errors import OutputError
from poseg.interop.image_people import ImagePeople
from poseg.interop.table import to_csv
from poseg.io.coco_results import coco_results, write_results
from poseg.io.images import write_png
from poseg.people import People


def save(
    people: People, path: str | Path, *, image: NDArray[np.uint8] | None = None, name: str = "", image_id: int = 1
) -> None:
    """Save people to a file, whole or not at all.

    people    of one image
    path      .json: COCO results, which `poseg effect --people` and others read; .csv: a row for each person;
              .png: an overlay on `image`, or without it a label map (0 is background, i + 1 person i)
    image     (H, W, 3) uint8 RGB, for overlays
    name      the image's, for .json and .csv
    image_id  for .json

    Raises OutputError for another ending, where the file cannot be written, and for a label map without masks.
    """
    ending = Path(path).suffix.lower()
    if ending == ".json":
        write_results(path, coco_results(people, image_id, file_name=name or None))
    elif ending == ".csv":
        to_csv(path, [ImagePeople(name, people)])
    elif ending != ".png":
        raise OutputError(f"Cannot save people as {path}; give a name that ends in .json, .csv or .png.")
    elif image is not None:
        write_png(path, overlay(image, people))
    elif people.masks is not None:
        write_png(path, label_map(people))
    else:
        raise OutputError(f"Cannot write {path}: these people have no masks; pass image=... to draw them on it.")
