"""poseg: people in images as poses and instance masks, bottom-up.

people = poseg.load()("photo.jpg")
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import poseg.draw as draw
    import poseg.examples as examples
    from poseg.errors import PosegError
    from poseg.interop.save import save
    from poseg.io.images import read_image, write_png
    from poseg.people import Masks, People, Person, Sample
    from poseg.runtime.inference import InferenceConfig
    from poseg.runtime.models import load, models
    from poseg.runtime.predictor import Predictor
    from poseg.skeletons import COCO17, Skeleton

__version__ = "0.1.0"
__all__ = ["COCO17", "InferenceConfig", "Masks", "People", "Person", "PosegError", "Predictor", "Sample", "Skeleton",
           "draw", "examples", "load", "models", "read_image", "save", "write_png"]  # fmt: skip

# Where each name lives: it is imported when it is first asked for, so that `import poseg` takes no time.
_LAZY_FOLDERS = ("draw", "examples")
_LAZY_IMPORTS = {
    "COCO17": "skeletons",
    "InferenceConfig": "runtime.inference",
    "Masks": "people",
    "People": "people",
    "Person": "people",
    "PosegError": "errors",
    "Predictor": "runtime.predictor",
    "Sample": "people",
    "Skeleton": "skeletons",
    "load": "runtime.models",
    "models": "runtime.models",
    "read_image": "io.images",
    "save": "interop.save",
    "write_png": "io.images",
}


def __getattr__(name: str) -> Any:
    if name in _LAZY_FOLDERS:
        return import_module(f"poseg.{name}")
    if name not in _LAZY_IMPORTS:
        raise AttributeError(f"module 'poseg' has no attribute {name!r}")
    return globals().setdefault(name, getattr(import_module(f"poseg.{_LAZY_IMPORTS[name]}"), name))


def __dir__() -> list[str]:
    return sorted(__all__)
