"""Laws of masks for given people, and of what several masks agree on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs import PersonLabCodec
from poseg.codecs.instances import segment_people
from poseg.geometry.similarity import mask_iou_matrix
from poseg.people import People
from poseg.transforms.letterbox import make_letterbox

seeds = st.integers(0, 2**32 - 1)


def blobs(seed, count):
    return list(np.random.default_rng(seed).random((count, 6, 8)) < 0.6)


def test_the_outlines_of_the_true_poses_are_the_true_masks(cast):
    size = (257, 321)
    people = cast(*size).people
    codec = PersonLabCodec(stride=8)
    box = make_letterbox(size, 321, size_divisor=8, size_offset=1)
    assert box.input_size == size
    poses = People.from_poses(people.skeleton, people.keypoints, people.keypoint_scores)
    found = segment_people(codec.encode(people, size).as_fields(), poses)
    assert found.masks is not None
    assert people.masks is not None
    assert (np.diag(mask_iou_matrix(found.masks, people.masks)) > 0.8).all()


@given(seeds, st.integers(1, 5))
def test_equal_masks_agree_entirely(seed, count):
    mask = blobs(seed, 1)[0]
    whole, agreement = common_mask([mask] * count, list(range(count)))
    assert np.array_equal(whole, mask)
    assert agreement == (1.0 if count > 1 else 0.0)


@given(seeds)
def test_the_order_of_masks_does_not_matter(seed):
    masks, owners = blobs(seed, 4), [0, 1, 1, 2]
    first, second = common_mask(masks, owners), common_mask(masks[::-1], owners[::-1])
    assert np.array_equal(first[0], second[0])
    assert first[1] == pytest.approx(second[1])


def test_only_different_teachers_vouch_for_one_another():
    left, right = np.zeros((2, 4, 4), bool)
    left[:, :2], right[:, 2:] = True, True
    assert common_mask([left, left, right], [0, 0, 1])[1] == 0
    assert common_mask([left, left], [0, 0])[1] == 1
    assert np.array_equal(common_mask([left, left, right], [0, 0, 1])[0], left)
