"""Evaluation of a model on a data set. Torch free."""

from poseg.evaluation.ground_truth import ground_truth_people
from poseg.evaluation.joints import JointsReport, evaluate_joints
from poseg.evaluation.report import EvaluationReport, Model, card_scores, evaluate

__all__ = [
    "EvaluationReport",
    "JointsReport",
    "Model",
    "card_scores",
    "evaluate",
    "evaluate_joints",
    "ground_truth_people",
]
