from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from poseg.errors import FieldError, ImageError, PosegError
from poseg.fields import Fields
from poseg.people import People
from poseg.runtime.predictor import Predictor


def fuse_poses(found: People, true: People, tolerance_px: float) -> None:
    """The same people, in any order."""
    assert len(found) == len(true)
    assert found.masks is not None
    assert true.masks is not None
    gaps = np.linalg.norm(found.keypoints[:, None] - true.keypoints[None], axis=3).max(axis=2)
    match = gaps.argmin(axis=1)
    assert sorted(match) == list(range(len(true)))
    assert gaps[np.arange(len(found)), match].max() < tolerance_px
    for mask, other in zip(found.masks, true.masks[match], strict=True):
        assert (mask & other).sum() / (mask | other).sum() > 0.8
    np.testing.assert_allclose(found.boxes_xyxy, tight(true.masks[match]), atol=3 * tolerance_px)


def tight(masks: np.ndarray) -> np.ndarray:
    spans = []
    for mask in masks:
        rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        spans.append((columns[0], rows[0], columns[-1] + 1, rows[-1] + 1))
    return np.array(spans)


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (350, 700), (333, 333)])
@pytest.mark.parametrize(
    "options", [{}, {"flip": True}, {"scales": (0.75, 1.0), "flip": True}, {"size_px": 641}], ids=str
)
def test_the_road_leads_back_to_the_people(
    cast: Callable[..., Any], size: tuple[int, int], options: dict[str, Any]
) -> None:
    scene = cast(*size)
    predictor = Predictor(scene.session, **{"size_px": 513, **options})
    fuse_poses(predictor(scene.image), scene.people, tolerance_px=2.0 * max(size) / 513)


def test_results_lie_in_the_picture_and_say_where_the_time_went(cast: Callable[..., Any]) -> None:
    scene = cast(240, 700)
    people = Predictor(scene.session)(scene.image)
    assert people.masks is not None
    assert people.masks.shape == (2, 240, 700)
    assert (people.boxes_xyxy >= 0).all()
    assert (people.boxes_xyxy <= (700, 240, 700, 240)).all()
    assert (np.diff(people.scores) <= 0).all()
    assert people.timings is not None
    assert min(people.timings.preprocess_ms, people.timings.inference_ms, people.timings.postprocess_ms) > 0


def test_every_scale_and_its_mirror_image_goes_through_the_network(cast: Callable[..., Any]) -> None:
    scene = cast()
    seen = Predictor(scene.session, size_px=256, scales=(1.0, 0.5, 1.5), flip=True).see(scene.image)
    assert [max(size) for size in scene.session.inputs] == [257, 257, 129, 129, 385, 385]
    assert max(seen.box.input_size) == 385
    assert seen.fields.shape_hw == scene.model.codec.grid.shape(*seen.box.input_size)


def test_somebody_too_long_for_the_finest_look_is_outlined_in_a_coarser_one(cast: Callable[..., Any]) -> None:
    scene = cast(480, 640)
    see = scene.session.run

    def blind_to_outlines_up_close(tensor: np.ndarray) -> Fields:
        fields = see(tensor)
        if max(tensor.shape) > 600:
            fields["segmentation"][:] = -20
        return fields

    scene.session.run = blind_to_outlines_up_close
    people = Predictor(scene.session, size_px=801, scales=(0.5, 1.0), min_score=0.0)(scene.image)
    assert people.masks is not None
    long, short = np.argsort(people.keypoints[:, 0, 0])
    assert not np.asarray(people.masks)[short].any(), "he fits into the look that is blind"
    true = np.asarray(scene.people.masks)[scene.people.keypoints[:, 0, 0].argmin()]
    assert (people.masks[long] & true).sum() / (people.masks[long] | true).sum() > 0.8


def test_the_model_says_how_large_its_input_is(cast: Callable[..., Any]) -> None:
    scene = cast()
    Predictor(scene.session)(scene.image)
    assert max(scene.session.inputs[0]) == scene.model.card.size_px


def test_all_ways_to_give_a_picture_agree(cast: Callable[..., Any], tmp_path: Any) -> None:
    scene = cast()
    predictor = Predictor(scene.session)
    path = tmp_path / "picture.png"
    Image.fromarray(scene.image).save(path)
    wanted = predictor(scene.image)
    for source in (path, str(path), path.read_bytes(), BytesIO(path.read_bytes()), Image.fromarray(scene.image)):
        np.testing.assert_array_equal(predictor(source).keypoints, wanted.keypoints)


def test_choices_are_obeyed(cast: Callable[..., Any]) -> None:
    scene = cast()
    assert len(Predictor(scene.session, max_people=1)(scene.image)) == 1
    assert Predictor(scene.session, masks=False)(scene.image).masks is None
    assert len(Predictor(scene.session, min_score=1.0)(scene.image)) == 0


def test_nobody_is_a_fine_answer(cast: Callable[..., Any]) -> None:
    scene = cast()
    scene.session.people = scene.people[:0]
    people = Predictor(scene.session)(scene.image)
    assert len(people) == 0
    assert people.masks is not None
    assert people.masks.shape == (0, *scene.image.shape[:2])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"size_px": 10}, "10 pixels long"),
        ({"size_px": 100_000}, "100000 pixels long"),
        ({"scales": (1.0, 0.01)}, "3 pixels long"),
        ({"scales": ()}, "Scales"),
        ({"scales": (0.0,)}, "Scales"),
        ({"scales": (float("nan"),)}, "Scales"),
        ({"max_people": 0}, "1 or more"),
        ({"min_score": 1.5}, "between 0 and 1"),
    ],
)
def test_settings_out_of_range_are_refused(cast: Callable[..., Any], options: dict[str, Any], complaint: str) -> None:
    with pytest.raises(PosegError, match=complaint):
        Predictor(cast().session, **options)


def test_bad_pictures_are_refused(cast: Callable[..., Any], tmp_path: Any) -> None:
    predictor = Predictor(cast().session)
    with pytest.raises(ImageError, match="no file"):
        predictor(tmp_path / "nothing.jpg")
    with pytest.raises(ImageError, match=r"holiday\.jpg"):
        predictor(b"no picture", name="holiday.jpg")


def test_a_network_gone_wrong_is_told(cast: Callable[..., Any]) -> None:
    scene = cast()
    run = scene.session.run

    def broken(tensor: np.ndarray) -> Fields:
        fields = run(tensor)
        return replace(fields, arrays={**fields.arrays, "heatmap": fields["heatmap"] * np.float32(np.nan)})

    scene.session.run = broken
    with pytest.raises(FieldError, match="not finite"):
        Predictor(scene.session)(scene.image)
