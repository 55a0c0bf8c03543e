"""Learn the people of eight drawn pictures by heart, a crop each: does the multi-task training code work?

run     poseg train multitask_overfit_tiny --data drawn --out runs/tiny
expect  PCK@0.2 by box above 0.9 on these very pictures, which the run draws into its data folder
time    about a minute on two cores
"""

from __future__ import annotations

from dataclasses import replace

from poseg.recipes.overfit_tiny import RECIPE as TINY
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import COCO17
from poseg.systems.multitask import Multitask
from poseg.training.crop_views import CropView
from poseg.training.recipe import Recipe

SYSTEM = Multitask(skeleton=COCO17, regression=(256, 256), detection=(256, 256), dropout=0.0)
MEAN, STD = SYSTEM.normalisation

RECIPE: Recipe = replace(
    TINY,
    name="multitask_overfit_tiny",
    system=SYSTEM,
    view=CropView(
        SYSTEM.crop_px, MEAN, STD, TINY.view.augmentation, zoom=(0.85, 1.1), shift=0.04, rotation_deg=0.0, mirror=0.0
    ),
    schedule=replace(TINY.schedule, steps=150, batch_size=8, rate=1e-3),
    facts=replace(TINY.facts, inference=InferenceConfig(SYSTEM.crop_px)),
)
