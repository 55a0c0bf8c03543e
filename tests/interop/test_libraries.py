"""What we write opens in the libraries that it is for. Each test is skipped where its library is not installed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from poseg.interop import (
    ImagePeople,
    YoloTask,
    to_coco,
    to_csv,
    to_fiftyone,
    to_labelme,
    to_pandas,
    to_supervision,
    to_yolo,
)


def test_supervision_holds_boxes_masks_joints_scores_and_ids(drawn: ImagePeople) -> None:
    pytest.importorskip("supervision")
    detections, keypoints = to_supervision(drawn.people)
    np.testing.assert_array_equal(detections.tracker_id, drawn.people.ids)
    np.testing.assert_array_equal(detections.mask, drawn.people.masks)
    np.testing.assert_array_equal(detections[detections.confidence > 0.7].xyxy, drawn.people.boxes_xyxy[:1])
    np.testing.assert_array_equal(keypoints.xy, drawn.people.keypoints)
    np.testing.assert_array_equal(keypoints.as_detections().confidence, drawn.people.scores)


def test_supervision_draws_what_it_was_given(drawn: ImagePeople) -> None:
    sv = pytest.importorskip("supervision")
    detections, keypoints = to_supervision(drawn.people)
    image = np.zeros((*drawn.known_size, 3), np.uint8)
    assert sv.MaskAnnotator().annotate(image.copy(), detections).any()
    assert sv.VertexAnnotator().annotate(image.copy(), keypoints).any()


@pytest.mark.filterwarnings("ignore")
def test_supervision_reads_yolo_polygons(drawn: ImagePeople, tmp_path: Path) -> None:
    sv = pytest.importorskip("supervision")
    to_yolo(tmp_path, [drawn], YoloTask.seg)
    (tmp_path / "images").mkdir()
    Image.new("RGB", drawn.known_size[::-1]).save(tmp_path / "images" / drawn.name)
    data = sv.DetectionDataset.from_yolo(
        str(tmp_path / "images"), str(tmp_path / "labels"), str(tmp_path / "data.yaml"), force_masks=True
    )
    ((_, _, detections),) = list(data)
    assert data.classes == ["person"]
    agreement = (detections.mask == np.asarray(drawn.people.masks)).mean(axis=(1, 2))
    assert agreement.min() > 0.97


def test_pandas_has_a_row_for_each_person(drawn: ImagePeople, tmp_path: Path) -> None:
    pd = pytest.importorskip("pandas")
    table = to_pandas([drawn])
    to_csv(tmp_path / "x.csv", [drawn])
    pd.testing.assert_frame_equal(pd.read_csv(tmp_path / "x.csv"), table, check_dtype=False)
    assert table.loc[table.id == 9, "score"].item() == pytest.approx(0.6)


@pytest.mark.filterwarnings("ignore:__array__:DeprecationWarning")  # pycocotools with NumPy 2
def test_pycocotools_loads_the_data_set(drawn: ImagePeople, without_people: ImagePeople, tmp_path: Path) -> None:
    from pycocotools.coco import COCO

    to_coco(tmp_path / "x.json", [drawn, without_people])
    data = COCO(str(tmp_path / "x.json"))
    records = data.loadAnns(data.getAnnIds(imgIds=[1]))
    np.testing.assert_array_equal([data.annToMask(record) for record in records], drawn.people.masks)
    assert data.getAnnIds(imgIds=[2]) == []


@pytest.mark.filterwarnings("ignore")
def test_labelme_opens_and_saves_our_files_with_scores(drawn: ImagePeople, tmp_path: Path) -> None:
    label_file = pytest.importorskip("labelme._label_file", reason="labelme is not installed")
    to_labelme(tmp_path, [drawn])
    Image.new("RGB", drawn.known_size[::-1]).save(tmp_path / drawn.name)
    opened = label_file.LabelFile(str(tmp_path / "photo.json"))
    raw = json.loads((tmp_path / "photo.json").read_text())
    assert len(opened.shapes) == len(raw["shapes"])
    assert {shape["group_id"] for shape in opened.shapes} == {4, 9}


@pytest.mark.filterwarnings("ignore")
def test_fiftyone_holds_boxes_masks_joints_scores_and_ids(drawn: ImagePeople) -> None:
    pytest.importorskip("fiftyone")
    detections, keypoints = to_fiftyone(drawn.people, drawn.known_size)
    first = detections.detections[0]
    assert [one.index for one in detections.detections] == [4, 9]
    assert drawn.people.masks is not None
    assert first.mask.sum() == drawn.people.masks.areas[0]
    assert first.confidence == pytest.approx(0.9)
    width, height = drawn.known_size[::-1]
    points = np.array(keypoints.keypoints[0].points) * (width, height)
    np.testing.assert_allclose(points, drawn.people.keypoints[0], atol=1e-3)
    assert np.isnan(np.array(keypoints.keypoints[1].points)[11:]).all()
