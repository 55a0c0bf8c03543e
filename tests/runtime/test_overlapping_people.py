"""The model that comes along tells people apart who hide each other, on OCHuman's sample pictures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import poseg
from poseg.io.coco_json import read_coco
from poseg.io.images import read_image

SAMPLE = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "mmpose_samples" / "ochuman"


@pytest.fixture(scope="module")
def data():
    if not SAMPLE.is_dir():
        pytest.skip("no shared data beside the repository")
    return read_coco(SAMPLE / "test_ochuman.json")


def test_two_people_come_out_as_two_masks(data):
    pairs = 0
    for number, entry in data.images.items():
        image = read_image(SAMPLE / entry.file_name)
        people = data.people(number, image.shape[:2])
        truth = people.masks.iou(people.masks)
        if len(people) < 2 or truth[0, 1] > 0.9:  # of one pair the labels give both people nearly the same pixels
            continue
        pairs += 1
        found = poseg.load("pose2seg", rescored=False)(image, replace(people, masks=None))
        assert np.asarray(found.masks).sum(axis=0).max() == 1
        overlap = found.masks.iou(people.masks)
        np.testing.assert_array_equal(overlap.argmax(axis=1), np.arange(len(people)))
        assert np.diag(overlap).min() > 0.3, "each is mostly one person"
    assert pairs == 1
