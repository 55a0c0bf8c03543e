"""Masks refined by a network that knows the answer: views, crops and the way back to the image are what is tested."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest

from poseg.codecs import PersonLabCodec
from poseg.codecs.instances import Instances
from poseg.codecs.mask_refiner import INPUT_CHANNELS, MaskRefinerCodec
from poseg.errors import PosegError
from poseg.people import People
from poseg.runtime import mask_refiner as module
from poseg.runtime.card import Card
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.mask_refiner import MaskRefiner
from poseg.runtime.models import build_predictor
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import make_letterbox

CODEC, DETECTOR = MaskRefinerCodec(), PersonLabCodec(stride=8)
SIZE = (180, 240)


def card_of(codec, system, **changes) -> Card:
    settings = {
        "name": "fake", "system": system, "codec": codec.to_dict(), "skeleton": {}, "inference": InferenceConfig(241),
        "size_divisor": 8, "size_offset": 1, "mean": (127.5,) * 3, "std": (127.5,) * 3, "outputs": {},
    }  # fmt: skip
    return Card(**{**settings, **changes})


class FakeRefiner:
    """A model that says what its input says: person where the margin is positive and person is probable."""

    def __init__(self) -> None:
        self.codec, self.card, self.runs = CODEC, card_of(CODEC, "mask_refiner"), []

    def run(self, tensor):
        assert tensor.shape[1:] == (INPUT_CHANNELS, 64, 64)
        self.runs.append(len(tensor))
        logit = 20 * np.minimum(tensor[:, 3] - 0.5, tensor[:, 4])
        return CODEC.fields_from_outputs({"mask": logit[:, None]})


class FakeDetector:
    """A model that knows the people of the image, which it sees whole."""

    def __init__(self, people: People) -> None:
        self.people, self.codec, self.card = people, DETECTOR, card_of(DETECTOR, "personlab")
        self.prepare = self.card.prepare

    def run(self, tensor):
        height, width = tensor.shape[2:]
        letterbox = make_letterbox(SIZE, max(height, width), size_divisor=8, size_offset=1)
        assert letterbox.input_size == (height, width)
        masks = np.zeros((len(self.people), height, width), bool)
        rows, columns = letterbox.content_size
        for mask, target in zip(self.people.masks, masks, strict=True):
            target[:rows, :columns] = cv2.resize(mask.astype(np.uint8), (columns, rows), interpolation=cv2.INTER_AREA)
        return DETECTOR.encode(
            replace(letterbox.people_to_input(self.people), masks=masks), (height, width)
        ).as_fields()


def two_people() -> People:
    rng = np.random.default_rng(0)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 20:160, 20:90], masks[1, 40:170, 130:215] = True, True
    points = np.stack([rng.uniform((25, 25), (85, 155), (17, 2)), rng.uniform((135, 45), (210, 165), (17, 2))])
    return People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (*SIZE, 3), np.uint8)


def predictor_on(people: People, refiner: FakeRefiner | None = None, **options):
    """Refines the masks of people that a fake model detects, or renders them without a refiner."""
    return build_predictor(
        FakeDetector(people), mask_refiner="" if refiner is None else MaskRefiner(refiner), **options
    )  # fmt: skip


@pytest.mark.parametrize(
    "options", [{}, {"scales": (1.0, 0.6)}, {"scales": (1.0, 0.6), "adaptive": True}, {"long_edge_px": 481}], ids=str
)
def test_refiner_that_believes_the_decoder_gives_its_masks(image, options):
    """The same people as rendered masks have, and masks that differ from them at their edges alone."""
    truth = two_people()
    rendered = predictor_on(truth, **options)(image)
    refined = predictor_on(truth, FakeRefiner(), **options)(image)
    assert len(rendered) == len(refined) == 2
    np.testing.assert_array_equal(rendered.keypoints, refined.keypoints)
    np.testing.assert_array_equal(rendered.scores, refined.scores)
    assert (np.diag(rendered.masks.iou(refined.masks)) > 0.93).all()
    order = np.argsort(refined.keypoints[:, :, 0].mean(axis=1))
    assert refined.masks.shape == (2, *SIZE)
    assert (np.diag(refined.masks[order].iou(truth.masks)) > 0.9).all()
    np.testing.assert_allclose(refined.boxes_xyxy[order][0], (20, 20, 90, 160), atol=6)


def test_refiner_runs_many_people_in_batches(image, monkeypatch):
    monkeypatch.setattr(module, "MAX_BATCH", 1)
    network = FakeRefiner()
    one_by_one = predictor_on(two_people(), network)(image)
    assert network.runs == [1, 1]
    monkeypatch.setattr(module, "MAX_BATCH", 64)
    together = predictor_on(two_people(), network)(image)
    assert network.runs[2:] == [2]
    np.testing.assert_array_equal(one_by_one.masks, together.masks)


def test_refiner_is_not_run_without_people_or_without_masks(image):
    network = FakeRefiner()
    people = predictor_on(two_people()[:0], network)(image)
    assert len(people) == 0
    assert people.masks.shape == (0, *SIZE)
    people = predictor_on(two_people(), network, masks=False)(image)
    assert people.masks is None
    assert len(people) == 2
    assert not network.runs


def test_refiner_gives_the_same_masks_however_people_are_split_into_views(image):
    predictor, refiner = predictor_on(two_people()), MaskRefiner(FakeRefiner())
    (whole,) = predictor.instances(image, predictor.views(image))
    people, assignment = whole.instances.people, whole.instances.assignment
    split = [
        replace(whole, instances=Instances(people[rows], assignment.select(np.array(rows)))) for rows in ([0], [1])
    ]
    together, apart = (refiner(image, parts, exclusive=True) for parts in ([whole], split))
    np.testing.assert_array_equal(together.masks, apart.masks)


def test_refiner_rejects_other_systems_and_thresholds():
    with pytest.raises(PosegError, match="does not refine masks"):
        MaskRefiner(FakeDetector(two_people()))
    with pytest.raises(PosegError, match="lies between 0 and 1"):
        MaskRefiner(FakeRefiner(), mask_threshold=1.0)
