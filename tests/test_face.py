"""The face in Python: drawing, saving, plain values, and the bundled example."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import poseg
from poseg.io.people_file import read_people

WIDTH, HEIGHT = 60, 80


def two_people() -> poseg.People:
    generator = np.random.default_rng(3)
    points = generator.uniform(10, 50, (2, 17, 2)).astype(np.float32)
    masks = np.zeros((2, HEIGHT, WIDTH), bool)
    masks[0, 10:50, 10:30], masks[1, 20:60, 35:55] = True, True
    people = poseg.People.from_poses(poseg.COCO17, points, generator.uniform(0.3, 1, (2, 17)), masks=masks)
    return replace(people, ids=np.array([4, 9]))


def test_draw_is_a_function_and_a_folder() -> None:
    import poseg.draw.pose

    image, people = np.full((HEIGHT, WIDTH, 3), 90, np.uint8), two_people()
    drawing = poseg.draw(image, people)
    np.testing.assert_array_equal(drawing, poseg.draw.overlay(image, people))
    assert poseg.draw.pose.draw_poses is poseg.draw.draw_poses


@pytest.mark.parametrize("label", ["ids", "scores", "names", "boxes"])
def test_each_label_is_drawn_on_request(label: str) -> None:
    image, people = np.full((4 * HEIGHT, 4 * WIDTH, 3), 90, np.uint8), replace(two_people(), masks=None)
    assert (poseg.draw(image, people, **{label: True}) != poseg.draw(image, people)).any()


def test_notebooks_show_a_drawing_as_what_it_is() -> None:
    drawing = poseg.draw(np.full((HEIGHT, WIDTH, 3), 90, np.uint8), two_people())
    png = drawing._repr_png_()
    assert png is not None
    np.testing.assert_array_equal(poseg.read_image(png), drawing)
    assert drawing[..., 0]._repr_png_() is None


def test_saved_json_is_read_back(tmp_path: Path) -> None:
    people = two_people()
    poseg.save(people, tmp_path / "x.json", name="photo.jpg")
    back = read_people(tmp_path / "x.json").people(1)
    np.testing.assert_allclose(back.keypoints, people.keypoints, atol=0.01)
    assert people.masks is not None
    np.testing.assert_array_equal(back.masks, people.masks.full())


def test_saved_csv_has_a_row_for_each_person(tmp_path: Path) -> None:
    people = two_people()
    poseg.save(people, tmp_path / "x.csv", name="photo.jpg")
    with (tmp_path / "x.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["id"] for row in rows] == ["4", "9"]
    assert float(rows[1]["nose_x"]) == pytest.approx(people[1]["nose"][0], abs=0.01)


def test_saved_png_is_a_label_map_or_an_overlay(tmp_path: Path) -> None:
    people, image = two_people(), np.full((HEIGHT, WIDTH, 3), 90, np.uint8)
    poseg.save(people, tmp_path / "labels.png")
    poseg.save(people, tmp_path / "overlay.png", image=image)
    assert poseg.read_image(tmp_path / "labels.png").shape == image.shape
    np.testing.assert_array_equal(poseg.read_image(tmp_path / "overlay.png"), poseg.draw(image, people))


def test_unknown_endings_and_missing_masks_are_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(poseg.PosegError, match="ends in"):
        poseg.save(two_people(), tmp_path / "x.txt")
    with pytest.raises(poseg.PosegError, match="no masks"):
        poseg.save(replace(two_people(), masks=None), tmp_path / "x.png")
    assert list(tmp_path.iterdir()) == []


def test_plain_values_are_json_and_hold_what_people_hold() -> None:
    people = two_people()
    plain = json.loads(json.dumps(people.to_dict()))
    assert [entry["id"] for entry in plain["people"]] == [4, 9]
    np.testing.assert_allclose(
        list(plain["people"][0]["keypoints"].values()), [people[0][j] for j in poseg.COCO17.joints]
    )


def test_the_example_is_an_image() -> None:
    assert poseg.examples.astronaut().shape == (512, 512, 3)
