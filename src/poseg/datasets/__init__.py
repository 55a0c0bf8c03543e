"""Datasets: sequences of samples, each a picture with what is known of its people.

`DATASETS` builds the published ones from the folder that their files were unpacked into; `coco_format`, `own` and
`masks` read whatever else is in COCO's format.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

from poseg.datasets.coco import coco
from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.crowdpose import crowdpose
from poseg.datasets.dataset import Dataset
from poseg.datasets.lsp import Lsp
from poseg.datasets.masks import masks
from poseg.datasets.ochuman import ochuman
from poseg.datasets.own import own

DATASETS: dict[str, Callable[[Path], Dataset]] = {
    "coco_train2017": partial(coco, split="train2017"),
    "coco_val2017": partial(coco, split="val2017"),
    "crowdpose_train": partial(crowdpose, split="train"),
    "crowdpose_val": partial(crowdpose, split="val"),
    "crowdpose_test": partial(crowdpose, split="test"),
    "ochuman_val": partial(ochuman, split="val"),
    "ochuman_test": partial(ochuman, split="test"),
    "lsp_train": lambda folder: Lsp("lsp_train", folder, "im{:04d}.jpg", 1, 1000, hidden_counts=True),
    "lspet": lambda folder: Lsp("lspet", folder, "im{:05d}.jpg", 1, 10_000, hidden_counts=False),
}

__all__ = ["DATASETS", "CocoFormat", "Dataset", "coco", "crowdpose", "masks", "ochuman", "own"]
