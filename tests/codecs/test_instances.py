"""Laws of masks for given people, and of what several masks agree on."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from poseg.codecs import PersonLabCodec
from poseg.codecs.instances import segment_people
from poseg.people import People
from poseg.transforms.letterbox import make_letterbox

seeds = st.integers(0, 2**32 - 1)


def blobs(seed, count):
    return list(np.random.default_rng(seed).random((count, 6, 8)) < 0.6)


def test_segment_people_of_true_poses_gives_the_true_masks(make_scene):
    size = (257, 321)
    people = make_scene(*size).people
    codec = PersonLabCodec(stride=8)
    box = make_letterbox(size, 321, size_divisor=8, size_offset=1)
    assert box.input_size == size
    poses = People.from_poses(people.skeleton, people.keypoints, people.keypoint_scores)
    found = segment_people(codec.encode(people, size).as_fields(), poses)
    assert found.masks is not None
    assert people.masks is not None
    assert (np.diag(found.masks.iou(people.masks)) > 0.8).all()
