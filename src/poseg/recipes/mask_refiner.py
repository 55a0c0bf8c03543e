"""The mask refiner of `small`: masks of the people that it detects.

first   python -m poseg.recipes.write_refiner_crops --data DATA --out CROPS
run     poseg train mask_refiner_small --data CROPS --out runs/refiner
last    poseg export runs/refiner -o mask_refiner.float.onnx
        poseg quantize mask_refiner.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o mask_refiner.onnx
expect  what the card of the bundled model says (`poseg models mask_refiner`)
time    10 minutes on two busy cores with bfloat16 instructions. A run of 6,000 steps (on images and their flipped
        copies alone) had no better masks on the tuning images at its end than at 3,000, and less person IoU there
"""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.refiner_samples import RefinerSamples
from poseg.recipes.training_sets import LABEL_SOURCES, LICENCES, REFINER_SETS
from poseg.runtime.inference import InferenceConfig
from poseg.systems.mask_refiner import MaskRefinerSystem
from poseg.training.dataset import WeightedDataset
from poseg.training.optim import OptimConfig
from poseg.training.recipe import CardMetadata, Recipe
from poseg.training.refiner_targets import RefinerInput

SYSTEM = MaskRefinerSystem()
WEIGHTS = {"people_unlabelled": 5.0, "coco_person_masks": 1.0, "clothing_coparsing": 0.5}


def detected_people(data: Path) -> tuple[WeightedDataset[RefinerSamples], ...]:
    """The people detected in the sets that `recipes.write_refiner_crops` wrote."""
    return tuple(
        WeightedDataset(RefinerSamples(name, data / f"{name}.npz"), weight) for name, weight in WEIGHTS.items()
    )


RECIPE = Recipe(
    name="mask_refiner",
    system=SYSTEM,
    input=RefinerInput(SYSTEM.crop_px, *SYSTEM.normalisation),
    optim=OptimConfig(
        steps=3000, batch_size=32, lr=2e-3, backbone_lr_scale=1.0, weight_decay=1e-2, grad_clip_norm=1.0,
        ema_decay=0.998, freeze_bn=False, freeze_stem=False, precision="bf16", checkpoint_every=500,
    ),
    data=detected_people,
    card=CardMetadata(
        inference=InferenceConfig(SYSTEM.crop_px), licences=LICENCES, data=REFINER_SETS,
        notes=(
            "Trained on the people that `small` detects in its own training images, with the masks of these images as "
            "targets.",
            f"{LABEL_SOURCES}.",
        ),
    ),
)  # fmt: skip
