"""Laws of the majority vote over several masks of one person."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.labelling.looking import majority_mask

seeds = st.integers(0, 2**32 - 1)


def blobs(seed, count):
    return list(np.random.default_rng(seed).random((count, 6, 8)) < 0.6)


@given(seeds, st.integers(1, 5))
def test_majority_mask_of_equal_masks_is_that_mask(seed, count):
    mask = blobs(seed, 1)[0]
    majority, agreement = majority_mask([mask] * count, list(range(count)))
    assert np.array_equal(majority, mask)
    assert agreement == (1.0 if count > 1 else 0.0)


@given(seeds)
def test_majority_mask_ignores_order(seed):
    masks, owners = blobs(seed, 4), [0, 1, 1, 2]
    first, second = majority_mask(masks, owners), majority_mask(masks[::-1], owners[::-1])
    assert np.array_equal(first[0], second[0])
    assert first[1] == pytest.approx(second[1])


def test_agreement_counts_pairs_of_different_teachers_only():
    left, right = np.zeros((2, 4, 4), bool)
    left[:, :2], right[:, 2:] = True, True
    assert majority_mask([left, left, right], [0, 0, 1])[1] == 0
    assert majority_mask([left, left], [0, 0])[1] == 1
    assert np.array_equal(majority_mask([left, left, right], [0, 0, 1])[0], left)
