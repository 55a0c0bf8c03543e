"""A dataclass survives dictionaries and JSON; overrides are typed by annotations; invalid ones are explained."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import PosegError
from poseg.io.overrides import (
    InvalidValueError,
    apply_overrides,
    config_diff,
    flatten,
    from_dict,
    parse_value,
    to_dict,
)
from poseg.skeletons import COCO17, LSP14, Skeleton


@dataclass(frozen=True, slots=True)
class Inner:
    steps: int = 3
    rate: float = 0.5
    kind: Literal["a", "b"] = "a"
    span: tuple[float, float] = (1.0, 2.0)
    drops: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Outer:
    name: str = "outer"
    inner: Inner = Inner()
    on: bool = False
    folder: Path | None = None
    limit: int | None = None
    skeleton: Skeleton = COCO17
    licences: dict[str, str] = field(default_factory=dict)
    rows: tuple[dict[str, object], ...] = ()
    data: object = print


inners = st.builds(
    Inner,
    steps=st.integers(-9, 10**9),
    rate=st.floats(-1e6, 1e6),
    kind=st.sampled_from(["a", "b"]),
    span=st.tuples(st.floats(0, 9), st.floats(0, 9)),
    drops=st.lists(st.integers(0, 9), max_size=3).map(tuple),
)
outers = st.builds(
    Outer,
    name=st.text(max_size=5),
    inner=inners,
    on=st.booleans(),
    folder=st.none() | st.just(Path("a/b")),
    limit=st.none() | st.integers(0, 99),
    skeleton=st.sampled_from([COCO17, LSP14]),
    rows=st.just(({"images": 3},)),
)


@given(outers)
def test_from_dict_inverts_to_dict_through_json(config):
    values = json.loads(json.dumps(to_dict(config)))
    assert from_dict(Outer(), values) == config
    assert config_diff(values, to_dict(config)) == []


@given(inners)
def test_apply_overrides_inverts_flatten(inner):
    overrides = [f"{name}={value}" for name, value in flatten(inner).items() if value != ""]
    assert apply_overrides(Inner(), overrides) == inner


def test_overrides_replace_by_dotted_name():
    changed = apply_overrides(
        Outer(), ["inner.steps=1e3", "inner.span=3, 4.5", "on=yes", "folder=x/y", "limit=7", "inner.kind=b"]
    )
    assert changed.inner == Inner(steps=1000, span=(3.0, 4.5), kind="b")
    assert (changed.on, changed.folder, changed.limit) == (True, Path("x/y"), 7)
    reset = apply_overrides(changed, ["limit=none", "folder=None"])
    assert reset == apply_overrides(Outer(inner=changed.inner), ["on=1"])


@pytest.mark.parametrize(
    ("text", "annotation", "value"),
    [
        ("#ff0080", tuple[int, int, int], (255, 0, 128)),
        ("1,2,3", tuple[int, int, int] | None, (1, 2, 3)),
        ("1,2,3", tuple[tuple[float, float], int], ((1.0, 2.0), 3)),
        ("(0.5, 1)", tuple[float, ...], (0.5, 1.0)),
    ],
)
def test_parse_value_reads_tuples_nested_ones_and_colours(text, annotation, value):
    assert parse_value(text, annotation) == value


@pytest.mark.parametrize("text", ["#ff008", "#gg0080", "1,2", "red"])
def test_parse_value_rejects_what_is_no_colour(text):
    with pytest.raises(InvalidValueError, match="3 values between commas, or #rrggbb"):
        parse_value(text, tuple[int, int, int])


def test_config_diff_has_dotted_names_and_ignores_new_fields():
    old = to_dict(Outer())
    new = to_dict(apply_overrides(Outer(), ["inner.rate=1", "name=other"]))
    assert config_diff(old, new) == ["name", "inner.rate"]
    del old["inner"]["rate"]
    assert config_diff(old, new) == ["name"]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("inner.stepps=3", "did you mean inner.steps"),
        ("iner.steps=3", "did you mean inner"),
        ("inner.steps=2.5", "inner.steps takes a whole number, got '2.5'"),
        ("inner.steps=true", "takes a whole number"),
        ("inner.rate=fast", "inner.rate takes a number"),
        ("inner.kind=c", "one of a, b"),
        ("inner.span=1", "2 values between commas"),
        ("on=perhaps", "true or false"),
        ("limit=some", "a whole number or none"),
        ("inner=3", "one of its parts: inner.steps"),
        ("name.first=x", "name has no parts"),
        ("data=x", "only code can provide"),
        ("inner.steps", "FIELD=VALUE"),
    ],
)
def test_invalid_overrides_are_explained(override, message):
    with pytest.raises(PosegError, match=message):
        apply_overrides(Outer(), [override])


def test_from_dict_rejects_unknown_parts():
    with pytest.raises(PosegError, match="no part speed"):
        from_dict(Outer(), {"inner": {"speed": 3}})
