"""Adaptive multi-scale: views that would fit no person are left out, and the finest shows the part with people."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
import pytest

from poseg.codecs import PersonLabCodec, PoSegCodec
from poseg.codecs.scale_selection import CROP_CONTEXT
from poseg.errors import PosegError
from poseg.fields import Fields
from poseg.people import People
from poseg.runtime.card import Card
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.models import build_predictor
from poseg.runtime.multi_scale import View
from poseg.transforms.letterbox import Letterbox

SIZE = (480, 640)
ADAPTIVE = InferenceConfig(1025, (0.375, 0.625, 1.0), adaptive=True)
LONG, MEDIUM, SHORT = 430.0, 200.0, 80.0  # pixels of the image; up to 350 fit on the input


def chart(size: tuple[int, int]) -> np.ndarray:
    """An image whose colours tell where a pixel is: red to the right, green downwards, blue is 255 but for padding."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([255 * x / size[1], 255 * y / size[0], np.full(size, 255)], axis=2).round().astype(np.uint8)


@dataclass
class ChartReader:
    """A model that detects the people in the part of a chart that it is shown; `inputs` are the sizes it was run on."""

    people: People
    codec: PersonLabCodec
    card: Card
    inputs: list[tuple[int, int]] = field(default_factory=list)

    def prepare(self, *arguments: Any) -> tuple[np.ndarray, Letterbox]:
        return self.card.prepare(*arguments)

    def run(self, tensor: np.ndarray) -> Fields:
        red, green, blue = tensor[0] * 128 + 127
        self.inputs.append(red.shape)
        there = blue > 250
        rows, columns = np.flatnonzero(there.any(axis=1)), np.flatnonzero(there.any(axis=0))
        # Position on the chart as a line over position on the input: pixels of the chart, centre to centre.
        along_x = np.polyfit(columns, red[rows[len(rows) // 2], columns] * SIZE[1] / 255, 1)
        along_y = np.polyfit(rows, green[rows, columns[len(columns) // 2]] * SIZE[0] / 255, 1)
        scale = 1 / np.array([along_x[0], along_y[0]])
        origin = np.array([along_x[1], along_y[1]]) + 0.5 - 0.5 / scale
        points = (self.people.keypoints - origin) * scale
        onto = np.column_stack([np.diag(scale), scale * (0.5 - origin) - 0.5])
        masks = np.stack([
            cv2.warpAffine(mask.astype(np.uint8) * 255, onto, red.shape[::-1]) > 127 for mask in self.people.masks
        ]) if len(self.people) else np.zeros((0, *red.shape), bool)  # fmt: skip
        inside = (points > 0).all(axis=2) & (points < red.shape[::-1]).all(axis=2)
        met = masks.any(axis=(1, 2)) & inside.any(axis=1)
        # In a flipped image the left hand is a right one.
        order = self.people.skeleton.flip_index if scale[0] < 0 else slice(None)
        points, inside = points[:, order], inside[:, order]
        seen = People.from_poses(
            self.people.skeleton, points[met], np.where(inside, 1.0, 0.0)[met], masks=masks[met]
        )  # fmt: skip
        return self.codec.encode(seen, red.shape).as_fields()

    def run_each(self, tensors: Sequence[np.ndarray]) -> list[Fields]:
        return [self.run(tensor) for tensor in tensors]


Detect = Callable[..., tuple[People, People, list[View], ChartReader]]


@pytest.fixture
def detect(standing: Callable[..., People], make_scene: Callable[..., Any]) -> Detect:
    """People detected in a chart, the true ones, the views and the model; from where people stand."""

    def on_chart(*feet: tuple[float, float, float], **options: Any) -> tuple[People, People, list[View], ChartReader]:
        true = standing(SIZE, list(feet)) if feet else standing(SIZE, [(9.0, 9.0, 9.0)])[:0]
        model = make_scene().model
        reader = ChartReader(true, model.codec, replace(model.card, inference=ADAPTIVE))
        predictor, image = build_predictor(reader, **options), chart(SIZE)
        views = predictor.views(image)
        return predictor.decode(image, views), true, views, reader

    return on_chart


def long_sides(reader: ChartReader) -> list[int]:
    return [max(shape) for shape in reader.inputs]


def assert_same_people(people: People, true: People) -> None:
    assert len(people) == len(true)
    gaps = np.linalg.norm(people.keypoints[:, None] - true.keypoints[None], axis=3).max(axis=2)
    match = gaps.argmin(axis=1)
    assert sorted(match) == list(range(len(true)))
    assert gaps.min(axis=1).max() < 4
    assert (np.diag(people.masks.iou(true.masks[match])) > 0.75).all()


def test_views_of_an_image_without_people_are_one(detect: Detect) -> None:
    people, _, _, reader = detect()
    assert len(people) == 0
    assert people.masks.shape == (0, *SIZE)
    assert long_sides(reader) == [641]


def test_views_include_a_coarser_one_for_a_person_who_is_too_large(detect: Detect) -> None:
    people, true, _, reader = detect((300.0, 20.0, LONG))
    assert long_sides(reader) == [641, 385]
    assert_same_people(people, true)


def test_views_of_a_person_of_medium_size_are_one(detect: Detect) -> None:
    people, true, _, reader = detect((300.0, 100.0, MEDIUM + 100))
    assert long_sides(reader) == [641]
    assert_same_people(people, true)


def test_finest_view_shows_the_part_with_a_small_person(detect: Detect) -> None:
    people, true, views, reader = detect((60.0, 30.0, SHORT))
    assert [view.crop_xyxy is None for view in views] == [True, False]
    assert_same_people(people, true)
    left, top, right, bottom = views[-1].crop_xyxy
    joints = true.keypoints.reshape(-1, 2)
    height = np.ptp(joints[:, 1])
    assert (left, top) == (0, 0)
    assert (right, bottom) == pytest.approx(joints.max(axis=0) + CROP_CONTEXT * height, abs=18)
    # The input is filled, and shows the part as large as the whole would be.
    scale = 1025 / SIZE[1]
    assert reader.inputs[-1] == views[-1].letterbox.content_size
    np.testing.assert_allclose(reader.inputs[-1], (bottom * scale, right * scale), atol=1)


@pytest.mark.parametrize("adaptive", [True, False])
def test_views_detect_people_of_all_sizes(detect: Detect, adaptive: bool) -> None:
    feet = (200.0, 25.0, LONG), (450.0, 100.0, MEDIUM), (570.0, 370.0, SHORT)
    people, true, views, _ = detect(*feet, adaptive=adaptive)
    assert len(views) == 3
    assert [view.crop_xyxy is None for view in views] == ([True, True, False] if adaptive else [True] * 3)
    assert_same_people(people, true)


def test_adaptive_views_begin_with_the_second_smallest_scale_and_others_are_run_in_order(detect: Detect) -> None:
    person = (60.0, 30.0, SHORT)
    assert long_sides(detect(person, scales=(0.375, 0.625, 1.0), adaptive=False)[3]) == [385, 641, 1025]
    assert long_sides(detect(person, scales=(1.0,))[3]) == [1025]
    finest, crop = long_sides(detect(person, scales=(0.625, 1.0))[3])
    assert finest == 641
    assert crop < 1025
    first, *crops = long_sides(detect(person, scales=(0.375, 0.625, 1.0, 1.5, 2.0))[3])
    assert first == 641
    assert crops == sorted(crops)
    assert len(crops) == 3


def test_adaptive_views_do_not_fit_a_codec_that_averages_fields_over_scales(detect: Detect) -> None:
    *_, reader = detect()
    reader.codec = PoSegCodec()
    reader.card = replace(reader.card, system="poseg")
    assert not build_predictor(reader, adaptive=False).inference.adaptive
    with pytest.raises(PosegError, match="adaptive=False"):
        build_predictor(reader)


def test_adaptive_views_flip_the_larger_ones_alone(detect: Detect) -> None:
    *_, reader = detect((200.0, 25.0, LONG), flip=True)
    assert long_sides(reader) == [641, 385]
    people, true, _, reader = detect((450.0, 100.0, MEDIUM), (60.0, 30.0, SHORT), flip=True)
    assert len(reader.inputs) == 3
    assert reader.inputs[1] == reader.inputs[2]
    assert_same_people(people, true)
