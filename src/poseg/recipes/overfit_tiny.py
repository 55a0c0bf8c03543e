"""Overfit eight synthetic images: what any training code must be able to do, in a minute or two on a CPU.

run     poseg train overfit_tiny --data synthetic --out runs/tiny
        the run writes the images into its data folder first
expect  on these very images
        overfit_tiny            keypoint AP above 0.95 and mask AP above 0.9
        poseg_overfit_tiny      keypoint AP above 0.9 and person IoU above 0.95
        pose2seg_overfit_tiny   mask AP above 0.9 with their ground-truth poses
        multitask_overfit_tiny  PCK@0.2 by box above 0.9
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from poseg.datasets.coco_people import CocoPeople
from poseg.datasets.dataset import Dataset
from poseg.datasets.synthetic_people import write_synthetic_people
from poseg.io.coco_json import read_coco
from poseg.networks.backbones.build import input_normalisation
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import COCO17
from poseg.systems.multitask import Multitask
from poseg.systems.personlab import LossWeights, PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.training.crop_targets import CropInput
from poseg.training.dataset import AugmentConfig, TrainInput, WeightedDataset
from poseg.training.optim import OptimConfig
from poseg.training.pose2seg_targets import Pose2SegInput
from poseg.training.recipe import CardMetadata, Recipe

NUM_IMAGES, SIDE_PX, SEED = 8, 161, 7
POSEG_SIDE_PX = 321  # cells are 8 pixels apart, and limbs are separated by whole cells
BACKBONE = "mobilenet_v3_small"


def synthetic(folder: Path, side_px: int = SIDE_PX) -> tuple[WeightedDataset[Dataset], ...]:
    """The synthetic images, written into the data folder first."""
    write_synthetic_people(folder, images=NUM_IMAGES, size=(side_px, side_px), seed=SEED)
    data = CocoPeople("synthetic", read_coco(folder / "annotations.json"), folder / "images")
    return (WeightedDataset(data, 1.0),)


def large_synthetic(folder: Path) -> tuple[WeightedDataset[Dataset], ...]:
    """The same at the size that PoSeg needs."""
    return synthetic(folder, POSEG_SIDE_PX)


# The image as it is: not rotated, flipped, enlarged or recoloured.
NO_AUGMENTATION = AugmentConfig(
    image_px=(SIDE_PX, SIDE_PX), max_upscale=1.0, rotation_deg=0.0, flip_prob=0.0, color_jitter=0.0
)
NORMALISATION = input_normalisation(BACKBONE)
CARD = CardMetadata(
    inference=InferenceConfig(SIDE_PX), notes=("Overfitted to eight synthetic images; of no other use.",)
)

PERSONLAB = Recipe(
    name="overfit_tiny",
    system=PersonLab(
        backbone=BACKBONE, stride=4, neck_channels=64, disk_radius_px=12.0,
        weights=LossWeights(segmentation=4.0, long_offsets=0.5),
    ),
    input=TrainInput(SIDE_PX, *NORMALISATION, NO_AUGMENTATION),
    optim=OptimConfig(
        steps=240, batch_size=8, lr=4e-3, backbone_lr_scale=1.0, weight_decay=0.0, warmup_steps=20, ema_decay=0.9,
        freeze_bn=False, freeze_stem=False, bn_momentum=0.1, checkpoint_every=100,
    ),
    data=synthetic,
    card=CARD,
)  # fmt: skip

POSEG = replace(
    PERSONLAB,
    name="poseg_overfit_tiny",
    system=PoSeg(backbone=BACKBONE, widths=(32, 32, 32, 32), channels=64),
    input=TrainInput(
        POSEG_SIDE_PX, *NORMALISATION, replace(NO_AUGMENTATION, image_px=(POSEG_SIDE_PX, POSEG_SIDE_PX))
    ),
    optim=replace(PERSONLAB.optim, steps=200),
    data=large_synthetic,
    card=replace(CARD, inference=InferenceConfig(POSEG_SIDE_PX)),
)  # fmt: skip

POSE2SEG = replace(
    PERSONLAB,
    name="pose2seg_overfit_tiny",
    system=Pose2Seg(
        backbone=BACKBONE,
        neck="separable",
        neck_channels=32,
        padding=0.15,
        stem_width=32,
        width=16,
        blocks=4,
        out_width=8,
    ),
    input=Pose2SegInput(
        SIDE_PX, *NORMALISATION, NO_AUGMENTATION, people_per_image=4, rotation_deg=0.0, zoom=(1.0, 1.0), shift=0.0
    ),
    optim=replace(PERSONLAB.optim, steps=140),
)

CROP_SYSTEM = Multitask(skeleton=COCO17, regression_hidden=(256, 256), detection_hidden=(256, 256), dropout=0.0)

MULTITASK = replace(
    PERSONLAB,
    name="multitask_overfit_tiny",
    system=CROP_SYSTEM,
    input=CropInput(
        max(CROP_SYSTEM.crop_size_px), *CROP_SYSTEM.normalisation, NO_AUGMENTATION, zoom=(0.85, 1.1), shift=0.04,
        rotation_deg=0.0, flip_prob=0.0,
    ),
    optim=replace(PERSONLAB.optim, steps=150, batch_size=8, lr=1e-3),
    card=replace(CARD, inference=InferenceConfig(max(CROP_SYSTEM.crop_size_px))),
)  # fmt: skip
