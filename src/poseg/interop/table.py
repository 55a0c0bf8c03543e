"""People as a table: a row for each person, columns for what a spreadsheet or pandas works with."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseg.errors import SkeletonError
from poseg.interop.image_people import ImagePeople
from poseg.io.files import write_text

if TYPE_CHECKING:
    import pandas as pd

Row = dict[str, Any]


def table_rows(images: Iterable[ImagePeople]) -> list[Row]:
    """A row for each person, in the order of the images.

    image              name of the image
    person             number in the image, from 0
    id                 over time; None without ids
    score              of the person
    x0, y0, x1, y1     the box, pixels
    mask_area          pixels of the mask; None without masks
    NOSE_x, NOSE_y, NOSE_score   of each joint, pixels; pixel centres are at halves

    Raises SkeletonError where the images have people on several skeletons.
    """
    rows: list[Row] = []
    skeletons = set()
    for image in images:
        people = image.people
        if len(people):
            skeletons.add(people.skeleton.joints)
        areas = None if people.masks is None else people.masks.areas
        for number, person in enumerate(people):
            corners = zip(("x0", "y0", "x1", "y1"), person.box_xyxy.tolist(), strict=True)
            row: Row = {"image": image.name, "person": number, "id": person.id, "score": round(person.score, 6)}
            row |= {name: round(value, 2) for name, value in corners}
            row["mask_area"] = None if areas is None else int(areas[number])
            for joint in people.skeleton.joints:
                x, y, score = person[joint].tolist()
                row |= {f"{joint}_x": round(x, 2), f"{joint}_y": round(y, 2), f"{joint}_score": round(score, 4)}
            rows.append(row)
    if len(skeletons) > 1:
        raise SkeletonError("A table has the columns of one skeleton; convert the people with people.remap_to() first.")
    return rows


def to_csv(path: str | Path, images: Iterable[ImagePeople]) -> None:
    """Write `table_rows` with a header line, whole or not at all. Without people there are the first columns only."""
    rows = table_rows(images)
    text = io.StringIO()
    first = ["image", "person", "id", "score", "x0", "y0", "x1", "y1", "mask_area"]
    writer = csv.DictWriter(text, list(dict.fromkeys(chain(first, *rows[:1]))), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def to_pandas(images: Iterable[ImagePeople]) -> pd.DataFrame:
    """`table_rows` as a pandas DataFrame. Needs pandas (extra `interop`)."""
    import pandas as pd

    return pd.DataFrame(table_rows(images))
