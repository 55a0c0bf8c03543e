"""What is wrong with an annotation file, all of it, in plain sentences."""

from poseg.datasets.check.faults import KINDS, Fault, Kind, Level
from poseg.datasets.check.report import Report, check_file, check_plain
from poseg.datasets.check.summary import Summary

__all__ = ["KINDS", "Fault", "Kind", "Level", "Report", "Summary", "check_file", "check_plain"]
