"""Evaluation: a model against a data set. Torch free."""

from poseg.evaluation.given import true_people
from poseg.evaluation.report import Model, Report, evaluate
from poseg.evaluation.scores import card_scores

__all__ = ["Model", "Report", "card_scores", "evaluate", "true_people"]
