"""Pyramid pooling: torch's own pooling where parts are whole cells, true means everywhere else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from poseg.errors import PosegError  # noqa: E402
from poseg.networks.necks.pyramid_pooling import (  # noqa: E402
    BINS,
    PyramidPooling,
    SegmentationHead,
    adaptive_pool,
    normalisation,
)

SIDES = st.integers(1, 40)


def noise(*shape: int, seed: int = 0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(bins=st.integers(1, 6), rows=st.integers(1, 5), columns=st.integers(1, 5), seed=st.integers(0, 99))
def test_pooling_is_torchs_where_parts_are_whole_cells(bins, rows, columns, seed):
    x = noise(2, 3, bins * rows, bins * columns, seed=seed)
    torch.testing.assert_close(
        adaptive_pool(x, bins), torch.nn.functional.adaptive_avg_pool2d(x, bins), atol=1e-5, rtol=1e-4
    )


@given(bins=st.sampled_from(BINS), rows=SIDES, columns=SIDES)
def test_pooling_keeps_constants_and_the_mean(bins, rows, columns):
    """Torch's own counts some cells more often than others where parts are no whole cells."""
    constant = torch.full((1, 2, rows, columns), 3.25)
    torch.testing.assert_close(adaptive_pool(constant, bins), torch.full((1, 2, bins, bins), 3.25))
    x = noise(1, 2, rows, columns, seed=rows)
    torch.testing.assert_close(adaptive_pool(x, bins).mean(dim=(2, 3)), x.mean(dim=(2, 3)), atol=1e-5, rtol=1e-4)


@given(bins=st.sampled_from(BINS), rows=SIDES, columns=SIDES)
def test_pooling_is_that_of_a_image_enlarged_until_parts_are_whole_cells(bins, rows, columns):
    x = noise(1, 1, rows, columns, seed=columns)
    large = x.repeat_interleave(bins, dim=2).repeat_interleave(bins, dim=3)
    expected = torch.nn.functional.adaptive_avg_pool2d(large, bins)
    torch.testing.assert_close(adaptive_pool(x, bins), expected, atol=1e-5, rtol=1e-4)


def test_pooling_is_flipped_with_the_image():
    x = noise(1, 2, 13, 17)
    torch.testing.assert_close(adaptive_pool(x.flip(3), 6), adaptive_pool(x, 6).flip(3), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("norm", ["batch", "group"])
@pytest.mark.parametrize("size", [(12, 16), (13, 17), (5, 4), (1, 1)])
def test_the_features_come_first_and_as_many_means_after_them(norm, size):
    module = PyramidPooling(16, norm=norm).eval()
    x = noise(2, 16, *size)
    with torch.no_grad():
        y = module(x)
    assert y.shape == (2, module.channels, *size) == (2, 32, *size)
    torch.testing.assert_close(y[:, :16], x, atol=0, rtol=0)
    whole = y[:, 16:20]
    torch.testing.assert_close(whole, whole[:, :, :1, :1].expand_as(whole), msg="one bin is the same everywhere")


def test_parameters_are_a_convolution_and_a_norm_for_each_bin():
    module = PyramidPooling(64)
    assert sum(p.numel() for p in module.parameters()) == 4 * (64 * 16 + 2 * 16)


def test_one_image_in_training_with_batch_normalisation_is_refused_with_a_way_out():
    module, x = PyramidPooling(16).train(), noise(1, 16, 12, 16)
    with pytest.raises(PosegError, match="norm=group"):
        module(x)
    assert module(noise(2, 16, 12, 16)).shape == (2, 32, 12, 16)
    assert module.eval()(x).shape == (1, 32, 12, 16)
    assert PyramidPooling(16, norm="group").train()(x).shape == (1, 32, 12, 16)


@pytest.mark.parametrize("channels", [1, 7, 16, 32, 48, 100])
def test_groups_divide_the_channels(channels):
    norm = normalisation("group", channels)
    assert channels % norm.num_groups == 0
    assert norm.num_groups <= 32
    assert channels // norm.num_groups >= min(channels, 8), "one channel alone would be normalised to nothing"
    assert norm(noise(1, channels, 3, 3)).shape == (1, channels, 3, 3)


@pytest.mark.parametrize("norm", ["batch", "group"])
def test_the_head_ends_in_a_logit_for_each_class(norm):
    head = SegmentationHead(12, 8, classes=3, norm=norm).eval()
    assert head(noise(2, 12, 5, 6)).shape == (2, 3, 5, 6)
    torch.testing.assert_close(head(noise(2, 12, 5, 6)), head(noise(2, 12, 5, 6)))
