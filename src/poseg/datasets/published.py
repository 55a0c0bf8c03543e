"""Published data sets of people, each built from the folder that its files were unpacked into."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Literal

from poseg.datasets.coco_people import CocoPeople, LabelConfig
from poseg.datasets.dataset import Dataset
from poseg.datasets.lsp import Lsp
from poseg.errors import AnnotationError
from poseg.io.coco_json import parse_coco, read_coco
from poseg.io.files import read_json
from poseg.io.ochuman import ALL, Bounds, OCHumanSubset, select_people
from poseg.skeletons import COCO17, Skeleton


def coco(
    folder: Path, split: str = "train2017", *, include_empty: bool = False, skeleton: Skeleton = COCO17
) -> CocoPeople:
    """The people of one split of COCO 2017: 17 joints, masks, crowds (Lin et al., ECCV 2014).

    folder         with `annotations/person_keypoints_SPLIT.json` (or that file itself, also gzipped) and `SPLIT/` or
                   `images/SPLIT/`
    include_empty  include images without people, which are most of COCO's background

    Raises AnnotationError where there is no such file.
    """
    stem = f"person_keypoints_{split}.json"
    annotations = first_existing(folder, (f"annotations/{stem}", stem, f"annotations/{stem}.gz", f"{stem}.gz"))
    images = first_existing(folder, (split, f"images/{split}"))
    labels = LabelConfig(include_empty=include_empty)
    return CocoPeople(f"coco_{split}", read_coco(annotations), images, skeleton=skeleton, labels=labels)


def crowdpose(folder: Path, split: str = "train", *, skeleton: Skeleton = COCO17) -> CocoPeople:
    """The people of one split (train, val, trainval or test) of CrowdPose, on COCO17 by default.

    Crowded scenes with 14 joints, of which COCO17 has 12, and boxes but no masks (Li et al., CVPR 2019).

    folder  with `json/crowdpose_SPLIT.json` (or in `annotations`, or that file itself) and `images/`

    Bystanders are not annotated, so nothing outside the boxes is background. Raises AnnotationError where there is no
    such file.
    """
    stem = f"crowdpose_{split}.json"
    annotations = first_existing(folder, (f"json/{stem}", f"annotations/{stem}", stem))
    images = first_existing(folder, ("images",))
    return CocoPeople(f"crowdpose_{split}", read_coco(annotations), images, skeleton=skeleton, exhaustive=False)


def ochuman(
    folder: Path,
    split: Literal["val", "test"] = "val",
    *,
    max_iou: Bounds = ALL,
    fully_labelled: bool = False,
    skeleton: Skeleton = COCO17,
) -> CocoPeople:
    """The people of one split of OCHuman that have joints and a mask, on COCO17 by default.

    Heavily occluded people with 19 joints and masks (Zhang et al., CVPR 2019).

    folder          with `images/` and the authors' `ochuman.json`, or a file of their conversion to COCO's format,
                    `ochuman_coco_format_SPLIT_range_0.00_1.00.json` (or ours, 0.00_1.01); all also in `annotations/`
    max_iou         only people whose MaxIoU is in [low, high), such as `io.ochuman.MODERATE` and `HARD`; without the
                    images that have none
    fully_labelled  only images in which every boxed person has a mask (OCHuman-FL); needs `ochuman.json`

    All other people that a file lists in these images are pixels to ignore. The authors' conversion lists them only
    where it is restricted by `max_iou`: it has no people without a mask. Raises AnnotationError where there is no such
    file.
    """
    subset = OCHumanSubset(split, max_iou, fully_labelled, others_as_ignore=True)
    names = ("ochuman.json", f"ochuman_coco_format_{split}_range_0.00_1.00.json", OCHumanSubset(split).file_name())
    annotations = first_existing(folder, [f"{parent}{name}" for name in names for parent in ("", "annotations/")])
    raw = select_people(read_json(annotations), subset, str(annotations))
    images = first_existing(folder, ("images",))
    return CocoPeople(f"ochuman_{split}", parse_coco(raw, str(annotations)), images, skeleton=skeleton)


def first_existing(folder: Path, names: Sequence[str]) -> Path:
    """The first of the names, relative to the folder, that exists. Raises AnnotationError that lists them."""
    for name in names:
        if (folder / name).exists():
            return folder / name
    raise AnnotationError(f"{folder} holds none of {', '.join(names)}; give the folder of the data set.")


DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "coco_train2017": partial(coco, split="train2017"),
    "coco_val2017": partial(coco, split="val2017"),
    "crowdpose_train": partial(crowdpose, split="train"),
    "crowdpose_val": partial(crowdpose, split="val"),
    "crowdpose_test": partial(crowdpose, split="test"),
    "ochuman_val": partial(ochuman, split="val"),
    "ochuman_test": partial(ochuman, split="test"),
    "lsp_train": lambda folder: Lsp("lsp_train", folder, "im{:04d}.jpg", 1, 1000, include_occluded=True),
    "lspet": lambda folder: Lsp("lspet", folder, "im{:05d}.jpg", 1, 10_000, include_occluded=False),
}
