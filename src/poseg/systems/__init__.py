"""Systems: config, network, codec and loss of each method, one file to open. torch lives here."""

from poseg.systems.lifter import Lifter
from poseg.systems.multitask import Multitask
from poseg.systems.painter import Painter
from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.systems.system import System

SYSTEMS: dict[str, type[System]] = {
    "lifter": Lifter,
    "multitask": Multitask,
    "mask_refiner": Painter,
    "personlab": PersonLab,
    "pose2seg": Pose2Seg,
    "poseg": PoSeg,
}

__all__ = ["SYSTEMS", "Lifter", "Multitask", "Painter", "PersonLab", "PoSeg", "Pose2Seg", "System"]
