"""The lifter: poses of motion capture projected by random cameras, as networks would predict them in an image.

run     poseg train lifter --data DATA --out runs/lifter
        (DATA holds `mocap`; only sources whose terms allow a model to be shipped for any use are learned from)
last    poseg export runs/lifter -o lifter.onnx
expect  benchmarks/lifting.py prints MPJPE and PA-MPJPE on subjects and actions that were held out
"""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.mocap import CMU_SOURCES, MocapPoses, read_mocap, split
from poseg.recipes.training_sets import CMU_MOCAP, LICENCES
from poseg.runtime.inference import InferenceConfig
from poseg.systems.lifter import LifterSystem
from poseg.training.lifter_targets import LiftInput
from poseg.training.optim import OptimConfig
from poseg.training.recipe import CardMetadata, Recipe


def captured(data: Path) -> MocapPoses:
    """The training poses of CMU's motion capture."""
    return split(read_mocap(data / "mocap", CMU_SOURCES))[0]


SYSTEM = LifterSystem()

RECIPE = Recipe(
    name="lifter",
    system=SYSTEM,
    input=LiftInput(1, *SYSTEM.normalisation),
    optim=OptimConfig(
        steps=8000, batch_size=256, lr=1e-3, ema_decay=0.999, freeze_bn=False, freeze_stem=False,
        backbone_lr_scale=1.0, checkpoint_every=500,
    ),
    data=captured,
    card=CardMetadata(inference=InferenceConfig(1), licences=LICENCES, data=(CMU_MOCAP,)),
)  # fmt: skip
