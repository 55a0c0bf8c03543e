"""The painter of `small`: masks of the people that it finds.

first   python -m poseg.recipes.find_people --data DATA --out FOUND
run     poseg train painter_small --data FOUND --out runs/painter
last    poseg export runs/painter -o painter.float.onnx
        poseg quantize painter.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o painter.onnx
expect  what the card of the model says that comes along (`poseg models painter`)
time    10 minutes on two busy cores with bfloat16 instructions. A run of 6,000 (on pictures and their mirror
        images alone) had no better masks on the tuning pictures at its end than at 3,000, and less person IoU there
"""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.found_people import FoundPeople
from poseg.recipes.facts_at_hand import LICENCES, PAINTER_DATA, PAINTER_NOTES
from poseg.runtime.inference import InferenceConfig
from poseg.systems.painter import Painter
from poseg.training.augment import Augmentation
from poseg.training.paint_views import FoundShare, PaintView
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule

SYSTEM = Painter()
MEAN, STD = SYSTEM.normalisation
WEIGHTS = {"people_unlabelled": 5.0, "coco_person_masks": 1.0, "clothing_coparsing": 0.5}


def found(data: Path) -> tuple[FoundShare, ...]:
    """The people found in the sets that `recipes.find_people` wrote."""
    return tuple(FoundShare(FoundPeople(name, data / f"{name}.npz"), weight) for name, weight in WEIGHTS.items())


RECIPE = Recipe(
    name="mask_refiner",
    system=SYSTEM,
    view=PaintView(SYSTEM.crop_px, MEAN, STD, Augmentation()),
    schedule=Schedule(
        steps=3000, batch_size=32, rate=2e-3, backbone_rate=1.0, weight_decay=1e-2, clip_norm=1.0,
        average_decay=0.998, frozen_norms=False, frozen_stem=False, precision="bf16", save_every=500,
    ),
    data=found,
    facts=Facts(inference=InferenceConfig(SYSTEM.crop_px), licences=LICENCES, data=PAINTER_DATA, notes=PAINTER_NOTES),
)  # fmt: skip
