"""Bootstrap over images."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.metrics.bootstrap import image_counts, percentile_interval


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_every_resample_draws_as_many_images_as_there_are(seed, images):
    counts = image_counts(np.random.default_rng(seed), images, 20)
    assert counts.shape == (20, images)
    assert (counts >= 0).all()
    assert (counts.sum(axis=1) == images).all()


def test_the_same_seed_draws_the_same_images():
    first, again, other = (image_counts(np.random.default_rng(seed), 30) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_no_images_give_no_counts():
    assert image_counts(np.random.default_rng(0), 0, 7).shape == (7, 0)


def test_the_interval_of_a_mean_is_that_of_its_standard_error():
    rng = np.random.default_rng(0)
    values = rng.normal(5, 2, 400)
    counts = image_counts(rng, 400, 4000)
    low, high = percentile_interval(counts @ values / 400)
    assert low < values.mean() < high
    np.testing.assert_allclose(high - low, 2 * 1.96 * values.std() / 20, rtol=0.1)


def test_nan_values_are_left_out():
    assert percentile_interval([np.nan, 1.0, 1.0]) == (1.0, 1.0)
    assert percentile_interval([np.nan, np.nan]) is None
    np.testing.assert_allclose(percentile_interval(np.arange(101), coverage=0.8), (10, 90))
