"""The mask head is the published one, sees as far, and treats everybody alike."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.networks.heads.mask_head import MaskHead  # noqa: E402
from poseg.networks.necks.fpn import PlainPyramid  # noqa: E402

SMALL = (7, 8, 4, 3, 4)


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)


def small(**how) -> MaskHead:
    """Random weights, every channel as loud as in a head that has learned."""
    torch.manual_seed(0)
    head = MaskHead(*SMALL, **how).train()
    for module in head.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        head(torch.randn(4, 7, 32, 32, generator=generator()))
    return head.eval()


def count(network) -> int:
    return sum(p.numel() for p in network.parameters())


def test_the_published_head_has_as_many_parameters_as_published():
    with torch.device("meta"):
        head = MaskHead(311, 256, 256, 10, 128, channels_out=2)
        bare = MaskHead(256, 256, 256, 10, 128, channels_out=2)
    assert count(head) == 16_030_978
    assert count(head) - count(bare) == 55 * 49 * 256, "without the skeleton"


@pytest.mark.parametrize("side", [16, 33, 48, 64])
def test_the_mask_is_as_large_as_the_window(side):
    assert small()(torch.zeros(2, 7, side, side)).shape == (2, 1, side, side)
    assert small(channels_out=2)(torch.zeros(2, 7, side, side)).shape == (2, 2, side, side)


def test_people_get_the_same_mask_alone_and_together():
    head, windows = small(), torch.randn(4, 7, 32, 32, generator=generator())
    with torch.no_grad():
        together = head(windows)
        torch.testing.assert_close(together, torch.cat([head(w[None]) for w in windows]), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(head(windows.flip(0)), together.flip(0), atol=1e-5, rtol=1e-5)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_nobody_gets_no_mask():
    assert small()(torch.zeros(0, 7, 32, 32)).shape == (0, 1, 32, 32)


def test_a_gradient_reaches_the_window_and_every_parameter():
    head, windows = small().train(), torch.randn(4, 7, 32, 32, generator=generator(), requires_grad=True)
    head(windows).square().mean().backward()
    assert (windows.grad.abs().sum(dim=(2, 3)) > 0).all()
    # Batch normalisation takes the mean away, and with it what a bias before it does.
    deaf = [name for name, p in head.named_parameters() if not p.grad.abs().sum() > 0]
    assert not [name for name in deaf if not name.endswith("bias")]


def test_ten_units_see_about_fifty_pixels_of_the_window():
    torch.manual_seed(0)
    head = MaskHead(2, 4, 2, 10, 2).eval()
    with torch.no_grad():
        for p in head.parameters():
            p.abs_()
    window = torch.ones(1, 2, 96, 96, requires_grad=True)
    head(window)[0, 0, 48, 48].backward()
    seen = window.grad[0].abs().sum(dim=0) > 0
    for along in (0, 1):
        width = int(seen.any(dim=along).sum())
        assert 47 <= width <= 53


def features() -> list[torch.Tensor]:
    return [torch.randn(1, c, 32 // s + 1, 64 // s + 1, generator=generator()) for c, s in ((3, 4), (4, 8), (5, 16))]


def test_the_plain_pyramid_has_the_shape_of_the_finest_and_hears_all():
    torch.manual_seed(0)
    neck, given = PlainPyramid((3, 4, 5), 6), [f.requires_grad_() for f in features()]
    merged = neck(given)
    assert merged.shape == (1, 6, 9, 17)
    merged.square().sum().backward()
    assert all((f.grad.abs() > 0).any() for f in given)
    assert not [name for name, p in neck.named_parameters() if not p.grad.abs().sum() > 0]


def test_the_plain_pyramid_is_linear_and_its_levels_add_up():
    torch.manual_seed(0)
    neck, given = PlainPyramid((3, 4, 5), 6), features()
    with torch.no_grad():
        nothing = neck([torch.zeros_like(f) for f in given])
        alone = [neck([f if i == j else torch.zeros_like(f) for j, f in enumerate(given)]) - nothing for i in range(3)]
        torch.testing.assert_close(neck(given) - nothing, sum(alone), atol=1e-4, rtol=1e-4)
    assert all(part.abs().max() > 1e-3 for part in alone)


def test_the_published_pyramid_has_as_many_parameters_as_published():
    neck = PlainPyramid((256, 512, 1024, 2048), 256)
    assert count(neck) == (256 + 512 + 1024 + 2048) * 256 + 4 * 256 + 9 * 256 * 256 + 256
