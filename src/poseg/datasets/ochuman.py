"""OCHuman: people hidden by people, 19 joints and masks (Zhang et al., CVPR 2019)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.layout import first_there
from poseg.io.coco_json import parse_coco
from poseg.io.ochuman_json import is_ochuman, ochuman_as_coco
from poseg.io.plain_json import read_json
from poseg.skeletons import COCO17, Skeleton


def ochuman(folder: Path, split: Literal["val", "test"] = "val", *, skeleton: Skeleton = COCO17) -> CocoFormat:
    """One split, on COCO's 17 joints unless another skeleton is given.

    folder  with `images/` and the authors' `ochuman.json`, or a file of their conversion to COCO's format,
            `ochuman_coco_format_SPLIT_range_0.00_1.00.json`; both also in `annotations/`

    From the authors' file come all 19 joints and everybody; people of whom it gives the box alone are pixels to
    ignore. Raises AnnotationError where there is no such file.
    """
    converted = f"ochuman_coco_format_{split}_range_0.00_1.00.json"
    names = [f"{place}{name}" for name in ("ochuman.json", converted) for place in ("", "annotations/")]
    annotations = first_there(folder, names)
    plain = read_json(annotations)
    if is_ochuman(plain):
        plain = ochuman_as_coco(plain, split, str(annotations))
    pictures = first_there(folder, ("images",))
    return CocoFormat(f"ochuman_{split}", parse_coco(plain, str(annotations)), pictures, skeleton=skeleton)
