"""A person is outlined in the look that suits his size; what looks outline fits together."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs import PersonLabCodec
from poseg.codecs.decoder_config import DEFAULT
from poseg.codecs.scale_selection import MIN_FOCUS_SCORE, any_too_large, focus_crop, select_views
from poseg.geometry.pose_size import pose_boxes
from poseg.geometry.rle import tight_boxes
from poseg.people import People
from poseg.runtime.multi_scale import render_instances
from poseg.skeletons import COCO17


def standing(*lengths_px: float) -> People:
    """People as long as said, a third as wide, one after another."""
    shape = np.random.default_rng(0).uniform(0, 1, (17, 2))
    shape = (shape - shape.min(axis=0)) / np.ptp(shape, axis=0)
    points = np.stack([shape * (length / 3, length) + (40 * i, 7) for i, length in enumerate(lengths_px)])
    return People.from_poses(COCO17, points, np.ones(points.shape[:2]))


def with_masks(rng: np.random.Generator, count: int) -> People:
    people = standing(*rng.uniform(10, 60, count)) if count else People.empty(COCO17)
    masks = rng.random((count, 20, 30)) > 0.7
    return People(
        COCO17, people.keypoints, people.keypoint_scores, rng.random(count), tight_boxes(masks), masks
    )  # fmt: skip


@given(
    lengths=st.lists(st.floats(5, 3000), min_size=1, max_size=5),
    scales=st.lists(st.integers(1, 60), min_size=1, max_size=4, unique=True),
)
def test_it_is_the_finest_that_holds_him_or_else_the_coarsest(lengths, scales):
    scales = [scale / 20 for scale in scales]
    chosen = select_views(standing(*lengths), [(scale, scale) for scale in scales], DEFAULT.max_person_px)
    for length, look in zip(lengths, chosen, strict=True):
        fitting = [scale for scale in scales if length * scale <= DEFAULT.max_person_px * (1 - 1e-4)]
        vague = [scale for scale in scales if abs(length * scale / DEFAULT.max_person_px - 1) <= 1e-4]
        assert scales[look] in {max(fitting, default=min(scales)), *vague}


def test_nobody_is_outlined_nowhere():
    assert select_views(People.empty(COCO17), [(1.0, 1.0), (0.5, 0.5)], DEFAULT.max_person_px).shape == (0,)


def test_a_look_that_shows_a_part_of_somebody_does_not_suit_him():
    people = standing(100.0, 100.0)
    _, apart = pose_boxes(people.keypoints, people.keypoint_scores)
    scales, whole = [(1.0, 1.0), (2.0, 2.0)], (0, 0, 400, 300)
    around = (apart[0] - 1, apart[1] - 1, apart[2] + 1, apart[3] + 1)
    cut = (apart[0] - 1, apart[1] - 1, apart[2] - 9, apart[3] + 1)
    assert select_views(people, scales, 350, [whole, around]).tolist() == [0, 1]
    assert select_views(people, scales, 350, [whole, cut]).tolist() == [0, 0]
    assert select_views(people, scales, 10, [whole, cut]).tolist() == [0, 0], "a part is not the coarsest look either"
    assert select_views(people, scales, 350, [whole, whole]).tolist() == [1, 1]


def test_joints_guessed_beyond_the_picture_are_no_part_of_somebody():
    people = standing(100.0)
    left, top, right, bottom = pose_boxes(people.keypoints, people.keypoint_scores)[0]
    picture = (0, 0, int(right) + 5, int(bottom) - 20)
    window = (int(left), int(top), int(right) + 5, int(bottom) - 20)
    assert select_views(people, [(1.0, 1.0), (2.0, 2.0)], 350, [picture, window]).tolist() == [1]


@given(lengths=st.lists(st.floats(5, 900), max_size=5), scale=st.floats(0.3, 3), seed=st.integers(0, 99))
def test_the_part_to_see_holds_those_whom_the_look_suits(lengths, scale, seed):
    people = standing(*lengths) if lengths else People.empty(COCO17)
    scores = np.random.default_rng(seed).random(len(people)).astype(np.float32)
    people = People(COCO17, people.keypoints, people.keypoint_scores, scores, people.boxes_xyxy)
    boxes = pose_boxes(people.keypoints, people.keypoint_scores)
    sides = (boxes[:, 2:] - boxes[:, :2]).max(axis=1)
    suited = (sides * np.float32(scale) <= 350) & (scores >= MIN_FOCUS_SCORE)
    window = focus_crop([people, people[:1]], (scale, scale), (300, 500), 350)
    assert (window is None) == (not suited.any())
    assert any_too_large(people, (scale, scale), 350) == bool(
        ((sides * np.float32(scale) > 350) & (scores >= MIN_FOCUS_SCORE)).any()
    )
    if window is not None:
        assert all(type(side) is int for side in window)
        assert 0 <= window[0] < window[2] <= 500
        assert 0 <= window[1] < window[3] <= 300
        there = np.clip(boxes[suited], 0, [500, 300, 500, 300])
        assert (there[:, :2] >= window[:2]).all()
        assert (there[:, 2:] <= window[2:]).all()


@pytest.mark.parametrize("exclusive", [True, False])
@pytest.mark.parametrize("counts", [(0, 0), (3,), (2, 3), (3, 0, 2)])
def test_everybody_is_there_once_surest_first(counts, exclusive):
    rng = np.random.default_rng(1)
    parts = [with_masks(rng, count) for count in counts]
    people = render_instances(parts, 100, exclusive)
    scores = np.concatenate([part.scores for part in parts])
    np.testing.assert_array_equal(people.scores, np.sort(scores)[::-1])
    owned = np.concatenate([part.masks for part in parts])[np.argsort(-scores, kind="stable")]
    if not exclusive:
        np.testing.assert_array_equal(people.masks, owned)
    assert not (np.asarray(people.masks) & ~owned).any()
    np.testing.assert_array_equal(np.asarray(people.masks).any(axis=0), owned.any(axis=0))
    np.testing.assert_array_equal(people.boxes_xyxy, tight_boxes(np.asarray(people.masks)))
    assert len(render_instances(parts, 2, exclusive)) == min(2, sum(counts))


def test_a_pixel_of_two_looks_is_the_first_ones():
    rng = np.random.default_rng(2)
    first, second = with_masks(rng, 2), with_masks(rng, 3)
    people = render_instances([first, second], 100, exclusive=True)
    order = np.argsort(-np.concatenate([first.scores, second.scores]), kind="stable")
    np.testing.assert_array_equal(
        np.asarray(people.masks)[np.isin(order, (0, 1))].any(axis=0), np.asarray(first.masks).any(axis=0)
    )
    theirs = np.asarray(people.masks)[np.isin(order, (2, 3, 4))].any(axis=0)
    np.testing.assert_array_equal(theirs, np.asarray(second.masks).any(axis=0) & ~np.asarray(first.masks).any(axis=0))


def test_without_masks_people_have_none():
    people = render_instances([standing(30.0), standing(60.0, 20.0)], 2, exclusive=True)
    assert people.masks is None
    assert len(people) == 2


def test_what_is_shown_of_all_is_what_all_would_show():
    """Those who are not shown still compete: the shown have the pixels and scores that they have among all."""
    rng = np.random.default_rng(3)
    points = rng.uniform((20, 20), (110, 110), (3, 17, 2))
    masks = np.zeros((3, 129, 129), bool)
    masks[0, :, :43], masks[1, :, 43:90], masks[2, :, 90:] = True, True, True
    codec = PersonLabCodec(stride=8)
    truth = People.from_poses(COCO17, points, np.ones((3, 17)), masks=masks)
    fields = codec.encode(truth, (129, 129)).as_fields()
    people = codec.decode(fields)
    everybody = codec.claimed(fields, people, DEFAULT).painted(DEFAULT)
    for shown in ([True, False, True], [False, True, False], [False] * 3):
        some = codec.claimed(fields, people, DEFAULT, shown=np.array(shown)).painted(DEFAULT)
        kept = np.isin(everybody.keypoints[:, 0, 0], people.keypoints[shown][:, 0, 0])
        np.testing.assert_array_equal(some.keypoints, everybody.keypoints[kept])
        np.testing.assert_allclose(some.scores, everybody.scores[kept], rtol=1e-5)
        np.testing.assert_array_equal(some.masks, everybody.masks[kept])
