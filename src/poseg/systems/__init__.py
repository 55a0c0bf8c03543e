"""Systems: config, network, codec and loss of each method, one file to open. torch lives here."""

from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg

SYSTEMS = {"personlab": PersonLab, "pose2seg": Pose2Seg}

__all__ = ["SYSTEMS", "PersonLab", "Pose2Seg"]
