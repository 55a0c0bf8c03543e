"""Laws of masks for given people."""

from __future__ import annotations

import numpy as np

from poseg.codecs import PersonLabCodec
from poseg.codecs.outlines import outline
from poseg.geometry.similarity import mask_iou_matrix
from poseg.people import People
from poseg.transforms.letterbox import plan


def test_the_outlines_of_the_true_poses_are_the_true_masks(cast):
    size = (257, 321)
    people = cast(*size).people
    codec = PersonLabCodec(stride=8)
    box = plan(size, 321, multiple=8, remainder=1)
    assert box.input_size == size
    poses = People.from_poses(people.skeleton, people.keypoints, people.keypoint_scores)
    found = outline(codec.encode(people, size).as_fields(), poses)
    assert found.masks is not None
    assert people.masks is not None
    assert (np.diag(mask_iou_matrix(found.masks, people.masks)) > 0.8).all()
