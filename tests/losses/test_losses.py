"""Losses vanish at the target, ignore masked cells, and refine as the decoder does."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.losses.logits import masked_cross_entropy  # noqa: E402
from poseg.losses.offsets import look_up, masked_l1, refine  # noqa: E402


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


def test_one_step_of_refinement_removes_any_error_smaller_than_the_disk():
    stride, home = 8, torch.tensor([40.0, 24.0])
    rows, columns = torch.meshgrid(torch.arange(9.0), torch.arange(12.0), indexing="ij")
    at = torch.stack([columns, rows]) * stride
    short = (home.view(2, 1, 1) - at)[None, None]
    noisy = short + 12 * torch.rand(short.shape, generator=generator()) - 6
    refined = refine(noisy, short, stride, 1)
    torch.testing.assert_close(refined, short, atol=1e-4, rtol=0)


def test_looking_up_beyond_the_border_gives_the_border():
    field = torch.arange(24.0).view(1, 1, 2, 3, 4)
    far = torch.full((1, 1, 2, 3, 4), 1e4)
    assert (look_up(field, far, 8)[0, 0, 0] == field[0, 0, 0, 2, 3]).all()


def test_gradients_flow_to_the_field_and_to_the_place():
    field = torch.randn(1, 2, 2, 5, 5, generator=generator(), requires_grad=True)
    offsets = (torch.rand(1, 2, 2, 5, 5, generator=generator()) * 4).requires_grad_()
    look_up(field, offsets, 4).square().sum().backward()
    assert field.grad is not None
    assert field.grad.abs().sum() > 0
    assert offsets.grad is not None
    assert offsets.grad.abs().sum() > 0
