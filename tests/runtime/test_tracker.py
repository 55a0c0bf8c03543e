from __future__ import annotations

from dataclasses import replace
from itertools import compress

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import VideoError
from poseg.people import People
from poseg.runtime.tracker import Tracker, TrackerConfig, median_motion, update_tracks
from poseg.skeletons import COCO17, LSP14

SIZE = (280, 640)
MEETING_S = 1.5


def track(clip, choices=None):
    tracker = Tracker(choices)
    return [tracker.update(people, time_s) for time_s, people in clip]


def ids_of(tracked, who):
    """The ids that each person got, by their number in the ground truth."""
    given: dict[int, set[int]] = {}
    for people, names in zip(tracked, who, strict=True):
        for name, number in zip(names, people.ids.tolist(), strict=True):
            given.setdefault(name, set()).add(number)
    return given


def rescaled(clip, scale=1.0, shift=(0.0, 0.0)):
    """The clip on images of another size."""
    return [
        (time_s, replace(people, keypoints=people.keypoints * scale + np.float32(shift),
                         boxes_xyxy=people.boxes_xyxy * scale + np.float32([*shift, *shift])))
        for time_s, people in clip
    ]  # fmt: skip


@pytest.fixture
def crossing(film, walker):
    """Two people who walk through each other; the one behind is not detected for some frames around the meeting."""

    def make(seed, lost=6, noise=0.02, heights=(200.0, 184.0), speeds=(110.0, -130.0), fps=25, size=SIZE):
        rng = np.random.default_rng(seed)
        first_lost = int(MEETING_S * fps) - rng.integers(0, lost + 1)
        stray = rng.random((2, 1000)) < 0.03
        return film(
            [walker(320, 40, height, speed, MEETING_S, phase)
             for height, speed, phase in zip(heights, speeds, rng.uniform(0, 6, 2), strict=True)],
            2 * MEETING_S, noise=noise, seed=seed, fps=fps, size=size,
            missed=lambda who, frame: stray[who, frame] or (who == 1 and first_lost <= frame < first_lost + lost),
        )  # fmt: skip

    return make


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("speeds", [(110.0, -130.0), (160.0, 60.0)], ids=["meeting", "overtaking"])
def test_tracker_keeps_ids_of_people_who_cross(crossing, seed, speeds):
    clip, who = crossing(seed, speeds=speeds)
    given = ids_of(track(clip), who)
    assert {len(ids) for ids in given.values()} == {1}
    assert given[0] != given[1]


@pytest.mark.parametrize(
    ("speeds", "min_kept"), [((110.0, -130.0), 9), ((160.0, 60.0), 8)], ids=["meeting", "overtaking"]
)
def test_tracker_without_masks_mostly_keeps_ids(crossing, speeds, min_kept):
    """Without masks a few of 10 pairs part with exchanged ids: noise decides while both overlap."""
    kept = 0
    for seed in range(10):
        clip, who = crossing(seed, speeds=speeds, size=None)
        far = [abs(time_s - MEETING_S) > 0.5 for time_s, _ in clip]
        given = ids_of(compress(track(clip), far), compress(who, far))
        kept += sorted(map(sorted, given.values())) == [[0], [1]]
    assert kept >= min_kept


def test_tracker_needs_velocity_to_find_a_fast_person_again(film, walker):
    """A walk of 2.5 heights a second, not detected for 0.4 s: the track must be moved ahead to match."""
    clip, who = film([walker(50, speed=500.0)], 1.2, missed=lambda who, frame: 12 <= frame < 22)
    assert ids_of(track(clip), who) == {0: {0}}
    tracks = None
    given = set()
    for time_s, people in clip:
        tracks, tracked = update_tracks(tracks, people, time_s, TrackerConfig())
        tracks = replace(tracks, velocities=np.zeros_like(tracks.velocities))
        given |= set(tracked.ids.tolist())
    assert len(given) > 1


def test_tracker_keeps_lost_tracks_for_half_a_second(film, walker):
    for lost, ids in ((11, {0}), (13, {0, 1})):
        clip, who = film([walker(100)], 1.5, missed=lambda who, frame, lost=lost: 10 <= frame < 10 + lost)
        assert ids_of(track(clip), who) == {0: ids}


def test_new_people_get_the_next_id_and_ids_are_never_reused(film, walker):
    clip, who = film(
        [walker(100), walker(300), walker(500)], 2,
        missed=lambda who, frame: (who == 1 and frame < 10) or (who == 2 and not 20 <= frame < 25),
    )  # fmt: skip
    assert ids_of(track(clip), who) == {0: {0}, 1: {1}, 2: {2}}
    gone, _ = film([walker(100)], 2, missed=lambda who, frame: 10 <= frame < 30)
    assert [people.ids.tolist() for people in track(gone)][-1] == [1]


@given(st.integers(0, 10**6))
def test_tracker_ids_do_not_depend_on_the_order_of_people(seed):
    rng = np.random.default_rng(seed)
    tracker, other = Tracker(), Tracker()
    points = rng.uniform(0, 400, (4, 1, 2)) + rng.normal(0, 20, (4, 17, 2))
    for frame in range(5):
        points = points + rng.normal(0, 3, points.shape)
        people = People.from_poses(COCO17, points, np.ones((4, 17)), scores=rng.uniform(0.4, 1, 4))
        order = rng.permutation(4)
        ids = tracker.update(people, frame / 25).ids
        assert (other.update(people[order], frame / 25).ids == ids[order]).all()


@pytest.mark.parametrize(("scale", "shift"), [(0.25, (0, 0)), (4.0, (0, 0)), (1.0, (-900, 350)), (2.0, (31.5, -7))])
def test_tracker_ids_do_not_depend_on_scale_and_position(crossing, scale, shift):
    for seed in range(3):
        clip, _ = crossing(seed, size=None)
        ids = [people.ids.tolist() for people in track(clip)]
        assert [people.ids.tolist() for people in track(rescaled(clip, scale, shift))] == ids


def test_tracker_ids_do_not_depend_on_the_start_time(crossing):
    clip, _ = crossing(3, size=None)
    later = [(time_s + 4096, people) for time_s, people in clip]
    assert [p.ids.tolist() for p in track(later)] == [p.ids.tolist() for p in track(clip)]


@pytest.mark.parametrize("fps", [10, 15, 60])
def test_tracker_works_at_10_to_60_frames_a_second(crossing, fps):
    for seed in range(2):
        clip, who = crossing(seed, fps=fps, lost=max(2, round(0.24 * fps)))
        given = ids_of(track(clip), who)
        assert {len(ids) for ids in given.values()} == {1}
        assert given[0] != given[1]


def test_tracker_takes_frames_at_uneven_times(film, walker):
    clip, who = film([walker(100, speed=100), walker(500, speed=-60)], 2)
    rng = np.random.default_rng(1)
    keep = rng.random(len(clip)) < 0.5
    thinned = [pair for pair, kept in zip(clip, keep, strict=True) if kept]
    names = [name for name, kept in zip(who, keep, strict=True) if kept]
    assert {len(ids) for ids in ids_of(track(thinned), names).values()} == {1}


def test_update_tracks_does_not_change_its_arguments(film, walker):
    clip, _ = film([walker(100, speed=50), walker(300)], 0.4)
    tracks = None
    for time_s, people in clip:
        last, (tracks, _) = tracks, update_tracks(tracks, people, time_s, TrackerConfig())
    again = [update_tracks(last, clip[-1][1], clip[-1][0], TrackerConfig()) for _ in range(2)]
    for one, tracked in again:
        assert (one.people.keypoints == tracks.people.keypoints).all()
        assert (one.velocities == tracks.velocities).all()
        assert one.next_id == tracks.next_id
        assert tracked.ids.tolist() == again[0][1].ids.tolist()


def test_track_velocity_ignores_swinging_limbs(film, walker):
    clip, _ = film([walker(100, speed=120)], 1, noise=0.01)
    tracker = Tracker()
    for time_s, people in clip:
        tracker.update(people, time_s)
    assert tracker.tracks.velocities[0] == pytest.approx((120, 0), abs=12)


def test_median_motion_uses_the_box_where_there_are_too_few_joints():
    points = np.tile(np.float32([50, 60]), (1, 17, 1))
    scores = np.ones((1, 17))
    scores[0, 2:] = 0
    one = replace(People.from_poses(COCO17, points, scores), boxes_xyxy=[(10, 10, 30, 50)])
    two = replace(one, boxes_xyxy=[(15, 8, 35, 48)])
    assert median_motion(one, two).tolist() == [[5, -2]]
    assert median_motion(one[:0], two[:0]).shape == (0, 2)


def test_tracker_uses_boxes_for_people_with_few_joints(film, walker):
    clip, who = film([walker(100, speed=40), walker(400, speed=-40)], 1)
    few = np.zeros((2, 17), np.float32)
    few[:, :2] = 1
    faces = [(time_s, replace(people, keypoint_scores=few)) for time_s, people in clip]
    assert sorted(map(sorted, ids_of(track(faces), who).values())) == [[0], [1]]


def test_tracker_takes_empty_frames_and_masks_of_changing_sizes(film, walker):
    clip, who = film([walker(100), walker(300)], 0.4, size=SIZE)
    odd = [(t, replace(people, masks=None) if n % 3 == 0 else people) for n, (t, people) in enumerate(clip)]
    odd[4] = (odd[4][0], People.empty(COCO17, (99, 50)))
    odd[5] = (odd[5][0], People.empty(COCO17))
    odd[6] = (odd[6][0], replace(odd[6][1], masks=np.zeros((2, 400, 20), bool)))
    names = [[] if n in (4, 5) else one for n, one in enumerate(who)]
    assert sorted(map(sorted, ids_of(track(odd), names).values())) == [[0], [1]]
    assert track([(0.0, People.empty(COCO17))])[0].ids.shape == (0,)


def test_tracker_takes_a_skeleton_without_sigmas(film, walker):
    own = replace(COCO17, name="own", sigmas=())
    clip, who = film([walker(100, speed=80), walker(400, speed=-80)], 1)
    renamed = [(time_s, replace(people, skeleton=own)) for time_s, people in clip]
    assert sorted(map(sorted, ids_of(track(renamed), who).values())) == [[0], [1]]


def test_tracker_rejects_time_that_runs_backwards_and_another_skeleton(film, walker):
    tracker = Tracker()
    people = film([walker(100)], 0.04)[0][0][1]
    tracker.update(people, 1.0)
    tracker.update(people, 1.0)
    for time_s in (0.9, float("nan")):
        with pytest.raises(VideoError, match=r"comes after one at 1\.000 s"):
            tracker.update(people, time_s)
    with pytest.raises(VideoError, match="lsp14 come after people on coco17"):
        tracker.update(people.remap_to(LSP14), 2.0)
