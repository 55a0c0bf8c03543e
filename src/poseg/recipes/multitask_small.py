"""The multi-task network behind a trunk of today: joints of a person in a crop of 193 px, windows beside them.

first   poseg train multitask_small --data DATA --out runs/first --set start.weights=runs/poseg
then    `multitask_polish` goes on from there, and says how the model that comes along is made
time    three quarters of an hour on two busy cores with bfloat16 instructions
"""

from __future__ import annotations

from poseg.recipes.data_at_hand import sports_people
from poseg.recipes.facts_at_hand import LICENCES, SPORTS_DATA, SPORTS_NOTES
from poseg.runtime.inference import InferenceConfig
from poseg.systems.multitask import Multitask
from poseg.training.crop_views import CropView
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule

SYSTEM = Multitask(
    backbone="mobilenet_v1_075", crop_px=193, window_px=52, window_stride_px=21, error="absolute",
    regression_weight=20.0, joint_weight=0.05, part_weight=0.05,
)  # fmt: skip
MEAN, STD = SYSTEM.normalisation

RECIPE = Recipe(
    name="multitask",
    system=SYSTEM,
    view=CropView(SYSTEM.crop_px, MEAN, STD),
    schedule=Schedule(
        steps=6000, batch_size=16, rate=1.5e-3, backbone_rate=0.3, average_decay=0.998, precision="bf16", save_every=100
    ),
    data=sports_people,
    facts=Facts(inference=InferenceConfig(SYSTEM.crop_px), licences=LICENCES, data=SPORTS_DATA, notes=SPORTS_NOTES),
)
