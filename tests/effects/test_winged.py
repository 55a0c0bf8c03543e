from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.datasets.synthetic_people import render_scene
from poseg.effects.artwork import art_names
from poseg.effects.body import bodies, depth_order
from poseg.effects.matte import Mattes
from poseg.effects.winged import Winged
from poseg.errors import EffectError, ShapeError
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (180, 240)
seeds = st.integers(0, 10_000)
styles = st.sampled_from(art_names("wings"))


def scene(seed, people=1, size=SIZE):
    return render_scene(np.random.default_rng(seed), size, people)


def turned(people: People, degrees: float, about) -> People:
    angle = np.deg2rad(degrees)
    spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (people.keypoints - about) @ spin.T + about
    return replace(people, keypoints=points.astype(np.float32), masks=None)


def upright() -> People:
    """A person who looks straight at us."""
    places = {"nose": (200, 110), "left_shoulder": (235, 160), "right_shoulder": (165, 160), "left_hip": (225, 260),
              "right_hip": (175, 260)}  # fmt: skip
    points = np.zeros((1, 17, 2))
    for name, place in places.items():
        points[0, COCO17.index(name)] = place
    return People.from_poses(COCO17, points, (points > 0).all(axis=2))


@settings(max_examples=12)
@given(seeds, st.integers(1, 3), styles, st.floats(0.05, 1), st.floats(0, 2))
def test_wings_never_cover_the_wearer_or_nearer_people(seed, people, style, strength, time_s):
    sample = scene(seed, people)
    shapes = Mattes(sample.image, sample.people)
    order = depth_order(bodies(sample.people), SIZE[0])
    for rank, person in enumerate(order):
        out = Winged(style=style, strength=strength, time_s=time_s, person=person)(sample.image, sample.people)
        for hiding in order[rank:]:
            solid = shapes[hiding].full_size() == 1
            assert np.array_equal(out[solid], sample.image[solid])


def test_wings_cover_people_farther_away():
    sample = scene(3, 2)
    order = depth_order(bodies(sample.people), SIZE[0])
    out = Winged(style="bat", person=order[-1], size=2)(sample.image, sample.people)
    far = np.asarray(sample.people.masks)[order[0]]
    assert (out[far] != sample.image[far]).any()


@settings(max_examples=12)
@given(seeds, st.sampled_from([30.0, -75.0, 90.0]))
def test_wings_rotate_with_the_person(seed, degrees):
    people = scene(seed).people
    shoulders = people.keypoints[0, [5, 6]]
    about = shoulders.mean(axis=0)
    # Which shoulder is left of the image, and with it the frame, changes beyond upright.
    new = turned(people, degrees, about)
    before, after = (Winged(style="bat").placed(bodies(who)[0]) for who in (people, new))
    flips = (shoulders[0, 0] > shoulders[1, 0]) != (new.keypoints[0, 5, 0] > new.keypoints[0, 6, 0])
    assert len(before) == len(after) == 2
    if not flips:
        angle = np.deg2rad(degrees)
        spin = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        for (_, one), (_, other) in zip(before, after, strict=True):
            assert (one - about) @ spin.T + about == pytest.approx(other, abs=0.02)


def test_wings_rotate_with_the_shoulders():
    people = upright()
    new = turned(people, 30, people.keypoints[0, [5, 6]].mean(axis=0))
    points = people.keypoints.copy()
    points[0, [0, 5, 6]] = new.keypoints[0, [0, 5, 6]]
    for (_, one), (_, other) in zip(
        Winged(style="bat").placed(bodies(people)[0]),
        Winged(style="bat").placed(bodies(replace(people, keypoints=points))[0]),
        strict=True,
    ):
        sides = [quad[1] - quad[0] for quad in (one, other)]
        angle = np.rad2deg(np.arctan2(*sides[1][::-1]) - np.arctan2(*sides[0][::-1]))
        assert angle == pytest.approx(30, abs=0.5)


@settings(max_examples=12)
@given(seeds, styles)
def test_wings_ignore_swapped_shoulders(seed, style):
    sample = scene(seed)
    points, visible = sample.people.keypoints.copy(), sample.people.keypoint_scores.copy()
    points[:, [5, 6]], visible[:, [5, 6]] = points[:, [6, 5]], visible[:, [6, 5]]
    swapped = replace(sample.people, keypoints=points, keypoint_scores=visible)
    effect = Winged(style=style)
    assert np.array_equal(effect(sample.image, sample.people), effect(sample.image, swapped))


@settings(max_examples=10)
@given(st.integers(-15, 15), st.integers(-15, 15))
def test_wings_are_translation_equivariant(dx, dy):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (400, 400, 3), np.uint8)
    people, effect = upright(), Winged(style="bat", size=0.6)
    moved = replace(people, keypoints=people.keypoints + np.array([dx, dy], np.float32))
    here = np.roll(effect(image, people), (dy, dx), (0, 1))
    there = effect(np.roll(image, (dy, dx), (0, 1)), moved)
    # The warp rounds places to 1/32 pixel, so a rare value differs by a level.
    assert np.abs(here.astype(int) - there).max() <= 2
    assert (here != there).mean() < 0.01


@settings(max_examples=12)
@given(seeds, styles)
def test_wings_change_nothing_away_from_their_corners(seed, style):
    sample = scene(seed, size=(300, 400))
    effect = Winged(style=style, size=0.5)
    away = np.ones(sample.image.shape[:2], np.uint8)
    for _, quad in effect.placed(bodies(sample.people)[0]):
        cv2.fillConvexPoly(away, np.rint(quad).astype(np.int32), 0)
    away = cv2.erode(away, np.ones((7, 7), np.uint8)).astype(bool)
    out = effect(sample.image, sample.people)
    assert np.array_equal(out[away], sample.image[away])
    assert not np.array_equal(out, sample.image)


def from_behind(people: People) -> People:
    """The same figures seen from behind: left and right of all joints are swapped."""
    swapped = COCO17.flip_index
    return replace(people, keypoints=people.keypoints[:, swapped], keypoint_scores=people.keypoint_scores[:, swapped])


@settings(max_examples=12)
@given(seeds, st.integers(1, 3), styles)
def test_wings_lie_before_the_back_and_behind_nearer_people(seed, people, style):
    sample = scene(seed, people)
    backs = from_behind(sample.people)
    shapes = Mattes(sample.image, backs)
    order = depth_order(bodies(backs), SIZE[0])
    for rank, person in enumerate(order):
        effect = Winged(style=style, person=person, flap_hz=0)
        out = effect(sample.image, backs)
        for hiding in order[rank + 1 :]:
            solid = shapes[hiding].full_size() == 1
            assert np.array_equal(out[solid], sample.image[solid])
    near = order[-1]
    back = shapes[near].full_size() == 1
    assert (Winged(style=style, person=near)(sample.image, backs)[back] != sample.image[back]).any()


def test_wings_on_a_back_are_those_of_a_front_but_nearer():
    front, back = (Winged(style="bat").placed(bodies(who)[0]) for who in (upright(), from_behind(upright())))
    for (_, one), (_, other) in zip(front, back, strict=True):
        width, height = (np.ptp(quad, axis=0) for quad in (one, other))
        assert (height > width).all()  # of the same wing, nearer to the camera
        assert height == pytest.approx(width, rel=0.2)


def test_wings_of_a_back_turned_right_lie_left():
    """Who walks away from us to the right has their back on the left."""
    people = from_behind(upright())
    points = people.keypoints.copy()
    points[0, 6], points[0, 5], points[0, 0] = (212, 160), (188, 160), (225, 110)
    body = bodies(replace(people, keypoints=points))[0]
    assert body.seen_from_behind
    assert np.concatenate([quad for _, quad in Winged(style="bat").placed(body)])[:, 0].mean() < 190


@pytest.mark.parametrize("joint", ["left_shoulder", "right_shoulder"])
def test_wings_skip_people_without_shoulders(joint):
    sample = scene(0, 2)
    visible = sample.people.keypoint_scores.copy()
    visible[1, COCO17.index(joint)] = 0
    result = Winged(style="bat").apply(sample.image, replace(sample.people, keypoint_scores=visible))
    assert [(skip.person, skip.reason) for skip in result.skipped] == [
        (1, f"The {joint.replace('_', ' ')} was not detected.")
    ]
    alone = Winged(style="bat", person=1).apply(sample.image, replace(sample.people, keypoint_scores=visible))
    assert np.array_equal(alone.image, sample.image)


def test_wings_strength_is_opacity():
    sample = scene(0)
    none, half, full = (Winged(style="bat", strength=s)(sample.image, sample.people).astype(float) for s in (0, 0.5, 1))
    # Where two wings lie over each other the lower one shines through.
    assert np.quantile(np.abs(half - (none + full) / 2), 0.97) <= 1
    assert (np.abs(half - none) <= np.abs(full - none) + 1).mean() > 0.97


def test_wings_beat_and_come_back():
    body = bodies(upright())[0]
    quads = [[quad for _, quad in Winged(style="bat", flap_hz=2, time_s=t).placed(body)] for t in (0, 0.125, 0.5)]
    assert np.allclose(quads[0], quads[2], atol=1e-6)
    assert np.abs(np.subtract(quads[0], quads[1])).max() > 5
    still = Winged(style="bat", flap_hz=0, time_s=0.125).placed(body)
    assert np.allclose([quad for _, quad in still], quads[0])


def test_wings_of_a_frontal_person_are_symmetric():
    (_, one), (_, other) = Winged(style="bat").placed(bodies(upright())[0])
    assert np.array_equal(np.sort(one[:, 1]), np.sort(other[:, 1]))
    assert np.sort(400 - one[:, 0]) == pytest.approx(np.sort(other[:, 0]))


def test_wings_of_a_person_turned_right_lie_left():
    people = upright()
    points = people.keypoints.copy()
    points[0, 5], points[0, 6], points[0, 0] = (212, 160), (188, 160), (225, 110)
    quads = [quad for _, quad in Winged(style="bat").placed(bodies(replace(people, keypoints=points))[0])]
    centre = np.concatenate(quads)[:, 0].mean()
    flat = np.concatenate([quad for _, quad in Winged(style="bat").placed(bodies(people)[0])])
    assert centre < 180
    assert np.ptp(np.concatenate(quads)[:, 0]) < 0.8 * np.ptp(flat[:, 0])


def own_image(size=(60, 100)):
    pixels = np.zeros((*size, 4), np.uint8)
    pixels[:, : size[1] // 2] = (255, 0, 0, 255)
    pixels[:, size[1] // 2 :] = (0, 0, 255, 255)
    return pixels


def test_wings_image_has_its_anchors_on_the_shoulders():
    people, anchors = upright(), ((0.3, 0.4), (0.7, 0.4))
    shoulders = sorted(people.keypoints[0, [5, 6]].tolist())
    for wing, quad in Winged(image=own_image(), anchors=anchors).placed(bodies(people)[0]):
        matrix = cv2.getPerspectiveTransform(wing.corners.astype(np.float32), quad.astype(np.float32))
        at = cv2.perspectiveTransform(np.zeros((1, 1, 2), np.float32), matrix)[0, 0]
        expected = np.add(shoulders[0 if at[0] < 200 else 1], (0, 0.15 * 70))
        assert at == pytest.approx(expected, abs=1.5)


def test_wings_image_is_not_flipped():
    image = np.zeros((400, 400, 3), np.uint8)
    out = Winged(image=own_image(), anchors=((0.4, 0.5), (0.6, 0.5)))(image, upright())
    assert out[180, 110].tolist() == [255, 0, 0]
    assert out[180, 290].tolist() == [0, 0, 255]


@pytest.mark.parametrize(
    ("settings_", "error", "words"),
    [
        ({"style": "chicken"}, EffectError, "angel, bat"),
        ({"size": 0}, EffectError, "above 0"),
        ({"flap_hz": -1}, EffectError, "0 or more"),
        ({"flap_deg": 90}, EffectError, "60 degrees"),
        ({"image": np.zeros((5, 5, 3), np.uint8)}, ShapeError, "RGBA"),
        ({"image": own_image(), "anchors": ((0.6, 0.5), (0.4, 0.5))}, EffectError, "first anchor"),
    ],
)
def test_wings_reject_invalid_settings(settings_, error, words):
    with pytest.raises(error, match=words):
        Winged(**settings_)
