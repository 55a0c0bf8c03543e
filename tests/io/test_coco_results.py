"""COCO result files: what is written comes back, and COCO's own tools take it unchanged."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poseg.errors import AnnotationError, OutputError
from poseg.io.coco_json import read_coco
from poseg.io.coco_results import coco_results, read_results, write_results
from poseg.people import CONFIDENT_JOINT, People
from poseg.skeletons import COCO17, LSP14, SKELETONS, Skeleton

# pycocotools' decode has not caught up with NumPy 2's copy keyword
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

DATA = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def some_people(seed=0, n=3, skeleton=COCO17, masks=True):
    rng = np.random.default_rng(seed)
    k = len(skeleton)
    confidence = np.where(rng.random((n, k)) < 0.3, 0, rng.uniform(0.01, 1, (n, k)))
    return People.from_poses(
        skeleton,
        rng.uniform(-20, 600, (n, k, 2)),
        confidence,
        masks=rng.random((n, 30, 40)) < rng.choice([0, 0.1, 0.9], (n, 1, 1)) if masks else None,
    )


@given(st.integers(0, 10_000), st.integers(1, 4), st.booleans(), st.sampled_from(list(SKELETONS.values())))
@settings(max_examples=25, deadline=None)
def test_results_round_trip(tmp_path_factory, seed, n, masks, skeleton):
    people = some_people(seed, n, skeleton, masks)
    path = tmp_path_factory.mktemp("results") / "a.json"
    write_results(path, coco_results(people, 42))
    (back,) = read_results(path, skeleton=skeleton).values()
    assert back.skeleton == skeleton
    np.testing.assert_allclose(back.keypoints, people.keypoints, atol=0.0051)
    np.testing.assert_allclose(back.keypoint_scores, people.keypoint_scores, atol=1e-4)
    np.testing.assert_array_equal(back.keypoint_scores > 0, people.keypoint_scores > 0)
    np.testing.assert_allclose(back.scores, people.scores, atol=1e-6)
    if masks:
        np.testing.assert_array_equal(back.masks, people.masks)
    else:
        assert back.masks is None
        np.testing.assert_allclose(back.boxes_xyxy, people.boxes_xyxy, atol=0.011)


@given(st.integers(0, 10_000))
@settings(max_examples=25, deadline=None)
def test_a_joint_is_marked_as_visible_where_its_score_is_high(seed):
    people = some_people(seed)
    for row, record in enumerate(coco_results(people, 42)):
        assert record["keypoints"][2::3] == [int(score >= CONFIDENT_JOINT) for score in people.keypoint_scores[row]]
        np.testing.assert_allclose(record["keypoint_scores"], people.keypoint_scores[row], atol=1e-4)


def test_record_holds_all_of_a_person():
    mask = np.zeros((1, 30, 40), np.bool_)
    mask[0, 5:9, 10:16] = True
    points = np.zeros((1, 17, 2), np.float32)
    points[0, 0] = (12.3456, 7.5)
    scores = np.zeros((1, 17), np.float32)
    scores[0, 0] = 0.75
    people = People.from_poses(COCO17, points, scores, scores=[0.5], masks=mask)
    (record,) = coco_results(people, 139, first_id=7, file_name="000000000139.jpg")
    assert record["id"] == 7
    assert record["image_id"] == 139
    assert record["category_id"] == 1
    assert record["file_name"] == "000000000139.jpg"
    assert record["score"] == 0.5
    assert record["bbox"] == [10, 5, 6, 4]
    assert record["area"] == 24
    assert record["keypoints"][:6] == [11.85, 7.0, 1, -0.5, -0.5, 0]
    assert len(record["keypoints"]) == 51
    assert record["keypoint_scores"][:2] == [0.75, 0]
    assert "skeleton" not in record
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    bare = coco_results(replace(people, masks=None), 139)[0]
    assert "segmentation" not in bare
    assert "file_name" not in bare
    assert bare["bbox"] == [12.35, 7.5, 0, 0]


def test_empty_mask_keeps_the_box():
    people = replace(some_people(n=1), masks=np.zeros((1, 30, 40), np.bool_))
    (record,) = coco_results(people, 1)
    x, y, width, height = record["bbox"]
    np.testing.assert_allclose([x, y, x + width, y + height], people.boxes_xyxy[0], atol=0.02)
    assert record["area"] == pytest.approx(width * height, rel=1e-3)


def test_low_scores_survive_rounding(tmp_path):
    people = some_people(n=1)
    faint = replace(people, keypoint_scores=np.full((1, 17), 1e-6, np.float32))
    write_results(tmp_path / "a.json", coco_results(faint, 1))
    assert (read_results(tmp_path / "a.json")[1].keypoint_scores > 0).all()


def test_images_keep_the_order_of_people(tmp_path):
    first, second = some_people(1, 3), some_people(2, 2)
    records = coco_results(first, 5) + coco_results(second, "b.jpg", first_id=4) + coco_results(People.empty(COCO17), 6)
    assert [record["id"] for record in records] == [1, 2, 3, 4, 5]
    write_results(tmp_path / "a.json", iter(records))
    back = read_results(tmp_path / "a.json")
    assert list(back) == [5, "b.jpg"]
    np.testing.assert_allclose(back[5].scores, first.scores, atol=1e-6)
    np.testing.assert_allclose(back["b.jpg"].scores, second.scores, atol=1e-6)


def test_no_people_are_an_empty_list(tmp_path):
    write_results(tmp_path / "a.json", [])
    assert json.loads((tmp_path / "a.json").read_text()) == []
    assert read_results(tmp_path / "a.json") == {}


def test_other_skeletons_are_remapped_by_name(tmp_path):
    people = some_people(skeleton=LSP14, masks=False)
    records = coco_results(people, 1)
    assert records[0]["skeleton"] == "lsp14"
    write_results(tmp_path / "a.json", records)
    back, expected = read_results(tmp_path / "a.json")[1], people.remap_to(COCO17)
    assert back.skeleton == COCO17
    np.testing.assert_allclose(back.keypoints, expected.keypoints, atol=0.0051)
    np.testing.assert_allclose(back.keypoint_scores, expected.keypoint_scores, atol=1e-4)


def test_custom_skeleton_round_trips(tmp_path):
    pair = Skeleton("pair", ("head", "tail"), (("head", "tail"),))
    people = some_people(skeleton=pair, masks=False)
    write_results(tmp_path / "a.json", coco_results(people, 1))
    np.testing.assert_allclose(
        read_results(tmp_path / "a.json", skeleton=pair)[1].keypoints, people.keypoints, atol=0.01
    )
    with pytest.raises(AnnotationError, match="skeleton pair; expected one of"):
        read_results(tmp_path / "a.json")


def test_results_of_other_tools_are_read(tmp_path):
    keypoints = [4.0, 6.0, 1.0] + [0.0, 0.0, 0.0] * 16
    plain = [
        {"image_id": 1, "category_id": 1, "keypoints": keypoints, "score": 0.5},
        {"image_id": 1, "category_id": 3, "bbox": [0, 0, 5, 5], "score": 0.9},
        {"image_id": 2, "category_id": 1, "segmentation": {"size": [4, 4], "counts": [5, 2, 9]}, "score": 1},
    ]
    (tmp_path / "a.json").write_text(json.dumps(plain))
    back = read_results(tmp_path / "a.json")
    assert back[1].keypoints[0, 0].tolist() == [4.5, 6.5]
    assert back[1].keypoint_scores[0].sum() == 1
    assert back[1].boxes_xyxy.tolist() == [[4.5, 6.5, 4.5, 6.5]]
    assert back[2].boxes_xyxy.tolist() == [[1, 1, 2, 3]]
    assert not back[2].keypoint_scores.any()


def test_write_results_rejects_unknown_images(tmp_path):
    records = coco_results(some_people(), 5)
    write_results(tmp_path / "a.json", records, images=[4, 5])
    with pytest.raises(AnnotationError, match="image 5 is not one of the 1"):
        write_results(tmp_path / "b.json", records, images={4})
    assert not (tmp_path / "b.json").exists()


def test_write_results_rejects_nan(tmp_path):
    people = replace(some_people(n=1), scores=np.array([np.nan], np.float32))
    with pytest.raises(AnnotationError, match="finite"):
        write_results(tmp_path / "a.json", coco_results(people, 1))
    with pytest.raises(OutputError):
        write_results(tmp_path / "missing" / "a.json", [])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"image_id": None}, "record 0 has image_id None"),
        ({"score": None}, "image 5: a record has `score`"),
        ({"keypoints": [1, 2, 3]}, "`keypoints` of 3 numbers, expected 51"),
        ({"keypoint_scores": [1, 2, 3]}, "`keypoint_scores` of 3 numbers, expected 17"),
        ({"bbox": [1]}, "`bbox` of 1 numbers, expected 4"),
        ({"segmentation": [[1, 1, 5, 1, 5, 5]]}, "not run lengths"),
        ({"segmentation": {"size": [4, 4], "counts": [3]}}, "image 5: Run lengths cover 3"),
        ({"segmentation": {"size": [4, 4], "counts": [16]}}, "different sizes"),
        ({"skeleton": "lsp14"}, "records on skeleton coco17, lsp14"),
    ],
)
def test_invalid_records_are_reported(tmp_path, change, message):
    records = coco_results(some_people(), 5)
    records[0] |= change
    (tmp_path / "a.json").write_text(json.dumps(records))
    with pytest.raises(AnnotationError, match=message) as raised:
        read_results(tmp_path / "a.json")
    assert str(tmp_path / "a.json") in str(raised.value)


def test_record_needs_a_score(tmp_path):
    (tmp_path / "a.json").write_text(json.dumps([{"image_id": 5}]))
    with pytest.raises(AnnotationError, match="has no score"):
        read_results(tmp_path / "a.json")


@pytest.mark.parametrize("plain", [{"annotations": []}, [3], "text"])
def test_read_results_rejects_other_json(tmp_path, plain):
    (tmp_path / "a.json").write_text(json.dumps(plain))
    with pytest.raises(AnnotationError, match="not a list of records"):
        read_results(tmp_path / "a.json")


def test_ground_truth_as_results_has_ap_1(tmp_path, capsys):
    """loadRes takes the file, and our half pixels, boxes and masks are where COCO has them."""
    truth = DATA / "coco_mini" / "person_keypoints_val2017.json"
    if not truth.exists():
        pytest.skip("needs the data set coco_mini beside the repository")
    labels, records = read_coco(truth), []
    for image_id in labels.images:
        records += coco_results(labels.people(image_id), image_id, first_id=len(records) + 1)
    write_results(tmp_path / "a.json", records, images=labels.images)
    reference = COCO(str(truth))
    loaded = reference.loadRes(str(tmp_path / "a.json"))
    for kind in ("keypoints", "segm"):
        evaluation = COCOeval(reference, loaded, kind)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
        # people without joints count as false alarms for keypoints, so precision is high, recall is full
        assert (
            evaluation.stats[5] == pytest.approx(1) if kind == "keypoints" else evaluation.stats[8] == pytest.approx(1)
        )
    capsys.readouterr()
    for record in loaded.dataset["annotations"][:20]:
        people = labels.people(record["image_id"])
        assert any((reference.annToMask(record) == mask).all() for mask in people.masks)
