"""The published network in three dimensions, on drawn figures of motion capture, by both of the paper's strategies.

first   poseg train multitask_3d --data DATA --out runs/together
        strategy 1: joints in space are regressed while windows that hold them are detected
then    poseg train multitask_3d --data DATA --out runs/windows --set system.tasks=joint_windows
        poseg train multitask_3d --data DATA --out runs/after --set system.tasks=bones --set start.backbone=runs/windows
        strategy 2: the trunk learns from windows alone, then regression goes on from it, with a head of its own
alone   ... --set system.tasks=bones, with nothing to start from, for comparison
expect  benchmarks/in_space.py trains and measures them side by side
differs from the published one in its data: photographs of Human3.6M are given to those who ask for them alone, so
        poses of motion capture are drawn as figures here
"""

from __future__ import annotations

from pathlib import Path

from poseg.codecs.multitask import BONES, JOINT_WINDOWS
from poseg.datasets.drawn_in_space import DrawnInSpace
from poseg.datasets.mocap import read_mocap, split
from poseg.recipes.facts_at_hand import LICENCES, NON_COMMERCIAL_MOCAP_DATA
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import BODY17_3D
from poseg.systems.multitask import Multitask
from poseg.training.crop_views import CropView
from poseg.training.loader import Share
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule

PICTURES = 1_000_000  # as good as endless: each is drawn when it is asked for


def drawn(data: Path) -> tuple[Share, ...]:
    """Drawn figures of the training poses of all sources."""
    poses = split(read_mocap(data / "mocap"))[0]
    return (Share(DrawnInSpace("mocap", poses, length=PICTURES, seed=0), 1.0),)


SYSTEM = Multitask(
    skeleton=BODY17_3D, tasks=(BONES, JOINT_WINDOWS), window_px=10, window_stride_px=10, bone_scale_mm=600.0
)
MEAN, STD = SYSTEM.normalisation

RECIPE = Recipe(
    name="multitask_3d",
    system=SYSTEM,
    view=CropView(SYSTEM.crop_px, MEAN, STD, zoom=(0.85, 1.15), rotation_deg=8.0),
    schedule=Schedule(
        steps=2000, batch_size=64, rate=5e-4, average_decay=0.995, frozen_norms=False, frozen_stem=False,
        precision="bf16", save_every=200,
    ),
    data=drawn,
    facts=Facts(
        inference=InferenceConfig(SYSTEM.crop_px),
        licences={**LICENCES, "weights": "CC BY-NC 4.0, as the motion capture"},
        data=NON_COMMERCIAL_MOCAP_DATA,
    ),
)  # fmt: skip
