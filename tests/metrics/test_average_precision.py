"""Average precision: the official evaluator's numbers, and the same again from weighted images."""

from __future__ import annotations

import contextlib
import copy
import io
import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from poseg.errors import AnnotationError, ShapeError
from poseg.geometry.rle import decode_rle, encode_rle
from poseg.metrics.average_precision import MEASURES, match
from poseg.metrics.bootstrap import bootstrap_ap, image_counts
from poseg.skeletons import COCO17, LSP14, Skeleton

REAL = Path(__file__).resolve().parents[2].parent / "shared/data/coco_mini/person_keypoints_val2017.json"
SIDE = 200
KINDS = ("keypoints", "masks")


def person(rng, side_px):
    """Joints and mask of a blob of about side_px, anywhere in the image."""
    x, y = rng.uniform(0, SIDE - side_px, 2)
    joints = np.column_stack([rng.uniform(x, x + side_px, 17), rng.uniform(y, y + side_px, 17), np.full(17, 2.0)])
    mask = np.zeros((SIDE, SIDE), bool)
    mask[int(y) : int(y + side_px), int(x) : int(x + side_px)] = True
    return joints, mask, [float(x), float(y), float(side_px), float(side_px)]


def made_truth(seed, images=8, joints_hidden=True):
    """Small, medium and large people, a crowd, people without joints, an empty image, another category."""
    rng = np.random.default_rng(seed)
    annotations = []
    for image in range(1, images):
        for _ in range(rng.integers(1, 5)):
            joints, mask, box = person(rng, rng.choice([25, 60, 120]))
            if joints_hidden:
                joints[rng.random(17) < 0.3] = 0
            if joints_hidden and rng.random() < 0.15:
                joints[:] = 0
            annotations.append(
                {"id": len(annotations) + 1, "image_id": image, "category_id": 1, "iscrowd": int(rng.random() < 0.1),
                 "bbox": box, "area": float(mask.sum()), "segmentation": encode_rle(mask),
                 "keypoints": joints.reshape(-1).tolist(), "num_keypoints": int((joints[:, 2] > 0).sum())}
            )  # fmt: skip
    return {
        "images": [{"id": i, "file_name": f"{i}.png", "height": SIDE, "width": SIDE} for i in range(images)],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person"}],
    }


def made_results(truth, seed, copies=4):
    """Truths shaken a little or a lot, and people out of thin air; records hold keypoints, mask and box."""
    rng = np.random.default_rng(seed)
    records = []
    for annotation in truth["annotations"] * copies:
        noise = rng.choice([0.5, 3, 12])
        joints = np.array(annotation["keypoints"], float).reshape(17, 3)
        joints[:, :2] += rng.normal(0, noise, (17, 2))
        mask = decode_rle(annotation["segmentation"])
        mask = np.roll(mask, rng.integers(-noise, noise + 1, 2), (0, 1))
        records.append((annotation["image_id"], joints, mask))
    for image in range(len(truth["images"])):
        joints, mask, _ = person(rng, 50)
        records.append((image, joints, mask))
    scores = rng.permutation(len(records)) / len(records)
    return [
        {"image_id": image, "category_id": 1, "score": float(score), "bbox": [1.0, 2.0, 3.0, 4.0], "area": 12.0,
         "keypoints": joints.reshape(-1).tolist(), "segmentation": encode_rle(mask)}
        for score, (image, joints, mask) in zip(scores, records, strict=True)
    ]  # fmt: skip


def plain_pycocotools(truth, results, kind):
    """What anyone gets from pycocotools with a result file of one kind."""
    label, iou = ("keypoints", "keypoints") if kind == "keypoints" else ("segmentation", "segm")
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = copy.deepcopy(truth)
        known.createIndex()
        found = known.loadRes(
            [{key: record[key] for key in ("image_id", "category_id", "score", label)} for record in results]
        )
        official = COCOeval(known, found, iou)
        official.evaluate()
        official.accumulate()
        official.summarize()
    return official.stats


@pytest.fixture(scope="module")
def real():
    if not REAL.is_file():
        pytest.skip("shared/data/coco_mini is not beside the repository")
    truth = json.loads(REAL.read_text())
    with contextlib.redirect_stdout(io.StringIO()):
        runs = COCO(str(REAL))
    flat = copy.deepcopy(truth)
    for annotation in flat["annotations"]:
        packed = runs.annToRLE(annotation)
        annotation["segmentation"] = {**packed, "counts": packed["counts"].decode()}
    return truth, made_results(flat, 3)[: -len(truth["images"])]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_numbers_are_those_of_plain_pycocotools(kind, seed):
    truth = made_truth(seed)
    results = made_results(truth, seed + 100)
    result = match(truth, results, kind)
    expected = plain_pycocotools(truth, results, kind)
    assert list(result.official) == list(MEASURES[kind])
    assert len(result.official) == (10 if kind == "keypoints" else 12)
    np.testing.assert_allclose(list(result.official.values()), expected, atol=1e-6)
    assert 0.05 < result.official["AP"] < 0.95


@pytest.mark.parametrize("kind", KINDS)
def test_numbers_are_those_of_plain_pycocotools_on_real_images(kind, real):
    truth, results = real
    result = match(truth, results, kind)
    np.testing.assert_allclose(list(result.official.values()), plain_pycocotools(truth, results, kind), atol=1e-6)


def identity_gap(result, kind):
    ones = np.ones((1, len(result.image_ids)), np.int64)
    again = bootstrap_ap(result, ones, MEASURES[kind])
    gaps = []
    for name, value in result.official.items():
        assert (value == -1) == np.isnan(again[name][0])
        gaps.append(0 if value == -1 else abs(again[name][0] - value))
    return max(gaps)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seed", range(4))
def test_every_image_once_gives_the_official_numbers(kind, seed):
    truth = made_truth(seed)
    assert identity_gap(match(truth, made_results(truth, seed), kind), kind) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_every_image_once_gives_the_official_numbers_on_real_images(kind, real):
    assert identity_gap(match(*real, kind), kind) < 1e-9


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_copies_of_images(kind):
    """Drawing an image w times is the official evaluator on a data set that holds it w times."""
    truth = made_truth(5, images=5)
    results = made_results(truth, 6)
    counts = np.array([0, 3, 1, 0, 2])
    result = match(truth, results, kind)
    drawn = bootstrap_ap(result, counts[None], MEASURES[kind])
    copied = {"images": [], "annotations": [], "categories": truth["categories"]}
    copied_results = []
    for image, count in enumerate(counts):
        for angle in range(count):
            number = image + 100 * angle
            copied["images"].append({**truth["images"][image], "id": number})
            for annotation in truth["annotations"]:
                if annotation["image_id"] == image:
                    new = len(copied["annotations"]) + 1
                    copied["annotations"].append({**annotation, "id": new, "image_id": number})
            copied_results += [{**record, "image_id": number} for record in results if record["image_id"] == image]
    expected = plain_pycocotools(copied, copied_results, kind)
    for name, value in zip(MEASURES[kind], expected, strict=True):
        assert drawn[name][0] == pytest.approx(value, abs=1e-9) if value > -1 else np.isnan(drawn[name][0])


@pytest.mark.parametrize("kind", KINDS)
def test_perfect_results_give_one(kind):
    truth = made_truth(7, joints_hidden=False)
    results = [{**annotation, "score": 0.9} for annotation in truth["annotations"] if not annotation["iscrowd"]]
    official = match(truth, results, kind).official
    assert official["AP"] == pytest.approx(1)
    assert official["AR" if kind == "keypoints" else "AR100"] == pytest.approx(1)


@pytest.mark.parametrize("kind", KINDS)
def test_no_results_give_zero(kind):
    truth = made_truth(8)
    result = match(truth, [], kind)
    assert result.official["AP"] == 0
    assert result.official["AP50"] == 0
    assert bootstrap_ap(result, np.ones((2, 8), np.int64))["AP"].tolist() == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_records_changes_nothing(kind):
    truth = made_truth(9)
    results = made_results(truth, 10)
    shuffled = [results[index] for index in np.random.default_rng(0).permutation(len(results))]
    backwards = {**truth, "images": truth["images"][::-1]}
    assert match(truth, results, kind).official == match(backwards, shuffled, kind).official


@pytest.mark.parametrize("kind", KINDS)
def test_match_does_not_modify_its_input_or_print(kind, capsys):
    truth = made_truth(11)
    results = made_results(truth, 12)
    before = copy.deepcopy((truth, results))
    match(truth, results, kind)
    assert (truth, results) == before
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", KINDS)
def test_a_coco_object_is_as_good_as_its_dictionary(kind):
    truth = made_truth(13)
    results = made_results(truth, 14)
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = copy.deepcopy(truth)
        known.createIndex()
    assert match(known, results, kind).official == match(truth, results, kind).official


@pytest.mark.parametrize("kind", KINDS)
def test_ground_truth_without_people_has_no_scores(kind):
    truth = {**made_truth(15), "annotations": []}
    result = match(truth, made_results(made_truth(15), 16), kind)
    assert set(result.official.values()) == {-1}
    assert np.isnan(bootstrap_ap(result, np.ones((3, 8), np.int64))["AP"]).all()


def test_results_in_the_box_of_a_person_without_mask_are_ignored():
    truth = made_truth(17, joints_hidden=False)
    results = [{**annotation, "score": 0.9} for annotation in truth["annotations"]]
    for annotation in truth["annotations"][::2]:
        del annotation["segmentation"]
    assert match(truth, results, "masks").official["AP"] == pytest.approx(1)


def test_area_and_box_are_worked_out_where_they_are_missing():
    truth = made_truth(18)
    results = made_results(truth, 19)
    bare = copy.deepcopy(truth)
    for annotation in bare["annotations"]:
        del annotation["area"], annotation["num_keypoints"]
    for kind in KINDS:
        assert match(bare, results, kind).official == match(truth, results, kind).official


def test_only_people_and_only_the_chosen_images_count():
    truth = made_truth(20)
    results = made_results(truth, 21)
    dogs = copy.deepcopy(truth)
    dogs["categories"].append({"id": 2, "name": "dog"})
    dogs["annotations"].append({**truth["annotations"][0], "id": 999, "category_id": 2})
    stray = [*results, {**results[0], "category_id": 2, "score": 1.0}]
    assert match(dogs, stray, "masks").official == match(truth, results, "masks").official
    chosen = [1, 2, 5]
    part = {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in chosen],
        "annotations": [annotation for annotation in truth["annotations"] if annotation["image_id"] in chosen],
    }
    few = match(truth, results, "keypoints", image_ids=chosen)
    assert few.image_ids == (1, 2, 5)
    assert few.official == match(part, results, "keypoints").official


def test_ids_that_start_at_zero_are_matched_too():
    truth = made_truth(22)
    zero = copy.deepcopy(truth)
    for annotation in zero["annotations"]:
        annotation["id"] -= 1
    results = made_results(truth, 23)
    assert match(zero, results, "masks").official == match(truth, results, "masks").official


def test_sigmas_come_from_the_skeleton():
    truth = made_truth(24)
    results = made_results(truth, 25)
    strict = Skeleton("strict17", COCO17.joints, COCO17.bones, sigmas=tuple(s / 4 for s in COCO17.sigmas))
    assert (
        match(truth, results, "keypoints", skeleton=strict).official["AP"]
        < match(truth, results, "keypoints").official["AP"]
    )


def test_a_skeleton_without_sigmas_is_refused_with_a_sentence():
    with pytest.raises(AnnotationError, match="lsp14 has no sigmas"):
        match(made_truth(0), [], "keypoints", skeleton=LSP14)


def test_records_that_do_not_fit_are_refused():
    truth = made_truth(0)
    record = made_results(truth, 0)[0]
    with pytest.raises(AnnotationError, match="6 keypoint numbers, expected 51"):
        match(truth, [{**record, "keypoints": [1.0] * 6}], "keypoints")
    with pytest.raises(AnnotationError, match="score nan"):
        match(truth, [{**record, "score": float("nan")}], "masks")
    with pytest.raises(AnnotationError, match="one category named 'person'"):
        match({**truth, "categories": [{"id": 1, "name": "cat"}, {"id": 2, "name": "dog"}]}, [], "masks")


def test_counts_and_names_that_do_not_fit_are_refused():
    result = match(made_truth(0), [], "keypoints")
    with pytest.raises(ShapeError, match="counts"):
        bootstrap_ap(result, image_counts(np.random.default_rng(0), 3, 5))
    with pytest.raises(AnnotationError, match="no number 'APs' for keypoints"):
        bootstrap_ap(result, np.ones((1, 8), np.int64), ("APs",))
