"""Steps alone decide the learning rate; every position is taken once, in its own step."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("torch")
pytest.importorskip("accelerate")

from poseg.errors import PosegError
from poseg.training.micro_batches import ResumableSampler
from poseg.training.optim import OptimConfig


@pytest.mark.parametrize("lr_schedule", ["cosine", "linear", "multistep"])
def test_lr_rises_then_falls(lr_schedule):
    optim = OptimConfig(steps=100, warmup_steps=10, lr=2.0, lr_schedule=lr_schedule)
    rates = [optim.lr_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert max(rates) <= 2.0
    assert all(a >= b for a, b in pairwise(rates[10:]))
    assert rates[-1] < 0.03


def test_lr_falls_to_a_tenth_at_milestones_and_a_constant_one_stays():
    optim = OptimConfig(steps=100, warmup_steps=0, lr=1.0, lr_schedule="multistep", milestones=(0.5, 0.9))
    assert [optim.lr_at(step) for step in (49, 50, 90)] == pytest.approx([1, 0.1, 0.01])
    assert OptimConfig(steps=100, warmup_steps=0, lr=1.0, lr_schedule="constant").lr_at(99) == 1


@given(st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.integers(1, 5), st.data())
def test_sampler_takes_every_position_once_and_in_its_own_step(processes, accumulation_steps, size, steps, data):
    batch_size = processes * accumulation_steps * size
    optim = OptimConfig(steps=steps, batch_size=batch_size, accumulation_steps=accumulation_steps)
    first = data.draw(st.integers(0, steps))
    samplers = [ResumableSampler(optim, rank, processes, first) for rank in range(processes)]
    positions = [list(sampler) for sampler in samplers]
    assert [len(sampler) for sampler in samplers] == list(map(len, positions))
    part = accumulation_steps * size
    for step in range(first, steps):
        start = (step - first) * part
        together = [position for own in positions for position in own[start : start + part]]
        assert together == list(range(step * batch_size, (step + 1) * batch_size))


def test_a_batch_that_cannot_be_divided_is_refused():
    with pytest.raises(PosegError, match="multiple of 6"):
        OptimConfig(batch_size=8, accumulation_steps=3).micro_batch_size(2)
    for wrong in ({"steps": 0}, {"lr": 0.0}, {"ema_decay": 1.0}):
        with pytest.raises(PosegError, match=f"optim.{next(iter(wrong))}"):
            OptimConfig(**wrong)
