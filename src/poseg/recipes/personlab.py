"""Recipes of PersonLab: the bundled `small` and `fast`, one on MoveNet's backbone, and the paper's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from poseg.datasets import coco
from poseg.datasets.dataset import Dataset
from poseg.networks.backbones.build import input_normalisation
from poseg.recipes.training_sets import BODYPIX, LICENCES, MOVENET, PHOTO_SETS, REVISED_LABELS, photo_mixture
from poseg.runtime.inference import InferenceConfig
from poseg.systems.personlab import PersonLab
from poseg.training.dataset import AugmentConfig, TrainInput, WeightedDataset
from poseg.training.init import Init
from poseg.training.optim import OptimConfig
from poseg.training.recipe import CardMetadata, Recipe, Validation

# `small`: starts as BodyPix; what is new is a pyramid with extra levels, and stride-8 heads that correct masks.
#
# first   poseg train personlab_small --data DATA --out runs/first --set teacher_dir=TEACHER \
#         --set init.google=bodypix_mnv1_075_s16_dequant.npz
#         only new layers learn: published features hold more than a few thousand images can teach
# then    poseg train personlab_small --data DATA --out runs/small --set teacher_dir=TEACHER \
#         --set init.checkpoint=runs/first --set optim.freeze_pretrained=false --set optim.freeze_stem=false \
#         --set optim.lr=2e-4 --set optim.backbone_lr_scale=0.1 --set optim.steps=650 \
#         --set optim.warmup_steps=50 --set optim.ema_decay=0.99 --set optim.checkpoint_every=50
#         all layers learn together, slowly
# last    poseg export runs/small --wise-ft-alpha 0.5 -o small.float.onnx
#         poseg quantize small.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o small.onnx
# expect  what the card of the bundled model says (`poseg models`)
#         (half way between the weights of both runs the tuning images lost least of what the first weights could do)
# time    on two busy cores with bfloat16 instructions: half an hour to step 1,400, where the first run was left for the
#         bundled model, a quarter of an hour for the second. That first run also corrected the pose fields, which lost
#         keypoint AP and was left out then
SYSTEM = PersonLab(
    backbone="mobilenet_v1_075", stride=8, extra_levels=2, deep_supervision="residual",
    residual_fields=("segmentation", "long_offsets"),
)  # fmt: skip

SMALL = Recipe(
    name="small",
    system=SYSTEM,
    input=TrainInput(385, *SYSTEM.normalisation, AugmentConfig(person_px=(32.0, 450.0))),
    optim=OptimConfig(
        steps=3600, batch_size=12, lr=6e-4, ema_decay=0.999, freeze_pretrained=True, precision="bf16",
        checkpoint_every=200,
    ),
    data=photo_mixture,
    card=CardMetadata(
        InferenceConfig(
            1025, scales=(321 / 1025, 577 / 1025, 1.0), adaptive=True, pose_refiner="multitask",
            mask_refiner="mask_refiner",
        ),
        licences=LICENCES, data=(*PHOTO_SETS, BODYPIX),
        notes=(
            "Backbone and linear heads are initialised from Google's BodyPix MobileNetV1 0.75 (Apache-2.0) and "
            "fine-tuned together with a feature pyramid with context modules and with heads that correct the person "
            "map and the long offsets.",
            REVISED_LABELS,
        ),
    ),
)  # fmt: skip

# `fast`: the part of `small` that ends at stride 16, and one view of each image.
#
# run     as `personlab_small`, with this name
# or      cut it out of a trained `small`, as was done for the bundled model: a pyramid that ends at stride 16 is a part
#         of one that ends at 8, and export takes the tensors that the network has
#         poseg export runs/small --wise-ft-alpha 0.5 -o fast.float.onnx --set name=fast --set system.stride=16 \
#         --set card.inference.long_edge_px=705 --set card.inference.scales=1 --set card.inference.pose_refiner= \
#         --set card.inference.adaptive=false --set card.inference.mask_refiner=
# last    poseg quantize fast.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o fast.onnx
# expect  what the card of the bundled model says (`poseg models`)
FAST = replace(
    SMALL,
    name="fast",
    system=replace(SYSTEM, stride=16),
    card=replace(SMALL.card, inference=InferenceConfig(705)),
)

# PersonLab's heads and a pyramid with an extra level on the backbone of MoveNet MultiPose.
#
# first   poseg train personlab_movenet --data DATA --out runs/first --set teacher_dir=TEACHER \
#         --set init.google=movenet.tflite
#         only new layers learn: published features hold more than a few thousand images can teach
# then    poseg train personlab_movenet --data DATA --out runs/second --set teacher_dir=TEACHER \
#         --set init.checkpoint=runs/first --set optim.freeze_pretrained=false --set optim.lr=3e-4 \
#         --set optim.backbone_lr_scale=0.15 --set optim.steps=700 --set optim.warmup_steps=50 \
#         --set optim.ema_decay=0.99 --set input.augmentation.person_px=24,420 \
#         --set input.augmentation.image_px=224,1100
#         all but the layers up to stride 4 learn together, slowly
# last    these too, from runs/second to runs/movenet, with optim.freeze_stem=false, optim.lr=1e-4,
#         optim.steps=130, optim.warmup_steps=20, optim.ema_decay=0.97 and the rest as before
#         poseg export runs/movenet -o movenet.float.onnx
#         poseg quantize movenet.float.onnx --images DATA/people_unlabelled/flickr8k_500 -o movenet.onnx
# expect  in INT8, on the 36 images of coco_mini train: keypoint AP 0.264, mask AP 0.160; on the 43 of coco_person_masks
#         val mask AP 0.193. Two thirds of the time of `small`, which scores 0.305 and 0.168, and 0.184; and more false
#         positives (docs/train.md), which is why it is not bundled
# time    on two busy cores with bfloat16 instructions: an hour for the first run, a quarter of an hour for the second,
#         four minutes for the last. 1,200 further steps after the second run gained nothing on the tuning images
MOVENET_SYSTEM = PersonLab(backbone="mobilenet_v2_150", stride=8, extra_levels=1)

ON_MOVENET = Recipe(
    name="movenet",
    system=MOVENET_SYSTEM,
    input=TrainInput(385, *MOVENET_SYSTEM.normalisation, AugmentConfig(person_px=(32.0, 450.0))),
    optim=OptimConfig(
        steps=4500, batch_size=12, lr=1.5e-3, warmup_steps=100, ema_decay=0.998, freeze_pretrained=True,
        precision="bf16", checkpoint_every=100,
    ),
    data=photo_mixture,
    card=CardMetadata(
        inference=InferenceConfig(705, scales=(257 / 705, 1.0)), licences=LICENCES, data=(*PHOTO_SETS, MOVENET),
        notes=(
            "The backbone, with its own small pyramid, is initialised from Google's MoveNet MultiPose Lightning "
            "(Apache-2.0) and fine-tuned together with a feature pyramid with an extra level, and with heads.",
            REVISED_LABELS,
        ),
    ),
)  # fmt: skip

# PersonLab as published: ResNet-101 on COCO 2017 (Papandreou et al., ECCV 2018, section 4).
#
# run     torchrun --nproc_per_node 8 -m poseg train personlab_coco --data COCO --out runs/coco
#         (COCO holds `annotations/person_keypoints_train2017.json` and `train2017/`)
# or      ... --set system.backbone=resnet152
# expect  the paper: keypoint AP 0.655 (0.665 with ResNet-152) and mask AP 0.377 (0.385) on test-dev, one scale of
#         1401 px. It has not been run here: one needs COCO and, as the paper did, 8 GPUs for some days
# then    poseg export runs/coco -o coco.onnx --set system.stride=8
#         trained at stride 16 and used at 8, by dilation, as the paper did
# differs from the paper in the average of the weights, which is exponential, in place of Polyak's
SIDE_PX = 801
BACKBONE = "resnet101"


def coco_persons(folder: Path) -> tuple[WeightedDataset[Dataset], ...]:
    """The 64,115 training images with people."""
    return (WeightedDataset(coco(folder, "train2017"), 1.0),)


COCO = Recipe(
    name="personlab_coco",
    system=PersonLab(backbone=BACKBONE, stride=16, neck_channels=0, deep_supervision="auxiliary"),
    # The paper scales the whole image's box by U(0.5, 1.5) and moves it at random, without rotation.
    input=TrainInput(
        SIDE_PX, *input_normalisation(BACKBONE),
        AugmentConfig(
            person_px=(40.0, 801.0), image_px=(0.67 * SIDE_PX, 2.0 * SIDE_PX), max_upscale=4.0, rotation_deg=0.0,
            color_jitter=0.0,
        ),
    ),
    optim=OptimConfig(
        steps=1_000_000, batch_size=8, optimiser="sgd", momentum=0.9, lr=1e-3, backbone_lr_scale=1.0, weight_decay=1e-4,
        warmup_steps=1000, lr_schedule="constant", grad_clip_norm=0.0, ema_decay=0.9999, precision="bf16",
        freeze_bn=True, freeze_stem=False, checkpoint_every=2000,
    ),
    data=coco_persons,
    init=Init(backbone="resnet101.safetensors"),
    validation=Validation(Path("annotations/person_keypoints_val2017.json"), Path("val2017"), every=0, limit=500),
    card=CardMetadata(
        inference=InferenceConfig(1401),
        licences=LICENCES,
        data=(
            {
                "name": "COCO 2017 train", "images": 64115, "use": "keypoints and masks",
                "terms": "annotations CC BY 4.0; Flickr photographs under their own licences",
            },
            {"name": "ImageNet", "use": "initial weights", "terms": "research use"},
        ),
    ),
)  # fmt: skip
