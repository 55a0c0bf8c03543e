"""The mask refiner's network and loss."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.losses.masked import masked_dice  # noqa: E402
from poseg.systems.mask_refiner import MaskRefinerSystem, UNet  # noqa: E402


def generator():
    return torch.Generator().manual_seed(0)


def test_a_mask_does_not_depend_on_the_other_crops():
    network = MaskRefinerSystem().network().eval()
    crops = torch.randn(3, 6, 64, 64, generator=generator())
    with torch.no_grad():
        together = network(crops)["mask"]
        alone = network(crops[1:2])["mask"]
    assert together.shape == (3, 1, 64, 64)
    torch.testing.assert_close(together[1:2], alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("depth", [1, 2, 3])
def test_u_net_keeps_the_size_and_has_a_large_receptive_field(depth):
    network = UNet(2, 8, depth).eval()
    image = torch.randn(1, 2, 64, 64, generator=generator()).requires_grad_()
    features = network(image)
    assert features.shape == (1, 8, 64, 64)
    features[0, :, 32, 32].sum().backward()
    seen = (image.grad.abs().sum(dim=(0, 1)) > 0).nonzero()
    assert (seen.max(dim=0).values - seen.min(dim=0).values).min() > 8 * depth


def test_the_loss_of_micro_batches_adds_up_and_vanishes_at_the_ground_truth():
    loss = MaskRefinerSystem().loss()
    target = (torch.rand(4, 1, 64, 64, generator=generator()) > 0.5).float()
    weight = (torch.rand(4, 1, 64, 64, generator=generator()) > 0.3).float()
    logits = torch.randn(4, 1, 64, 64, generator=generator())

    def terms(rows, counts=None):
        return loss(
            {"mask": logits[rows]}, {"mask": target[rows]}, {"mask": weight[rows]}, counts
        )  # fmt: skip

    whole, counts = terms(slice(None)), loss.normalisers({"mask": weight})
    parts = [terms(slice(0, 1), counts), terms(slice(1, 4), counts)]
    for name in ("pixels", "overlap", "total"):
        torch.testing.assert_close(parts[0][name] + parts[1][name], whole[name])
    perfect = loss({"mask": (2 * target - 1) * 40}, {"mask": target}, {"mask": weight})
    assert perfect["total"] < 1e-4


def test_dice_loss_is_one_minus_the_overlap():
    target = torch.zeros(2, 1, 8, 8)
    target[:, :, :, :4] = 1
    logits = torch.full_like(target, -40.0)
    logits[0, :, :, 2:6] = 40.0  # half of each overlaps; the other says nobody
    weight = torch.ones_like(target)
    assert masked_dice(logits, target, weight) == pytest.approx((1 - 33 / 65 + 1 - 1 / 33) / 2)
    assert masked_dice(logits, target, torch.zeros_like(target)) == 0
