"""Systems: config, network, codec and loss of each method, one file to open. torch lives here."""

from poseg.systems.personlab import PersonLab

SYSTEMS = {"personlab": PersonLab}

__all__ = ["SYSTEMS", "PersonLab"]
