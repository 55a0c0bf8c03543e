"""Recipes of PoSeg: one for CPUs, and the published form for machines with GPUs."""

from __future__ import annotations

from poseg.networks.backbones.build import input_normalisation
from poseg.recipes.personlab import COCO as PERSONLAB_COCO
from poseg.recipes.training_sets import BODYPIX, LABEL_SOURCES, LICENCES, PHOTO_SETS, photo_mixture
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import OPENPOSE18
from poseg.systems.poseg import PoSeg
from poseg.training.dataset import AugmentConfig, TrainInput
from poseg.training.init import Init
from poseg.training.optim import OptimConfig
from poseg.training.recipe import CardMetadata, Recipe

# The bundled model: starts from the backbone of our `small`; both branches are learned here.
#
# first   poseg train poseg_small --data DATA --out runs/poseg --set teacher_dir=TEACHER --set init.backbone=small
# last    poseg export runs/poseg -o poseg.float.onnx
#         poseg quantize poseg.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o poseg.onnx
# expect  what the card of the bundled model says (`poseg models`)
# time    under an hour on two busy cores with bfloat16 instructions. 200 further steps in which the backbone learned
#         too gained 0.004 of keypoint AP on the tuning images at 641 px, lost a tenth of person IoU, and were left out
SYSTEM = PoSeg()

SMALL = Recipe(
    name="poseg",
    system=SYSTEM,
    input=TrainInput(385, *SYSTEM.normalisation, AugmentConfig(person_px=(48.0, 450.0))),
    optim=OptimConfig(
        steps=2200, batch_size=12, lr=1.5e-3, ema_decay=0.998, freeze_pretrained=True, precision="bf16",
        checkpoint_every=200,
    ),
    data=photo_mixture,
    card=CardMetadata(
        inference=InferenceConfig(801, scales=(0.5, 0.8, 1.2)), licences=LICENCES, data=(*PHOTO_SETS, BODYPIX),
        notes=(
            "The backbone is that of `small`, initialised from Google's BodyPix MobileNetV1 0.75 (Apache-2.0).",
            f"{LABEL_SOURCES}, revised by `poseg label` with MoveNet MultiPose and BodyPix. Where annotations "
            "are not exhaustive, BodyPix marks regions that may be people.",
        ),
    ),
)  # fmt: skip

# PoSeg as published: VGG-19, six stages, pyramid pooling, on COCO 2017 (Cao et al., CVPR 2017, section 3).
#
# run     torchrun --nproc_per_node 2 -m poseg train poseg_coco --data COCO --out runs/poseg_coco
#         (COCO holds `annotations/person_keypoints_train2017.json` and `train2017/`)
# or      ... --set system.pose_branch=dense --set system.refinement_stages=1 --set system.backbone=mobilenet_v3_large
#         --set system.widths=32,64,128,128 --set input.side_px=385
# expect  part affinity fields alone are published with keypoint AP 0.584 on 1,160 images of COCO val (six stages) and,
#         in the light form, 0.40 on val2017, each at one scale. This joint network has not been run on COCO: one needs
#         its images and, as for the published one, two GPUs for six days
# differs from the published training in AdamW with half a cosine in place of SGD with milestones, and in terms that are
#         means
SIDE_PX = 368
BACKBONE = "vgg19"

COCO = Recipe(
    name="poseg_coco",
    system=PoSeg(
        skeleton=OPENPOSE18, backbone=BACKBONE, widths=(64, 256), channels=128, pose_branch="paper", refinement_stages=5
    ),
    # People of 0.3 to 0.66 of the side, rotated by up to 40 degrees.
    input=TrainInput(
        SIDE_PX, *input_normalisation(BACKBONE),
        AugmentConfig(
            person_px=(0.3 * SIDE_PX, 0.66 * SIDE_PX), image_px=(100.0, 4.0 * SIDE_PX), max_upscale=4.0,
            rotation_deg=13.3, color_jitter=0.0,
        ),
    ),
    optim=OptimConfig(
        steps=440_000, batch_size=10, lr=2e-4, backbone_lr_scale=0.1, weight_decay=1e-4, warmup_steps=2000,
        grad_clip_norm=1.0, ema_decay=0.9999, precision="bf16", freeze_bn=False, freeze_stem=False,
        checkpoint_every=2000,
    ),
    data=PERSONLAB_COCO.data,
    init=Init(backbone="vgg19.safetensors"),
    validation=PERSONLAB_COCO.validation,
    card=CardMetadata(inference=InferenceConfig(SIDE_PX), licences=LICENCES, data=PERSONLAB_COCO.card.data),
)  # fmt: skip
