from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.effects.body import bodies, depth_order
from poseg.people import People
from poseg.skeletons import COCO17

PLACES = {
    "nose": (100, 60), "left_eye": (105, 55), "right_eye": (95, 55), "left_ear": (112, 58), "right_ear": (88, 58),
    "left_shoulder": (130, 100), "right_shoulder": (70, 100), "left_hip": (120, 190), "right_hip": (80, 190),
}  # fmt: skip


def person(places=PLACES, *, masks=None, move=lambda points: points) -> People:
    points, visible = np.zeros((1, 17, 2)), np.zeros((1, 17))
    for name, place in places.items():
        points[0, COCO17.index(name)] = move(np.array(place, float))
        visible[0, COCO17.index(name)] = 1
    return People.from_poses(COCO17, points, visible, masks=masks)


def without(*names):
    return {name: place for name, place in PLACES.items() if name not in names}


def body(places=PLACES, **more):
    return bodies(person(places, **more))[0]


@given(st.floats(0.5, 4), st.floats(-3.1, 3.1), st.floats(-50, 50))
def test_body_measures_follow_similarity_maps(size, turn, shift):
    spin = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    there, here = body(move=lambda p: spin @ p + shift), body()
    assert there.scale_px == pytest.approx(size * here.scale_px, rel=1e-3)
    assert there.torso_px == pytest.approx(size * here.torso_px, rel=1e-3)
    assert there.down == pytest.approx(spin @ here.down / size, abs=1e-3)
    assert there.head.centre == pytest.approx(spin @ here.head.centre + shift, abs=1e-2)
    assert there.head.inner_radius_px == pytest.approx(size * here.head.inner_radius_px, rel=1e-3)


def test_body_scale_is_the_shoulders_or_for_a_turned_person_the_torso():
    assert body().scale_px == pytest.approx(60)
    turned = PLACES | {"left_shoulder": (103, 100), "right_shoulder": (97, 100)}
    assert body(turned).scale_px == pytest.approx(0.6 * 90, rel=1e-3)
    no_hips = body(without("left_hip", "right_hip") | {"left_shoulder": (103, 100), "right_shoulder": (97, 100)})
    assert no_hips.scale_px == pytest.approx(0.6 * 1.9 * 40, rel=1e-3)


def swapped(places):
    """Left and right of all joints exchanged: the same person seen from behind."""
    sides = {"left": "right", "right": "left"}
    return {
        "_".join([sides.get(first, first), *rest]): place
        for name, place in places.items()
        for first, *rest in [name.split("_")]
    }


@given(st.floats(0.5, 4), st.floats(-3.1, 3.1), st.sets(st.sampled_from(sorted(PLACES)), max_size=6))
def test_facing_is_kept_by_similarity_maps_and_flips_and_negated_by_a_swap(size, turn, absent):
    spin = size * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    absent = absent - {"left_hip", "right_hip", "nose"}
    places = without(*absent)
    here, there = body(places), body(places, move=lambda p: spin @ p)
    assert there.facing == pytest.approx(here.facing, abs=1e-3)
    flipped = body(swapped(places), move=lambda p: p * (-1, 1))
    assert flipped.facing == pytest.approx(here.facing, abs=1e-3)
    assert body(swapped(places)).facing == pytest.approx(-here.facing, abs=1e-3)


def test_facing_is_1_from_the_front_and_weighs_all_joints():
    assert body().facing == 1
    assert not body().seen_from_behind
    assert body(swapped(PLACES)).seen_from_behind
    # One pair that a network confused is outvoted.
    one = PLACES | {"left_shoulder": PLACES["right_shoulder"], "right_shoulder": PLACES["left_shoulder"]}
    assert not body(one).seen_from_behind
    assert body(swapped(one)).seen_from_behind
    side = PLACES | {"left_shoulder": (101, 100), "right_shoulder": (99, 100), "left_hip": (100, 190),
                     "right_hip": (101, 190), "left_ear": (100, 58), "right_ear": (99, 58), "left_eye": (110, 55),
                     "right_eye": (109, 55)}  # fmt: skip
    assert abs(body(side).facing) < 0.25
    assert body({"nose": (100, 60)}).facing == 0


def test_ears_without_eyes_and_nose_are_a_head_seen_from_behind():
    assert body(without("nose", "left_eye", "right_eye")).facing < 1
    turned = {"left_ear": (104, 58), "right_ear": (100, 58), "left_shoulder": (105, 100), "right_shoulder": (95, 100),
              "left_hip": (100, 130), "right_hip": (101, 130)}  # fmt: skip
    assert body(turned).facing < 0.4


def test_body_shoulders_are_ordered_left_to_right_on_the_image():
    swapped = PLACES | {"left_shoulder": PLACES["right_shoulder"], "right_shoulder": PLACES["left_shoulder"]}
    for places in (PLACES, swapped):
        assert np.array_equal(body(places).shoulders, [(70, 100), (130, 100)])


@given(st.sets(st.sampled_from(["nose", "left_eye", "right_eye", "left_ear", "right_ear"]), min_size=0, max_size=5))
def test_head_disc_covers_visible_face_joints_and_ends_before_the_neck(absent):
    measured = body(without(*absent))
    reach = np.linalg.norm(measured.face - measured.head.centre, axis=1)
    assert (reach < measured.head.inner_radius_px).all()
    assert measured.head.inner_radius_px < np.linalg.norm(measured.neck - measured.head.centre)
    assert measured.head.outer_radius_px >= 1.25 * measured.head.inner_radius_px


def test_head_disc_of_a_face_alone_has_about_the_same_size():
    alone = body({name: place for name, place in PLACES.items() if name.endswith(("nose", "eye", "ear"))})
    assert alone.head.inner_radius_px == pytest.approx(body().head.inner_radius_px, rel=0.3)


def test_body_without_hips_points_down_away_from_the_nose():
    places = without("left_hip", "right_hip")
    assert body(places).down == pytest.approx([0, 1])
    assert body(places, move=lambda p: p * (1, -1) + (0, 300)).down == pytest.approx([0, -1])


@pytest.mark.parametrize("absent", [("left_shoulder",), ("left_shoulder", "right_shoulder")])
def test_body_without_shoulders_has_no_scale_and_a_reason(absent):
    measured = body(without(*absent))
    assert measured.shoulders is None
    assert measured.neck is None
    assert measured.scale_px is None
    reason = measured.missing_reason("left_shoulder", "right_shoulder")
    assert all(name.replace("_", " ") in reason for name in absent)
    assert reason.endswith("not detected.")


def test_body_without_joints_has_no_measures():
    measured = body({})
    assert measured.head is None
    assert measured.down is None
    assert measured.mid_hip is None
    assert bodies(People.empty(COCO17)) == ()


def test_mid_hip_of_one_hip_is_that_hip():
    assert body(without("left_hip")).mid_hip == pytest.approx(PLACES["right_hip"])


def test_depth_order_goes_by_lowest_row_then_by_scale_for_those_cut_off():
    masks = np.zeros((3, 400, 300), bool)
    masks[0, :300], masks[1, :398], masks[2, :250] = True, True, True
    three = People.from_poses(
        COCO17, np.tile(person().keypoints, (3, 1, 1)), np.tile(person().keypoint_scores, (3, 1)), masks=masks
    )
    assert depth_order(bodies(three), 400) == (2, 0, 1)
    masks[:, -1] = True
    sized = People.from_poses(
        COCO17, three.keypoints * np.array([2, 1, 3], np.float32)[:, None, None], three.keypoint_scores, masks=masks
    )
    assert depth_order(bodies(sized), 400) == (1, 0, 2)
