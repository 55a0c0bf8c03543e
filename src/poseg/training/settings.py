"""Settings of frozen dataclasses by dotted names: replaced, read from text, written as plain data, compared.

What a field takes is what its annotation says; nothing is registered anywhere. Fields that hold functions stand in
plain data under their names and cannot be set.
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

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
_TRUTH = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


class _Unfit(Exception):
    """A value that is not of the wanted kind; the message says what is wanted."""


def with_settings(config: Config, settings: Sequence[str]) -> Config:
    """The dataclass with `settings` such as "schedule.steps=100" in place, each typed by its field's annotation.

    Tuples are numbers between commas, and "none" is None where that is allowed. Raises PosegError for an unknown
    field, naming the near ones, and for a value of the wrong type.
    """
    for setting in settings:
        name, equals, text = setting.partition("=")
        if not equals or not name:
            raise PosegError(f"A setting reads FIELD=VALUE such as schedule.steps=100, got {setting!r}.")
        config = _replaced(config, name.split("."), text, name)
    return config


def to_plain(value: Any) -> Any:
    """A dataclass as JSON holds it: dictionaries, lists, numbers, texts."""
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: to_plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return value.as_posix()
    if callable(value):
        return f"{value.__module__}:{value.__qualname__}"
    return value


def from_plain(config: Config, plain: Mapping[str, Any]) -> Config:
    """The dataclass with the values that `to_plain` wrote; functions stay as they are, and what is missing too.

    Raises PosegError for fields that there are not, and for values of the wrong type.
    """
    for name, value in plain.items():
        if not callable(getattr(config, name, None)):
            config = _replaced(config, [name], value, name)
    return config


def differences(old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Dotted names at which two plain forms differ; names that `old` does not know are no difference."""
    found = []
    for name in old:
        mine, yours = old[name], new.get(name)
        if isinstance(mine, Mapping) and isinstance(yours, Mapping):
            found += differences(mine, yours, f"{prefix}{name}.")
        elif mine != yours:
            found.append(prefix + name)
    return found


def _replaced(config: Any, path: Sequence[str], value: object, name: str) -> Any:
    """`config` with the field at `path` replaced; `name` is the whole dotted name, for messages."""
    known = [field.name for field in fields(config)]
    if path[0] not in known:
        near = get_close_matches(path[0], known, n=3, cutoff=0.5) or known
        before = name[: -len(".".join(path))]
        raise PosegError(f"There is no setting {name}; did you mean {' or '.join(before + word for word in near)}?")
    kind, current = get_type_hints(type(config))[path[0]], getattr(config, path[0])
    if len(path) > 1:
        if not is_dataclass(current):
            raise PosegError(f"{name[: -len('.'.join(path[1:])) - 1]} has no parts, so there is no setting {name}.")
        return replace(config, **{path[0]: _replaced(current, path[1:], value, name)})
    try:
        return replace(config, **{path[0]: _read(value, kind, current, name)})
    except _Unfit as wanted:
        raise PosegError(f"{name} wants {wanted}, got {value!r}.") from None


def _read(value: object, kind: Any, current: object, name: str) -> Any:
    """`value`, text or plain data, as the annotation `kind` has it. Raises _Unfit."""
    if get_origin(kind) in (Union, UnionType):
        return _read_one_of(value, get_args(kind), current, name)
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise _Unfit(f"one of {', '.join(map(str, get_args(kind)))}")
        return value
    if get_origin(kind) is tuple:
        return _read_tuple(value, get_args(kind), name)
    if kind in _WORDS:
        return _read_simple(value, kind)
    if isinstance(value, Mapping):
        return _read_parts(value, current, name) if is_dataclass(current) else dict(value)
    if is_dataclass(current):
        raise _Unfit(f"one of its parts: {', '.join(f'{name}.{part.name}' for part in fields(current))}")
    raise _Unfit("what only code can give; change the recipe's file")


def _read_parts(value: Mapping[str, object], current: Any, name: str) -> Any:
    """A dataclass with several fields replaced at once, since some are only right together."""
    kinds = get_type_hints(type(current))
    unknown = sorted(set(value) - {field.name for field in fields(current)})
    if unknown:
        raise _Unfit(f"no part {unknown[0]}")
    parts = {part: _read(item, kinds[part], getattr(current, part), f"{name}.{part}") for part, item in value.items()}
    return replace(current, **parts)


def _read_one_of(value: object, kinds: Sequence[Any], current: object, name: str) -> Any:
    if NoneType in kinds and (value is None or str(value).lower() == "none"):
        return None
    wanted = []
    for kind in kinds:
        try:
            if kind is not NoneType:
                return _read(value, kind, current, name)
        except _Unfit as fault:
            wanted.append(str(fault))
    raise _Unfit(" or ".join([*wanted, "none"] if NoneType in kinds else wanted))


def _read_tuple(value: object, kinds: Sequence[Any], name: str) -> tuple[Any, ...]:
    items = [part.strip() for part in value.strip("()[] ").split(",")] if isinstance(value, str) else value
    endless = len(kinds) == 2 and kinds[1] is Ellipsis
    if not isinstance(items, list | tuple) or not (endless or len(items) == len(kinds)):
        raise _Unfit("values between commas" if endless else f"{len(kinds)} values between commas")
    wanted = [kinds[0]] * len(items) if endless else kinds
    return tuple(_read(item, kind, None, name) for item, kind in zip(items, wanted, strict=True))


def _read_simple(value: object, kind: type) -> Any:
    try:
        if kind is bool:
            return _TRUTH[str(value).lower()]
        if kind in (str, Path):
            return kind(str(value))
        number = float(value)  # type: ignore[arg-type]
        if kind is int and (isinstance(value, bool) or number != int(number)):
            raise ValueError
        return int(number) if kind is int else number
    except (KeyError, OverflowError, TypeError, ValueError):
        raise _Unfit(_WORDS[kind]) from None


def flattened(config: Any, prefix: str = "") -> dict[str, Any]:
    """All values by the dotted names that `with_settings` knows, as text says them."""
    found: dict[str, Any] = {}
    for field in fields(config):
        value = getattr(config, field.name)
        if is_dataclass(value) and not isinstance(value, type):
            found |= flattened(value, f"{prefix}{field.name}.")
        else:
            plain = to_plain(value)
            found[prefix + field.name] = ",".join(map(str, plain)) if _is_row(plain) else plain
    return found


def _is_row(plain: object) -> bool:
    """Whether a plain value is a list of simple values, which a text between commas can say."""
    return isinstance(plain, list) and all(isinstance(item, str | int | float) for item in plain)
