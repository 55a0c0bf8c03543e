"""Systems: config, network, codec and loss of each method, one file to open. torch lives here."""

from poseg.systems.lifter import LifterSystem
from poseg.systems.mask_refiner import MaskRefinerSystem
from poseg.systems.multitask import Multitask
from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.systems.system import System

SYSTEMS: dict[str, type[System]] = {
    "lifter": LifterSystem,
    "mask_refiner": MaskRefinerSystem,
    "multitask": Multitask,
    "personlab": PersonLab,
    "pose2seg": Pose2Seg,
    "poseg": PoSeg,
}

__all__ = [
    "SYSTEMS", "LifterSystem", "MaskRefinerSystem", "Multitask", "PersonLab", "PoSeg", "Pose2Seg", "System",
]  # fmt: skip
