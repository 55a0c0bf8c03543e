"""Evaluation: a model against a data set. Torch free."""

from poseg.evaluation.given import true_people
from poseg.evaluation.joints import JointsReport, evaluate_joints
from poseg.evaluation.report import Model, Report, evaluate
from poseg.evaluation.scores import card_scores

__all__ = [
    "JointsReport",
    "Model",
    "Report",
    "card_scores",
    "evaluate",
    "evaluate_joints",
    "true_people",
]
