"""PoSeg for CPUs: starts from the trunk of our `small`; both branches are learned here.

first   poseg train poseg_small --data DATA --out runs/poseg --set lessons=LESSONS --set start.backbone=runs/small
last    poseg export runs/poseg -o poseg.float.onnx
        poseg quantize poseg.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o poseg.onnx
expect  what the card of the model says that comes along (`poseg models`)
time    under an hour on two busy cores with bfloat16 instructions. 200 further steps with the trunk let go gained 0.004
        of keypoint AP on the tuning pictures at 641 px and lost a tenth of person IoU, and were left out
"""

from __future__ import annotations

from poseg.recipes.data_at_hand import photographs
from poseg.recipes.facts_at_hand import DATA, LICENCES, POSEG_NOTES
from poseg.runtime.inference import InferenceConfig
from poseg.systems.poseg import PoSeg
from poseg.training.augment import Augmentation
from poseg.training.loader import View
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule

SYSTEM = PoSeg()
MEAN, STD = SYSTEM.normalisation

RECIPE = Recipe(
    name="poseg",
    system=SYSTEM,
    view=View(385, MEAN, STD, Augmentation(person_px=(48.0, 450.0))),
    schedule=Schedule(
        steps=2200, batch_size=12, rate=1.5e-3, average_decay=0.998, frozen_start=True, precision="bf16", save_every=200
    ),
    data=photographs,
    facts=Facts(
        inference=InferenceConfig(801, scales=(0.5, 0.8, 1.2)), licences=LICENCES, data=DATA, notes=POSEG_NOTES
    ),
)
