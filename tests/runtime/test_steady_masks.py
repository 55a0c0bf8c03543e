from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from poseg.errors import VideoError
from poseg.geometry.rle import tight_boxes
from poseg.runtime.body_scale import body_scales
from poseg.runtime.steady_masks import Blending, MaskSteadier, majority, moved_mask

SIZE = (280, 640)


def steadied(clip, choices=None):
    steadier = MaskSteadier(choices or Blending())
    return [steadier.update(people, time_s) for time_s, people in clip]


def flickering(clip, seed=0, by_px=1.5):
    """Masks whose edges wave by some pixels, another way in every frame."""
    rng = np.random.default_rng(seed)
    made = []
    for time_s, people in clip:
        wave = cv2.GaussianBlur(rng.normal(0, 1, (2, *SIZE)).astype(np.float32).transpose(1, 2, 0), (0, 0), 6)
        y, x = np.mgrid[: SIZE[0], : SIZE[1]].astype(np.float32)
        dx, dy = (by_px * wave / wave.std()).transpose(2, 0, 1)
        masks = [cv2.remap(mask.astype(np.uint8), x + dx, y + dy, cv2.INTER_NEAREST) > 0 for mask in people.masks]
        made.append((time_s, replace(people, masks=np.stack(masks))))
    return made


def changes(masks):
    return np.mean([np.count_nonzero(a ^ b) for a, b in pairwise(masks[5:])])


def misses(masks, truth):
    return np.mean([np.count_nonzero(a ^ b) for a, b in zip(masks[5:], truth[5:], strict=True)])


def stack(clip):
    return [people.masks[0] for _, people in clip]


def test_the_edge_of_who_stands_flickers_less_than_half_and_is_nearer_to_the_truth(film_known, walker):
    truth = film_known([walker(200)], 1.6, size=SIZE)
    shaky = flickering(truth)
    steady = [people.masks[0] for people in steadied(shaky)]
    assert changes(steady) < 0.5 * changes(stack(shaky))
    assert misses(steady, stack(truth)) < 0.75 * misses(stack(shaky), stack(truth))


@pytest.mark.parametrize("speed", [50.0, 200.0, 400.0])
def test_who_moves_leaves_no_trail(film_known, walker, speed):
    """With clean masks: arms and legs swing, and yet nothing stays behind but a seam as thin as the band."""
    clip = film_known([walker(120, speed=speed)], 1, noise=0.005, size=SIZE)
    radius = round(Blending().band * float(body_scales(clip[0][1])[0]))
    kernel = np.ones((2 * radius + 3, 2 * radius + 3), np.uint8)
    for people, (_, before) in zip(steadied(clip), clip, strict=True):
        present = before.masks[0].astype(np.uint8)
        grown, shrunk = cv2.dilate(present, kernel) > 0, cv2.erode(present, kernel) > 0
        assert not (people.masks[0] & ~grown).any()
        assert not (shrunk & ~people.masks[0]).any()
        union = np.count_nonzero(people.masks[0] | before.masks[0])
        assert np.count_nonzero(people.masks[0] & before.masks[0]) / union > 0.9


def test_who_steps_in_front_covers_at_once(film_known, walker):
    clip = film_known([walker(200)], 0.6, size=SIZE)
    covered = [(t, p if frame < 10 else replace(p, masks=np.asarray(p.masks) & (np.arange(SIZE[1]) < 200)))
               for frame, (t, p) in enumerate(clip)]  # fmt: skip
    far = 200 + 2 + round(Blending().band * float(body_scales(clip[0][1])[0]))
    assert not steadied(covered)[10].masks[0][:, far:].any()


def test_what_does_not_change_stays_as_it_is(film_known, walker):
    clip = film_known([walker(5), walker(300)], 0.4, size=SIZE)  # one is cut by the picture's edge
    for people, (_, before) in zip(steadied(clip), clip, strict=True):
        assert np.array_equal(people.masks, before.masks)
        assert np.array_equal(people.boxes_xyxy, tight_boxes(np.asarray(before.masks)))


def test_a_new_person_and_one_who_was_away_begin_anew(film_known, walker):
    clip = film_known([walker(200)], 0.4, size=SIZE)
    other = moved_mask(clip[0][1].masks[0], np.float32([3, 0]))
    for gap_s, fresh in ((0.04, False), (0.4, True)):
        late = replace(clip[-1][1], masks=other[None])
        assert np.array_equal(steadied([*clip, (clip[-1][0] + gap_s, late)])[-1].masks[0], other) == fresh


def test_masks_nobody_knows_and_other_sizes(film_known, walker):
    clip = film_known([walker(200), walker(400)], 0.3, size=SIZE)
    blank = [(t, replace(p, masks=np.zeros_like(p.masks)) if n == 3 else p) for n, (t, p) in enumerate(clip)]
    result = steadied(blank)
    assert not np.asarray(result[3].masks).any()
    assert np.array_equal(result[3].boxes_xyxy, clip[3][1].boxes_xyxy)
    assert np.array_equal(result[4].masks, clip[4][1].masks)
    small = replace(clip[0][1], masks=np.ones((2, 20, 30), bool))
    assert steadied([clip[0], (0.04, small)])[-1].masks.all()
    assert steadied([(0, replace(clip[0][1], masks=None))])[0].masks is None


def test_people_without_ids_are_refused(film, walker):
    people = film([walker(100)], 0.04, size=SIZE)[0][0][1]
    with pytest.raises(VideoError, match="Tracker"):
        MaskSteadier().update(people, 0)


def test_the_majority_of_five_is_steadier_and_does_not_know_the_direction_of_time(film_known, walker):
    truth = film_known([walker(200)], 1.6, size=SIZE)
    shaky = stack(flickering(truth))
    scale = float(body_scales(truth[0][1])[0])
    still = np.zeros(2, np.float32)
    voted = []
    for at in range(2, len(shaky) - 2):
        others = [(shaky[at + step], still) for step in (-2, -1, 1, 2)]
        voted.append(majority(shaky[at], others, scale))
        assert np.array_equal(voted[-1], majority(shaky[at], others[::-1], scale))
    assert changes(voted) < 0.6 * changes(shaky)
    assert misses(voted, stack(truth)[2:-2]) < 0.75 * misses(shaky, stack(truth))


def test_the_majority_follows_who_moved_and_is_silent_where_nothing_is_known(film_known, walker):
    mask = stack(film_known([walker(200)], 0.04, size=SIZE))[0]
    shift = np.float32([17, -9])
    others = [(moved_mask(mask, -shift), shift), (moved_mask(mask, shift), -shift)]
    assert np.array_equal(majority(mask, others, 38.0), mask)
    away = [(mask, np.float32([5000, 0])), (mask, np.float32([-5000, 0]))]
    assert np.array_equal(majority(mask, away, 38.0), mask)
    assert not majority(np.zeros((9, 9), bool), [(np.ones((9, 9), bool), shift)] * 2, 3.0).any()
