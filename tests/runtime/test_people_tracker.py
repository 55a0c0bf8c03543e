from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import poseg
from poseg.errors import VideoError
from poseg.people import People
from poseg.runtime.people_tracker import KeypointSmoother, PeopleTracker
from poseg.runtime.tracker import body_scales
from poseg.skeletons import COCO17, Skeleton

HEIGHT_PX = 200.0
FPS = 25
SETTLED = 25  # frames
FRAMES, STEP_PX = 12, 2  # of a photograph that moves


def smooth(clip):
    smoother = KeypointSmoother()
    return [smoother.update(people, time_s) for time_s, people in clip]


def path(people):
    """(F, N, 17, 2) joints over time."""
    return np.stack([frame.keypoints for frame in people])


def path_before(clip):
    return path([people for _, people in clip])


@pytest.mark.parametrize(("noise", "reduction"), [(0.005, 0.65), (0.01, 0.6), (0.015, 0.6)])
def test_keypoint_smoother_reduces_jitter_of_a_standing_person_by_60_percent(film_known, walker, noise, reduction):
    """Standard deviation of joint positions over 12 s, noise in body heights."""
    clip = film_known([walker(200)], 12, noise=noise)
    before, after = (joints[SETTLED:].std(axis=0).mean() for joints in (path_before(clip), path(smooth(clip))))
    assert before == pytest.approx(noise * HEIGHT_PX, rel=0.1)
    assert after <= (1 - reduction) * before


@pytest.mark.parametrize(("heights_a_second", "max_frames"), [(0.25, 2.0), (0.5, 1.5), (1.0, 1.0), (2.0, 1.0)])
def test_keypoint_smoother_lags_at_most_2_frames_behind_a_walker(film_known, walker, heights_a_second, max_frames):
    """Lag is the mean position error over the speed, in frames; the joints are noisy."""
    speed = heights_a_second * HEIGHT_PX
    clip = film_known([walker(100, speed=speed)], 6, noise=0.01)
    truth = path_before(film_known([walker(100, speed=speed)], 6))
    late = (truth - path(smooth(clip)))[SETTLED:, 0, :, 0].mean(axis=0)
    lag_frames = late / (speed / FPS)
    assert lag_frames.max() <= max_frames
    assert lag_frames.min() >= 0


def test_keypoint_smoother_follows_a_sudden_start_at_once(film_known, walker):
    """From rest to a height a second: never more than 2 frames behind."""
    step_px = HEIGHT_PX / FPS
    still = film_known([walker(100)], 2)
    start = still[0][1]
    clip = still + [
        (2 + frame / FPS, replace(start, keypoints=start.keypoints + np.float32([step_px * frame, 0])))
        for frame in range(50)
    ]
    late = (path_before(clip) - path(smooth(clip)))[..., 0]
    assert late.max() / step_px <= 2


def test_keypoint_smoother_keeps_what_does_not_change(film_known, walker):
    clip = film_known([walker(100), walker(300)], 1)
    for people, (_, before) in zip(smooth(clip), clip, strict=True):
        row = np.argsort(before.ids)
        assert np.array_equal(people.keypoints[row], clip[0][1].keypoints[np.argsort(clip[0][1].ids)])
        assert np.array_equal(people.keypoint_scores, before.keypoint_scores)
        assert np.array_equal(people.boxes_xyxy, before.boxes_xyxy)


@given(st.floats(0.1, 10), st.tuples(st.floats(-3000, 3000), st.floats(-3000, 3000)))
def test_keypoint_smoother_commutes_with_scale_and_shift(scale, shift):
    rng = np.random.default_rng(0)
    points = rng.uniform(0, 200, (1, 17, 2)) + rng.normal(0, 4, (12, 17, 2)).cumsum(axis=0)
    one, two = KeypointSmoother(), KeypointSmoother()
    for frame, joints in enumerate(points):
        small, large = (
            replace(People.from_poses(COCO17, joints * factor + offset, np.ones(17)), ids=np.array([7]))
            for factor, offset in ((1, 0), (scale, shift))
        )
        here, there = (s.update(p, frame / 25).keypoints for s, p in ((one, small), (two, large)))
        assert there == pytest.approx(here * scale + np.float32(shift), abs=2e-3 * (scale + 1))


def test_keypoint_smoother_does_not_depend_on_the_order_of_people(film_known, walker):
    clip = film_known([walker(100, speed=50), walker(300, speed=-50), walker(500)], 1, noise=0.01)
    straight = smooth([(time_s, people[np.argsort(people.ids)]) for time_s, people in clip])
    for people, ordered in zip(smooth(clip), straight, strict=True):
        assert np.array_equal(people.keypoints[np.argsort(people.ids)], ordered.keypoints)


def test_keypoint_smoother_goes_by_time_stamps(film_known, walker):
    """A walk with frames missing at random lags as little as the whole; the start time does not matter."""
    speed = HEIGHT_PX
    clip = film_known([walker(100, speed=speed)], 4)
    keep = np.random.default_rng(3).random(len(clip)) < 0.6
    thinned = [pair for pair, kept in zip(clip, keep, strict=True) if kept]
    late = (path_before(thinned) - path(smooth(thinned)))[SETTLED:, 0, 0, 0] / (speed / FPS)
    assert 0.2 < late.mean() < 1.5
    later = [(time_s + 4096, people) for time_s, people in clip]
    assert path(smooth(later)) == pytest.approx(path(smooth(clip)), abs=1e-3)


def test_keypoint_smoother_starts_anew_after_a_gap_of_300_ms(film_known, walker):
    clip = film_known([walker(100)], 1)
    jump = [(time_s + gap_s, replace(people, keypoints=people.keypoints + 50))
            for gap_s in (0.2, 0.5) for time_s, people in film_known([walker(100)], 0.04)]  # fmt: skip
    for (gap_s, people), fresh in zip(jump, (False, True), strict=True):
        after = smooth([*clip, (clip[-1][0] + gap_s, people)])[-1]
        assert np.array_equal(after.keypoints, people.keypoints) == fresh


def test_keypoint_smoother_starts_anew_for_a_joint_that_was_missing(film_known, walker):
    clip = film_known([walker(100)], 2)
    hidden = []
    for frame, (time_s, people) in enumerate(clip):
        scores = people.keypoint_scores.copy()
        points = people.keypoints.copy()
        scores[:, 9] = 0 if 10 <= frame < 12 or 20 <= frame < 35 else 0.8
        points[:, 9] += 100 if frame >= 20 else 0
        hidden.append((time_s, replace(people, keypoints=points, keypoint_scores=scores)))
    result = smooth(hidden)
    scores = np.array([people.keypoint_scores[0, 9] for people in result])
    assert (scores[[10, 11, 20, 34]] == 0).all()
    assert scores[[9, 12, 19, 35]] == pytest.approx(0.8)
    for frame in (10, 35):
        assert np.array_equal(result[frame].keypoints[0, 9], hidden[frame][1].keypoints[0, 9])
    after = path(result)[35:, 0, 9]
    assert np.array_equal(after, path_before(hidden)[35:, 0, 9])


def test_keypoint_smoother_smooths_scores_within_0_and_1(film_known, walker):
    rng = np.random.default_rng(0)
    clip = [(time_s, replace(people, keypoint_scores=np.clip(rng.normal(0.5, 0.2, (1, 17)), 0.01, 1)))
            for time_s, people in film_known([walker(100)], 8)]  # fmt: skip
    before = np.stack([people.keypoint_scores for _, people in clip])
    after = np.stack([people.keypoint_scores for people in smooth(clip)])
    assert after[SETTLED:].std() < 0.5 * before[SETTLED:].std()
    assert ((after > 0) & (after <= 1)).all()
    assert after[SETTLED:].mean() == pytest.approx(0.5, abs=0.03)


def test_keypoint_smoother_goes_by_the_present_size(film_known, walker):
    """Ten times as large, noisy and fast as before: filtered as a person who was always that large."""
    small = film_known([walker(100, height=40.0)], 1)
    large = film_known([walker(100, height=400.0)], 4, noise=0.01)
    grown = [*small, *((time_s + 1, people) for time_s, people in large)]
    before, after = path_before(large)[SETTLED:], path(smooth(grown))[len(small) + SETTLED :]
    assert after.std(axis=0).mean() <= 0.4 * before.std(axis=0).mean()


def test_keypoint_smoother_smooths_boxes_and_keeps_masks(film_known, walker):
    clip = film_known([walker(100)], 4, noise=0.01, size=(280, 320))
    result = smooth(clip)
    before, after = (np.stack([p.boxes_xyxy for p in people]) for people in ([p for _, p in clip], result))
    assert after[SETTLED:].std(axis=0).mean() < 0.5 * before[SETTLED:].std(axis=0).mean()
    assert all(np.array_equal(people.masks, one.masks) for people, (_, one) in zip(result, clip, strict=True))


def test_body_scales_are_about_a_quarter_of_the_height_whatever_is_visible(film, walker):
    people = film([walker(100)], 0.04)[0][0][1]
    assert body_scales(people) == pytest.approx(0.19 * HEIGHT_PX, rel=0.05)
    faces = replace(people, keypoint_scores=(np.arange(17) < 5).astype(float)[None])
    spots = Skeleton("spots", ("one", "two"), (("one", "two"),))
    strange = People.from_poses(spots, [[(0, 0), (60, 120)]], np.ones((1, 2)))
    nothing = People.from_poses(COCO17, np.zeros((1, 17, 2)), np.zeros((1, 17)))
    assert 0.1 * HEIGHT_PX < body_scales(faces)[0] < 0.3 * HEIGHT_PX
    assert 15 < body_scales(strange)[0] < 60
    assert body_scales(nothing) == 1
    assert body_scales(people[:0]).shape == (0,)


def test_keypoint_smoother_rejects_people_without_ids_and_takes_no_people(film, walker):
    people = film([walker(100)], 0.04)[0][0][1]
    with pytest.raises(VideoError, match="pass them through a Tracker first"):
        KeypointSmoother().update(people, 0)
    none = replace(people[:0], ids=np.zeros(0, np.int64))
    assert len(KeypointSmoother().update(none, 0)) == 0


def test_people_tracker_keeps_ids_with_and_without_smoothing(film, walker):
    clip, who = film([walker(160, speed=40), walker(340, speed=-40)], 1, noise=0.01, size=(280, 500))
    tracker, plain = PeopleTracker(), PeopleTracker(smooth=False)
    seen: dict[int, set[int]] = {}
    for (time_s, people), names in zip(clip, who, strict=True):
        smooth, tracked = tracker.update(people, time_s), plain.update(people, time_s)
        assert np.array_equal(tracked.keypoints, people.keypoints)
        assert tracked.ids.tolist() == smooth.ids.tolist()
        assert np.abs(smooth.keypoints - people.keypoints).max() < 0.1 * HEIGHT_PX
        for name, number in zip(names, tracked.ids.tolist(), strict=True):
            seen.setdefault(name, set()).add(number)
    assert {len(ids) for ids in seen.values()} == {1}


def test_people_tracker_smooths_the_person_of_a_moving_photograph():
    data = pytest.importorskip("skimage.data")
    photo = cv2.resize(data.astronaut(), (320, 320), interpolation=cv2.INTER_AREA)
    model = poseg.load("fast", threads=1, max_people=1)
    rng = np.random.default_rng(0)
    smooth, plain = PeopleTracker(), PeopleTracker(smooth=False)
    joints, masks = ([], []), ([], [])
    for frame in range(FRAMES):
        shift = -STEP_PX * frame
        image = cv2.warpAffine(
            photo, np.float64([[1, 0, shift], [0, 1, 0]]), (320, 320), borderMode=cv2.BORDER_REPLICATE
        )
        noisy = np.clip(image + rng.normal(0, 6, image.shape), 0, 255).astype(np.uint8)
        detected = model(noisy)
        for tracker, paths, edges in zip((plain, smooth), joints, masks, strict=True):
            people = tracker.update(detected, frame / 25)
            assert people.ids.tolist() == [0]
            paths.append(people.keypoints[0] - (shift, 0))
            edges.append(np.roll(people.masks[0], -shift, axis=1)[:, : 320 - STEP_PX * FRAMES])
    visible = detected.keypoint_scores[0] > 0.5
    assert visible.sum() >= 5
    shaking = [np.diff(np.stack(paths)[4:, visible], axis=0).std() for paths in joints]
    flicker = [np.mean([np.count_nonzero(a ^ b) for a, b in pairwise(m[4:])]) for m in masks]
    assert shaking[1] < 0.6 * shaking[0]
    assert flicker[1] < 0.7 * flicker[0]
