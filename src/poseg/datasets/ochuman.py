"""OCHuman: people hidden by people, 19 joints and masks (Zhang et al., CVPR 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.layout import first_there
from poseg.io.coco_json import parse_coco
from poseg.io.files import read_json
from poseg.io.ochuman import ALL, HARD, MODERATE, SUBSETS, Bounds, OCHumanSubset, select_people
from poseg.skeletons import COCO17, Skeleton

__all__ = ["ALL", "HARD", "MODERATE", "SUBSETS", "ochuman"]


def ochuman(
    folder: Path,
    split: Literal["val", "test"] = "val",
    *,
    max_iou: Bounds = ALL,
    fully_labelled: bool = False,
    skeleton: Skeleton = COCO17,
) -> CocoFormat:
    """The people of one split that have joints and a mask, on COCO's 17 joints unless another skeleton is given.

    folder          with `images/` and the authors' `ochuman.json`, or a file of their conversion to COCO's format,
                    `ochuman_coco_format_SPLIT_range_0.00_1.00.json` (or ours, 0.00_1.01); all also in `annotations/`
    max_iou         only people whose MaxIoU is in [low, high), such as `MODERATE` and `HARD`; without the pictures
                    that have none
    fully_labelled  only pictures in which every boxed person has a mask (OCHuman-FL); needs `ochuman.json`

    Whoever else a file lists in these pictures is pixels to ignore, which the authors' conversion has only where it is
    restricted by `max_iou`: it lists nobody without a mask. Raises AnnotationError where there is no such file.
    """
    selection = OCHumanSubset(split, max_iou, fully_labelled, others_as_ignore=True)
    names = ("ochuman.json", f"ochuman_coco_format_{split}_range_0.00_1.00.json", OCHumanSubset(split).file_name())
    annotations = first_there(folder, [f"{place}{name}" for name in names for place in ("", "annotations/")])
    plain = select_people(read_json(annotations), selection, str(annotations))
    pictures = first_there(folder, ("images",))
    return CocoFormat(f"ochuman_{split}", parse_coco(plain, str(annotations)), pictures, skeleton=skeleton)
