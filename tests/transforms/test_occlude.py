"""Laws of pasting people over people."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseg.errors import ShapeError
from poseg.people import People, Sample
from poseg.skeletons import COCO17
from poseg.transforms.occlude import FEATHER_PX, paste_person

SIZE = (40, 60)


def sample(boxes, colour=200, seed=0) -> Sample:
    """A image of upright boxes, each a person with its joints inside."""
    rng = np.random.default_rng(seed)
    image = np.full((*SIZE, 3), colour // 4, np.uint8)
    masks = np.zeros((len(boxes), *SIZE), bool)
    points = np.zeros((len(boxes), 17, 2), np.float32)
    for mask, place, (x0, y0, x1, y1) in zip(masks, points, boxes, strict=True):
        mask[y0:y1, x0:x1] = True
        image[mask] = colour
        place[:] = rng.uniform((x0, y0), (x1, y1), (17, 2))
    return Sample(image, People.from_poses(COCO17, points, np.ones((len(boxes), 17)), masks=masks), name="boxes")


@pytest.fixture
def behind() -> Sample:
    return sample([(5, 5, 25, 35), (40, 5, 55, 35)], seed=1)


@pytest.fixture
def front() -> Sample:
    return sample([(15, 10, 35, 30)], colour=120, seed=2)


def test_paste_person_makes_masks_disjoint_and_changes_nothing_else(behind, front):
    both = paste_person(behind, front)
    masks = np.asarray(both.people.masks)
    assert masks.sum(axis=0).max() == 1
    assert (masks[-1] == front.people.masks[0]).all()
    np.testing.assert_array_equal(masks[:2], np.asarray(behind.people.masks) & ~front.people.masks[0])
    away = ~front.people.masks[0]
    np.testing.assert_array_equal(both.image[away], behind.image[away])
    assert both.name == behind.name


def test_pasted_people_are_visible(behind, front):
    both = paste_person(behind, front)
    deep = np.zeros(SIZE, bool)
    reach = int(4 * FEATHER_PX)
    deep[10 + reach : 30 - reach, 15 + reach : 35 - reach] = True
    np.testing.assert_array_equal(both.image[deep], front.image[deep])


def test_pasting_no_people_changes_nothing(behind, front):
    no_people = replace(front, people=front.people[:0])
    both = paste_person(behind, no_people)
    np.testing.assert_array_equal(both.image, behind.image)
    np.testing.assert_array_equal(both.people.masks, behind.people.masks)


def test_completely_covered_people_are_removed(front):
    small = sample([(20, 15, 25, 20)])
    both = paste_person(small, front)
    assert len(both.people) == 1
    np.testing.assert_array_equal(both.people.keypoints, front.people.keypoints)


def test_joints_are_forgotten_under_the_cover_alone(behind, front):
    rng = np.random.default_rng(0)
    both = paste_person(behind, front, drop_occluded=1.0, rng=rng)
    x, y = behind.people.keypoints.astype(int).transpose(2, 0, 1)
    covered = front.people.masks[0][y, x]
    assert covered.any()
    np.testing.assert_array_equal(both.people.keypoint_scores[:2] == 0, covered)
    assert (paste_person(behind, front).people.keypoint_scores == 1).all()


def test_the_background_of_the_source_leaves_no_trace(behind, front):
    elsewhere = ~np.asarray(front.people.masks)[0]
    noise = np.random.default_rng(3).integers(0, 256, front.image.shape, np.uint8)
    other = replace(front, image=np.where(elsewhere[..., None], noise, front.image))
    np.testing.assert_array_equal(paste_person(behind, front).image, paste_person(behind, other).image)


def test_hidden_joints_become_uncertain_where_they_are(behind, front):
    both = paste_person(behind, front, drop_occluded=1.0, rng=np.random.default_rng(0))
    person, joint = np.nonzero(both.people.keypoint_scores[:2] == 0)
    assert len(person) == len(both.uncertain) > 0
    np.testing.assert_array_equal(both.uncertain[:, 0], joint)
    np.testing.assert_array_equal(both.uncertain[:, 1:], behind.people.keypoints[person, joint])
    assert len(paste_person(behind, front).uncertain) == 0


def test_joints_of_pasted_people_far_from_their_mask_are_not_pasted(behind, front):
    points = front.people.keypoints.copy()
    points[0, 4] = 2, 2
    front = replace(front, people=replace(front.people, keypoints=points))
    both = paste_person(behind, front)
    assert both.people.keypoint_scores[-1].sum() == 16
    assert both.people.keypoint_scores[-1, 4] == 0
    np.testing.assert_array_equal(both.uncertain, [[4, 2, 2]])


def test_uncertain_joints_of_pasted_people_are_pasted_too(behind, front):
    front = replace(front, uncertain=np.array([[3, 25, 20], [5, 2, 2]], np.float32))
    np.testing.assert_array_equal(paste_person(behind, front).uncertain, [[3, 25, 20]])


def test_pasted_pixels_are_not_ignored(behind, front):
    hidden = replace(behind, ignore=np.ones(SIZE, bool))
    np.testing.assert_array_equal(paste_person(hidden, front).ignore, ~front.people.masks[0])


def test_images_of_two_sizes_and_people_without_masks_are_refused(behind, front):
    with pytest.raises(ShapeError, match="source"):
        paste_person(behind, replace(front, image=np.zeros((8, 8, 3), np.uint8), people=People.empty(COCO17, (8, 8))))
    with pytest.raises(ShapeError, match="with masks"):
        paste_person(behind, replace(front, people=replace(front.people, masks=None)))
