"""The training sets of the bundled models, and what the models' cards say of them.

DATA is the folder that holds one folder for each set.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from poseg.datasets.coco_people import CocoPeople, pseudo_labels
from poseg.datasets.dataset import BackgroundImages, Dataset
from poseg.datasets.lsp import Lsp
from poseg.skeletons import COCO17, LSP14, Skeleton
from poseg.training.dataset import WeightedDataset

Parts = tuple[WeightedDataset[Dataset], ...]

# Folders of people_unlabelled with images at full size, and with images that were downscaled to 224 px.
FULL_SIZE_PREFIXES = ("bsds500", "flickr8k_500", "street")
DOWNSCALED_PREFIXES = ("coco_small", "flickr8k_224")


def photo_mixture(data: Path) -> Parts:
    """Labelled and pseudo-labelled photographs for training.

    coco_mini is not among them: its train part is for choosing thresholds, its val part is the test set. Where labels
    were revised (`poseg label --prior-labels`, as NAME.revised.json.gz beside them) these are taken.
    """
    labels = data / "pseudo_labels"
    revised = labels / "people_unlabelled.revised.json.gz"

    def unlabelled(prefixes: tuple[str, ...]) -> CocoPeople:
        return pseudo_labels(
            "people_unlabelled", revised if revised.exists() else labels / "people_unlabelled.json.gz",
            data / "people_unlabelled", exhaustive=False, min_score=0.2, prefixes=prefixes,
        )  # fmt: skip

    coco = pseudo_labels(
        "coco_person_masks", labels / "coco_person_masks.json.gz", data / "coco_person_masks" / "train2017",
        exhaustive=True,
    )  # fmt: skip
    return (
        WeightedDataset(unlabelled(DOWNSCALED_PREFIXES), 4.0),
        WeightedDataset(unlabelled(FULL_SIZE_PREFIXES), 2.5),
        WeightedDataset(coco, 1.2),
        WeightedDataset(_clothing(data), 0.7),
        WeightedDataset(_lsp(data), 0.8),
        WeightedDataset(_lspet(data), 0.5),
        WeightedDataset(BackgroundImages("backgrounds_inria", data / "backgrounds_inria"), 0.5),
    )


def masked_people(data: Path) -> Parts:
    """The photographs whose people have masks, drawn by people or agreed on by networks. coco_mini is not in it."""
    labels = data / "pseudo_labels"
    unlabelled = pseudo_labels(
        "people_unlabelled", labels / "people_unlabelled.json.gz", data / "people_unlabelled",
        exhaustive=False, min_score=0.2,
    )  # fmt: skip
    coco = pseudo_labels(
        "coco_person_masks", labels / "coco_person_masks.json.gz", data / "coco_person_masks" / "train2017",
        exhaustive=False,
    )  # fmt: skip
    return WeightedDataset(unlabelled, 5.0), WeightedDataset(coco, 3.0), WeightedDataset(_clothing(data), 1.0)


def lsp_mixture(data: Path) -> Parts:
    """Leeds Sports Pose's training part and its extension, on their own joints, and images without people."""
    return (
        WeightedDataset(_lsp(data, LSP14), 2.0),
        WeightedDataset(_lspet(data, LSP14), 8.0),
        WeightedDataset(BackgroundImages("backgrounds_inria", data / "backgrounds_inria", skeleton=LSP14), 0.5),
    )


def crop_mixture(data: Path) -> Parts:
    """People of photographs, LSP 1-899 and LSPET, all on COCO's joints as networks labelled them (`.v2`).

    What models are chosen on is left out: LSP 900-1000, and one in 29 images of people_unlabelled.
    """

    def labelled(name: str, weight: float, folder: str = "", **labels: Any) -> WeightedDataset[Dataset]:
        people = pseudo_labels(
            name, data / "pseudo_labels" / f"{name}.v2.json.gz", data / (folder or name), exhaustive=False, **labels
        )
        return WeightedDataset(people, weight)

    return (
        labelled("people_unlabelled", 9.5, min_score=0.33, skip_every=29),
        labelled("coco_person_masks", 0.4, "coco_person_masks/train2017"),
        labelled("clothing_coparsing", 1.1),
        labelled("lsp", 2.0, prefixes=tuple(f"images/im{hundreds:02d}" for hundreds in range(9))),
        labelled("lspet", 3.0),
    )


def _clothing(data: Path) -> CocoPeople:
    return pseudo_labels(
        "clothing_coparsing", data / "pseudo_labels" / "clothing_coparsing.json.gz", data / "clothing_coparsing",
        exhaustive=False,
    )  # fmt: skip


def _lsp(data: Path, skeleton: Skeleton = COCO17) -> Lsp:
    return Lsp("lsp", data / "lsp", "im{:04d}.jpg", 1, 1000, include_occluded=True, skeleton=skeleton)


def _lspet(data: Path, skeleton: Skeleton = COCO17) -> Lsp:
    return Lsp("lspet", data / "lspet", "im{:05d}.jpg", 1, 10_000, include_occluded=False, skeleton=skeleton)


# What follows is for the cards of models.
LICENCES = {"code": "Apache-2.0", "weights": "Apache-2.0"}
PEOPLE_UNLABELLED = {
    "name": "people_unlabelled",
    "images": 2885,
    "use": "pseudo-labelled keypoints and masks (see the notes)",
    "terms": "Flickr8k, INRIA, BSDS and COCO photographs; research use, not shipped",
}
COCO_PERSON_MASKS = {
    "name": "coco_person_masks train",
    "images": 91,
    "use": "COCO instance masks; pseudo-labelled keypoints",
    "terms": "annotations CC BY 4.0; Flickr photographs under mixed Creative Commons licences",
}
CLOTHING = {
    "name": "clothing_coparsing 0001-0900",
    "images": 899,
    "use": "person masks; pseudo-labelled keypoints",
    "terms": "labels Apache-2.0; photographs for research use",
}
LSP = {"name": "lsp 0001-1000", "images": 1000, "use": "12 of 14 joints", "terms": "research use"}
LSPET = {"name": "lspet", "images": 10000, "use": "12 of 14 joints", "terms": "research use"}
BACKGROUNDS = {"name": "backgrounds_inria", "images": 204, "use": "images without people", "terms": "research use"}
BODYPIX = {"name": "BodyPix MobileNetV1 0.75", "use": "initial weights", "terms": "Apache-2.0"}
MOVENET = {
    "name": "MoveNet MultiPose Lightning", "use": "initial weights of the backbone", "terms": "Apache-2.0"
}  # fmt: skip
CMU_MOCAP = {
    "name": "CMU motion capture (mocap.cs.cmu.edu)",
    "images": 0,
    "use": "3D poses",
    "terms": "free for research and commercial use; created with funding from NSF EIA-0196217",
}
BANDAI = {"name": "Bandai Namco Research motion data", "images": 0, "use": "3D poses", "terms": "CC BY-NC 4.0"}

PHOTO_SETS = (PEOPLE_UNLABELLED, COCO_PERSON_MASKS, CLOTHING, LSP, LSPET, BACKGROUNDS)
REFINER_SETS = (PEOPLE_UNLABELLED, COCO_PERSON_MASKS, CLOTHING)
MASK_SETS = (*REFINER_SETS, {**BODYPIX, "use": "initial weights of the backbone, through `small`"})
LSP_SETS = ({**LSP, "use": "14 joints"}, {**LSPET, "use": "14 joints"}, BACKGROUNDS)

TINYPOSE = {"name": "PP-TinyPose 256 x 192 (PaddleDetection)", "use": "initial weights", "terms": "Apache-2.0"}
CROP_SETS = (
    PEOPLE_UNLABELLED, COCO_PERSON_MASKS, CLOTHING, {**LSP, "name": "lsp 0001-0900", "images": 900, "use": "12 joints"},
    {**LSPET, "use": "12 joints"}, TINYPOSE,
)  # fmt: skip
CROP_NOTES = (
    "Fine-tuned from PP-TinyPose (PaddleDetection, Apache-2.0), whose heatmaps and joints also are the labels of "
    "photographs; people by RTMDet-nano (OpenMMLab, Apache-2.0).",
    "A crop is a person's box at 3:4, times 1.25; a joint's score is the maximum of its heatmap.",
)

LABEL_SOURCES = "Pseudo-labels: MoveNet MultiPose and Thunder, BlazePose heavy and BodyPix (Google, Apache-2.0)"
REVISED_LABELS = (
    f"{LABEL_SOURCES}, revised by `poseg label` with MoveNet MultiPose and BodyPix. "
    "Distilled from the fields of BodyPix at 801 px."
)
