"""The models that come along with the package, and loading any model by its name or path."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from poseg.errors import WeightsError
from poseg.runtime.card import Card
from poseg.runtime.lifter import SYSTEM as LIFTERS
from poseg.runtime.lifter import Lifter
from poseg.runtime.painter import SYSTEM as PAINTERS
from poseg.runtime.painter import Painter
from poseg.runtime.poser import SYSTEM as POSERS
from poseg.runtime.poser import Poser
from poseg.runtime.predictor import Predictor
from poseg.runtime.segmenter import SYSTEM as SEGMENTERS
from poseg.runtime.segmenter import Segmenter
from poseg.runtime.session import Session, read_card

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable  # at another place in Python 3.10

DEFAULT = "small"

_SUFFIX = ".onnx"


@overload
def load(model: Literal["pose2seg"], *, threads: int | None = None, **options: Any) -> Segmenter: ...
@overload
def load(model: Literal["painter"], *, threads: int | None = None, **options: Any) -> Painter: ...
@overload
def load(model: Literal["multitask"], *, threads: int | None = None, **options: Any) -> Poser: ...
@overload
def load(model: Literal["lifter"], *, threads: int | None = None, **options: Any) -> Lifter: ...
@overload
def load(model: str | os.PathLike[str] | None = None, *, threads: int | None = None, **options: Any) -> Predictor: ...
def load(
    model: str | os.PathLike[str] | None = None, *, threads: int | None = None, **options: Any
) -> Predictor | Segmenter | Poser | Lifter | Painter:
    """A model ready to use: `poseg.load()("photo.jpg")` finds people.

    `poseg.load("pose2seg")("photo.jpg", people)` gives people masks, `poseg.load("multitask")("photo.jpg", boxes)`
    poses, and `poseg.load("lifter")(people)` joints in space. A painter serves models that find people.

    model    name of a model that comes along (`models()`), or path of an ONNX file with a card; None is "small"
    threads  how many compute one picture; None leaves the choice to the runtime
    options  those of `Predictor`: size_px, max_people, min_score, scales, everywhere, flip, masks, painter; for a
             Pose2Seg model those of `Segmenter`: size_px, exclusive, least_probability, rescored; for a multi-task
             model those of `Poser`: flip, min_score; for a painter that of `Painter`: least_probability

    Raises WeightsError where there is no such model and CardError where the file does not say how to run it.
    """
    session = open_model(model, threads=threads)
    kinds: dict[str, type[Segmenter] | type[Poser] | type[Lifter] | type[Painter]] = {
        SEGMENTERS: Segmenter, POSERS: Poser, LIFTERS: Lifter, PAINTERS: Painter,
    }  # fmt: skip
    kind = kinds.get(session.card.system)
    return find_with(session, threads=threads, **options) if kind is None else kind(session, **options)


def find_with(session: Session, *, threads: int | None = None, **options: Any) -> Predictor:
    """A predictor on a model, with the painter that its card names, if it is to paint masks and no other is given."""
    name = session.card.painter
    if name and options.get("masks", True) and "painter" not in options:
        options["painter"] = Painter(open_model(name, threads=threads))
    return Predictor(session, **options)


def open_model(model: str | os.PathLike[str] | None = None, *, threads: int | None = None) -> Session:
    """The session behind `load`."""
    known = _embedded()
    name = DEFAULT if model is None else os.fspath(model)
    if name in known:
        return Session(known[name].read_bytes(), threads=threads, name=name)
    if Path(name).suffix == _SUFFIX or os.path.exists(name):
        return Session(name, threads=threads)
    listed = ", ".join(known) or "none in this installation"
    raise WeightsError(
        f"There is no model {name!r}; give the path of an ONNX file or a name of those inside ({listed})."
    )


def card_of(model: str | os.PathLike[str]) -> Card:
    """The card of a model that comes along or of a file, without preparing it to run. Raises as `load` does."""
    known, name = _embedded(), os.fspath(model)
    if name in known:
        return read_card(known[name].read_bytes(), name=name)
    return read_card(name) if os.path.exists(name) else open_model(name).card


def models() -> dict[str, Card]:
    """Cards of the models that come along, by name."""
    return {name: read_card(place.read_bytes(), name=name) for name, place in _embedded().items()}


def _embedded() -> dict[str, Traversable]:
    folder = files("poseg").joinpath("models")
    if not folder.is_dir():
        return {}
    found = {place.name.removesuffix(_SUFFIX): place for place in folder.iterdir() if place.name.endswith(_SUFFIX)}
    return dict(sorted(found.items()))
