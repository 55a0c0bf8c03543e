"""Teachers: models, ours or others', that predict people in images, and how the command line loads them."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.instances import segment_people
from poseg.errors import WeightsError
from poseg.io.python_file import load_python_file
from poseg.people import People
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.models import build_predictor, load_model, models
from poseg.runtime.multi_scale import View
from poseg.runtime.onnx_model import OnnxModel
from poseg.runtime.predictor import Predictor

Image = NDArray[np.uint8]

ENTRY_POINT_GROUP = "poseg.teachers"
CACHE_SIZE = 12
MAX_PEOPLE = 40
MIN_SCORE = 0.05


class Teacher(Protocol):
    """Predicts people: all that labelling needs of a network.

    name     short, for the label file
    licence  terms of its weights, for the label file
    sizes    long sides of its input in pixels that are worth running

    It may have a `weight` and a `tile_size` (as in `TeacherConfig`), `thresholds` (`LabelThresholds`) that suit its
    scores, and `detects_boxes` = True where its boxes are a detector's rather than around joints.
    """

    name: str
    licence: str
    sizes: tuple[int, ...]

    def __call__(self, image: Image, size: int | None = None) -> People:
        """The people of an image (H, W, 3) uint8 RGB in its own continuous pixels, uncertain ones included."""
        ...


@runtime_checkable
class Segmenter(Protocol):
    """A teacher that also segments people whose poses are provided.

    With an attribute `masks_only` that is true it predicts no people itself, which is then no vote against any.
    """

    def segment(self, image: Image, people: People, size: int | None = None) -> NDArray[np.bool_]:
        """(N, H, W) masks of the people, or (N, V, H, W) of V prompts each; all false where it has none.

        The boxes of the people are those of a detector, or around the body.
        """
        ...


class ModelTeacher:
    """A poseg model as a teacher, with masks where it has the fields for them.

    session  the model
    sizes    long sides of its input in pixels; None: 0.75, 1 and 1.25 times the model's own

    The fields of the last images are cached, so that segmenting an image after prediction costs no second pass.
    """

    def __init__(self, session: OnnxModel, sizes: tuple[int, ...] | None = None) -> None:
        card = session.card
        self.name = card.name or Path(session.name).stem
        self.licence = str(card.licences.get("weights", "not stated"))
        self.sizes = sizes or tuple(round(card.inference.long_edge_px * scale) for scale in (0.75, 1.0, 1.25))
        self._model = session
        self._cache: OrderedDict[tuple[int, int | None], tuple[Image, list[View]]] = OrderedDict()

    def __call__(self, image: Image, size: int | None = None) -> People:
        """As `Teacher`; without masks."""
        return self._predictor(size).decode(image, self._views(image, size))

    def segment(self, image: Image, people: People, size: int | None = None) -> NDArray[np.bool_]:
        """As `Segmenter`; all false for a model without masks."""
        (view,) = self._views(image, size)
        if "long_offsets" not in view.fields or not len(people):
            return np.zeros((len(people), image.shape[0], image.shape[1]), np.bool_)
        on_input = view.letterbox.people_to_input(people).remap_to(self._model.codec.skeleton)
        masks = view.letterbox.people_to_image(segment_people(view.fields, on_input)).masks
        return np.zeros((len(people), *image.shape[:2]), np.bool_) if masks is None else masks.full()

    def _predictor(self, size: int | None) -> Predictor:
        inference = InferenceConfig(size or self._model.card.inference.long_edge_px)
        return build_predictor(
            self._model, inference=inference, max_people=MAX_PEOPLE, min_score=MIN_SCORE, masks=False
        )

    def _views(self, image: Image, size: int | None) -> list[View]:
        """The one view of this very array, run once."""
        key = (id(image), size)
        if key not in self._cache or self._cache[key][0] is not image:
            self._cache[key] = (image, self._predictor(size).views(image))
            if len(self._cache) > CACHE_SIZE:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key][1]


def load_teacher(text: str, *, threads: int | None = None) -> Teacher:
    """The teacher that a text names.

    small, path/model.onnx        a poseg model
    NAME, NAME=ARGUMENT           an entry point of the group `poseg.teachers`
    package.module:factory        any callable that returns a teacher; it is called with ARGUMENT after a `=`, if
    path/file.py:factory=ARGUMENT   any, and `threads=`

    Raises WeightsError where there is none, and whatever the factory raises.
    """
    source, _, argument = text.partition("=")
    if not argument and (source.endswith(".onnx") or source in models()):
        return ModelTeacher(load_model(source, threads=threads))
    teacher = _factory(source)(*([argument] if argument else []), threads=threads)
    missing = [name for name in ("name", "licence", "sizes") if not hasattr(teacher, name)]
    if missing or not callable(teacher):
        raise WeightsError(
            f"{source} returns no teacher: it lacks {', '.join(missing) or '__call__'}; see poseg.labelling.Teacher."
        )
    return cast(Teacher, teacher)


def _factory(source: str) -> Callable[..., Any]:
    home, colon, name = source.rpartition(":")
    if not colon:
        installed = {point.name: point for point in entry_points(group=ENTRY_POINT_GROUP)}
        if source in installed:
            return cast("Callable[..., Any]", installed[source].load())
        names = ", ".join([*models(), *installed])
        raise WeightsError(
            f"There is no teacher {source!r}; give a model ({names}), the path of an ONNX file, or module:callable."
        )
    file = Path(home) if home.endswith(".py") else None
    if file is not None and not file.is_file():
        raise WeightsError(f"There is no teacher {source!r} (no file {file}); check the name.")
    try:
        module = load_python_file(file, f"poseg_teacher_{file.stem}") if file else importlib.import_module(home)
        return cast("Callable[..., Any]", getattr(module, name))
    except (ModuleNotFoundError, AttributeError) as error:
        if isinstance(error, ModuleNotFoundError) and (error.name or "") not in (home, home.partition(".")[0]):
            raise
        raise WeightsError(f"There is no teacher {source!r} ({error}); check the module and the name in it.") from None
