"""Sizes in which a look would suit nobody are left out, and the largest shows the part where people are."""

from __future__ import annotations

from collections.abc import Callable
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
from poseg.runtime.multi_scale import View
from poseg.runtime.predictor import Predictor

SIZE = (480, 640)
SIZE_PX, SCALES = 1025, (0.375, 0.625, 1.0)
LONG, MIDDLE, SHORT = 430.0, 200.0, 80.0  # pixels of the picture; 350 are suiting in the input


def chart(size: tuple[int, int]) -> np.ndarray:
    """A picture that tells of each pixel where it is: red to the right, green downwards, blue that it is no padding."""
    y, x = np.mgrid[: size[0], : size[1]]
    return np.stack([255 * x / size[1], 255 * y / size[0], np.full(size, 255)], axis=2).round().astype(np.uint8)


@dataclass
class ChartReader:
    """A network that finds people wherever the part of a chart it is shown holds them; `inputs` are their sizes."""

    people: People
    codec: PersonLabCodec
    card: Card
    inputs: list[tuple[int, int]] = field(default_factory=list)

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
        # In a mirror the left hand is a right one.
        order = self.people.skeleton.flip_index if scale[0] < 0 else slice(None)
        points, inside = points[:, order], inside[:, order]
        seen = People.from_poses(
            self.people.skeleton, points[met], np.where(inside, 1.0, 0.0)[met], masks=masks[met]
        )  # fmt: skip
        return self.codec.encode(seen, red.shape).as_fields()

    def run_two(self, first: np.ndarray, second: np.ndarray) -> tuple[Fields, Fields]:
        return self.run(first), self.run(second)


Find = Callable[..., tuple[People, People, View, ChartReader]]


@pytest.fixture
def found(standing: Callable[..., People], cast: Callable[..., Any]) -> Find:
    """People found in a chart, the true ones, what was seen of it, and who saw it; from who stands where."""

    def find(*feet: tuple[float, float, float], **options: Any) -> tuple[People, People, View, ChartReader]:
        true = standing(SIZE, list(feet)) if feet else standing(SIZE, [(9.0, 9.0, 9.0)])[:0]
        session = cast().session
        reader = ChartReader(
            true, session.codec, replace(session.card, size_px=SIZE_PX, scales=SCALES, everywhere=False)
        )
        predictor = Predictor(reader, **options)
        seen = predictor.see(chart(SIZE))
        return predictor.decode(seen), true, seen, reader

    return find


def long_sides(reader: ChartReader) -> list[int]:
    return [max(shape) for shape in reader.inputs]


def alike(people: People, true: People) -> None:
    assert len(people) == len(true)
    gaps = np.linalg.norm(people.keypoints[:, None] - true.keypoints[None], axis=3).max(axis=2)
    match = gaps.argmin(axis=1)
    assert sorted(match) == list(range(len(true)))
    assert gaps.min(axis=1).max() < 4
    for mask, other in zip(people.masks, true.masks[match], strict=True):
        assert (mask & other).sum() / (mask | other).sum() > 0.75


def test_of_nobody_there_is_one_look(found: Find) -> None:
    people, _, _, reader = found()
    assert len(people) == 0
    assert people.masks.shape == (0, *SIZE)
    assert long_sides(reader) == [641]


def test_somebody_too_long_is_looked_at_in_a_smaller_size(found: Find) -> None:
    people, true, _, reader = found((300.0, 20.0, LONG))
    assert long_sides(reader) == [641, 385]
    alike(people, true)


def test_somebody_of_middling_length_needs_no_other_size(found: Find) -> None:
    people, true, _, reader = found((300.0, 100.0, MIDDLE + 100))
    assert long_sides(reader) == [641]
    alike(people, true)


def test_the_largest_size_shows_the_part_with_somebody_short(found: Find) -> None:
    people, true, seen, reader = found((60.0, 30.0, SHORT))
    assert len(reader.inputs) == 2
    alike(people, true)
    left, top, right, bottom = seen.views[-1].box.crop_xyxy
    joints = true.keypoints.reshape(-1, 2)
    height = np.ptp(joints[:, 1])
    assert (left, top) == (0, 0)
    assert (right, bottom) == pytest.approx(joints.max(axis=0) + CROP_CONTEXT * height, abs=18)
    # The input is filled, and shows the part as large as the whole would be.
    scale = 1025 / SIZE[1]
    assert reader.inputs[-1] == seen.views[-1].box.content_size
    np.testing.assert_allclose(reader.inputs[-1], (bottom * scale, right * scale), atol=1)


@pytest.mark.parametrize("everywhere", [True, False])
def test_people_of_all_lengths_are_found(found: Find, everywhere: bool) -> None:
    feet = (200.0, 25.0, LONG), (450.0, 100.0, MIDDLE), (570.0, 370.0, SHORT)
    people, true, seen, _ = found(*feet, everywhere=everywhere)
    assert len(seen.views) == 3
    assert [view.box.crop_xyxy is None for view in seen.views] == ([True] * 3 if everywhere else [True, True, False])
    alike(people, true)


def test_what_is_said_of_the_whole_picture_is_of_a_view_that_shows_it(found: Find) -> None:
    _, _, seen, _ = found((60.0, 30.0, SHORT))
    assert seen.box.crop_xyxy is None
    assert max(seen.box.input_size) == 641
    assert seen.timings.postprocess_ms > 0


def test_other_choices_read_the_same_views_anew(found: Find) -> None:
    _, _, seen, reader = found((60.0, 30.0, SHORT), (300.0, 20.0, LONG))
    strict = replace(reader.codec.default_config, seed_threshold=2.0)
    assert len(Predictor(reader, decoding=strict).decode(seen)) == 0


def test_sizes_that_somebody_asks_for_are_all_taken(found: Find) -> None:
    _, _, _, reader = found((60.0, 30.0, SHORT), scales=(0.375, 0.625, 1.0))
    assert sorted(long_sides(reader)) == [385, 641, 1025]
    _, _, _, reader = found((60.0, 30.0, SHORT), size_px=1025)
    assert long_sides(reader) == [1025]
    _, _, _, reader = found((60.0, 30.0, SHORT), scales=(0.625, 1.0), everywhere=False)
    assert long_sides(reader)[0] == 641
    assert long_sides(reader)[1] < 1025


def test_looks_whose_mean_is_wanted_are_taken_whole(found: Find) -> None:
    *_, reader = found()
    reader.codec = PoSegCodec()
    reader.card = replace(reader.card, system="poseg", everywhere=True)
    assert Predictor(reader).everywhere
    with pytest.raises(PosegError, match="everywhere"):
        Predictor(reader, everywhere=False)


def test_of_sizes_worth_it_the_largest_alone_is_mirrored(found: Find) -> None:
    *_, reader = found((200.0, 25.0, LONG), flip=True)
    assert long_sides(reader) == [641, 385]
    people, true, _, reader = found((450.0, 100.0, MIDDLE), (60.0, 30.0, SHORT), flip=True)
    assert len(reader.inputs) == 3
    assert reader.inputs[1] == reader.inputs[2]
    alike(people, true)
