from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import VideoError
from poseg.people import People
from poseg.runtime.offline_smoothing import OfflineConfig, PackedClip, smooth_offline
from poseg.skeletons import COCO17

HEIGHT_PX = 200.0
SIZE = (280, 420)


def joints(clip, person=0):
    """(F, 17, 2) of one person; NaN in frames without them."""
    rows = [people.keypoints[people.ids == person] for _, people in clip]
    return np.stack([row[0] if len(row) else np.full((17, 2), np.nan, np.float32) for row in rows])


def without(clip, frames, person=0):
    """The clip with a person taken out of some frames."""
    return [
        (time_s, people[people.ids != person] if frame in frames else people)
        for frame, (time_s, people) in enumerate(clip)
    ]


def reversed_in_time(clip):
    end_s = clip[-1][0]
    return [(end_s - time_s, people) for time_s, people in clip[::-1]]


def assert_equal_clips(one, other, abs=1e-3):
    for (_, a), (_, b) in zip(one, other, strict=True):
        assert a.ids.tolist() == b.ids.tolist()
        for name in ("keypoints", "keypoint_scores", "scores", "boxes_xyxy"):
            assert getattr(a, name) == pytest.approx(getattr(b, name), abs=abs)
        assert (a.masks is None) == (b.masks is None)
        assert a.masks is None or np.array_equal(a.masks, b.masks)


def test_smooth_offline_reduces_jitter_by_40_percent_without_lag(film_known, walker):
    """A parabola through 9 frames leaves half of white noise, and follows a steady walk without any lag."""
    for speed in (0.0, HEIGHT_PX):
        truth = joints(film_known([walker(100, speed=speed)], 4))
        noisy = film_known([walker(100, speed=speed)], 4, noise=0.01)
        late = (joints(smooth_offline(noisy)) - truth)[5:-5]
        before = (joints(noisy) - truth)[5:-5]
        assert late.std(axis=0).mean() < 0.6 * before.std(axis=0).mean()
        assert abs(late.mean()) < 0.05 * HEIGHT_PX / 25


def test_smooth_offline_is_nearer_to_a_walker_than_the_online_filter(film_known, walker):
    from poseg.runtime.people_tracker import KeypointSmoother

    truth = joints(film_known([walker(100, speed=150)], 4))
    noisy = film_known([walker(100, speed=150)], 4, noise=0.01)
    smoother = KeypointSmoother()
    online = [(time_s, smoother.update(people, time_s)) for time_s, people in noisy]
    error, live = (np.abs(joints(clip) - truth)[10:].mean() for clip in (smooth_offline(noisy), online))
    assert error < 0.5 * live


@given(st.integers(0, 10**6))
def test_smooth_offline_commutes_with_reversing_time(seed):
    rng = np.random.default_rng(seed)
    times_s = np.cumsum(rng.choice([0.03, 0.04, 0.05], 30)) - 0.03
    paths = rng.uniform(0, 300, (3, 1, 17, 2)) + rng.normal(0, 3, (3, 30, 17, 2)).cumsum(axis=1)
    clip = []
    for frame, time_s in enumerate(times_s):
        there = np.flatnonzero(rng.random(3) < 0.8)
        scores = rng.uniform(0.1, 1, (len(there), 17)) * (rng.random((len(there), 17)) < 0.9)
        clip.append((float(time_s), replace(People.from_poses(COCO17, paths[there, frame], scores), ids=there)))
    assert_equal_clips(smooth_offline(reversed_in_time(clip)), reversed_in_time(list(smooth_offline(clip))))


def test_smooth_offline_commutes_with_reversing_time_in_masks(film_known, walker):
    clip = without(film_known([walker(150, speed=60), walker(300, speed=-60)], 1, noise=0.01, size=SIZE), {7, 8, 9, 15})
    assert_equal_clips(smooth_offline(reversed_in_time(clip)), reversed_in_time(list(smooth_offline(clip))))


def test_smooth_offline_keeps_what_does_not_change(film_known, walker):
    clip = film_known([walker(100), walker(300)], 1, size=SIZE)
    ordered = [(time_s, people[np.argsort(people.ids)]) for time_s, people in clip]
    assert_equal_clips(smooth_offline(clip), ordered)


def test_smooth_offline_commutes_with_scale_and_order_of_people(film_known, walker):
    clip = film_known([walker(100, speed=50), walker(300)], 1, noise=0.01)
    large = [(t, replace(p, keypoints=p.keypoints * 3 + 7, boxes_xyxy=p.boxes_xyxy * 3 + 7)) for t, p in clip]
    reordered = [(time_s, people[::-1]) for time_s, people in clip]
    assert joints(smooth_offline(large)) == pytest.approx(joints(smooth_offline(clip)) * 3 + 7, abs=1e-2)
    assert_equal_clips(smooth_offline(reordered), smooth_offline(clip))


def test_smooth_offline_fills_gaps_of_up_to_300_ms(film_known, walker):
    whole = film_known([walker(100, speed=100)], 2)
    short, long = without(whole, range(20, 26)), without(whole, range(20, 27))
    filled = joints(smooth_offline(short))
    assert filled == pytest.approx(joints(whole), abs=0.1 * HEIGHT_PX)
    torso = [5, 6, 11, 12]
    assert filled[:, torso] == pytest.approx(joints(whole)[:, torso], abs=1)
    left_out = np.isnan(joints(smooth_offline(long)))[:, 0, 0]
    assert np.flatnonzero(left_out).tolist() == list(range(20, 27))


def test_smooth_offline_fills_gaps_of_single_joints(film_known, walker):
    clip = film_known([walker(100, speed=100)], 2)
    scores = np.ones((50, 17), np.float32)
    scores[10:14, 9] = scores[25:40, 9] = scores[:3, 5] = 0
    holes = [
        (time_s, replace(people, keypoint_scores=row[None])) for (time_s, people), row in zip(clip, scores, strict=True)
    ]
    visible = np.stack([people.keypoint_scores[0] > 0 for _, people in smooth_offline(holes)])
    expected = scores > 0
    expected[10:14, 9] = True
    assert np.array_equal(visible, expected)


def test_smooth_offline_fills_masks_in_a_gap(film_known, walker):
    whole = film_known([walker(120, speed=60)], 1, size=SIZE)
    still = [(t, replace(p, keypoints=p.keypoints, masks=p.masks)) for t, p in whole]
    smoothed = smooth_offline(without(still, range(10, 15)))
    for frame in range(10, 15):
        mask, truth = smoothed[frame][1].masks[0], whole[frame][1].masks[0]
        assert np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth) > 0.6
    before = without(whole, range(10, 15))[11][1].masks
    assert before.shape[0] == 0


def test_smooth_offline_drops_tracks_of_fewer_than_3_frames_unless_the_clip_is_that_short(film_known, walker):
    clip = film_known([walker(100), walker(300)], 1, missed=lambda who, frame: who == 1 and frame not in (5, 6))
    assert {int(i) for _, people in smooth_offline(clip) for i in people.ids} == {0}
    three = film_known([walker(100), walker(300)], 1, missed=lambda who, frame: who == 1 and frame not in (5, 6, 9))
    seen = [frame for frame, (_, people) in enumerate(smooth_offline(three)) if 1 in people.ids]
    assert seen == [5, 6, 7, 8, 9]
    assert [len(people) for _, people in smooth_offline(clip[5:7])] == [2, 2]
    assert len(smooth_offline([])) == 0


def test_smooth_offline_keeps_a_parabola_at_uneven_times(film_known, walker):
    """On a parabola nothing changes, however the frames lie on it; by frame numbers it would."""
    rng = np.random.default_rng(0)
    times_s = np.cumsum(rng.choice([0.02, 0.04, 0.06], 60))
    start = film_known([walker(100)], 0.04)[0][1]
    path = 300 * (times_s - times_s.mean())
    clip = [
        (float(t), replace(start, keypoints=start.keypoints + np.float32([x, 0])))
        for t, x in zip(times_s, path, strict=True)
    ]
    assert joints(smooth_offline(clip)) == pytest.approx(joints(clip), abs=0.05)


def test_packed_clip_gives_the_frames_back(film_known, walker):
    clip = without(film_known([walker(100, speed=60), walker(300)], 1, noise=0.01, size=SIZE), {4, 5})
    clip[9] = (clip[9][0], clip[9][1][:0])
    packed = PackedClip()
    for time_s, people in clip:
        packed.append(time_s, people)
    for (time_s, people), (now_s, unpacked) in zip(clip, packed, strict=True):
        assert time_s == now_s
        assert np.array_equal(unpacked.keypoints, people.keypoints)
        assert (unpacked.masks is None and not len(people)) or np.array_equal(unpacked.masks, people.masks)
    assert all(people.masks is None for _, people in packed.poses)
    assert_equal_clips(smooth_offline(packed), smooth_offline(clip))
    assert smooth_offline(packed)[-1][0] == clip[-1][0]


def test_smooth_offline_takes_low_scores_and_short_tracks(film_known, walker):
    clip = film_known([walker(100, speed=30)], 0.2, noise=0.02)
    rng = np.random.default_rng(1)
    shaky = [(t, replace(p, keypoint_scores=rng.choice([0.01, 1], (1, 17)))) for t, p in clip]
    for _, people in smooth_offline(shaky):
        assert ((people.keypoint_scores > 0) & (people.keypoint_scores <= 1)).all()
    for frames in (1, 2, 3):
        assert joints(smooth_offline(clip[:frames])) == pytest.approx(joints(clip[:frames]), abs=1e-3)


def test_smooth_offline_rejects_bad_clips(film, film_known, walker):
    clip = film_known([walker(100)], 0.4)
    with pytest.raises(VideoError, match="pass them through a Tracker first"):
        smooth_offline(film([walker(100)], 0.2)[0])
    with pytest.raises(VideoError, match=r"Frame 3 at 0\.040 s does not come after"):
        smooth_offline([*clip[:3], clip[1]])
    with pytest.raises(VideoError, match="two people of one frame"):
        smooth_offline([(0.0, replace(clip[0][1][[0, 0]], ids=np.zeros(2, np.int64)))])
    for window, order in ((8, 2), (3, 4)):
        with pytest.raises(VideoError, match="odd number"):
            OfflineConfig(window=window, order=order)
