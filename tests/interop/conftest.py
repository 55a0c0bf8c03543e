"""People as models give them: real results on the bundled image where there are models, else drawn ones."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

import poseg
from poseg.interop import ImagePeople

HEIGHT, WIDTH = 120, 160


@pytest.fixture
def drawn() -> ImagePeople:
    """Two people with ids: one whose mask has two parts, one cut by the image's edge with missing joints."""
    generator = np.random.default_rng(3)
    points = generator.uniform((20, 20), (WIDTH - 20, HEIGHT - 20), (2, 17, 2)).astype(np.float32)
    scores = generator.uniform(0.3, 1, (2, 17)).astype(np.float32)
    scores[1, 11:] = 0
    y, x = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    masks = np.stack([np.hypot(x - 50, (y - 60) / 1.5) < 28, np.hypot(x - 150, y - 70) < 30])
    masks[0, 55:58] = False
    people = poseg.People.from_poses(poseg.COCO17, points, scores, scores=[0.9, 0.6])
    people = people.with_masks(poseg.Masks.from_full(masks))
    return ImagePeople("photo.jpg", replace(people, ids=np.array([4, 9])))


@pytest.fixture
def without_people() -> ImagePeople:
    """An image without people."""
    return ImagePeople("empty.jpg", poseg.People.empty(poseg.COCO17, (HEIGHT, WIDTH)))


@pytest.fixture(scope="session")
def predicted() -> ImagePeople:
    """The people of the bundled image as the bundled model sees them."""
    return ImagePeople("astronaut.jpg", poseg.load("fast", threads=1)(poseg.examples.astronaut()))
