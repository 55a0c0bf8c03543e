"""Pairs of poses: what counts, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.errors import AnnotationError, ShapeError
from poseg.metrics.pairs import joint_groups, make_pairs
from poseg.skeletons import COCO17, LSP14, SKELETONS, Skeleton

ONE = np.ones((1, 14, 2))


def test_distances_are_infinite_if_not_detected_and_nan_if_not_counted():
    annotated, detected, evaluated = (np.ones((1, 14), bool) for _ in range(3))
    annotated[0, 0] = detected[0, 1] = evaluated[0, 2] = False
    pairs = make_pairs(
        LSP14, ONE, ONE + np.array([3, 4]), annotated=annotated, detected=detected, evaluated_joints=evaluated[0]
    )
    distances = pairs.distances()[0]
    assert np.isnan(distances[[0, 2]]).all()
    assert np.isinf(distances[1])
    np.testing.assert_allclose(distances[3:], 5)
    assert "13 of the 14 joints of lsp14 (the model has no right_hip)" in pairs.describe()


@pytest.mark.parametrize(("name", "flag"), [("truth", "annotated"), ("predicted", "detected")])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_joints_that_are_not_finite_are_refused(name, flag, bad):
    arrays = {"truth": ONE.copy(), "predicted": ONE.copy()}
    arrays[name][0, 12] = bad
    with pytest.raises(AnnotationError, match=f"The {flag} neck of pose 0 is NaN or infinite"):
        make_pairs(LSP14, **arrays)


def test_joints_that_do_not_count_need_not_be_finite(random_pairs):
    pairs = random_pairs(0)
    truth = np.where(pairs.annotated[..., None], pairs.truth, np.nan)
    predicted = np.where(pairs.detected[..., None], pairs.predicted, np.inf)
    again = make_pairs(LSP14, truth, predicted, annotated=pairs.annotated, detected=pairs.detected)
    np.testing.assert_array_equal(again.distances(), pairs.distances())


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"truth": np.ones((1, 13, 2))}, "truth"),
        ({"truth": np.ones((1, 14, 4))}, "truth"),
        ({"predicted": np.ones((2, 14, 2))}, "predicted"),
        ({"annotated": np.ones((1, 13))}, "annotated"),
        ({"detected": np.ones((2, 14))}, "detected"),
        ({"evaluated_joints": np.ones(13)}, "evaluated_joints"),
        ({"image_index": [0, 0]}, "image_index"),
    ],
)
def test_shapes_are_checked(changes, named):
    with pytest.raises(ShapeError, match=named):
        make_pairs(LSP14, **({"truth": ONE, "predicted": ONE} | changes))


@pytest.mark.parametrize("image_index", [[-1], [3]])
def test_image_indices_are_checked(image_index):
    with pytest.raises(AnnotationError, match="expected 0 to 2"):
        make_pairs(LSP14, ONE, ONE, image_index=image_index, num_images=3)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda skeleton: skeleton.name)
def test_groups_partition_the_joints(skeleton):
    groups = joint_groups(skeleton)
    assert sorted(index for group in groups.values() for index in group) == list(range(len(skeleton)))
    for group in groups.values():
        assert {int(skeleton.flip_index[index]) for index in group} == set(group)


def test_groups_have_the_names_of_their_joints():
    assert joint_groups(COCO17)["wrist"] == (9, 10)
    boat = Skeleton("boat", ("bow", "port", "starboard"), (("bow", "port"), ("bow", "starboard")),
                    flip_pairs=(("port", "starboard"),))  # fmt: skip
    assert joint_groups(boat) == {"bow": (0,), "port, starboard": (1, 2)}
