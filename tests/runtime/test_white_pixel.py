"""One white pixel through the whole road: letterbox, network, fields, decoder and back. Not half a pixel is lost."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace

import numpy as np
import pytest

from poseg.codecs import PAF, PoSegCodec
from poseg.fields import Fields
from poseg.geometry.grid import pixel_centres
from poseg.people import People
from poseg.runtime.card import Card
from poseg.runtime.predictor import Predictor
from poseg.skeletons import Skeleton

DOT = Skeleton("dot", ("dot",), ())
ON_PIXELS, IN_BLOCKS = PoSegCodec(DOT), PoSegCodec(DOT, origin_px=4.0)
CHOICES = replace(PAF, min_joints=1)
SIDE_PX = 257


@dataclass(frozen=True)
class Brightest:
    """A network that sees a joint in the middle of what is bright."""

    codec: PoSegCodec

    @property
    def card(self) -> Card:
        return Card(
            name="brightest", system="poseg", codec=self.codec.to_plain(), skeleton=asdict(DOT), size_px=SIDE_PX,
            size_multiple=8, size_remainder=int(self.codec is ON_PIXELS), mean=(0.0, 0.0, 0.0), std=(255.0,) * 3,
            outputs={},
        )  # fmt: skip

    def run(self, tensor: np.ndarray) -> Fields:
        bright = tensor[0].sum(axis=0, dtype=np.float64)
        y, x = pixel_centres(np.indices(bright.shape))
        place = np.array([(x * bright).sum(), (y * bright).sum()]) / bright.sum()
        people = People.from_poses(DOT, place[None, None], np.ones((1, 1)))
        size = (tensor.shape[2], tensor.shape[3])
        assert self.codec.grid.size(*self.codec.grid.shape(*size)) == size, "the sides that this grid takes"
        return self.codec.encode(people, size).as_fields()


def seen_at(codec: PoSegCodec, size: tuple[int, int], x: int, y: int, side_px: int, **options) -> np.ndarray:
    """Where the joint of a white square of odd side around the pixel (x, y) of a black picture is found."""
    picture, half = np.zeros((*size, 3), np.uint8), side_px // 2
    picture[y - half : y + half + 1, x - half : x + half + 1] = 255
    people = Predictor(Brightest(codec), masks=False, decoding=CHOICES, min_score=0.3, **options)(picture)
    assert len(people) == 1
    return people.keypoints[0, 0]


GRIDS = pytest.mark.parametrize("codec", [ON_PIXELS, IN_BLOCKS], ids=["8n + 1", "8n"])


@GRIDS
@pytest.mark.parametrize("options", [{}, {"flip": True}, {"size_px": 193}], ids=str)
@pytest.mark.parametrize("size", [(100, 150), (77, 93), (151, 133), (192, 192), (193, 193), (33, 190), (17, 23)])
def test_a_white_pixel_is_found_at_its_centre(codec, size, options):
    rng = np.random.default_rng(sum(size))
    # Half a block from the edge, beyond the last cell of an input of 8 n pixels, a peak has but one side.
    edge = 2 + max(size) // 40
    for _ in range(4):
        x, y = (int(rng.integers(edge, side - edge)) for side in size[::-1])
        np.testing.assert_allclose(seen_at(codec, size, x, y, 1, **options), (x + 0.5, y + 0.5), atol=0.1)


@GRIDS
@pytest.mark.parametrize("size", [(257, 256), (384, 500), (700, 431), (1001, 640)])
def test_in_a_picture_that_is_scaled_down_a_white_square_is_found_at_its_centre(codec, size):
    """Of a single pixel nothing is left there but which pixels of the input it fell on."""
    rng = np.random.default_rng(sum(size))
    for _ in range(4):
        x, y = (int(rng.integers(50, side - 50)) for side in size[::-1])
        np.testing.assert_allclose(seen_at(codec, size, x, y, 75), (x + 0.5, y + 0.5), atol=0.1)


@GRIDS
def test_looks_at_several_sizes_agree_on_the_place(codec):
    found = seen_at(codec, (120, 170), 91, 40, 1, scales=(1.0, 1.37, 2.0), flip=True)
    np.testing.assert_allclose(found, (91.5, 40.5), atol=0.1)
