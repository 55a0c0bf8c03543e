"""The lifter: poses of motion capture before random cameras, as networks would see them in a picture.

run     poseg train lifter --data DATA --out runs/lifter
        (DATA holds `mocap`; only sources whose terms allow a model to be shipped for any use are learned from)
last    poseg export runs/lifter -o lifter.onnx
expect  benchmarks/lifting.py prints MPJPE and PA-MPJPE on subjects and actions that were held out
"""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.mocap import CMU_SOURCES, Poses, read_mocap, split
from poseg.recipes.facts_at_hand import LICENCES, MOCAP_DATA
from poseg.runtime.inference import InferenceConfig
from poseg.systems.lifter import Lifter
from poseg.training.lift_views import LiftView
from poseg.training.recipe import Facts, Recipe
from poseg.training.schedule import Schedule


def captured(data: Path) -> Poses:
    """The training poses of CMU's motion capture."""
    return split(read_mocap(data / "mocap", CMU_SOURCES))[0]


SYSTEM = Lifter()
MEAN, STD = SYSTEM.normalisation

RECIPE = Recipe(
    name="lifter",
    system=SYSTEM,
    view=LiftView(1, MEAN, STD),
    schedule=Schedule(
        steps=8000, batch_size=256, rate=1e-3, average_decay=0.999, frozen_norms=False, frozen_stem=False,
        backbone_rate=1.0, save_every=500,
    ),
    data=captured,
    facts=Facts(inference=InferenceConfig(1), licences=LICENCES, data=MOCAP_DATA),
)  # fmt: skip
