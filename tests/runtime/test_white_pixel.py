"""One white pixel through the whole road: letterbox, network, fields, decoder and back. Not half a pixel is lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest

from poseg.codecs import DEFAULT, PAF_DEFAULT, PersonLabCodec, PoSegCodec
from poseg.fields import Fields
from poseg.geometry.grid import PIXEL_CENTRE, pixel_centres
from poseg.people import People
from poseg.runtime.card import Card
from poseg.runtime.predictor import Predictor
from poseg.skeletons import Skeleton

DOT = Skeleton("dot", ("dot",), ())
SIDE_PX = 257
FAR = {"max_assignment_distance": 1e3}  # of one joint's own scale, which is nothing
ROADS = {
    "poseg, 8n + 1": (PoSegCodec(DOT), replace(PAF_DEFAULT, min_joints=1, **FAR)),
    "poseg, 8n": (PoSegCodec(DOT, origin_px=4.0), replace(PAF_DEFAULT, min_joints=1, **FAR)),
    "personlab, 8n + 1": (PersonLabCodec(DOT, stride=8), replace(DEFAULT, **FAR)),
    "personlab, 16n + 1": (PersonLabCodec(DOT, stride=16), replace(DEFAULT, **FAR)),
}


@dataclass(frozen=True)
class Brightest:
    """A network that sees a joint in the middle of what is bright, and a person wherever it is."""

    codec: PoSegCodec | PersonLabCodec

    @property
    def card(self) -> Card:
        return Card(
            name="brightest", system="poseg", codec=self.codec.to_dict(), skeleton=asdict(DOT), size_px=SIDE_PX,
            size_divisor=self.codec.stride, size_offset=int(self.codec.grid.origin == PIXEL_CENTRE),
            mean=(0.0, 0.0, 0.0), std=(255.0,) * 3, outputs={},
        )  # fmt: skip

    def run(self, tensor: np.ndarray) -> Fields:
        bright = tensor[0].mean(axis=0, dtype=np.float64)
        y, x = pixel_centres(np.indices(bright.shape))
        place = np.array([(x * bright).sum(), (y * bright).sum()]) / bright.sum()
        people = People.from_poses(DOT, place[None, None], np.ones((1, 1)), masks=bright[None] > 0.5)
        size = (tensor.shape[2], tensor.shape[3])
        assert self.codec.grid.size(*self.codec.grid.shape(*size)) == size, "the sides that this grid takes"
        return self.codec.encode(people, size).as_fields()

    def run_two(self, first: np.ndarray, second: np.ndarray) -> tuple[Fields, Fields]:
        return self.run(first), self.run(second)


def seen(road: str, size: tuple[int, int], x: int, y: int, side_px: int, **options) -> People:
    """Who is found in a black picture with a white square of odd side around the pixel (x, y)."""
    codec, decoding = ROADS[road]
    picture, half = np.zeros((*size, 3), np.uint8), side_px // 2
    picture[y - half : y + half + 1, x - half : x + half + 1] = 255
    choices = {"masks": False, "decoding": decoding, "min_score": 0.3, **options}
    people = Predictor(Brightest(codec), **choices)(picture)
    assert len(people) == 1
    return people


@pytest.fixture(params=ROADS)
def road(request) -> str:
    return request.param


@pytest.mark.parametrize("options", [{}, {"flip": True}, {"size_px": 193}], ids=str)
@pytest.mark.parametrize("size", [(100, 150), (77, 93), (151, 133), (192, 192), (193, 193), (33, 190), (17, 23)])
def test_a_white_pixel_is_found_at_its_centre(road, size, options):
    """Where the input is as large as the picture, or larger."""
    rng = np.random.default_rng(sum(size))
    # Half a block from the edge, beyond the last cell of an input of 8 n pixels, a peak has but one side.
    edge = 2 + max(size) // 40
    for _ in range(4):
        x, y = (int(rng.integers(edge, side - edge)) for side in size[::-1])
        found = seen(road, size, x, y, 1, **options).keypoints[0, 0]
        np.testing.assert_allclose(found, (x + 0.5, y + 0.5), atol=0.1)


@pytest.mark.parametrize("size", [(257, 256), (384, 500), (700, 431), (1001, 640)])
def test_in_a_picture_that_is_scaled_down_a_white_square_is_found_at_its_centre(road, size):
    """Of a single pixel nothing is left there but which pixels of the input it fell on."""
    rng = np.random.default_rng(sum(size))
    for _ in range(4):
        x, y = (int(rng.integers(50, side - 50)) for side in size[::-1])
        found = seen(road, size, x, y, 75).keypoints[0, 0]
        np.testing.assert_allclose(found, (x + 0.5, y + 0.5), atol=0.1)


@pytest.mark.parametrize(("size", "side_px"), [((60, 80), 21), ((257, 257), 75), ((700, 560), 201)], ids=str)
def test_masks_of_white_squares_lie_around_their_centres(road, size, side_px):
    """Cells are coarser than an edge, so one mask may be a pixel of the input off, but many are so to neither side."""
    rng, away, edge = np.random.default_rng(sum(size)), [], side_px // 2 + 8
    for _ in range(48):
        x, y = (int(rng.integers(edge, side - edge)) for side in size[::-1])
        rows, columns = np.nonzero(seen(road, size, x, y, side_px, masks=True).masks[0])
        away.append((columns.mean() - x, rows.mean() - y))
    in_input = np.array(away) * SIDE_PX / max(size)
    np.testing.assert_allclose(in_input.mean(axis=0), 0, atol=0.2)
    assert np.abs(in_input).max() < 2


def test_looks_at_several_sizes_agree_on_the_place(road):
    found = seen(road, (120, 170), 91, 40, 1, scales=(1.0, 1.37, 2.0), flip=True).keypoints[0, 0]
    np.testing.assert_allclose(found, (91.5, 40.5), atol=0.1)
