"""Models against annotated joints: matching, what counts, and boxes for top-down models."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError, ShapeError
from poseg.evaluation import evaluate_joints
from poseg.evaluation.joints import NEEDS_BOXES, match_poses
from poseg.io.images import write_png
from poseg.people import People
from poseg.runtime.crop_pose import TopDownPose
from poseg.skeletons import COCO17, LSP14, Skeleton

SIZE = (120, 200)


def people_of(seed: int, count: int, skeleton: Skeleton = LSP14) -> People:
    """People side by side, 50 px apart, with random joints in their own strip of 40 px."""
    rng = np.random.default_rng(seed)
    points = rng.uniform(2, 38, (count, len(skeleton), 2)) + np.arange(count)[:, None, None] * (50, 0)
    return People.from_poses(skeleton, points, np.ones(points.shape[:2]))


def record(number: int, image: int, points, box) -> dict:
    triplets = np.column_stack([points - 0.5, np.full(len(points), 2)])
    left, top, right, bottom = (float(v) for v in box)
    return {"id": number, "image_id": image, "category_id": 1, "iscrowd": 0, "num_keypoints": len(points),
            "keypoints": triplets.reshape(-1).tolist(), "bbox": [left, top, right - left, bottom - top],
            "area": (right - left) * (bottom - top)}  # fmt: skip


@dataclass
class Scene:
    """Images 0, 1, ... whose grey level is their number, and the people in them."""

    folder: object
    people: list[People]

    def file(self, order=None, skeleton=LSP14):
        order = range(len(self.people)) if order is None else order
        plain = {
            "info": {"description": "made up"},
            "images": [{"id": n + 1, "file_name": f"{n}.png", "height": SIZE[0], "width": SIZE[1]} for n in order],
            "categories": [{"id": 1, "name": "person", "keypoints": list(skeleton.joints),
                            "skeleton": [[skeleton.index(a) + 1, skeleton.index(b) + 1] for a, b in skeleton.bones]}],
            "annotations": [
                record(100 * n + row + 1, n + 1, points, box)
                for n in order for row, (points, box) in enumerate(zip(
                    self.people[n].keypoints.astype(float), self.people[n].boxes_xyxy, strict=True))
            ],
        }  # fmt: skip
        path = self.folder / "truth.json"
        path.write_text(json.dumps(plain))
        return path

    def measure(self, model, **options):
        return evaluate_joints(model, self.file(), self.folder, resamples=20, **options)

    def truth(self, image) -> People:
        return self.people[int(image[0, 0, 0])]


@pytest.fixture
def scene(tmp_path) -> Scene:
    """Images with two people, one, three, and none."""
    people = [people_of(seed, count) for seed, count in enumerate((2, 1, 3, 0))]
    for number in range(len(people)):
        write_png(tmp_path / f"{number}.png", np.full((*SIZE, 3), number, np.uint8))
    return Scene(tmp_path, people)


def values(report):
    return {name: score.overall.value for name, score in report.scores.items()}


ALL = ("pck_torso", "pck_box", "pckh", "pdj", "pcp_strict", "pcp_loose")


def test_oracle_scores_one_despite_more_detections(scene):
    def model(image):
        truth = scene.truth(image)
        shifted = replace(truth, keypoints=truth.keypoints + np.array([11, 9]))
        both = [getattr(truth, name) for name in ("keypoints", "keypoint_scores")]
        more = [getattr(shifted, name) for name in ("keypoints", "keypoint_scores")]
        return People.from_poses(LSP14, *(np.concatenate([b, a])[::-1] for a, b in zip(both, more, strict=True)))

    report = scene.measure(model)
    assert values(report) == pytest.approx(dict.fromkeys(ALL, 1.0))
    assert (report.images, report.persons, report.num_matched, report.num_detected) == (4, 6, 6, 12)
    assert report.scores["pck_box"].overall.count == 6 * 14
    assert report.description == "made up"
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["scores"]["pckh"]["overall"]["value"] == 1


def test_no_detections_score_zero(scene):
    report = scene.measure(lambda image: People.empty(LSP14))
    assert values(report) == dict.fromkeys(ALL, 0.0)
    assert report.scores["pck_torso"].overall.count == 6 * 14
    assert "0 of 6 people detected" in report.scores["pck_torso"].protocol


def test_missed_people_and_joints_lower_the_score_in_proportion(scene):
    lacking = scene.measure(lambda image: scene.truth(image)[:1])  # 3 of 6
    assert values(lacking) == pytest.approx(dict.fromkeys(ALL, 0.5))

    def without_wrists(image):
        truth = scene.truth(image)
        scores = truth.keypoint_scores.copy()
        scores[:, [LSP14.index("left_wrist"), LSP14.index("right_wrist")]] = 0
        return replace(truth, keypoint_scores=scores)

    report = scene.measure(without_wrists)
    assert report.scores["pck_box"].overall.value == pytest.approx(12 / 14)
    assert report.scores["pck_box"].groups["wrist"].value == 0
    assert report.scores["pcp_loose"].groups["lower_arms"].value == 0


def test_one_detection_matches_one_of_two_equal_people(scene):
    twice = scene.people[1][[0, 0]]
    scene.people = [twice]
    report = scene.measure(lambda image: twice[:1])
    assert (report.persons, report.num_matched) == (2, 1)
    assert values(report) == pytest.approx(dict.fromkeys(ALL, 0.5))


def test_joints_that_the_model_lacks_are_left_out_and_named(scene):
    report = scene.measure(lambda image: scene.truth(image).remap_to(COCO17))
    assert report.joints == tuple(joint for joint in LSP14.joints if joint != "head_top")
    for name, score in report.scores.items():
        assert "the model has no head_top" in score.protocol
        assert "the model's neck is the mean of left shoulder and right shoulder" in score.protocol
        assert "head_top" not in score.parts, name
    assert report.scores["pck_box"].parts["left_knee"].value == 1
    assert report.scores["pck_box"].overall.count == 6 * 13


def test_scores_ignore_the_order_of_images(scene):
    rng = np.random.default_rng(0)
    noise = {n: rng.normal(0, 4, people.keypoints.shape) for n, people in enumerate(scene.people)}

    def model(image):
        truth = scene.truth(image)
        return replace(truth, keypoints=truth.keypoints + noise[int(image[0, 0, 0])])

    one = values(scene.measure(model))
    other = values(evaluate_joints(model, scene.file([2, 0, 3, 1]), scene.folder, resamples=5))
    assert one == pytest.approx(other)
    assert 0 < one["pck_torso"] < 1


def test_bundled_top_down_model_is_given_boxes():
    assert getattr(TopDownPose, NEEDS_BOXES)


def test_top_down_model_is_given_boxes(scene):
    class TopDown:
        needs_boxes = True

        def __call__(self, image, boxes_xyxy):
            truth = scene.truth(image)
            np.testing.assert_allclose(boxes_xyxy, truth.boxes_xyxy, atol=1e-3)
            return replace(truth, keypoints=truth.keypoints + 500)  # matched by order, wherever they are

    report = scene.measure(TopDown(), boxes=True)
    assert (report.num_matched, values(report)["pck_box"]) == (6, 0)
    assert "in each box of the file" in report.protocol
    with pytest.raises(AnnotationError, match="takes no boxes"):
        scene.measure(lambda image: scene.truth(image), boxes=True)
    few = type("Few", (TopDown,), {"__call__": lambda self, image, boxes: scene.truth(image)[:1]})()
    with pytest.raises(ShapeError, match=r"people of 0\.png"):
        scene.measure(few, boxes=True)


def test_model_that_predicts_nan_is_refused(scene):
    def model(image):
        truth = scene.truth(image)
        return replace(truth, keypoints=np.full_like(truth.keypoints, np.nan))

    with pytest.raises(AnnotationError, match=r"NaN or infinity for the right_ankle of a person in 0\.png"):
        scene.measure(model)


def test_data_without_people_has_no_numbers(scene):
    scene.people = scene.people[3:] * 2
    report = scene.measure(lambda image: People.empty(LSP14))
    assert all(np.isnan(value) for value in values(report).values())
    assert json.loads(json.dumps(report.to_dict(), allow_nan=False))["scores"]["pdj"]["overall"]["value"] is None


def test_skeletons_that_share_no_joint_are_refused(scene):
    face = Skeleton("face", ("brow", "chin"), (("brow", "chin"),))
    with pytest.raises(AnnotationError, match="The model has none of the joints right_ankle"):
        scene.measure(lambda image: People.empty(face))


def test_any_skeleton_is_measured_by_its_box_and_bones(scene):
    hand = Skeleton("custom", ("palm", "thumb", "ring"), (("palm", "thumb"), ("palm", "ring")))
    scene.people = [people_of(5, 2, hand)]
    report = evaluate_joints(scene.truth, scene.file(skeleton=hand), scene.folder, resamples=5)
    assert values(report) == {"pck_box": 1, "pcp_strict": 1, "pcp_loose": 1}
    assert list(report.scores["pcp_strict"].parts) == ["palm-thumb", "palm-ring"]


def test_progress_and_limit(scene):
    steps = []
    report = scene.measure(scene.truth, limit=2, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(1, 2), (2, 2)]
    assert report.persons == 3


@given(st.integers(0, 2**32 - 1), st.integers(0, 4), st.integers(0, 4))
def test_match_poses_is_one_to_one_and_ignores_order(seed, num_predicted, num_annotated):
    rng = np.random.default_rng(seed)
    predicted, annotated = (
        People.from_poses(COCO17, rng.uniform(0, 100, (n, 1, 2)) + rng.uniform(0, 60, (n, 17, 2)), np.ones((n, 17)))
        for n in (num_predicted, num_annotated)
    )
    matched = match_poses(predicted, annotated)
    chosen = matched[matched >= 0]
    assert len(set(chosen.tolist())) == len(chosen)
    order = rng.permutation(num_predicted)
    again = match_poses(predicted[order], annotated)
    np.testing.assert_array_equal(np.where(again >= 0, order[again] if num_predicted else -1, -1), matched)


def test_match_poses_takes_the_largest_overlap_first():
    def at(*lefts):
        points = np.array([[(x, 0), (x + 10, 10)] for x in lefts], np.float32)
        return People.from_poses(Skeleton("two", ("a", "b"), (("a", "b"),)), points, np.ones(points.shape[:2]))

    assert match_poses(at(4, 1), at(0, 3)).tolist() == [1, 0]
    assert match_poses(at(50), at(0)).tolist() == [-1]
    assert match_poses(at(), at(0)).tolist() == [-1]
    one = at(0)
    point = replace(one, keypoint_scores=np.array([[1, 0]], np.float32))
    assert match_poses(point, point).tolist() == [0]  # one joint has a box too
    assert match_poses(replace(one, keypoint_scores=np.zeros((1, 2))), one).tolist() == [-1]
