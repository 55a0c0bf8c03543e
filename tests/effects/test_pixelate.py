from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from poseg.datasets.synthetic_people import HEAD, render_scene
from poseg.effects import Pixelate
from poseg.effects.pixelate import PrivacyRegion, draw_mosaic
from poseg.errors import EffectError
from poseg.skeletons import COCO17

SCENE = render_scene(np.random.default_rng(6), (240, 320), 1)
NOISE = np.random.default_rng(0).integers(0, 256, SCENE.image.shape, np.uint8)
# The circle that was drawn as the head.
CENTRE = SCENE.people.keypoints[0, 3:5].mean(axis=0)
RADIUS_PX = 1.15 * HEAD * np.hypot(*(SCENE.people.keypoints[0, 3] - SCENE.people.keypoints[0, 4])) / (1.7 * HEAD)
Y, X = np.mgrid[:240, :320] + 0.5
DRAWN_HEAD = np.hypot(X - CENTRE[0], Y - CENTRE[1]) <= RADIUS_PX


def observed(*, joints=COCO17.joints, mask=True):
    """The person with these joints alone, and with or without a mask."""
    scores = np.array([[joint in joints for joint in COCO17.joints]], np.float32)
    return replace(SCENE.people, keypoint_scores=scores, masks=SCENE.people.masks if mask else None)


WITHOUT_FACE = COCO17.joints[5:]


@pytest.mark.parametrize("part", ["face", "head", "person"])
@pytest.mark.parametrize(
    "people",
    [
        observed(),
        observed(mask=False),
        observed(joints=("nose", *WITHOUT_FACE)),
        observed(joints=("left_ear", *WITHOUT_FACE), mask=False),
        observed(joints=("left_eye", "left_ear", *WITHOUT_FACE), mask=False),
        observed(joints=WITHOUT_FACE),
        observed(joints=WITHOUT_FACE, mask=False),
        observed(joints=()),
        observed(joints=("left_knee",)),
        observed(joints=(), mask=False),
    ],
    ids=["all", "no mask", "nose", "an ear", "an eye and an ear", "no face", "no face nor mask", "mask alone",
         "mask and a knee", "box alone"],
)  # fmt: skip
def test_pixelate_leaves_no_detail_of_the_face(people, part):
    """With any joints and mask the head that was drawn is covered by squares of one colour."""
    after = Pixelate(part=part).apply(NOISE, people)
    assert after.skipped == ()
    face = np.argwhere(DRAWN_HEAD)
    assert (after.image != NOISE).any(axis=2)[DRAWN_HEAD].mean() > 0.99
    # Noise has as many colours as pixels; squares have few.
    colours = np.unique(after.image[face[:, 0], face[:, 1]], axis=0)
    assert len(colours) < len(face) / 15


@pytest.mark.parametrize("cell_px", [4, 7])
def test_mosaic_squares_have_the_mean_colour(cell_px):
    rng = np.random.default_rng(1)
    image = rng.integers(0, 256, (70, 90, 3), np.uint8)
    region = np.zeros((5 * cell_px, 4 * cell_px), bool)
    region[2, 3] = region[-1, -1] = True
    before = image.copy()
    draw_mosaic(
        image, PrivacyRegion(region, (slice(10, 10 + 5 * cell_px), slice(8, 8 + 4 * cell_px)), 1.0), cell_px, None
    )
    touched = np.zeros(image.shape[:2], bool)
    for row, column in ((0, 0), (4, 3)):
        square = np.s_[10 + row * cell_px : 10 + (row + 1) * cell_px, 8 + column * cell_px : 8 + (column + 1) * cell_px]
        touched[square] = True
        assert (image[square] == image[square][0, 0]).all()
        assert np.abs(image[square][0, 0] - before[square].mean(axis=(0, 1))).max() <= 1
    np.testing.assert_array_equal(image[~touched], before[~touched])


def test_mosaic_squares_at_the_image_border():
    image = NOISE[:20, :20].copy()
    draw_mosaic(image, PrivacyRegion(np.ones((6, 6), bool), (slice(14, 20), slice(14, 20)), 1.0), 4, None)
    for corner in (np.s_[14:18, 14:18], np.s_[18:20, 14:18], np.s_[18:20, 18:20]):
        assert (image[corner] == image[corner][0, 0]).all()


def test_pixelate_changes_nothing_far_from_the_face():
    after = Pixelate()(NOISE, observed())
    far = np.hypot(X - CENTRE[0], Y - CENTRE[1]) > 2.2 * RADIUS_PX
    np.testing.assert_array_equal(after[far], NOISE[far])


def test_pixelate_strength_and_cells_set_the_size_of_squares():
    def colours(**settings):
        after = Pixelate(**settings)(NOISE, observed())
        return len(np.unique(after[DRAWN_HEAD], axis=0))

    assert colours(strength=0.3) > 2 * colours()
    assert colours(cells=2) < colours() < colours(cells=10)


def test_pixelate_colour_covers_all():
    after = Pixelate(colour=(9, 8, 7))(NOISE, observed())
    assert (after[DRAWN_HEAD] == (9, 8, 7)).all()


def test_pixelate_rejects_invalid_settings():
    with pytest.raises(EffectError, match="face, head, person"):
        Pixelate(part="hand")
    with pytest.raises(EffectError, match="1 to 64"):
        Pixelate(cells=0)
    with pytest.raises(EffectError, match="colour"):
        Pixelate(colour=(0, 0, -1))
