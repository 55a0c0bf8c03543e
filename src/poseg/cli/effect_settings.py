"""Effects as they are named on the command line: NAME+NAME, and settings as FIELD=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Any, get_type_hints

from poseg.errors import EffectError
from poseg.io.overrides import InvalidValueError, parse_value, split_override

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from poseg.effects import Chain, Effect

WITHOUT_TRANSPARENCY = ("replace",)  # effects whose image is RGB, not RGBA


def build_chain(names: str, settings: Sequence[str], *, person: int | None, strength: float) -> Chain:
    """The effects of "winged" or "winged+thinner" in turn.

    settings  "FIELD=VALUE" for each effect that has such a field, or "NAME.FIELD=VALUE"; these come before `person`
              and `strength`, which are for all of them

    Raises EffectError for unknown names, fields and values, PosegError for a setting without FIELD=.
    """
    from poseg.effects import EFFECTS, chain

    selected = [name.strip() for name in names.split("+")]
    unknown = next((name for name in selected if name not in EFFECTS), None)
    if unknown is not None:
        raise EffectError(f"There is no effect {unknown!r}; there are {', '.join(EFFECTS)}, alone or joined by +.")
    effects = {name: EFFECTS[name] for name in selected}
    values: dict[str, dict[str, Any]] = {name: {"person": person, "strength": strength} for name in selected}
    for text in settings:
        path, value = split_override(text, "width=0.1")
        for name, field in _fields_of(path, effects):
            values[name][field] = _parse(value, name, field, effects[name])
    return chain(*(effects[name](**values[name]) for name in selected))


def _fields_of(path: str, effects: dict[str, type[Effect]]) -> list[tuple[str, str]]:
    """Name and field for each effect that a path FIELD or NAME.FIELD means."""
    name, _, field = path.rpartition(".")
    if name and name not in effects:
        raise EffectError(f"{path!r} sets something of {name!r}, which is not among {', '.join(effects)}.")
    candidates = {name: effects[name]} if name else effects
    names = {one: sorted(field.name for field in fields(effect)) for one, effect in candidates.items()}
    having = [(one, field) for one in candidates if field in names[one]]
    if not having:
        listed = "; ".join(f"{one} has {', '.join(names[one])}" for one in candidates)
        raise EffectError(f"There is no setting {field!r}: {listed}.")
    return having


def _parse(text: str, name: str, field: str, effect: type[Effect]) -> Any:
    """A text as the field's annotation has it; for an image its path."""
    if field == "image" and text.lower() != "none":
        return _read_image(text, transparent=name not in WITHOUT_TRANSPARENCY)
    try:
        return parse_value(text, get_type_hints(effect)[field])
    except InvalidValueError as expected:
        raise EffectError(f"The {field} of {name} is {expected}, got {text!r}.") from None


def _read_image(path: str, *, transparent: bool) -> NDArray[np.uint8]:
    """An image (h, w, 3), or (h, w, 4) with its transparency. Raises ImageError."""
    import numpy as np
    from PIL import Image

    from poseg.io.images import read_image

    image = read_image(path)
    if not transparent:
        return image
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGBA"))
