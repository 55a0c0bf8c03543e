"""The training data at hand, by what it is good for. DATA is the folder that holds one folder for each set."""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.labelled_folder import LabelledFolder
from poseg.datasets.lsp import Lsp
from poseg.datasets.person_free import PersonFree
from poseg.skeletons import LSP14
from poseg.training.loader import Share

LARGE = ("bsds500", "flickr8k_500", "street")  # folders of people_unlabelled whose pictures were not shrunk to 224 px
SHRUNK = ("coco_small", "flickr8k_224")


def outlined_people(data: Path) -> tuple[Share, ...]:
    """The photographs whose people have masks, drawn by people or by networks that agreed. coco_mini is not in it."""
    labels = data / "pseudo_labels"

    def of(name: str, folder: str, weight: float, least_score: float = 0.0) -> Share:
        return Share(
            LabelledFolder(
                name, labels / f"{name}.json.gz", data / folder,
                complete=False, least_visibility=2, least_score=least_score,
            ), weight,
        )  # fmt: skip

    return (
        of("people_unlabelled", "people_unlabelled", 5.0, 0.2),
        of("coco_person_masks", "coco_person_masks/train2017", 3.0),
        of("clothing_coparsing", "clothing_coparsing", 1.0),
    )


def photographs(data: Path) -> tuple[Share, ...]:
    """Labelled and pseudo-labelled photographs for training.

    coco_mini is not among them: its train part is for choosing thresholds, its val part is the test set. Where labels
    were revised (`poseg label --prior-labels`, as NAME.revised.json.gz beside them) these are taken.
    """
    labels = data / "pseudo_labels"
    revised = labels / "people_unlabelled.revised.json.gz"

    def unlabelled(beginning: tuple[str, ...]) -> LabelledFolder:
        return LabelledFolder(
            "people_unlabelled", revised if revised.exists() else labels / "people_unlabelled.json.gz",
            data / "people_unlabelled",
            complete=False, least_visibility=2, least_score=0.2, beginning=beginning,
        )  # fmt: skip

    return (
        Share(unlabelled(SHRUNK), 4.0),
        Share(unlabelled(LARGE), 2.5),
        Share(
            LabelledFolder(
                "coco_person_masks", labels / "coco_person_masks.json.gz", data / "coco_person_masks" / "train2017",
                complete=True, least_visibility=2,
            ), 1.2,
        ),
        Share(
            LabelledFolder(
                "clothing_coparsing", labels / "clothing_coparsing.json.gz", data / "clothing_coparsing",
                complete=False, least_visibility=2,
            ), 0.7,
        ),
        Share(Lsp("lsp", data / "lsp", "im{:04d}.jpg", 1, 1000, hidden_counts=True), 0.8),
        Share(Lsp("lspet", data / "lspet", "im{:05d}.jpg", 1, 10_000, hidden_counts=False), 0.5),
        Share(PersonFree("backgrounds_inria", data / "backgrounds_inria"), 0.5),
    )  # fmt: skip


def sports_people(data: Path) -> tuple[Share, ...]:
    """Leeds Sports Pose's training part and its extension, on their own joints, and pictures of nobody."""
    return (
        Share(Lsp("lsp", data / "lsp", "im{:04d}.jpg", 1, 1000, hidden_counts=True, skeleton=LSP14), 2.0),
        Share(Lsp("lspet", data / "lspet", "im{:05d}.jpg", 1, 10_000, hidden_counts=False, skeleton=LSP14), 8.0),
        Share(PersonFree("backgrounds_inria", data / "backgrounds_inria", skeleton=LSP14), 0.5),
    )
