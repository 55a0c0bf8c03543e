"""A dataclass survives plain data; settings are typed by annotations; faults are named."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import PosegError
from poseg.skeletons import COCO17, LSP14, Skeleton
from poseg.training.settings import differences, flattened, from_plain, to_plain, with_settings


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
    place: Path | None = None
    limit: int | None = None
    skeleton: Skeleton = COCO17
    facts: dict[str, str] = field(default_factory=dict)
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
    place=st.none() | st.just(Path("a/b")),
    limit=st.none() | st.integers(0, 99),
    skeleton=st.sampled_from([COCO17, LSP14]),
    rows=st.just(({"pictures": 3},)),
)


@given(outers)
def test_a_config_survives_json(config):
    plain = json.loads(json.dumps(to_plain(config)))
    assert from_plain(Outer(), plain) == config
    assert differences(plain, to_plain(config)) == []


@given(inners)
def test_what_is_shown_can_be_set(inner):
    shown = [f"{name}={value}" for name, value in flattened(inner).items() if value != ""]
    assert with_settings(Inner(), shown) == inner


def test_settings_replace_by_dotted_name():
    changed = with_settings(
        Outer(), ["inner.steps=1e3", "inner.span=3, 4.5", "on=yes", "place=x/y", "limit=7", "inner.kind=b"]
    )
    assert changed.inner == Inner(steps=1000, span=(3.0, 4.5), kind="b")
    assert (changed.on, changed.place, changed.limit) == (True, Path("x/y"), 7)
    assert with_settings(changed, ["limit=none", "place=None"]) == with_settings(Outer(inner=changed.inner), ["on=1"])


def test_differences_have_dotted_names_and_new_fields_are_none():
    old = to_plain(Outer())
    new = to_plain(with_settings(Outer(), ["inner.rate=1", "name=other"]))
    assert differences(old, new) == ["name", "inner.rate"]
    del old["inner"]["rate"]
    assert differences(old, new) == ["name"]


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("inner.stepps=3", "did you mean inner.steps"),
        ("iner.steps=3", "did you mean inner"),
        ("inner.steps=2.5", "inner.steps wants a whole number, got '2.5'"),
        ("inner.steps=true", "wants a whole number"),
        ("inner.rate=fast", "inner.rate wants a number"),
        ("inner.kind=c", "one of a, b"),
        ("inner.span=1", "2 values between commas"),
        ("on=perhaps", "true or false"),
        ("limit=some", "a whole number or none"),
        ("inner=3", "one of its parts: inner.steps"),
        ("name.first=x", "name has no parts"),
        ("data=x", "only code can give"),
        ("inner.steps", "FIELD=VALUE"),
    ],
)
def test_faults_are_named(setting, said):
    with pytest.raises(PosegError, match=said):
        with_settings(Outer(), [setting])


def test_plain_data_with_an_unknown_part_is_refused():
    with pytest.raises(PosegError, match="no part speed"):
        from_plain(Outer(), {"inner": {"speed": 3}})
