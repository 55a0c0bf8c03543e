"""Where frames are far apart or few, all people keep their ids and are in every frame."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseg.runtime.offline_smoothing import smooth_offline
from poseg.runtime.people_tracker import PeopleTracker
from poseg.runtime.tracker import Tracker
from poseg.runtime.tracklets import is_glimpse

FRAMES = 12


def tracked(clip, tracker=None):
    tracker = tracker or Tracker()
    return [(time_s, tracker.update(people, time_s)) for time_s, people in clip]


def in_time(clip, times_s):
    """The people of a clip, at other times."""
    return [(float(time_s), people) for time_s, (_, people) in zip(times_s, clip, strict=True)]


@pytest.fixture
def standing(film, walker):
    """Three people who stand beside each other, from farthest left to right."""

    def make(fps, frames=FRAMES, **options):
        return film([walker(100), walker(220), walker(400)], frames / fps, fps=fps, noise=0.01, **options)

    return make


@pytest.mark.parametrize("fps", [0.02, 0.2, 1, 2, 5])
@pytest.mark.parametrize("size", [None, (280, 640)], ids=["joints", "masks"])
def test_people_who_stand_keep_their_ids_at_any_frame_rate(standing, fps, size):
    clip, _ = standing(fps, size=size)
    people = tracked(clip)
    first = dict(zip(people[0][1].ids.tolist(), people[0][1].boxes_xyxy[:, 0], strict=True))
    for _, frame in people:
        assert sorted(frame.ids.tolist()) == [0, 1, 2]
        for row, number in enumerate(frame.ids.tolist()):
            assert frame.boxes_xyxy[row, 0] == pytest.approx(first[number], abs=20)


@pytest.mark.parametrize("fps", [0.2, 1, 4])
@pytest.mark.parametrize("frames", [1, 2, 3, FRAMES])
def test_no_person_is_dropped_or_added(standing, fps, frames):
    clip, _ = standing(fps, frames)
    for smooth in (True, False):
        online = tracked(clip, PeopleTracker(smooth=smooth))
        assert [len(people) for _, people in online] == [3] * frames
    assert [sorted(people.ids.tolist()) for _, people in smooth_offline(tracked(clip))] == [[0, 1, 2]] * frames


def test_offline_keeps_people_whose_id_changes_from_one_slow_frame_to_the_next(standing):
    clip, _ = standing(1)
    renumbered = [
        (time_s, replace(people, ids=np.arange(3) + 3 * frame)) for frame, (time_s, people) in enumerate(clip)
    ]
    assert [len(people) for _, people in smooth_offline(renumbered)] == [3] * FRAMES


def test_a_person_who_walks_through_slow_frames_keeps_their_id(film, walker):
    clip, _ = film([walker(300, speed=70)], 8, fps=1)
    assert {number for _, people in tracked(clip) for number in people.ids.tolist()} == {0}


def test_a_lost_person_is_waited_for_in_frames(standing):
    for lost, ids in ((1, {0, 1, 2}), (3, {0, 1, 2, 3})):
        clip, _ = standing(1, missed=lambda who, frame, lost=lost: who == 1 and 4 <= frame < 4 + lost)
        assert {number for _, people in tracked(clip) for number in people.ids.tolist()} == ids


def test_how_far_apart_slow_frames_are_does_not_matter(standing):
    clip, _ = standing(1)
    rng = np.random.default_rng(0)
    uneven = in_time(clip, np.cumsum(rng.uniform(0.25, 20, FRAMES)))
    for (_, one), (_, other) in zip(tracked(clip), tracked(uneven), strict=True):
        np.testing.assert_array_equal(one.ids, other.ids)


def test_a_pause_between_fast_frames_ends_no_track(standing):
    clip, _ = standing(25)
    times_s = np.arange(FRAMES) / 25 + 30.0 * (np.arange(FRAMES) >= 6)
    assert {number for _, people in tracked(in_time(clip, times_s)) for number in people.ids.tolist()} == {0, 1, 2}


@pytest.mark.parametrize(
    ("fps", "frames", "expected"),
    [(25, 99, 3), (15, 99, 3), (10, 99, 2), (5, 99, 1), (0.1, 99, 1), (25, 1, 1), (25, 2, 1), (25, 5, 2), (25, 6, 3)],
)  # fmt: skip
def test_a_glimpse_is_shorter_where_frames_are_long_or_few(fps, frames, expected):
    times_s = [frame / fps for frame in range(frames)]
    for count in range(1, min(4, frames) + 1):
        assert is_glimpse(list(range(count)), times_s) == (count < expected)


def test_a_glimpse_is_short_by_the_frames_around_it():
    """Frames at 25 a second, but the sixth comes after a pause and is followed by one."""
    times_s = np.arange(12) / 25 + 5.0 * (np.arange(12) >= 5) + 5.0 * (np.arange(12) >= 6)
    assert [is_glimpse([frame], times_s) for frame in range(12)] == [frame != 5 for frame in range(12)]
