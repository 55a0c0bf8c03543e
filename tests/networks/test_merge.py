"""Features of several strides meet at one, cell on cell."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.networks.necks.merge import Merge  # noqa: E402

CASES = {
    "a pyramid": ((4, 8, 16, 32), True),
    "dilated": ((4, 8, 8, 8), True),
    "dilated to 16": ((4, 8, 16, 16), True),
    "fine": ((2, 4, 8), True),
    "blocks": ((4, 8), False),
}


def features(strides, size, odd: bool, batch: int = 2):
    """Noise of 6, 7, ... channels over a picture of a size."""
    sides = [[(side - 1) // stride + 1 if odd else side // stride for side in size] for stride in strides]
    return [torch.randn(batch, 6 + i, *cells, generator=torch.Generator().manual_seed(i)) for i, cells in
            enumerate(sides)]  # fmt: skip


@pytest.fixture(params=CASES)
def case(request):
    strides, odd = CASES[request.param]
    return strides, odd, Merge(range(6, 6 + len(strides)), strides, 8, (3, 4, 5, 6)[: len(strides)], 10)


def test_the_result_lies_on_the_cells_of_the_stride_where_they_meet(case):
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


def test_a_place_on_any_level_stays_where_it_is():
    """A bright cell over pixel (64, 32) brightens the cells around it and none far away, whatever its stride."""
    merge = Merge((1, 1, 1, 1), (4, 8, 16, 32), 8, (1, 1, 1, 1), 1).eval()
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


def test_as_many_widths_as_features_are_wanted():
    with pytest.raises(ValueError, match="shorter"):
        Merge((6, 7), (4, 8), 8, (3,), 10)
