"""Windows are drawn upright, with the pose on the person."""

from __future__ import annotations

import numpy as np

from poseg.codecs.pose2seg import Pose2SegCodec, paper_templates
from poseg.draw.windows import draw_windows
from poseg.people import People
from poseg.skeletons import COCO17

CODEC = Pose2SegCodec(padding=0.1)


def lying() -> tuple[np.ndarray, People]:
    """A person on its side on grey, its nose in a red square."""
    points = paper_templates().points[:1] * 120
    points = np.stack([200 - points[..., 1], 40 + points[..., 0]], axis=-1)
    people = People.from_poses(COCO17, points, np.ones((1, 17)))
    image = np.full((200, 240, 3), 128, np.uint8)
    x, y = people.keypoints[0, 0].astype(int)
    image[y - 6 : y + 6, x - 6 : x + 6] = (255, 0, 0)
    return image, people


def test_a_lying_person_stands_in_its_window():
    image, people = lying()
    windows = CODEC.windows(people, (200, 240))
    drawn = draw_windows(image, replace_sure(people), windows)
    y, x = np.nonzero((drawn[..., 0] > 200) & (drawn[..., 1] < 60))
    wanted = (0.1 + 0.8 * paper_templates().points[0, 0]) * 192
    np.testing.assert_allclose((x.mean(), y.mean()), wanted, atol=4)


def replace_sure(people: People) -> People:
    """Nobody's joints: only the picture shows."""
    return People.from_poses(people.skeleton, people.keypoints, np.zeros((len(people), 17)))


def test_masks_stand_beside_and_gaps_are_white():
    image, people = lying()
    windows = CODEC.windows(people, (200, 240))
    mask = np.zeros((1, 64, 64), np.float32)
    mask[0, :32] = 1
    drawn = draw_windows(image, people, windows, mask, 1 - mask, zoom=2, gap_px=5)
    assert drawn.shape == (128, 3 * 128 + 10, 3)
    assert (drawn[:, 128:133] == 255).all()
    assert (drawn[:64, 133:261] == 255).all()
    assert (drawn[64:, 133:261] == 0).all()
    assert (drawn[:64, 266:] == 0).all()
