"""Recipes of the multi-task pose network: the bundled model in two steps, and the published networks in 2D and 3D."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from poseg.codecs.multitask import BONES, JOINT_WINDOWS
from poseg.datasets.dataset import Dataset
from poseg.datasets.mocap import read_mocap, split
from poseg.datasets.synthetic_people import Synthetic3D
from poseg.recipes.training_sets import BANDAI, CMU_MOCAP, LICENCES, LSP_SETS, lsp_mixture
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import BODY17_3D
from poseg.systems.multitask import Multitask
from poseg.training.crop_targets import CropInput
from poseg.training.dataset import WeightedDataset
from poseg.training.optim import OptimConfig
from poseg.training.recipe import CardMetadata, Recipe

# Behind a modern backbone: joints of a person in a crop of 193 px, sliding windows beside them.
#
# first   poseg train multitask_small --data DATA --out runs/first --set init.checkpoint=runs/poseg
# then    `multitask_finetune`
# time    three quarters of an hour on two busy cores with bfloat16 instructions
SYSTEM = Multitask(
    backbone="mobilenet_v1_075", crop_px=193, window_px=52, window_stride_px=21, regression_loss="l1",
    regression_weight=20.0, joint_weight=0.05, part_weight=0.05,
)  # fmt: skip

SMALL = Recipe(
    name="multitask",
    system=SYSTEM,
    input=CropInput(SYSTEM.crop_px, *SYSTEM.normalisation),
    optim=OptimConfig(
        steps=6000, batch_size=16, lr=1.5e-3, backbone_lr_scale=0.3, ema_decay=0.998, precision="bf16",
        checkpoint_every=100,
    ),
    data=lsp_mixture,
    card=CardMetadata(
        inference=InferenceConfig(SYSTEM.crop_px), licences=LICENCES, data=LSP_SETS,
        notes=(
            "Backbone and feature merging are initialised from the model `poseg`, whose backbone is that of `small`, "
            "initialised from Google's BodyPix MobileNetV1 0.75 (Apache-2.0); all layers were fine-tuned.",
            "A crop is a person's box with a margin, one person per crop; joints are person-centric.",
        ),
    ),
)  # fmt: skip


def mostly_lsp(data: Path) -> tuple[WeightedDataset[Dataset], ...]:
    """As in `multitask_small`, with LSP's training part three times in five."""
    lsp, extension, backgrounds = lsp_mixture(data)
    return replace(lsp, weight=6.0), replace(extension, weight=4.0), replace(backgrounds, weight=0.5)


# The last steps of `multitask_small`: mostly LSP's own joints, which its authors checked; LSPET's are noisy.
#
# run     poseg train multitask_finetune --data DATA --out runs/multitask --set init.checkpoint=runs/first
# last    poseg export runs/multitask -o multitask.float.onnx
#         poseg quantize multitask.float.onnx --images DATA/lspet/images -o multitask.onnx
# expect  what the card of the bundled model says (`poseg models`)
# time    a quarter of an hour on two cores with bfloat16 instructions
FINETUNE = replace(SMALL, optim=replace(SMALL.optim, steps=2000, lr=6e-4, warmup_steps=50), data=mostly_lsp)

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
    input=CropInput(
        PAPER_SYSTEM.crop_px, *PAPER_SYSTEM.normalisation, zoom=(1.0, 1.0), shift=8 / 112, rotation_deg=0.0
    ),
    optim=PAPER_OPTIM,
    data=lsp_mixture,
    card=CardMetadata(inference=InferenceConfig(PAPER_SYSTEM.crop_px), licences=LICENCES, data=LSP_SETS),
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
    input=CropInput(SYSTEM_3D.crop_px, *SYSTEM_3D.normalisation, zoom=(0.85, 1.15), rotation_deg=8.0),
    optim=PAPER_OPTIM,
    data=rendered_figures,
    card=CardMetadata(
        inference=InferenceConfig(SYSTEM_3D.crop_px),
        licences={**LICENCES, "weights": "CC BY-NC 4.0, as the motion capture"},
        data=(CMU_MOCAP, BANDAI),
    ),
)
