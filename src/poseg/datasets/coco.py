"""COCO 2017 persons: 17 joints, masks, crowds (Lin et al., ECCV 2014)."""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.layout import first_there
from poseg.io.coco_json import read_coco
from poseg.skeletons import COCO17, Skeleton


def coco(
    folder: Path, split: str = "train2017", *, with_nobody: bool = False, skeleton: Skeleton = COCO17
) -> CocoFormat:
    """The persons of one split.

    folder       with `annotations/person_keypoints_SPLIT.json` (or that file itself, also gzipped) and `SPLIT/` or
                 `images/SPLIT/`
    with_nobody  also the pictures without people, which are most of COCO's background
    Raises AnnotationError where there is no such file.
    """
    stem = f"person_keypoints_{split}.json"
    annotations = first_there(folder, (f"annotations/{stem}", stem, f"annotations/{stem}.gz", f"{stem}.gz"))
    pictures = first_there(folder, (split, f"images/{split}"))
    return CocoFormat(f"coco_{split}", read_coco(annotations), pictures, skeleton=skeleton, with_nobody=with_nobody)
