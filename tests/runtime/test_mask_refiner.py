"""A painter whose network knows the answer: parts, windows and the way back to the picture are what is tested."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseg.codecs import DEFAULT, PersonLabCodec
from poseg.codecs.mask_refiner import INPUT_CHANNELS, MaskRefinerCodec
from poseg.errors import PosegError
from poseg.people import People
from poseg.runtime import mask_refiner as module
from poseg.runtime.card import Card
from poseg.runtime.mask_refiner import MaskRefiner
from poseg.runtime.predictor import Predictor
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import make_letterbox

CODEC, FINDER = MaskRefinerCodec(), PersonLabCodec(stride=8)
SIZE = (180, 240)


def card_of(codec, system, **changes) -> Card:
    settings = {
        "name": "drawn", "system": system, "codec": codec.to_dict(), "skeleton": {}, "size_px": 241,
        "size_divisor": 8, "size_offset": 1, "mean": (127.5,) * 3, "std": (127.5,) * 3, "outputs": {},
    }  # fmt: skip
    return Card(**{**settings, **changes})


class Evidence:
    """A network that says what its input says: person where margin is positive and person is probable."""

    def __init__(self) -> None:
        self.codec, self.card, self.runs = CODEC, card_of(CODEC, "painter"), []

    def run(self, tensor):
        assert tensor.shape[1:] == (INPUT_CHANNELS, 64, 64)
        self.runs.append(len(tensor))
        logit = 20 * np.minimum(tensor[:, 3] - 0.5, tensor[:, 4])
        return CODEC.fields_from_outputs({"mask": logit[:, None]})


class Told:
    """A network that knows the people of a picture, and sees the part of it that it is shown."""

    def __init__(self, people: People, **changes) -> None:
        self.people, self.codec, self.card = people, FINDER, card_of(FINDER, "personlab", **changes)

    def run(self, tensor):
        height, width = tensor.shape[2:]
        box = make_letterbox(SIZE, max(height, width), size_divisor=8, size_offset=1)
        assert box.input_size == (height, width)
        masks = np.zeros((len(self.people), height, width), bool)
        rows, columns = box.content_size
        for mask, target in zip(self.people.masks, masks, strict=True):
            target[:rows, :columns] = cv2.resize(mask.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_AREA)
        return FINDER.encode(replace(box.people_to_input(self.people), masks=masks), (height, width)).as_fields()


def two_people() -> People:
    rng = np.random.default_rng(0)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 20:160, 20:90], masks[1, 40:170, 130:215] = True, True
    points = np.stack([rng.uniform((25, 25), (85, 155), (17, 2)), rng.uniform((135, 45), (210, 165), (17, 2))])
    return People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)


@pytest.mark.parametrize("how", [{}, {"scales": (1.0, 0.6)}, {"scales": (1.0, 0.6), "everywhere": False}])
def test_a_painter_that_believes_the_decoder_paints_as_it_does(image, how):
    """In one look and in several, everywhere or not: the same people, and masks that differ at their edges alone."""
    truth = two_people()
    plain = Predictor(Told(truth), size_px=241, **how)
    painted = replace(plain, painter=MaskRefiner(Evidence()))
    one, other = plain(image), painted(image)
    assert len(one) == len(other) == 2
    np.testing.assert_array_equal(one.keypoints, other.keypoints)
    np.testing.assert_array_equal(one.scores, other.scores)
    overlap = (np.asarray(one.masks) & other.masks).sum(axis=(1, 2)) / (np.asarray(one.masks) | other.masks).sum(
        axis=(1, 2)
    )
    assert (overlap > 0.93).all()
    assert other.timings is not None


def test_masks_are_painted_on_the_picture(image):
    truth = two_people()
    people = replace(Predictor(Told(truth), size_px=481), painter=MaskRefiner(Evidence()))(image)
    order = np.argsort(people.keypoints[:, :, 0].mean(axis=1))
    masks = people.masks[order]
    assert masks.shape == (2, *SIZE)
    overlap = (masks & truth.masks).sum(axis=(1, 2)) / (masks | truth.masks).sum(axis=(1, 2))
    assert (overlap > 0.9).all()
    left = people.boxes_xyxy[order][0]
    np.testing.assert_allclose(left, (20, 20, 90, 160), atol=6)


def test_many_people_take_several_runs(image, monkeypatch):
    monkeypatch.setattr(module, "MAX_BATCH", 1)
    network = Evidence()
    one = replace(Predictor(Told(two_people()), size_px=241), painter=MaskRefiner(network))(image)
    assert network.runs == [1, 1]
    monkeypatch.setattr(module, "MAX_BATCH", 64)
    other = replace(Predictor(Told(two_people()), size_px=241), painter=MaskRefiner(network))(image)
    assert network.runs[2:] == [2]
    np.testing.assert_array_equal(one.masks, other.masks)


def test_nobody_has_no_masks_and_costs_no_run(image):
    network = Evidence()
    people = Predictor(Told(two_people()[:0]), size_px=241, painter=MaskRefiner(network))(image)
    assert len(people) == 0
    assert people.masks.shape == (0, *SIZE)
    assert not network.runs


def test_without_masks_there_is_nothing_to_paint(image):
    network = Evidence()
    people = Predictor(Told(two_people()), size_px=241, masks=False, painter=MaskRefiner(network))(image)
    assert people.masks is None
    assert len(people) == 2
    assert not network.runs


def test_parts_of_a_picture_are_painted_as_one(image):
    """Whoever is painted with others has the pixels that the split into looks does not change."""
    predictor, painter = Predictor(Told(two_people()), size_px=241), MaskRefiner(Evidence())
    ((box, whole),) = predictor.unpainted(predictor.see(image))
    split = [
        (box, replace(whole, people=whole.people[rows], claims=whole.claims.of(np.array(rows)))) for rows in ([0], [1])
    ]
    together = painter(image, [(box, whole)], exclusive=DEFAULT.exclusive)
    apart = painter(image, split, exclusive=DEFAULT.exclusive)
    np.testing.assert_array_equal(together.masks, apart.masks)


def test_bad_settings():
    with pytest.raises(PosegError, match="paints no masks"):
        MaskRefiner(Told(two_people()))
    with pytest.raises(PosegError, match="least probability"):
        MaskRefiner(Evidence(), mask_threshold=1.0)
