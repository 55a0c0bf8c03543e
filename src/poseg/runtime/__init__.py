"""Runtime: model files to sessions, pictures to people. No torch here."""

from poseg.runtime.predictor import Predictor
from poseg.runtime.session import Session
from poseg.runtime.zoo import load, models

__all__ = ["Predictor", "Session", "load", "models"]
