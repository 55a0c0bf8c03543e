"""The training data at hand, by what it is good for. DATA is the folder that holds one folder for each set."""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.labelled_folder import LabelledFolder
from poseg.datasets.lsp import Lsp
from poseg.datasets.person_free import PersonFree
from poseg.training.loader import Share


def photographs(data: Path) -> tuple[Share, ...]:
    """Labelled and pseudo-labelled photographs for training.

    coco_mini is not among them: its train part is for choosing thresholds, its val part is the test set.
    """
    labels = data / "pseudo_labels"
    return (
        Share(
            LabelledFolder(
                "people_unlabelled", labels / "people_unlabelled.json.gz", data / "people_unlabelled",
                complete=False, least_visibility=2, least_score=0.2,
            ), 6.0,
        ),
        Share(
            LabelledFolder(
                "coco_person_masks", labels / "coco_person_masks.json.gz", data / "coco_person_masks" / "train2017",
                complete=True, least_visibility=2,
            ), 0.8,
        ),
        Share(
            LabelledFolder(
                "clothing_coparsing", labels / "clothing_coparsing.json.gz", data / "clothing_coparsing",
                complete=False, least_visibility=2,
            ), 1.0,
        ),
        Share(Lsp("lsp", data / "lsp", "im{:04d}.jpg", 1, 1000, hidden_counts=True), 0.8),
        Share(Lsp("lspet", data / "lspet", "im{:05d}.jpg", 1, 10_000, hidden_counts=False), 1.2),
        Share(PersonFree("backgrounds_inria", data / "backgrounds_inria"), 0.25),
    )  # fmt: skip
