"""Evaluation: a model against a data set. Torch free."""

from poseg.evaluation.report import Model, Report, evaluate

__all__ = ["Model", "Report", "evaluate"]
