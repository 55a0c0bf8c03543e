from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import cv2
import numpy as np
import pytest

from poseg.errors import VideoError
from poseg.geometry.masks import Masks
from poseg.geometry.rle import tight_boxes
from poseg.runtime.mask_smoothing import (
    MaskSmoother,
    MaskSmootherConfig,
    majority_vote,
    mask_crops,
    masks_from_crops,
    vote_margin,
)
from poseg.runtime.tracker import body_scales

SIZE = (280, 640)


def smooth(clip):
    smoother = MaskSmoother()
    return [smoother.update(people, time_s) for time_s, people in clip]


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


def shifted(mask, shift):
    """A mask (H, W) bool moved by whole pixels, empty where it comes from outside."""
    onto = np.float64([[1, 0, shift[0]], [0, 1, shift[1]]])
    return cv2.warpAffine(mask.astype(np.uint8), onto, mask.shape[::-1]) > 0


def vote(present, others, scale_px):
    """`majority_vote` on masks (H, W) bool."""
    margin = vote_margin(scale_px)
    masks = Masks.from_full(np.stack([present, *(mask for mask, _ in others)]))
    first, *rest = mask_crops(masks, [margin] * len(masks))
    pairs = [(mask, shift) for mask, (_, shift) in zip(rest, others, strict=True)]
    return masks_from_crops([majority_vote(first, pairs, scale_px)], masks.size).full(0)


def test_mask_smoother_halves_flicker_and_reduces_errors_of_a_standing_person(film_known, walker):
    truth = film_known([walker(200)], 1.6, size=SIZE)
    shaky = flickering(truth)
    steady = [people.masks[0] for people in smooth(shaky)]
    assert changes(steady) < 0.5 * changes(stack(shaky))
    assert misses(steady, stack(truth)) < 0.75 * misses(stack(shaky), stack(truth))


@pytest.mark.parametrize("speed", [50.0, 200.0, 400.0])
def test_mask_smoother_leaves_no_trail_behind_a_moving_person(film_known, walker, speed):
    """With clean masks: arms and legs swing, and yet nothing stays behind outside of the band."""
    clip = film_known([walker(120, speed=speed)], 1, noise=0.005, size=SIZE)
    radius = round(MaskSmootherConfig().band * float(body_scales(clip[0][1])[0]))
    kernel = np.ones((2 * radius + 3, 2 * radius + 3), np.uint8)
    for people, (_, before) in zip(smooth(clip), clip, strict=True):
        present = before.masks[0].astype(np.uint8)
        grown, shrunk = cv2.dilate(present, kernel) > 0, cv2.erode(present, kernel) > 0
        assert not (people.masks[0] & ~grown).any()
        assert not (shrunk & ~people.masks[0]).any()
        union = np.count_nonzero(people.masks[0] | before.masks[0])
        assert np.count_nonzero(people.masks[0] & before.masks[0]) / union > 0.9


def test_mask_smoother_follows_occlusion_at_once(film_known, walker):
    clip = film_known([walker(200)], 0.6, size=SIZE)
    covered = [(t, p if frame < 10 else replace(p, masks=np.asarray(p.masks) & (np.arange(SIZE[1]) < 200)))
               for frame, (t, p) in enumerate(clip)]  # fmt: skip
    far = 200 + 2 + round(MaskSmootherConfig().band * float(body_scales(clip[0][1])[0]))
    assert not smooth(covered)[10].masks[0][:, far:].any()


def test_mask_smoother_keeps_masks_that_do_not_change(film_known, walker):
    clip = film_known([walker(5), walker(300)], 0.4, size=SIZE)  # one is cut off by the image's edge
    for people, (_, before) in zip(smooth(clip), clip, strict=True):
        assert np.array_equal(people.masks, before.masks)
        assert np.array_equal(people.boxes_xyxy, tight_boxes(np.asarray(before.masks)))


def test_mask_smoother_starts_anew_after_a_gap(film_known, walker):
    clip = film_known([walker(200)], 0.4, size=SIZE)
    other = shifted(clip[0][1].masks[0], (3, 0))
    for gap_s, fresh in ((0.04, False), (0.4, True)):
        late = replace(clip[-1][1], masks=other[None])
        assert np.array_equal(smooth([*clip, (clip[-1][0] + gap_s, late)])[-1].masks[0], other) == fresh


def test_mask_smoother_takes_empty_masks_and_other_sizes(film_known, walker):
    clip = film_known([walker(200), walker(400)], 0.3, size=SIZE)
    blank = [(t, replace(p, masks=np.zeros_like(p.masks)) if n == 3 else p) for n, (t, p) in enumerate(clip)]
    result = smooth(blank)
    assert not np.asarray(result[3].masks).any()
    assert np.array_equal(result[3].boxes_xyxy, clip[3][1].boxes_xyxy)
    assert np.array_equal(result[4].masks, clip[4][1].masks)
    small = replace(clip[0][1], masks=np.ones((2, 20, 30), bool))
    assert np.asarray(smooth([clip[0], (0.04, small)])[-1].masks).all()
    assert smooth([(0, replace(clip[0][1], masks=None))])[0].masks is None


def test_mask_smoother_rejects_people_without_ids(film, walker):
    people = film([walker(100)], 0.04, size=SIZE)[0][0][1]
    with pytest.raises(VideoError, match="Tracker"):
        MaskSmoother().update(people, 0)


def test_majority_vote_of_five_flickers_less_and_is_symmetric_in_time(film_known, walker):
    truth = film_known([walker(200)], 1.6, size=SIZE)
    shaky = stack(flickering(truth))
    scale = float(body_scales(truth[0][1])[0])
    still = np.zeros(2, np.float32)
    voted = []
    for at in range(2, len(shaky) - 2):
        others = [(shaky[at + step], still) for step in (-2, -1, 1, 2)]
        voted.append(vote(shaky[at], others, scale))
        assert np.array_equal(voted[-1], vote(shaky[at], others[::-1], scale))
    assert changes(voted) < 0.6 * changes(shaky)
    assert misses(voted, stack(truth)[2:-2]) < 0.75 * misses(shaky, stack(truth))


def test_majority_vote_follows_motion_and_ignores_masks_far_away(film_known, walker):
    mask = stack(film_known([walker(200)], 0.04, size=SIZE))[0]
    shift = np.float32([17, -9])
    others = [(shifted(mask, -shift), shift), (shifted(mask, shift), -shift)]
    assert np.array_equal(vote(mask, others, 38.0), mask)
    away = [(mask, np.float32([5000, 0])), (mask, np.float32([-5000, 0]))]
    assert np.array_equal(vote(mask, away, 38.0), mask)
