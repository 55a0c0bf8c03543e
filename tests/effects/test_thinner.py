from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from poseg.datasets.synthetic_people import render_scene
from poseg.effects.body import bodies, depth_order
from poseg.effects.displacement import torso_frame, torso_width_warp
from poseg.effects.matte import Mattes
from poseg.effects.reshape import fill_ring
from poseg.effects.thinner import Taller, Thinner, Wider
from poseg.errors import EffectError
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (240, 240)
seeds = st.integers(0, 10_000)
effects = st.sampled_from([Thinner(), Thinner(factor=0.65), Wider(), Wider(factor=1.3)])
GROUND, SHIRT = 40, 210


def scene(seed, people=1, size=SIZE):
    return render_scene(np.random.default_rng(seed), size, people)


def figure(half_width=30, shift=(0, 0), size=(420, 320)):
    """A standing person in one colour on another: head, a torso of a given width, legs."""
    centre = 160 + shift[0]
    places = {"nose": (0, 66), "left_eye": (6, 60), "right_eye": (-6, 60), "left_ear": (14, 63),
              "right_ear": (-14, 63), "left_shoulder": (36, 110), "right_shoulder": (-36, 110), "left_hip": (20, 230),
              "right_hip": (-20, 230), "left_knee": (18, 305), "right_knee": (-18, 305), "left_ankle": (18, 375),
              "right_ankle": (-18, 375)}  # fmt: skip
    points = np.zeros((1, 17, 2))
    for name, (x, y) in places.items():
        points[0, COCO17.index(name)] = (centre + x, y + shift[1])
    mask = np.zeros(size, np.uint8)
    cv2.circle(mask, (centre, 63 + shift[1]), 24, 1, -1)
    for low, high, half in ((80, 110, 10), (100, 240, half_width), (240, 385, half_width)):
        mask[low + shift[1] : high + shift[1], centre - half : centre + half] = 1
    people = People.from_poses(COCO17, points, (points > 0).all(axis=2), masks=mask[None].astype(bool))
    image = np.where(mask[..., None] > 0, SHIRT, GROUND).astype(np.uint8)
    return np.repeat(image, 3, axis=2), people


def width(image, rows):
    """Widths of the figure in pixels, to a fraction of one."""
    return ((image[rows, :, 1].astype(float) - GROUND) / (SHIRT - GROUND)).sum(axis=1)


@settings(max_examples=15)
@given(st.sampled_from([Thinner(factor=0.65), Thinner(factor=0.8), Thinner(), Wider(), Wider(factor=1.1)]),
       st.integers(22, 44), st.floats(0.3, 1))  # fmt: skip
def test_torso_width_changes_by_the_scale_within_two_percent(effect, half_width, strength):
    effect = replace(effect, strength=strength)
    image, people = figure(half_width)
    rows = slice(190, 235)
    ratio = width(effect(image, people), rows) / width(image, rows)
    assert np.abs(ratio / effect.scale - 1).max() < 0.02


@settings(max_examples=12)
@given(seeds, effects, st.integers(1, 3))
def test_reshaping_keeps_the_head_disc_bit_for_bit(seed, effect, people):
    sample = scene(seed, people)
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    for person, body in enumerate(bodies(sample.people)):
        out = replace(effect, person=person)(sample.image, sample.people)
        if body.head is None or torso_frame(body) is None:
            continue
        disc = np.hypot(x - body.head.centre[0], y - body.head.centre[1]) <= body.head.inner_radius_px
        assert np.array_equal(out[disc], sample.image[disc])


@given(seeds, st.floats(0.6, 1.3))
def test_torso_width_warp_never_folds(seed, factor):
    sample = scene(seed)
    torso = torso_frame(bodies(sample.people)[0])
    assume(torso is not None)
    shift = torso_width_warp(torso, Mattes(sample.image, sample.people)[0], factor)
    columns, rows = (plane.astype(float) for plane in shift.sources())
    # The area that a pixel is read from, and the step along the direction of the squeeze, are above 0 everywhere.
    dx, dy = np.gradient(columns, axis=(1, 0)), np.gradient(rows, axis=(1, 0))
    assert (dx[0] * dy[1] - dx[1] * dy[0]).min() > 0.1
    if abs(torso.across[1]) < 0.5:
        assert np.diff(columns, axis=1).min() > 0.05
    moved = shift.x * torso.across[0] + shift.y * torso.across[1]
    assert np.allclose(shift.x, moved * torso.across[0], atol=1e-3)


@settings(max_examples=15)
@given(seeds, st.sampled_from([Thinner(), Wider(), Taller()]))
def test_reshaping_keeps_the_background_bit_for_bit(seed, effect):
    sample = scene(seed)
    body = bodies(sample.people)[0]
    reach = int(np.ceil(0.3 * body.scale_px)) + 12
    rise = round(0.15 * SIZE[0]) if isinstance(effect, Taller) else 0
    near = cv2.dilate(sample.people.masks[0].astype(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8))
    near = cv2.dilate(near, np.ones((2 * rise + 1, 1), np.uint8)).astype(bool)
    out = effect(sample.image, sample.people)
    assert np.array_equal(out[~near], sample.image[~near])
    reasons = [skip.reason for skip in effect.render(sample.image, sample.people, (0,)).skipped]
    assert np.array_equal(out, sample.image) == bool(reasons), (
        "only people who are skipped, with a reason, stay unchanged"
    )
    assert not reasons or (isinstance(effect, Taller) and reasons == ["There is no room above the person."])


@settings(max_examples=12)
@given(seeds, st.sampled_from([Thinner(), Wider(), Taller()]))
def test_reshaping_keeps_nearer_people_bit_for_bit(seed, effect):
    sample = scene(seed, 2)
    order = depth_order(bodies(sample.people), SIZE[0])
    out = replace(effect, person=order[0])(sample.image, sample.people)
    solid = Mattes(sample.image, sample.people)[order[1]].full_size() == 1
    assert np.array_equal(out[solid], sample.image[solid])


@pytest.mark.parametrize("effect", [Thinner(factor=1), Wider(factor=1), Taller(factor=1)])
def test_reshaping_by_factor_1_changes_nothing(effect):
    sample = scene(1)
    assert np.array_equal(effect(sample.image, sample.people), sample.image)


@settings(max_examples=8)
@given(st.integers(-20, 20), st.integers(-12, 12), st.sampled_from([Thinner(), Wider()]))
def test_reshaping_is_translation_equivariant(dx, dy, effect):
    (image, people), (moved_image, moved_people) = figure(), figure(shift=(dx, dy))
    here = np.roll(effect(image, people), (dy, dx), (0, 1)).astype(int)
    there = effect(moved_image, moved_people)
    assert np.abs(here - there).max() <= 8  # at edges the warp rounds places to 1/32 pixel
    assert (np.abs(here - there) > 1).mean() < 1e-3


def test_fill_ring_on_a_plain_wall_is_invisible():
    image, people = figure()
    out = Thinner(factor=0.7)(image, people)
    rows = out[190:235, :, 1]
    left = rows[:, :135]
    assert np.abs(left.astype(int) - GROUND).max() <= 2
    assert (rows[:, 155:165] == SHIRT).all()


def test_fill_ring_continues_slope_and_grain():
    rng = np.random.default_rng(0)
    wall = np.linspace(40, 200, 240)[None, :, None] + rng.normal(0, 12, (200, 240, 3))
    wall = np.clip(wall, 0, 255).astype(np.uint8)
    hole = np.zeros((200, 240), bool)
    hole[20:180, 110:130] = True
    spoilt = wall.copy()
    spoilt[hole] = (255, 0, 0)
    filled = fill_ring(spoilt, hole, np.zeros_like(hole), np.flatnonzero(hole)).reshape(160, 20, 3)
    assert np.abs(filled.mean(axis=0) - wall[20:180, 110:130].mean(axis=0)).max() < 12
    assert filled.std(axis=0).mean() > 7


def test_fill_ring_without_background_returns_the_image():
    picture = np.full((20, 20, 3), 77, np.uint8)
    assert (fill_ring(picture, np.ones((20, 20), bool), np.zeros((20, 20), bool), np.arange(400)) == 77).all()


def test_thinner_keeps_the_edge_of_a_person_cut_off_there():
    image, people = figure()
    cut = image[:, 145:].copy()
    masks = np.asarray(people.masks)[:, :, 145:].copy()
    there = replace(people, keypoints=people.keypoints - np.array([145, 0], np.float32), masks=masks)
    out = Thinner()(cut, there)
    assert (np.abs(out[200:230, 0].astype(int) - cut[200:230, 0]) <= 2).all()


@settings(max_examples=15)
@given(seeds)
def test_taller_moves_the_head_unchanged_and_keeps_the_feet(seed):
    sample = scene(seed, size=(300, 240))
    image, people = sample.image, sample.people
    body, shape = bodies(people)[0], Mattes(image, people)[0]
    shift = Taller(factor=1.1).field(body, shape)
    assume(not isinstance(shift, str))
    rise = shift.y.max()
    assert rise == round(rise)
    assert (np.diff(shift.sources()[1], axis=0) > 0).all()
    y, x = np.mgrid[:300, :240] + 0.5
    disc = np.hypot(x - body.head.centre[0], y - body.head.centre[1]) <= body.head.inner_radius_px
    solid = disc & (shape.full_size() == 1)
    out = Taller(factor=1.1)(image, people)
    rows, columns = np.nonzero(solid)
    assert len(rows)
    assert np.array_equal(out[rows - int(rise), columns], image[rows, columns])
    assert np.array_equal(out[shape.window[0].stop + 1 :], image[shape.window[0].stop + 1 :])


def test_taller_changes_the_height_by_the_factor():
    image, people = figure()
    out = Taller(factor=1.08)(image, people)
    tall = [np.count_nonzero(picture[:, 160, 1] > (GROUND + SHIRT) / 2) for picture in (image, out)]
    assert tall[1] == pytest.approx(1.08 * tall[0], abs=1.5)


def test_taller_uses_the_room_above_or_skips_the_person():
    image, people = figure(shift=(0, -30))
    out = Taller(factor=1.4).apply(image, people)
    assert not out.skipped
    assert out.image[0, 160, 1] > 60
    top = replace(
        people,
        masks=np.asarray(people.masks)
        | (np.arange(420) < 40)[None, :, None] & np.asarray(people.masks).any(axis=1)[:, None],
    )
    assert "no room" in Taller().apply(image, top).skipped[0].reason


@pytest.mark.parametrize("effect", [Thinner(), Wider(), Taller()])
def test_reshaping_skips_people_without_shoulders_or_mask(effect):
    image, people = figure()
    visible = people.keypoint_scores.copy()
    visible[0, COCO17.index("left_shoulder")] = 0
    blind = effect.apply(image, replace(people, keypoint_scores=visible))
    assert blind.skipped[0].reason == "The left shoulder was not detected."
    assert np.array_equal(blind.image, image)
    for masks in (None, np.zeros_like(np.asarray(people.masks))):
        bare = effect.apply(image, replace(people, masks=masks))
        assert "mask" in bare.skipped[0].reason
        assert np.array_equal(bare.image, image)


def test_taller_skips_lying_people():
    image, people = figure()
    lying = replace(
        people,
        keypoints=people.keypoints[..., ::-1].copy(),
        masks=np.asarray(people.masks).swapaxes(1, 2),
    )
    result = Taller().apply(np.ascontiguousarray(image.swapaxes(0, 1)), lying)
    assert "upright" in result.skipped[0].reason


def test_thinner_squeezes_lying_people_across_the_torso():
    image, people = figure()
    lying = replace(
        people,
        keypoints=people.keypoints[..., ::-1].copy(),
        masks=np.asarray(people.masks).swapaxes(1, 2),
    )
    out = Thinner()(np.ascontiguousarray(image.swapaxes(0, 1)), lying).swapaxes(0, 1)
    rows = slice(190, 235)
    assert width(out, rows) / width(image, rows) == pytest.approx(0.8, rel=0.02)


@pytest.mark.parametrize(
    ("make", "settings_"),
    [(Thinner, {"factor": 0.5}), (Thinner, {"factor": 1.1}), (Wider, {"factor": 0.9}), (Wider, {"factor": 2}),
     (Taller, {"factor": 0.9}), (Taller, {"factor": 3})],
)  # fmt: skip
def test_reshaping_rejects_factors_out_of_range(make, settings_):
    with pytest.raises(EffectError, match="got"):
        make(**settings_)
