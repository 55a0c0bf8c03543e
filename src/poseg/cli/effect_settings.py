"""Effects as they are named on the command line: NAME+NAME, and settings as FIELD=VALUE."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, get_args, get_origin, get_type_hints

from poseg.errors import EffectError

if TYPE_CHECKING:
    from poseg.effects import Chain, Effect

# Pictures for these settings have no transparency; all others need it.
_OPAQUE = {("replace", "image")}


def build_chain(names: str, settings: Sequence[str], *, person: int | None, strength: float) -> Chain:
    """The effects of "winged" or "winged+thinner" in turn.

    settings  "FIELD=VALUE" for each effect that has such a field, or "NAME.FIELD=VALUE"; these come before `person`
              and `strength`, which are for all of them

    Raises EffectError for names, fields and values that there are not.
    """
    from poseg.effects import EFFECTS, chain

    wanted = [name.strip() for name in names.split("+")]
    unknown = next((name for name in wanted if name not in EFFECTS), None)
    if unknown is not None:
        raise EffectError(f"There is no effect {unknown!r}; there are {', '.join(EFFECTS)}, alone or joined by +.")
    given: dict[str, dict[str, Any]] = {name: {"person": person, "strength": strength} for name in wanted}
    for setting in settings:
        for name, field, value in _settings(setting, {name: EFFECTS[name] for name in wanted}):
            given[name][field] = value
    return chain(*(EFFECTS[name](**given[name]) for name in wanted))


def _settings(text: str, effects: dict[str, type[Effect]]) -> list[tuple[str, str, Any]]:
    """Name, field and value for each effect that a setting speaks of."""
    place, equals, value = text.partition("=")
    name, dot, field = place.strip().rpartition(".")
    if not equals or not field:
        raise EffectError(f"A setting is given as FIELD=VALUE, such as width=0.1, got {text!r}.")
    if dot and name not in effects:
        raise EffectError(f"{text!r} sets something of {name!r}, which is not among {', '.join(effects)}.")
    asked = {name: effects[name]} if dot else effects
    having = [one for one, effect in asked.items() if field in _fields(effect)]
    if not having:
        known = "; ".join(f"{one} has {', '.join(_fields(effect))}" for one, effect in asked.items())
        raise EffectError(f"There is no setting {field!r}: {known}.")
    return [(one, field, _value(value.strip(), one, field, get_type_hints(effects[one])[field])) for one in having]


def _fields(effect: type[Effect]) -> list[str]:
    return sorted(field.name for field in fields(effect))


def _value(text: str, name: str, field: str, hint: Any) -> Any:
    """A text as the type of a field wants it: a number, numbers between commas, #rrggbb, a picture's path, a word."""
    import numpy as np

    kinds = get_args(hint) if NoneType in get_args(hint) else (hint,)
    if NoneType in kinds and text.lower() == "none":
        return None
    kind = next(kind for kind in kinds if kind is not NoneType)
    if get_origin(kind) is np.ndarray:
        return _picture(text, opaque=(name, field) in _OPAQUE)
    try:
        if kind is bool:
            return {"true": True, "yes": True, "false": False, "no": False}[text.lower()]
        if get_origin(kind) is tuple:
            return _numbers(text, kind)
        return kind(text)
    except (KeyError, ValueError):
        raise EffectError(f"The {field} of {name} is {_spoken(kind)}, got {text!r}.") from None


def _numbers(text: str, kind: Any) -> tuple[Any, ...]:
    """As many numbers as a type of tuple has, nested as it is; ValueError for others."""
    parts = get_args(kind)
    if parts == (int, int, int) and text.startswith("#"):
        return tuple(bytes.fromhex(text[1:].rjust(6, "0") if len(text) == 7 else "?"))
    words = text.split(",")
    each = [len(get_args(part)) or 1 for part in parts]
    if len(words) != sum(each):
        raise ValueError
    made, taken = [], 0
    for part, count in zip(parts, each, strict=True):
        chosen = words[taken : taken + count]
        made.append(_numbers(",".join(chosen), part) if get_args(part) else part(chosen[0]))
        taken += count
    return tuple(made)


def _picture(path: str, *, opaque: bool) -> Any:
    """A picture (h, w, 3), or (h, w, 4) with its transparency. Raises ImageError."""
    import numpy as np
    from PIL import Image

    from poseg.io.images import read_image

    image = read_image(path)
    if opaque:
        return image
    with Image.open(Path(path)) as opened:
        return np.asarray(opened.convert("RGBA"))


def _spoken(kind: Any) -> str:
    """What a value of a type is called."""
    if get_origin(kind) is tuple:
        count = sum(len(get_args(part)) or 1 for part in get_args(kind))
        return f"{count} numbers between commas" + (", or #rrggbb" if get_args(kind) == (int, int, int) else "")
    return {bool: "true or false", int: "a whole number", float: "a number"}.get(kind, "a word")
