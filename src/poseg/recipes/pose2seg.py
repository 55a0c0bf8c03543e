"""Recipes of Pose2Seg: one for CPUs, and the published form for machines with GPUs (Zhang et al., CVPR 2019)."""

from __future__ import annotations

from pathlib import Path

from poseg.recipes.personlab import coco_persons
from poseg.recipes.training_sets import LABEL_SOURCES, LICENCES, MASK_SETS, masked_people
from poseg.runtime.inference import InferenceConfig
from poseg.systems.pose2seg import Pose2Seg
from poseg.training.dataset import AugmentConfig
from poseg.training.init import Init
from poseg.training.optim import OptimConfig
from poseg.training.pose2seg_targets import Pose2SegInput
from poseg.training.recipe import CardMetadata, Recipe, Validation

# The bundled model: masks for the poses of any model, on the backbone of our `small`, with a narrow mask head.
#
# run     poseg train pose2seg_small --data DATA --out runs/pose2seg --set init.backbone=small
# last    poseg export runs/pose2seg -o pose2seg.float.onnx
#         poseg quantize pose2seg.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o pose2seg.onnx
# time    an hour and a half on two busy cores with bfloat16 instructions; after 2,400 steps little was gained any more.
#         The bundled model got its last limb, the line between the eyes, at step 2,600
# expect  what the card of the bundled model says (`poseg models pose2seg`)
SYSTEM = Pose2Seg(
    backbone="mobilenet_v1_075", neck="separable", neck_channels=64, extra_levels=1, padding=0.1,
    stem_width=48, width=32, blocks=8, out_width=16,
)  # fmt: skip

SMALL = Recipe(
    name="pose2seg",
    system=SYSTEM,
    input=Pose2SegInput(
        385, *SYSTEM.normalisation, AugmentConfig(person_px=(40.0, 380.0), copy_paste_prob=0.35),
        people_per_image=3, keypoint_noise=1.0, keypoint_dropout=0.5, clean_fraction=0.3,
    ),
    optim=OptimConfig(
        steps=4000, batch_size=8, lr=1e-3, ema_decay=0.999, backbone_lr_scale=0.1, precision="bf16",
        checkpoint_every=200,
    ),
    data=masked_people,
    card=CardMetadata(
        inference=InferenceConfig(641), licences=LICENCES, data=MASK_SETS,
        notes=(
            "The backbone is initialised from that of `small`, itself initialised from Google's BodyPix MobileNetV1 "
            "0.75 (Apache-2.0); all layers were fine-tuned.",
            f"{LABEL_SOURCES}.",
            "Augmentation: jittered keypoints, dropped keypoints, and people pasted over people (copy-paste).",
        ),
    ),
)  # fmt: skip

# Pose2Seg as published, for a GPU machine with COCO 2017 on disk: train2017/, val2017/ and annotations/.
#
# run     poseg train pose2seg_cocopersons --data DATA --out runs/cocopersons --set init.backbone=resnet50.pth
# target  mask AP 0.582 on val2017 with ground-truth poses, people with joints alone; 0.54 to 0.57 on OCHuman's val
#         part. These are the authors' numbers, not ours: this recipe has not been run to its end yet
# time    354,000 steps of 4 images; the authors' took about 80 hours on a card of 2016
# needs   8 GB of GPU memory
# differs from the published training in the stride of a ResNet's stage, which lies in its 3x3 convolution, as in the
#         ImageNet weights; in people, two from each of four images, and not eight from all four together; in one logit
#         instead of two
SIDE_PX = 513
EPOCH = 56_599 // 4  # steps; images with people that have joints

# The whole image, as large as it fits: the published training moves crops, not images.
WHOLE_IMAGE = AugmentConfig(
    image_px=(float(SIDE_PX), float(SIDE_PX)), max_upscale=1e3, rotation_deg=0.0, flip_prob=0.0, color_jitter=0.0
)
PAPER = Pose2Seg()

COCOPERSONS = Recipe(
    name="pose2seg_cocopersons",
    system=PAPER,
    input=Pose2SegInput(SIDE_PX, *PAPER.normalisation, WHOLE_IMAGE, people_per_image=2),
    optim=OptimConfig(
        steps=25 * EPOCH, batch_size=4, optimiser="adamw", lr=2e-4, backbone_lr_scale=1.0, weight_decay=0.0,
        warmup_steps=1000, lr_schedule="multistep", milestones=(0.6, 0.8), grad_clip_norm=0.0, ema_decay=0.0,
        freeze_bn=False, freeze_stem=False, checkpoint_every=5000,
    ),
    data=coco_persons,
    init=Init(backbone="resnet50.pth"),
    validation=Validation(Path("annotations/person_keypoints_val2017.json"), Path("val2017"), every=EPOCH),
    card=CardMetadata(
        inference=InferenceConfig(SIDE_PX), notes=("Trained with ground-truth poses alone, as published.",)
    ),
)  # fmt: skip
