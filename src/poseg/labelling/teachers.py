"""Teachers: whatever finds people in a picture, ours or not, and how the command line finds them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections import OrderedDict
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, Protocol, cast, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.instances import segment_people
from poseg.errors import WeightsError
from poseg.people import People
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.models import build_predictor, load_model, models
from poseg.runtime.onnx_model import OnnxModel
from poseg.runtime.predictor import Predictor
from poseg.runtime.view import View

Image = NDArray[np.uint8]

GROUP = "poseg.teachers"

_REMEMBERED = 12
_MOST_PEOPLE = 40
_LEAST_SCORE = 0.05


class Teacher(Protocol):
    """Finds people: all that labelling asks of a network.

    name     short, for the label file
    licence  terms of its weights, for the label file
    sizes    long sides in pixels at which it is worth asking
    """

    name: str
    licence: str
    sizes: tuple[int, ...]

    def __call__(self, image: Image, size: int | None = None) -> People:
        """The people of a picture (H, W, 3) uint8 RGB in its own continuous pixels; doubtful ones too, with scores."""
        ...


@runtime_checkable
class Outliner(Protocol):
    """A teacher that can also say which pixels belong to people whose poses are given.

    With an attribute `only_outlines` that is true it finds nobody itself, and its silence is no vote.
    """

    def outline(self, image: Image, people: People, size: int | None = None) -> NDArray[np.bool_]:
        """(N, H, W) masks of the people; all false where it knows none."""
        ...


class ModelTeacher:
    """A poseg model as a teacher, with outlines where it has the fields for them.

    session  the model
    sizes    long sides at which it looks; None: 0.75, 1 and 1.25 times the one it is meant for

    What it saw last is remembered, so that outlining a picture after looking at it costs no second pass.
    """

    def __init__(self, session: OnnxModel, sizes: tuple[int, ...] | None = None) -> None:
        card = session.card
        self.name = card.name or Path(session.name).stem
        self.licence = str(card.licences.get("weights", "not stated"))
        self.sizes = sizes or tuple(round(card.inference.long_edge_px * scale) for scale in (0.75, 1.0, 1.25))
        self._session = session
        self._seen: OrderedDict[tuple[int, int | None], tuple[Image, list[View]]] = OrderedDict()

    def __call__(self, image: Image, size: int | None = None) -> People:
        """As `Teacher`; without masks."""
        return self._predictor(size).decode(image, self._views(image, size))

    def outline(self, image: Image, people: People, size: int | None = None) -> NDArray[np.bool_]:
        """As `Outliner`; all false for a model without masks."""
        (view,) = self._views(image, size)
        if "long_offsets" not in view.fields or not len(people):
            return np.zeros((len(people), image.shape[0], image.shape[1]), np.bool_)
        on_input = view.letterbox.people_to_input(people).remap_to(self._session.codec.skeleton)
        masks = view.letterbox.people_to_image(segment_people(view.fields, on_input)).masks
        return np.zeros((len(people), *image.shape[:2]), np.bool_) if masks is None else masks.full()

    def _predictor(self, size: int | None) -> Predictor:
        inference = InferenceConfig(size or self._session.card.inference.long_edge_px)
        return build_predictor(
            self._session, inference=inference, max_people=_MOST_PEOPLE, min_score=_LEAST_SCORE, masks=False
        )

    def _views(self, image: Image, size: int | None) -> list[View]:
        """The one view of this very array, run once."""
        key = (id(image), size)
        if key not in self._seen or self._seen[key][0] is not image:
            self._seen[key] = (image, self._predictor(size).views(image))
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        self._seen.move_to_end(key)
        return self._seen[key][1]


def find_teacher(text: str, *, threads: int | None = None) -> Teacher:
    """The teacher that a text names.

    small, path/model.onnx      a poseg model
    NAME, NAME=ARGUMENT         an entry point of the group `poseg.teachers`
    package.module:maker        anything callable, with ARGUMENT after a `=` as its first argument, which makes a
    path/file.py:maker=ARGUMENT   teacher; it is given `threads=` too

    Raises WeightsError where there is none, and whatever the maker raises.
    """
    place, _, argument = text.partition("=")
    if not argument and (place.endswith(".onnx") or place in models()):
        return ModelTeacher(load_model(place, threads=threads))
    maker = _maker(place)
    teacher = maker(*([argument] if argument else []), threads=threads)
    missing = [name for name in ("name", "licence", "sizes") if not hasattr(teacher, name)]
    if missing or not callable(teacher):
        raise WeightsError(
            f"What {place} makes is no teacher: it lacks {', '.join(missing) or '__call__'}; "
            "see poseg.labelling.Teacher."
        )
    return cast(Teacher, teacher)


def _maker(place: str) -> Callable[..., Any]:
    home, colon, name = place.rpartition(":")
    if not colon:
        found = {point.name: point for point in entry_points(group=GROUP)}
        if place in found:
            return cast("Callable[..., Any]", found[place].load())
        known = ", ".join([*models(), *found])
        raise WeightsError(
            f"There is no teacher {place!r}; give a model ({known}), the path of an ONNX file, or module:callable."
        )
    try:
        module = _module_at(Path(home)) if home.endswith(".py") else importlib.import_module(home)
        return cast("Callable[..., Any]", getattr(module, name))
    except (ModuleNotFoundError, FileNotFoundError, AttributeError) as fault:
        if isinstance(fault, ModuleNotFoundError) and (fault.name or "") not in (home, home.partition(".")[0]):
            raise
        raise WeightsError(f"There is no teacher {place!r} ({fault}); check the module and the name in it.") from None


def _module_at(path: Path) -> Any:
    """The module in a file that is on no path."""
    if not path.is_file():
        raise FileNotFoundError(f"no file {path}")
    name = f"poseg_teacher_{path.stem}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise FileNotFoundError(f"{path} is no Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module
