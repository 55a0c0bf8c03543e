"""Losses vanish at the target, ignore masked cells, refine as the decoder does and weigh tasks by their noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from poseg.losses.masked import (  # noqa: E402
    masked_cross_entropy,
    masked_l1,
    refine_offsets,
    sample_field,
    uncertainty_weighting,
)

LOSSES = st.lists(st.floats(1e-3, 1e3), min_size=1, max_size=4)
SEEDS = st.integers(0, 10**6)


def generator():
    return torch.Generator().manual_seed(0)


def test_cross_entropy_vanishes_at_certain_truth_and_ignores_masked_cells():
    target = (torch.rand(2, 3, 5, 6, generator=generator()) > 0.5).float()
    weight = (torch.rand(2, 3, 5, 6, generator=generator()) > 0.3).float()
    logits = (target * 2 - 1) * 30
    assert masked_cross_entropy(logits, target, weight) < 1e-6
    spoiled = torch.where(weight > 0, logits, -logits)
    assert masked_cross_entropy(spoiled, target, weight) < 1e-6
    assert masked_cross_entropy(-logits, target, torch.zeros_like(weight)) == 0


def test_l1_is_a_mean_over_vectors_in_radii():
    target = torch.zeros(1, 2, 2, 4, 4)
    offsets = torch.full_like(target, 16.0)
    weight = torch.zeros(1, 2, 4, 4)
    weight[0, 1, :2] = 1
    assert masked_l1(offsets, target, weight, 32.0) == pytest.approx(1.0)  # |16| + |16| over a radius of 32
    assert masked_l1(target, target, weight, 32.0) == 0
    assert masked_l1(offsets, target, torch.zeros_like(weight), 32.0) == 0


def test_one_refinement_step_removes_any_error_smaller_than_the_disk():
    stride, joint = 8, torch.tensor([40.0, 24.0])
    rows, columns = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    at = torch.stack([columns, rows]) * stride
    short = (joint.view(2, 1, 1) - at)[None, None]
    noisy = short + 12 * torch.rand(short.shape, generator=generator()) - 6
    torch.testing.assert_close(refine_offsets(noisy, short, stride, 1), short, atol=1e-4, rtol=0)


def test_sampling_beyond_the_border_gives_the_border():
    field = torch.arange(24.0).view(1, 1, 2, 3, 4)
    far = torch.full((1, 1, 2, 3, 4), 1e4)
    assert (sample_field(field, far, 8)[0, 0, 0] == field[0, 0, 0, 2, 3]).all()


def test_sampling_has_gradients_for_field_and_offsets():
    field = torch.randn(1, 2, 2, 5, 5, generator=generator(), requires_grad=True)
    offsets = (torch.rand(1, 2, 2, 5, 5, generator=generator()) * 4).requires_grad_()
    sample_field(field, offsets, 4).square().sum().backward()
    for tensor in (field, offsets):
        assert tensor.grad is not None
        assert tensor.grad.abs().sum() > 0


def doubles(values) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def gradient(terms, log_variances, fractions=None) -> torch.Tensor:
    """Of the weighted loss with respect to each log variance."""
    s = log_variances.clone().requires_grad_()
    uncertainty_weighting(terms, s, fractions).backward()
    return s.grad


def random_log_variances(seed: int, tasks: int) -> torch.Tensor:
    return doubles(np.random.default_rng(seed).uniform(-5, 5, tasks))


@given(LOSSES, SEEDS)
def test_uncertainty_weighting_has_its_minimum_at_the_log_of_the_loss(losses, seed):
    terms, away = doubles(losses), random_log_variances(seed, len(losses))
    minimum = uncertainty_weighting(terms, terms.log())
    torch.testing.assert_close(gradient(terms, terms.log()), torch.zeros_like(terms), atol=1e-9, rtol=0)
    torch.testing.assert_close(minimum, (1 + terms.log()).sum())
    s = terms.log() + away
    assert (torch.sign(gradient(terms, s)) == torch.sign(away)).all(), "a step of gradient descent goes there"
    assert uncertainty_weighting(terms, s) >= minimum - 1e-9


@given(LOSSES, SEEDS)
def test_uncertainty_weighting_weighs_each_task_by_its_own_precision(losses, seed):
    terms, s = doubles(losses).requires_grad_(), random_log_variances(seed, len(losses))
    uncertainty_weighting(terms.unbind(), s).backward()
    torch.testing.assert_close(terms.grad, torch.exp(-s))


@pytest.mark.parametrize("tasks", [1, 2, 5])
def test_uncertainty_weighting_with_unit_variance_is_the_sum(tasks):
    terms = torch.arange(1.0, tasks + 1)
    assert uncertainty_weighting(terms, torch.zeros(tasks)) == terms.sum()


@given(SEEDS, st.integers(1, 4), st.integers(1, 5))
def test_uncertainty_weighting_of_micro_batches_adds_up_in_value_and_gradient(seed, tasks, parts):
    rng = np.random.default_rng(seed)
    terms, s = doubles(rng.uniform(0, 3, (parts, tasks))), random_log_variances(seed, tasks)
    fractions = doubles(rng.dirichlet(np.ones(parts), tasks).T)
    pairs = list(zip(terms, fractions, strict=True))
    added = sum(uncertainty_weighting(part, s, fraction) for part, fraction in pairs)
    torch.testing.assert_close(added, uncertainty_weighting(terms.sum(dim=0), s))
    gradients = sum(gradient(part, s, fraction) for part, fraction in pairs)
    torch.testing.assert_close(gradients, gradient(terms.sum(dim=0), s))


def test_uncertainty_weighting_without_data_for_a_task_leaves_its_variance_alone():
    s, fractions = doubles([0.7, -2.0]), doubles([1.0, 0.0])
    terms = doubles([3.0, 0.0])
    assert uncertainty_weighting(terms, s, fractions) == uncertainty_weighting(terms[:1], s[:1])
    assert gradient(terms, s, fractions)[1] == 0
    assert gradient(terms, s)[1] == 1, "without fractions its variance would fall for ever"
