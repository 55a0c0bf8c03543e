"""Runtime: model files to predictors, images to people. It never imports torch."""

from poseg.runtime.models import load, models
from poseg.runtime.onnx_model import OnnxModel
from poseg.runtime.predictor import Predictor

__all__ = ["OnnxModel", "Predictor", "load", "models"]
