"""PersonLab small: starts as BodyPix; what is new is a pyramid with context, and stride-8 heads that correct masks.

first   poseg train personlab_small --data DATA --out runs/first --set lessons=LESSONS \
        --set start.published=bodypix_mnv1_075_s16_dequant.npz
        what is new learns alone: published features hold more than a few thousand pictures can teach
then    poseg train personlab_small --data DATA --out runs/small --set lessons=LESSONS \
        --set start.weights=runs/first --set schedule.frozen_start=false --set schedule.frozen_stem=false \
        --set schedule.rate=2e-4 --set schedule.backbone_rate=0.1 --set schedule.steps=650 \
        --set schedule.warm_up_steps=50 --set schedule.average_decay=0.99 --set schedule.save_every=50
        everything learns together, slowly
last    poseg export runs/small --wise-ft-alpha 0.5 -o small.float.onnx
        poseg quantize small.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o small.onnx
expect  what the card of the model says that comes along (`poseg models`)
        (half way between the weights of both runs the tuning pictures lost least of what the start knew)
time    on two busy cores with bfloat16 instructions: half an hour to step 1,400, where the first run was left for the
        model that comes along, a quarter of an hour for the second. That first run also corrected the pose fields,
        which lost keypoint AP and was left out then
"""

from __future__ import annotations

from poseg.recipes.data_at_hand import photographs
from poseg.recipes.facts_at_hand import DATA, LICENCES, NOTES
from poseg.runtime.inference import InferenceConfig
from poseg.systems.personlab import PersonLab
from poseg.training.augment import Augmentation
from poseg.training.loader import View
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule

SYSTEM = PersonLab(
    backbone="mobilenet_v1_075", stride=8, context_levels=2, intermediate="corrected",
    corrects=("segmentation", "long_offsets"),
)  # fmt: skip
MEAN, STD = SYSTEM.normalisation

RECIPE = Recipe(
    name="small",
    system=SYSTEM,
    view=View(385, MEAN, STD, Augmentation(person_px=(32.0, 450.0))),
    schedule=Schedule(
        steps=3600, batch_size=12, rate=6e-4, average_decay=0.999, frozen_start=True, precision="bf16", save_every=200
    ),
    data=photographs,
    facts=Facts(
        InferenceConfig(
            1025, scales=(321 / 1025, 577 / 1025, 1.0), flip=True, adaptive=True, mask_refiner="mask_refiner"
        ),
        licences=LICENCES, data=DATA, notes=NOTES,
    ),
)  # fmt: skip
