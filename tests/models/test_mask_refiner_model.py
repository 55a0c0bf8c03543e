"""The bundled mask refiner refines the masks of `small` on a photograph that is in no training set."""

from __future__ import annotations

from dataclasses import replace
from importlib.resources import files

import numpy as np
import pytest

import poseg

LARGEST_MB = 1


@pytest.fixture(scope="module")
def astronaut():
    return pytest.importorskip("skimage.data").astronaut()


def overlap(one: np.ndarray, other: np.ndarray) -> float:
    return float((one & other).sum() / (one | other).sum())


def test_it_is_small_and_says_where_it_comes_from():
    assert len(files("poseg").joinpath("models", "mask_refiner.onnx").read_bytes()) < LARGEST_MB * 1e6
    card = poseg.models()["mask_refiner"]
    assert all(entry["terms"] for entry in card.data)


def test_masks_are_new_and_people_are_the_same(astronaut):
    model = poseg.load()
    refined, decoded = model(astronaut), replace(model, mask_refiner=None)(astronaut)
    np.testing.assert_array_equal(refined.keypoints, decoded.keypoints)
    np.testing.assert_array_equal(refined.scores, decoded.scores)
    assert 0.8 < overlap(refined.masks[0], decoded.masks[0]) < 1
    assert refined.masks[0][120, 222], "her face"
    assert not refined.masks[0][60, 400], "the shuttle behind her"


def test_mask_refiner_of_a_flipped_image_gives_the_flipped_mask(astronaut):
    model = poseg.load()
    (mask,), (mirrored,) = model(astronaut).masks, model(np.ascontiguousarray(astronaut[:, ::-1])).masks
    assert overlap(mask, mirrored[:, ::-1]) > 0.9


def test_mask_refiner_refines_small_people_where_they_are(astronaut):
    """The same person four times smaller, on grey: as large a mask, four times smaller."""
    import cv2

    model = poseg.load()
    scene = np.full((512, 768, 3), 127, np.uint8)
    scene[300:428, 500:628] = cv2.resize(astronaut, (128, 128), interpolation=cv2.INTER_AREA)
    (large,), small = model(astronaut).masks, model(scene)
    assert len(small) == 1
    wanted = cv2.resize(large.astype(np.uint8), (128, 128), interpolation=cv2.INTER_AREA).astype(bool)
    assert overlap(small.masks[0][300:428, 500:628], wanted) > 0.75
