"""What each task's noise is learned to be, and that a step in slices learns the same."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from poseg.losses.balance import by_uncertainty  # noqa: E402

LOSSES = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4)
SEEDS = st.integers(0, 10**6)


def doubles(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def pull(terms, log_variances, shares=None) -> torch.Tensor:
    """How the balanced loss changes with each log variance."""
    s = log_variances.clone().requires_grad_()
    by_uncertainty(terms, s, shares).backward()
    return s.grad


def drawn(seed: int, tasks: int) -> torch.Tensor:
    return doubles(np.random.default_rng(seed).uniform(-5, 5, tasks))


@given(LOSSES)
def test_at_the_logarithm_of_the_loss_nothing_pulls(losses):
    terms = doubles(losses)
    torch.testing.assert_close(pull(terms, terms.log()), torch.zeros_like(terms), atol=1e-9, rtol=0)
    torch.testing.assert_close(by_uncertainty(terms, terms.log()), (1 + terms.log()).sum())


@given(LOSSES, SEEDS)
def test_that_is_where_the_loss_is_least_and_each_step_goes_there(losses, seed):
    terms, away = doubles(losses), drawn(seed, len(losses))
    s = terms.log() + away
    assert (torch.sign(pull(terms, s)) == torch.sign(away)).all(), "too high comes down, too low goes up"
    assert by_uncertainty(terms, s) >= by_uncertainty(terms, terms.log()) - 1e-9


@given(LOSSES, SEEDS)
def test_a_task_counts_by_its_precision_whatever_the_others_are(losses, seed):
    terms, s = doubles(losses).requires_grad_(), drawn(seed, len(losses))
    by_uncertainty(terms.unbind(), s).backward()
    torch.testing.assert_close(terms.grad, torch.exp(-s))


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_without_noise_the_loss_is_the_sum(tasks):
    terms = torch.arange(1.0, tasks + 1)
    assert by_uncertainty(terms, torch.zeros(tasks)) == terms.sum()


@given(SEEDS, st.integers(1, 4), st.integers(1, 5))
def test_slices_add_up_to_the_whole_and_pull_as_hard(seed, tasks, slices):
    rng = np.random.default_rng(seed)
    parts, s = doubles(rng.uniform(0, 3, (slices, tasks))), drawn(seed, tasks)
    shares = doubles(rng.dirichlet(np.ones(slices), tasks).T)
    seen = sum(by_uncertainty(part, s, share) for part, share in zip(parts, shares, strict=True))
    torch.testing.assert_close(seen, by_uncertainty(parts.sum(dim=0), s))
    pulls = sum(pull(part, s, share) for part, share in zip(parts, shares, strict=True))
    torch.testing.assert_close(pulls, pull(parts.sum(dim=0), s))


def test_a_task_without_data_pays_no_price_and_learns_no_noise():
    s, shares = doubles([0.7, -2.0]), doubles([1.0, 0.0])
    terms = doubles([3.0, 0.0])
    assert by_uncertainty(terms, s, shares) == by_uncertainty(terms[:1], s[:1])
    assert pull(terms, s, shares)[1] == 0
    assert pull(terms, s)[1] == 1, "without shares its noise would fall for ever"
