"""Steps alone decide the rate; positions are dealt out completely and once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")

from poseg.errors import PosegError
from poseg.training.feed import Positions
from poseg.training.schedule import Schedule


@pytest.mark.parametrize("curve", ["cosine", "linear", "drops"])
def test_a_rate_grows_then_falls(curve):
    schedule = Schedule(steps=100, warm_up_steps=10, rate=2.0, curve=curve)
    rates = [schedule.rate_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) <= 2.0
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert rates[-1] < 0.03


def test_drops_are_tenths_and_a_constant_rate_stays():
    schedule = Schedule(steps=100, warm_up_steps=0, rate=1.0, curve="drops", drops=(0.5, 0.9))
    assert [schedule.rate_at(step) for step in (49, 50, 90)] == pytest.approx([1, 0.1, 0.01])
    assert Schedule(steps=100, warm_up_steps=0, rate=1.0, curve="constant").rate_at(99) == 1


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.data())
def test_every_position_is_seen_once_and_in_its_own_step(processes, accumulate, size, steps, data):
    schedule = Schedule(steps=steps, batch_size=processes * accumulate * size, accumulate=accumulate)
    first = data.draw(st.integers(0, steps))
    dealt = [list(Positions(schedule, rank, processes, first)) for rank in range(processes)]
    assert [len(Positions(schedule, rank, processes, first)) for rank in range(processes)] == list(map(len, dealt))
    part = accumulate * size
    for step in range(first, steps):
        place = (step - first) * part
        together = [position for mine in dealt for position in mine[place : place + part]]
        assert together == list(range(step * schedule.batch_size, (step + 1) * schedule.batch_size))


def test_pictures_that_cannot_be_dealt_out_are_refused():
    with pytest.raises(PosegError, match="multiple of 6"):
        Schedule(batch_size=8, accumulate=3).slice_size(2)
    for wrong in ({"steps": 0}, {"rate": 0.0}, {"average_decay": 1.0}):
        with pytest.raises(PosegError, match=f"schedule.{next(iter(wrong))}"):
            Schedule(**wrong)
