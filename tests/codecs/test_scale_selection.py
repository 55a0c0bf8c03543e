"""The view that a person's mask is read in, and the views worth running."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs.decoder_config import DEFAULT
from poseg.codecs.scale_selection import MIN_FOCUS_SCORE, any_too_large, focus_crop, select_views
from poseg.geometry.pose_size import pose_boxes
from poseg.people import People
from poseg.skeletons import COCO17


def standing(*lengths_px: float) -> People:
    """People of given lengths, a third as wide, one beside another."""
    shape = np.random.default_rng(0).uniform(0, 1, (17, 2))
    shape = (shape - shape.min(axis=0)) / np.ptp(shape, axis=0)
    points = np.stack([shape * (length / 3, length) + (40 * i, 7) for i, length in enumerate(lengths_px)])
    return People.from_poses(COCO17, points, np.ones(points.shape[:2]))


WHOLE = (0, 0, 10**6, 10**6)


@given(
    lengths=st.lists(st.floats(5, 3000), min_size=1, max_size=5),
    scales=st.lists(st.integers(1, 60), min_size=1, max_size=4, unique=True),
)
def test_select_views_takes_the_finest_that_fits_or_else_the_coarsest(lengths, scales):
    scales, limit = [scale / 20 for scale in scales], DEFAULT.max_person_px
    chosen = select_views(standing(*lengths), [(scale, scale) for scale in scales], limit, [WHOLE] * len(scales))
    for length, view in zip(lengths, chosen, strict=True):
        fitting = [scale for scale in scales if length * scale <= limit * (1 - 1e-4)]
        borderline = [scale for scale in scales if abs(length * scale / limit - 1) <= 1e-4]
        assert scales[view] in {max(fitting, default=min(scales)), *borderline}


def test_select_views_takes_no_people():
    assert select_views(People.empty(COCO17), [(1.0, 1.0), (0.5, 0.5)], 350, [WHOLE] * 2).shape == (0,)


def test_select_views_leaves_out_a_view_that_shows_a_part_of_the_person():
    people = standing(100.0, 100.0)
    _, apart = pose_boxes(people.keypoints, people.keypoint_scores)
    scales, whole = [(1.0, 1.0), (2.0, 2.0)], (0, 0, 400, 300)
    around = (apart[0] - 1, apart[1] - 1, apart[2] + 1, apart[3] + 1)
    cut = (apart[0] - 1, apart[1] - 1, apart[2] - 9, apart[3] + 1)
    assert select_views(people, scales, 350, [whole, around]).tolist() == [0, 1]
    assert select_views(people, scales, 350, [whole, cut]).tolist() == [0, 0]
    assert select_views(people, scales, 10, [whole, cut]).tolist() == [0, 0], "a part is not the coarsest view either"
    assert select_views(people, scales, 350, [whole, whole]).tolist() == [1, 1]


def test_select_views_ignores_joints_outside_the_image():
    people = standing(100.0)
    left, top, right, bottom = pose_boxes(people.keypoints, people.keypoint_scores)[0]
    image = (0, 0, int(right) + 5, int(bottom) - 20)
    crop = (int(left), int(top), int(right) + 5, int(bottom) - 20)
    assert select_views(people, [(1.0, 1.0), (2.0, 2.0)], 350, [image, crop]).tolist() == [1]


@given(lengths=st.lists(st.floats(5, 900), max_size=5), scale=st.floats(0.3, 3), seed=st.integers(0, 99))
def test_focus_crop_holds_the_people_whom_the_view_fits(lengths, scale, seed):
    people = standing(*lengths) if lengths else People.empty(COCO17)
    scores = np.random.default_rng(seed).random(len(people)).astype(np.float32)
    people = People(COCO17, people.keypoints, people.keypoint_scores, scores, people.boxes_xyxy)
    boxes = pose_boxes(people.keypoints, people.keypoint_scores)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    fits = (sides * np.float32(scale) <= 350) & (scores >= MIN_FOCUS_SCORE)
    crop = focus_crop([people, people[:1]], (scale, scale), (300, 500), 350)
    assert (crop is None) == (not fits.any())
    assert any_too_large(people, (scale, scale), 350) == bool(
        ((sides * np.float32(scale) > 350) & (scores >= MIN_FOCUS_SCORE)).any()
    )
    if crop is not None:
        assert all(type(side) is int for side in crop)
        assert 0 <= crop[0] < crop[2] <= 500
        assert 0 <= crop[1] < crop[3] <= 300
        visible = np.clip(boxes[fits], 0, [500, 300, 500, 300])
        assert (visible[:, :2] >= crop[:2]).all()
        assert (visible[:, 2:] <= crop[2:]).all()
