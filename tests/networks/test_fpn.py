"""Necks: features of several strides are aligned, the plain pyramid is the published one."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.networks.necks.fpn import ExtraLevels, FeatureMerge, PlainPyramid  # noqa: E402

CASES = {
    "a pyramid": ((4, 8, 16, 32), True),
    "dilated": ((4, 8, 8, 8), True),
    "dilated to 16": ((4, 8, 16, 16), True),
    "fine": ((2, 4, 8), True),
    "blocks": ((4, 8), False),
}


def features(strides, size, odd: bool, batch: int = 2):
    """Noise of 6, 7, ... channels over an image of a size."""
    sides = [[(side - 1) // stride + 1 if odd else side // stride for side in size] for stride in strides]
    return [torch.randn(batch, 6 + i, *cells, generator=torch.Generator().manual_seed(i)) for i, cells in
            enumerate(sides)]  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    strides, odd = CASES[request.param]
    return strides, odd, FeatureMerge(range(6, 6 + len(strides)), strides, 8, (3, 4, 5, 6)[: len(strides)], 10)


def test_the_result_has_the_cells_of_its_stride(case):
    strides, odd, merge = case
    size = (97, 129) if odd else (96, 128)
    merged = merge.eval()(features(strides, size, odd))
    assert merged.shape == (2, merge.channels, *((13, 17) if odd else (12, 16)))
    assert merge.channels == 10


def test_gradients_reach_all_features_and_parameters(case):
    strides, odd, merge = case
    given = [f.requires_grad_() for f in features(strides, (97, 129) if odd else (96, 128), odd)]
    merge.train()(given).square().sum().backward()
    for feature in given:
        assert feature.grad.abs().sum() > 0
    assert all(p.grad.abs().sum() > 0 for p in merge.parameters())


def test_positions_of_all_levels_are_aligned():
    """A bright cell over pixel (64, 32) brightens the cells around it and none far away, whatever its stride."""
    merge = FeatureMerge((1, 1, 1, 1), (4, 8, 16, 32), 8, (1, 1, 1, 1), 1).eval()
    for parameter in merge.parameters():
        torch.nn.init.ones_(parameter)
    with torch.no_grad():
        dark = [torch.zeros(1, 1, 128 // s + 1, 128 // s + 1) for s in (4, 8, 16, 32)]
        base = merge(dark)
        for level, stride in enumerate((4, 8, 16, 32)):
            lit = [f.clone() for f in dark]
            lit[level][0, 0, 32 // stride, 64 // stride] = 1
            seen = (merge(lit) - base)[0, 0]
            row, column = torch.meshgrid(torch.arange(17.0), torch.arange(17.0), indexing="ij")
            weight = seen / seen.sum()
            assert float((weight * column).sum()) == pytest.approx(8, abs=1e-3)
            assert float((weight * row).sum()) == pytest.approx(4, abs=1e-3)
            reach = 1 + max(stride // 8, 1)
            assert not seen[(row - 4).abs() > reach].any()


def test_widths_are_as_many_as_features():
    with pytest.raises(ValueError, match="shorter"):
        FeatureMerge((6, 7), (4, 8), 8, (3,), 10)


def test_extra_levels_halve_the_grid_level_by_level():
    features = ExtraLevels(8, 16, 2)(torch.randn(1, 8, 25, 33))
    assert [tuple(f.shape) for f in features] == [(1, 16, 13, 17), (1, 16, 7, 9)]
    assert ExtraLevels(8, 16, 0)(torch.randn(1, 8, 25, 33)) == []


def levels() -> list[torch.Tensor]:
    """Features of 3, 4 and 5 channels at strides 4, 8 and 16."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(1, c, 32 // s + 1, 64 // s + 1, generator=generator) for c, s in ((3, 4), (4, 8), (5, 16))]


def test_plain_pyramid_has_the_shape_of_the_finest_and_gradients_to_all():
    torch.manual_seed(0)
    neck, inputs = PlainPyramid((3, 4, 5), 6), [f.requires_grad_() for f in levels()]
    merged = neck(inputs)
    assert merged.shape == (1, 6, 9, 17)
    merged.square().sum().backward()
    assert all((f.grad.abs() > 0).any() for f in inputs)
    assert not [name for name, p in neck.named_parameters() if not p.grad.abs().sum() > 0]


def test_plain_pyramid_is_linear_and_its_levels_add_up():
    torch.manual_seed(0)
    neck, inputs = PlainPyramid((3, 4, 5), 6), levels()
    with torch.no_grad():
        bias = neck([torch.zeros_like(f) for f in inputs])
        alone = [neck([f if i == j else torch.zeros_like(f) for j, f in enumerate(inputs)]) - bias for i in range(3)]
        torch.testing.assert_close(neck(inputs) - bias, sum(alone), atol=1e-4, rtol=1e-4)
    assert all(part.abs().max() > 1e-3 for part in alone)


def test_plain_pyramid_has_as_many_parameters_as_published():
    neck = PlainPyramid((256, 512, 1024, 2048), 256)
    assert sum(p.numel() for p in neck.parameters()) == (256 + 512 + 1024 + 2048) * 256 + 4 * 256 + 9 * 256 * 256 + 256
