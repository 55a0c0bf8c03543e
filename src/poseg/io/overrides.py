"""Fields of frozen dataclasses as text and as JSON: FIELD=VALUE overrides, dictionaries and back, differences.

What a field takes is what its annotation says; nothing is registered anywhere. Functions stand in dictionaries under
their names and cannot be overridden.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from poseg.errors import PosegError

Config = TypeVar("Config")

_TYPE_NAMES = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
_BOOLS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
_COLOUR = (int, int, int)


class InvalidValueError(ValueError):
    """A value that its field does not take; the message says what the field takes, such as "a whole number"."""


def split_override(text: str, example: str) -> tuple[str, str]:
    """Name and value of a text FIELD=VALUE. Raises PosegError, which shows the example."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise PosegError(f"A setting reads FIELD=VALUE such as {example}, got {text!r}.")
    return name.strip(), value.strip()


def apply_overrides(config: Config, overrides: Sequence[str]) -> Config:
    """The dataclass with overrides such as "optim.steps=100" applied, each parsed by its field's annotation.

    Raises PosegError for an unknown field, with similar names, and for a value of the wrong type.
    """
    for text in overrides:
        name, value = split_override(text, "optim.steps=100")
        config = _override(config, name.split("."), value, name)
    return config


def to_dict(value: Any) -> Any:
    """A dataclass as JSON holds it: dictionaries, lists, numbers, texts."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_dict(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_dict(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_dict(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    return value


def from_dict(config: Config, values: Mapping[str, Any]) -> Config:
    """The dataclass with the values that `to_dict` wrote; functions and fields that are not in `values` stay.

    Raises PosegError for unknown fields and for values of the wrong type.
    """
    for name, value in values.items():
        if not callable(getattr(config, name, None)):
            config = _override(config, [name], value, name)
    return config


def config_diff(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names at which two dictionaries differ; names that are not in `old` are no difference."""
    names = []
    for name in old:
        before, after = old[name], new.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            names += config_diff(before, after, f"{prefix}{name}.")
        elif before != after:
            names.append(prefix + name)
    return names


def flatten(config: Any, prefix: str = "") -> dict[str, Any]:
    """All values by the dotted names that `apply_overrides` takes, as text writes them."""
    values: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            values |= flatten(value, f"{prefix}{field.name}.")
        else:
            item = to_dict(value)
            is_row = isinstance(item, list) and all(isinstance(part, str | int | float) for part in item)
            values[prefix + field.name] = ",".join(map(str, item)) if is_row else item
    return values


def _override(config: Any, path: Sequence[str], value: object, name: str) -> Any:
    """`config` with the field at `path` replaced; `name` is the whole dotted name, for messages."""
    names = [field.name for field in fields(config)]
    if path[0] not in names:
        similar = get_close_matches(path[0], names, n=3, cutoff=0.5) or names
        parent = name[: -len(".".join(path))]
        raise PosegError(f"There is no setting {name}; did you mean {' or '.join(parent + word for word in similar)}?")
    annotation, current = get_type_hints(type(config))[path[0]], getattr(config, path[0])
    if len(path) > 1:
        if not is_dataclass(current):
            raise PosegError(f"{name[: -len('.'.join(path[1:])) - 1]} has no parts, so there is no setting {name}.")
        return replace(config, **{path[0]: _override(current, path[1:], value, name)})
    try:
        return replace(config, **{path[0]: parse_value(value, annotation, current, name)})
    except InvalidValueError as expected:
        raise PosegError(f"{name} takes {expected}, got {value!r}.") from None


def parse_value(value: object, annotation: Any, current: object = None, name: str = "") -> Any:
    """`value`, text or what JSON holds, as a field of this annotation has it. Raises InvalidValueError.

    Numbers, true or false, text, paths, literals and None; tuples are values between commas, in nested tuples too, and
    a tuple of three int is also a colour #rrggbb. A dictionary replaces several fields of the dataclass `current`.
    """
    if get_origin(annotation) in (Union, UnionType):
        return _parse_union(value, get_args(annotation), current, name)
    if get_origin(annotation) is Literal:
        if value not in get_args(annotation):
            raise InvalidValueError(f"one of {', '.join(map(str, get_args(annotation)))}")
        return value
    if get_origin(annotation) is tuple:
        return _parse_tuple(value, annotation, name)
    if annotation in _TYPE_NAMES:
        return _parse_simple(value, annotation)
    if isinstance(value, Mapping):
        return _parse_dataclass(value, current, name) if is_dataclass(current) else dict(value)
    if get_origin(annotation) is Mapping:
        raise InvalidValueError("names with values")
    if is_dataclass(current):
        raise InvalidValueError(f"one of its parts: {', '.join(f'{name}.{part.name}' for part in fields(current))}")
    raise InvalidValueError("what only code can provide; change the recipe's file")


def _parse_dataclass(value: Mapping[str, object], current: Any, name: str) -> Any:
    """A dataclass with several fields replaced at once, since some are only valid together."""
    annotations = get_type_hints(type(current))
    unknown = sorted(set(value) - {field.name for field in fields(current)})
    if unknown:
        raise InvalidValueError(f"no part {unknown[0]}")
    parts = {
        part: parse_value(item, annotations[part], getattr(current, part), f"{name}.{part}")
        for part, item in value.items()
    }
    return replace(current, **parts)


def _parse_union(value: object, annotations: Sequence[Any], current: object, name: str) -> Any:
    if NoneType in annotations and (value is None or str(value).lower() == "none"):
        return None
    expected = []
    for annotation in annotations:
        try:
            if annotation is not NoneType:
                return parse_value(value, annotation, current, name)
        except InvalidValueError as fault:
            expected.append(str(fault))
    raise InvalidValueError(" or ".join([*expected, "none"] if NoneType in annotations else expected))


def _parse_tuple(value: object, annotation: Any, name: str) -> tuple[Any, ...]:
    parts = get_args(annotation)
    if parts == _COLOUR and isinstance(value, str) and value.startswith("#"):
        return _parse_colour(value)
    items = [part.strip() for part in value.strip("()[] ").split(",")] if isinstance(value, str) else value
    if len(parts) == 2 and parts[1] is Ellipsis:
        if not isinstance(items, list | tuple):
            raise InvalidValueError("values between commas")
        return tuple(parse_value(item, parts[0], None, name) for item in items)
    if isinstance(value, str) and isinstance(items, list) and len(items) == _length(annotation):
        items = _nested(items, parts)
    if not isinstance(items, list | tuple) or len(items) != len(parts):
        colour = ", or #rrggbb" if parts == _COLOUR else ""
        raise InvalidValueError(f"{_length(annotation)} values between commas{colour}")
    return tuple(parse_value(item, part, None, name) for item, part in zip(items, parts, strict=True))


def _length(annotation: Any) -> int:
    """How many values a text for this annotation has."""
    return sum(map(_length, get_args(annotation))) if get_origin(annotation) is tuple else 1


def _nested(items: Sequence[str], parts: Sequence[Any]) -> list[str]:
    """Values of a flat row, joined again where a part is a tuple itself."""
    joined, start = [], 0
    for part in parts:
        joined.append(",".join(items[start : start + _length(part)]))
        start += _length(part)
    return joined


def _parse_colour(text: str) -> tuple[int, ...]:
    try:
        if len(text) == 7:
            return tuple(bytes.fromhex(text[1:]))
    except ValueError:
        pass
    raise InvalidValueError("3 values between commas, or #rrggbb")


def _parse_simple(value: object, kind: type) -> Any:
    try:
        if kind is bool:
            return _BOOLS[str(value).lower()]
        if kind in (str, Path):
            return kind(str(value))
        number = float(value)  # type: ignore[arg-type]
        if kind is int and (isinstance(value, bool) or number != int(number)):
            raise ValueError
        return int(number) if kind is int else number
    except (KeyError, OverflowError, TypeError, ValueError):
        raise InvalidValueError(_TYPE_NAMES[kind]) from None
