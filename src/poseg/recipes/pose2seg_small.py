"""Pose2Seg small: masks from anybody's poses, on the backbone of our `small`, with a narrow mask head.

run     poseg train pose2seg_small --data DATA --out runs/pose2seg --set start.backbone=runs/small
last    poseg export runs/pose2seg -o pose2seg.float.onnx
        poseg quantize pose2seg.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o pose2seg.onnx
time    an hour and a half on two busy cores with bfloat16 instructions; after 2,400 steps little was gained any more.
        The model that comes along got its last limb, the line between the eyes, at step 2,600
expect  what the card of the model says that comes along (`poseg models pose2seg`)
"""

from __future__ import annotations

from poseg.recipes.data_at_hand import outlined_people
from poseg.recipes.facts_at_hand import LICENCES, MASK_DATA, MASK_NOTES
from poseg.runtime.inference import InferenceConfig
from poseg.systems.pose2seg import Pose2Seg
from poseg.training.augment import Augmentation
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule
from poseg.training.window_views import WindowView

SYSTEM = Pose2Seg(
    backbone="mobilenet_v1_075", neck="separable", neck_channels=64, context_levels=1, padding=0.1,
    stem=48, planes=32, units=8, last_planes=16,
)  # fmt: skip
MEAN, STD = SYSTEM.normalisation

RECIPE = Recipe(
    name="pose2seg",
    system=SYSTEM,
    view=WindowView(
        385, MEAN, STD, Augmentation(person_px=(40.0, 380.0)),
        people=3, pose_spread=1.0, pose_missing=0.5, pose_clean=0.3, pasted=0.35,
    ),
    schedule=Schedule(
        steps=4000, batch_size=8, rate=1e-3, average_decay=0.999, backbone_rate=0.1, precision="bf16", save_every=200
    ),
    data=outlined_people,
    facts=Facts(inference=InferenceConfig(641), licences=LICENCES, data=MASK_DATA, notes=MASK_NOTES),
)  # fmt: skip
