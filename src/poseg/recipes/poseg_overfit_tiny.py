"""Learn eight drawn pictures by heart, poses and person map: does PoSeg's training code work?

run     poseg train poseg_overfit_tiny --data drawn --out runs/tiny
expect  keypoint AP above 0.9 and person IoU above 0.95 on these very pictures, which the run draws into its data folder
time    two minutes on two cores
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.drawn_people import write_drawn_people
from poseg.io.coco_json import read_coco
from poseg.recipes.overfit_tiny import BACKBONE, PICTURES, PLAIN, SEED
from poseg.recipes.overfit_tiny import RECIPE as TINY
from poseg.runtime.inference import InferenceConfig
from poseg.systems.poseg import PoSeg
from poseg.training.loader import Share
from poseg.training.recipe import Facts, Recipe

SIDE_PX = 321  # larger than PersonLab's: cells are 8 pixels apart, and limbs are told apart by whole cells


def drawn(folder: Path) -> tuple[Share, ...]:
    """The drawn pictures, written into the data folder first."""
    write_drawn_people(folder, pictures=PICTURES, size=(SIDE_PX, SIDE_PX), seed=SEED)
    return (Share(CocoFormat("drawn", read_coco(folder / "annotations.json"), folder / "pictures"), 1.0),)


RECIPE: Recipe = replace(
    TINY,
    name="poseg_overfit_tiny",
    system=PoSeg(backbone=BACKBONE, widths=(32, 32, 32, 32), channels=64),
    view=replace(TINY.view, side_px=SIDE_PX, augmentation=replace(PLAIN, picture_px=(SIDE_PX, SIDE_PX))),
    schedule=replace(TINY.schedule, steps=200),
    data=drawn,
    facts=Facts(inference=InferenceConfig(SIDE_PX), notes=("Learned eight drawn pictures by heart; of no other use.",)),
)
