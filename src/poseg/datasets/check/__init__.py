"""Checks of annotation files: everything that is wrong, in plain sentences with hints."""

from poseg.datasets.check.report import CheckReport, Summary, check_dict, check_file
from poseg.datasets.check.rules import RULES, Issue, Rule, Severity

__all__ = ["RULES", "CheckReport", "Issue", "Rule", "Severity", "Summary", "check_dict", "check_file"]
