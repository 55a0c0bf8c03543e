"""Pairs of poses: what counts, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.errors import AnnotationError, ShapeError
from poseg.metrics.pairs import joint_groups, pair_up
from poseg.skeletons import COCO17, LSP14, SKELETONS, Skeleton

ONE = np.ones((1, 14, 2))


def test_distances_say_what_is_wrong_and_what_does_not_count():
    annotated, placed, known = (np.ones((1, 14), bool) for _ in range(3))
    annotated[0, 0] = placed[0, 1] = known[0, 2] = False
    pairs = pair_up(LSP14, ONE, ONE + np.array([3, 4]), annotated=annotated, placed=placed, known=known[0])
    distances = pairs.distances()[0]
    assert np.isnan(distances[[0, 2]]).all()
    assert np.isinf(distances[1])
    np.testing.assert_allclose(distances[3:], 5)
    assert "13 of the 14 joints of lsp14 (the model has no right_hip)" in pairs.said()


@pytest.mark.parametrize("name", ["true", "found"])
@pytest.mark.parametrize("nowhere", [np.nan, np.inf])
def test_joints_that_lie_nowhere_are_refused(name, nowhere):
    arrays = {"true": ONE.copy(), "found": ONE.copy()}
    arrays[name][0, 12] = nowhere
    with pytest.raises(AnnotationError, match=f"The {name} neck of pose 0 is NaN or infinite"):
        pair_up(LSP14, **arrays)


def test_what_does_not_count_may_lie_nowhere(random_pairs):
    pairs = random_pairs(0)
    true = np.where(pairs.annotated[..., None], pairs.true, np.nan)
    found = np.where(pairs.placed[..., None], pairs.found, np.inf)
    again = pair_up(LSP14, true, found, annotated=pairs.annotated, placed=pairs.placed)
    np.testing.assert_array_equal(again.distances(), pairs.distances())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"true": np.ones((1, 13, 2))}, "true"),
        ({"true": np.ones((1, 14, 4))}, "true"),
        ({"found": np.ones((2, 14, 2))}, "found"),
        ({"annotated": np.ones((1, 13))}, "annotated"),
        ({"placed": np.ones((2, 14))}, "placed"),
        ({"known": np.ones(13)}, "known"),
        ({"picture": [0, 0]}, "picture"),
    ],
)
def test_shapes_are_checked(changes, named):
    with pytest.raises(ShapeError, match=named):
        pair_up(LSP14, **({"true": ONE, "found": ONE} | changes))


@pytest.mark.parametrize("picture", [[-1], [3]])
def test_picture_numbers_are_checked(picture):
    with pytest.raises(AnnotationError, match="wanted 0 to 2"):
        pair_up(LSP14, ONE, ONE, picture=picture, pictures=3)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_groups_share_out_all_joints(skeleton):
    groups = joint_groups(skeleton)
    assert sorted(place for group in groups.values() for place in group) == list(range(len(skeleton)))
    for group in groups.values():
        assert {int(skeleton.flip_index[place]) for place in group} == set(group)


def test_groups_have_the_names_of_their_joints():
    assert joint_groups(COCO17)["wrist"] == (9, 10)
    boat = Skeleton("boat", ("bow", "port", "starboard"), (("bow", "port"), ("bow", "starboard")),
                    flip_pairs=(("port", "starboard"),))  # fmt: skip
    assert joint_groups(boat) == {"bow": (0,), "port, starboard": (1, 2)}
