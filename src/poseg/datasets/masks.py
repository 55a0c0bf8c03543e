"""Sets that know where people are, but none of their joints."""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.layout import pictures_of
from poseg.io.coco_json import read_coco
from poseg.skeletons import COCO17, Skeleton


def masks(
    annotations: Path,
    pictures: Path | None = None,
    *,
    name: str | None = None,
    skeleton: Skeleton = COCO17,
    complete: bool = True,
    with_nobody: bool = False,
) -> CocoFormat:
    """People with masks of a COCO-format file; joints are unknown everywhere, so only masks are learnt.

    pictures  folder that `file_name` is relative to; looked for beside the file by default
    name      the file's name without its ending by default
    """
    data = read_coco(annotations)
    first = next((image.file_name for image in data.images.values() if image.id in data.rows), "")
    folder = pictures_of(annotations, first) if pictures is None else pictures
    return CocoFormat(
        name or annotations.name.partition(".")[0], data, folder,
        skeleton=skeleton, complete=complete, joints=False, with_nobody=with_nobody,
    )  # fmt: skip
