"""Checks of the picture files: that they are there, and of the size that the annotation file says. Headers only."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from poseg.datasets.check.faults import Findings
from poseg.datasets.check.structure import image_sizes
from poseg.datasets.check.table import Record, Size
from poseg.datasets.coco_format import files_there
from poseg.errors import ImageError
from poseg.io.images import image_size


def check_pictures(
    images: Mapping[int, Record], labelled: Collection[int], folder: Path, findings: Findings
) -> dict[int, Size]:
    """(height, width) of the images whose file is there and readable, or else as stated.

    labelled  ids of the images that have annotations
    """
    stated = image_sizes(images)
    named = {n: record["file_name"] for n, record in images.items() if _named(record)}
    here = files_there(folder, named.values())
    for kind, wanted in (("picture-missing", True), ("background-missing", False)):
        missing = [number for number, name in named.items() if name not in here and (number in labelled) == wanted]
        findings.add_all(kind, missing, lambda number: f"image {number}: {named[number]}")
    if not any(named.get(number) in here for number in labelled):
        findings.add("no-picture", f"{folder} has none of {len(labelled)}")
    sizes = dict(stated)
    for number, name in named.items():
        if name not in here:
            continue
        try:
            size = image_size(folder / name)
        except ImageError as fault:
            findings.add("picture-broken", f"image {number}: {fault}")
            continue
        if number in stated and size != stated[number]:
            findings.add("picture-size", f"image {number} ({name}): {_differ(size, stated[number])}")
        sizes.setdefault(number, size)
    return sizes


def _named(record: Record) -> bool:
    name = record.get("file_name")
    return isinstance(name, str) and name != ""


def _differ(size: Size, stated: Size) -> str:
    turned = "; the picture is turned by its EXIF orientation" if size == stated[::-1] else ""
    return f"{size[1]} x {size[0]} pixels, the file says {stated[1]} x {stated[0]} (width x height){turned}"
