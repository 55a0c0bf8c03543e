"""Recipes of the multi-task pose network: the bundled model, and the published networks in 2D and 3D."""

from __future__ import annotations

from pathlib import Path

from poseg.codecs.multitask import BONES, HEATMAP, JOINT_WINDOWS, PART_WINDOWS
from poseg.datasets.dataset import Dataset
from poseg.datasets.mocap import read_mocap, split
from poseg.datasets.synthetic_people import Synthetic3D
from poseg.networks.backbones.li2014 import CROP_PX
from poseg.recipes.training_sets import (
    BANDAI,
    CMU_MOCAP,
    CROP_NOTES,
    CROP_SETS,
    LICENCES,
    LSP_SETS,
    crop_mixture,
    lsp_mixture,
)
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import BODY17_3D, COCO17
from poseg.systems.multitask import Multitask
from poseg.training.crop_targets import CropInput
from poseg.training.dataset import WeightedDataset
from poseg.training.optim import OptimConfig
from poseg.training.recipe import CardMetadata, Recipe

# The bundled model: COCO's joints as heatmaps of a Lite-HRNet that starts from PP-TinyPose, beside sliding windows.
#
# run     poseg train multitask --data DATA --out runs/multitask --set init.tinypose=tinypose_256x192.onnx
#         (DATA holds `pseudo_labels` with the .v2 files, their images, `lsp` and `lspet`)
# last    poseg export runs/multitask -o multitask.onnx --set system.tasks=heatmap --wise-ft-alpha 0.5
# expect  what the card of the bundled model says (`poseg models`), which was trained on heatmaps alone
# time    an hour and a half on one core
SYSTEM = Multitask(
    skeleton=COCO17, tasks=(HEATMAP, JOINT_WINDOWS, PART_WINDOWS), crop_size_px=(256, 192), padding=0.25, window_px=52,
    window_stride_px=21, backbone="lite_hrnet", detection_hidden=(64, 64), regression_weight=60.0, joint_weight=0.0005,
    part_weight=0.0005,
)  # fmt: skip

RECIPE = Recipe(
    name="multitask",
    system=SYSTEM,
    input=CropInput(
        max(SYSTEM.crop_size_px), *SYSTEM.normalisation, zoom=(0.77, 1.33), shift=0.06, rotation_deg=30.0,
        cutout_prob=0.3, part_prob=0.25, body_boxes=True,
        distilled=("people_unlabelled", "coco_person_masks", "clothing_coparsing"),
    ),
    optim=OptimConfig(
        steps=1600, batch_size=16, lr=5e-4, backbone_lr_scale=0.1, weight_decay=0.0, warmup_steps=100, ema_decay=0.998,
        checkpoint_every=50,
    ),
    data=crop_mixture,
    card=CardMetadata(
        inference=InferenceConfig(max(SYSTEM.crop_size_px)), licences=LICENCES, data=CROP_SETS, notes=CROP_NOTES,
    ),
)  # fmt: skip

# The published network on Leeds Sports Pose: three convolutions, 112 px, regression beside sliding windows.
#
# run     poseg train multitask_paper --data DATA --out runs/paper
#         (DATA holds `lspet` and `lsp`)
# or      ... --set system.tasks=joints     regression alone, which the paper compares with
# expect  benchmarks/multitask_lsp.py prints both, for several seeds
# differs from the published training in AdamW with half a cosine in place of SGD with milestones, in shifts drawn anew
#         for each crop in place of 16 prepared beforehand, in the joints (LSP's 14 in place of the upper body's 8), and
#         in the first weights of all layers but the last ones (scaled to the width of the layers)
PAPER_SYSTEM = Multitask()
PAPER_OPTIM = OptimConfig(
    steps=2000, batch_size=64, lr=5e-4, ema_decay=0.995, freeze_bn=False, freeze_stem=False, precision="bf16",
    checkpoint_every=200,
)  # fmt: skip

PAPER = Recipe(
    name="multitask_paper",
    system=PAPER_SYSTEM,
    input=CropInput(CROP_PX, *PAPER_SYSTEM.normalisation, zoom=(1.0, 1.0), shift=8 / 112, rotation_deg=0.0),
    optim=PAPER_OPTIM,
    data=lsp_mixture,
    card=CardMetadata(inference=InferenceConfig(CROP_PX), licences=LICENCES, data=LSP_SETS),
)

# The published network in 3D, on rendered figures of motion capture, by both of the paper's strategies.
#
# first   poseg train multitask_3d --data DATA --out runs/together
#         strategy 1: 3D joints are regressed while windows that contain them are detected
# then    poseg train multitask_3d --data DATA --out runs/windows --set system.tasks=joint_windows
#         poseg train multitask_3d --data DATA --out runs/after --set system.tasks=bones \
#         --set init.backbone=runs/windows
#         strategy 2: the backbone learns from windows alone, then regression starts from it, with a head of its own
# alone   ... --set system.tasks=bones, from random weights, for comparison
# expect  benchmarks/multitask_3d.py trains and measures them side by side
# differs from the published one in its data: photographs of Human3.6M are licensed to each user alone, so poses of
#         motion capture are rendered as figures here
NUM_IMAGES = 1_000_000  # as good as endless: each is rendered when it is read


def rendered_figures(data: Path) -> tuple[WeightedDataset[Dataset], ...]:
    """Figures of the training poses of all sources of motion capture."""
    poses = split(read_mocap(data / "mocap"))[0]
    return (WeightedDataset(Synthetic3D("mocap", poses, length=NUM_IMAGES, seed=0), 1.0),)


SYSTEM_3D = Multitask(
    skeleton=BODY17_3D, tasks=(BONES, JOINT_WINDOWS), window_px=10, window_stride_px=10, bone_scale_mm=600.0
)

IN_3D = Recipe(
    name="multitask_3d",
    system=SYSTEM_3D,
    input=CropInput(CROP_PX, *SYSTEM_3D.normalisation, zoom=(0.85, 1.15), rotation_deg=8.0),
    optim=PAPER_OPTIM,
    data=rendered_figures,
    card=CardMetadata(
        inference=InferenceConfig(CROP_PX),
        licences={**LICENCES, "weights": "CC BY-NC 4.0, as the motion capture"},
        data=(CMU_MOCAP, BANDAI),
    ),
)
