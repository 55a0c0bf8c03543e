"""CrowdPose: people close together, 14 joints, boxes but no masks (Li et al., CVPR 2019)."""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.layout import first_there
from poseg.io.coco_json import read_coco
from poseg.skeletons import COCO17, Skeleton


def crowdpose(folder: Path, split: str = "train", *, skeleton: Skeleton = COCO17) -> CocoFormat:
    """One split (train, val, trainval or test), on COCO's joints unless another skeleton is given.

    folder  with `json/crowdpose_SPLIT.json` (or in `annotations`, or that file itself) and `images/`

    12 of its joints are COCO's. Bystanders are not labelled, so nothing outside the boxes is background. Raises
    AnnotationError where there is no such file.
    """
    stem = f"crowdpose_{split}.json"
    annotations = first_there(folder, (f"json/{stem}", f"annotations/{stem}", stem))
    pictures = first_there(folder, ("images",))
    return CocoFormat(f"crowdpose_{split}", read_coco(annotations), pictures, skeleton=skeleton, complete=False)
