"""PersonLab on MoveNet: PersonLab's heads and a pyramid with context on the trunk of MoveNet MultiPose.

first   poseg train personlab_movenet --data DATA --out runs/first --set lessons=LESSONS \
        --set start.published=movenet.tflite
        what is new learns alone: published features hold more than a few thousand pictures can teach
then    poseg train personlab_movenet --data DATA --out runs/second --set lessons=LESSONS \
        --set start.weights=runs/first --set schedule.frozen_start=false --set schedule.rate=3e-4 \
        --set schedule.backbone_rate=0.15 --set schedule.steps=700 --set schedule.warm_up_steps=50 \
        --set schedule.average_decay=0.99 --set view.augmentation.person_px=24,420 \
        --set view.augmentation.picture_px=224,1100
        everything but the layers up to stride 4 learns together, slowly
last    these too, from runs/second to runs/movenet, with schedule.frozen_stem=false, schedule.rate=1e-4,
        schedule.steps=130, schedule.warm_up_steps=20, schedule.average_decay=0.97 and the rest as before
        poseg export runs/movenet -o movenet.float.onnx
        poseg quantize movenet.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o movenet.onnx
expect  in eight bits, on the 36 pictures of coco_mini train: keypoint AP 0.264, mask AP 0.160; on the 43 of
        coco_person_masks val mask AP 0.193. Two thirds of the time of `small`, which scores 0.305 and 0.168, and 0.184;
        and more false alarms (docs/train.md), which is why no model comes along
time    on two busy cores with bfloat16 instructions: an hour for the first run, a quarter of an hour for the second,
        four minutes for the last. 1,200 further steps after the second run gained nothing on the tuning pictures
"""

from __future__ import annotations

from poseg.recipes.data_at_hand import photographs
from poseg.recipes.facts_at_hand import LABELLED, LICENCES, MOVENET, MOVENET_NOTES
from poseg.runtime.inference import InferenceConfig
from poseg.systems.personlab import PersonLab
from poseg.training.augment import Augmentation
from poseg.training.loader import View
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule

SYSTEM = PersonLab(backbone="mobilenet_v2_150", stride=8, context_levels=1)
MEAN, STD = SYSTEM.normalisation

RECIPE = Recipe(
    name="movenet",
    system=SYSTEM,
    view=View(385, MEAN, STD, Augmentation(person_px=(32.0, 450.0))),
    schedule=Schedule(
        steps=4500, batch_size=12, rate=1.5e-3, warm_up_steps=100, average_decay=0.998, frozen_start=True,
        precision="bf16", save_every=100,
    ),
    data=photographs,
    facts=Facts(
        inference=InferenceConfig(705, scales=(257 / 705, 1.0)),
        licences=LICENCES, data=(*LABELLED, MOVENET), notes=MOVENET_NOTES
    ),
)  # fmt: skip
