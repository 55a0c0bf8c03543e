"""A model against annotated joints of any skeleton: PCK, PCKh, PDJ and PCP, with intervals and protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, ShapeError
from poseg.evaluation.ground_truth import GroundTruth, load_ground_truth, read_images
from poseg.evaluation.report import Model
from poseg.geometry.boxes import boxes_from_points
from poseg.geometry.similarity import box_iou_matrix
from poseg.metrics.bootstrap import image_counts
from poseg.metrics.pairs import PosePairs, joints_in_words, make_pairs
from poseg.metrics.pck import has_size, pck, pckh, pcp, pdj
from poseg.metrics.score import Score
from poseg.people import People
from poseg.skeletons import Skeleton, remap_weights

Pixels = NDArray[np.uint8]

NEEDS_BOXES = "needs_boxes"

MATCHED_BY_BOX = "one person predicted in each box of the file"
MATCHED_BY_IOU = (
    "people matched one to one by the IoU of boxes around their joints, the largest first, those that overlap at all"
)
BOX_PADDING = 0.1  # of the longer side, on every side: poses of one joint or in one line have a box too
MIN_SIDE_PX = 1.0


@dataclass(frozen=True, slots=True)
class JointsReport:
    """The scores of a model's joints.

    scores        by name: pck_torso, pck_box, pckh, pdj, pcp_strict, pcp_loose; those that the skeleton allows
    protocol      which joints were compared, and how people were matched: part of each score's protocol
    skeleton      of the annotation, on which everything is measured
    joints        those of it that the model has
    images        images evaluated
    persons       people with an annotated joint in them, crowds left out
    num_matched   how many of these were detected
    num_detected  people that the model detected
    num_missing   images without people that the data set lists and that do not lie on disk
    data          the annotation file
    description   that of the annotation file
    left_out      images that could not be read and are not counted, with the reason
    """

    scores: Mapping[str, Score]
    protocol: str
    skeleton: str
    joints: tuple[str, ...]
    images: int
    persons: int
    num_matched: int
    num_detected: int
    num_missing: int
    data: str
    description: str = ""
    left_out: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Ready for JSON; null stands where there was nothing to measure."""
        fields = {name: getattr(self, name) for name in self.__slots__}
        scores = {name: score.to_dict() for name, score in self.scores.items()}
        return fields | {"joints": list(self.joints), "scores": scores, "left_out": list(self.left_out)}


@dataclass(frozen=True, slots=True, eq=False)
class _ImageResult:
    """One image: the annotated people, and their predictions in the same order.

    num_matched   how many annotated people were detected
    num_detected  how many people the model detected
    has_joint     (K,) joints that the model has
    derived       which of these are the mean of others, as sentences
    """

    annotated: People
    predicted: People
    num_matched: int
    num_detected: int
    has_joint: NDArray[np.bool_]
    derived: tuple[str, ...] = ()


def evaluate_joints(
    model: Model,
    data: str | Path,
    images: str | Path,
    *,
    boxes: bool = False,
    progress: Callable[[int, int], None] | None = None,
    limit: int | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> JointsReport:
    """Run a model over a COCO-format file and measure the joints that it predicts.

    model      anything that predicts People in an image; one with a true attribute `needs_boxes` may take boxes:
               `model(image, boxes_xyxy)` then predicts one person for each
    data       COCO annotation file of any skeleton, plain or .gz
    images     folder of its images; missing ones are left out where they show no people
    boxes      give a model that takes boxes those of the file (N, 4), and match its people by their order
    progress   called with (done, all) after each image
    limit      the first images only
    resamples  of the bootstrap over images, drawn with `seed`

    People are remapped to the file's skeleton by the names of joints. Joints that the model's skeleton lacks are left
    out, and named in each protocol; missed joints and people are wrong. Without `boxes` people are matched by the
    boxes of their poses (`match_poses`), and unmatched detections do not count. Raises AnnotationError and ImageError
    for data that cannot be used, and where no joint can be compared.
    """
    if boxes and not getattr(model, NEEDS_BOXES, False):
        raise AnnotationError("This model detects people by itself and takes no boxes; leave `boxes` out.")
    truth = load_ground_truth(data, images, limit)
    results = []
    left_out = list(truth.left_out)
    for image_id, image in read_images(truth, left_out):
        results.append(_run(model, image, truth, image_id, boxes))
        if progress is not None:
            progress(len(results), len(truth.paths))
    pairs = _pairs(results, truth, boxes)
    draws = image_counts(np.random.default_rng(seed), pairs.num_images, resamples)
    return JointsReport(
        scores=joint_scores(pairs, draws),
        protocol=pairs.describe(),
        skeleton=pairs.skeleton.name,
        joints=tuple(joint for joint, has in zip(pairs.skeleton.joints, pairs.evaluated_joints, strict=True) if has),
        images=len(results),
        persons=len(pairs),
        num_matched=sum(result.num_matched for result in results),
        num_detected=sum(result.num_detected for result in results),
        num_missing=truth.num_missing,
        data=truth.dataset.path,
        description=truth.description,
        left_out=tuple(left_out),
    )


def match_poses(predicted: People, annotated: People) -> NDArray[np.intp]:
    """(M,) the index among N predicted people of each annotated person, -1 where missed; both on one skeleton.

    Boxes lie around the joints with a score above 0, padded by a tenth of their longer side. Of all pairs that
    overlap, the one with the largest IoU is matched first, then the largest among people still unmatched. Neither
    scores nor the order of people matter.
    """
    overlaps = box_iou_matrix(_pose_boxes(annotated), _pose_boxes(predicted)).astype(np.float64)
    matched = np.full(len(annotated), -1, np.intp)
    for _ in range(min(overlaps.shape)):
        row, column = np.unravel_index(int(overlaps.argmax()), overlaps.shape)
        if overlaps[row, column] <= 0:
            break
        matched[row] = column
        overlaps[row], overlaps[:, column] = 0, 0
    return matched


def joint_scores(pairs: PosePairs, draws: NDArray[np.int64] | None = None) -> dict[str, Score]:
    """All scores of 2D joints that a skeleton allows, by name."""
    scores = {}
    if has_size(pairs.skeleton, "torso"):
        scores["pck_torso"] = pck(pairs, "torso", draws=draws)
    scores["pck_box"] = pck(pairs, "box", draws=draws)
    if has_size(pairs.skeleton, "head"):
        scores["pckh"] = pckh(pairs, draws=draws)
    if has_size(pairs.skeleton, "torso"):
        scores["pdj"] = pdj(pairs, draws=draws)
    if pairs.skeleton.bones:
        scores["pcp_strict"] = pcp(pairs, strict=True, draws=draws)
        scores["pcp_loose"] = pcp(pairs, strict=False, draws=draws)
    return scores


def _run(model: Model, image: Pixels, truth: GroundTruth, image_id: int, boxes: bool) -> _ImageResult:
    people = truth.dataset.people(image_id, (image.shape[0], image.shape[1]))
    annotated = people[np.asarray((people.keypoint_scores > 0).any(axis=1))]
    if boxes and not len(annotated):
        return _ImageResult(annotated, annotated, 0, 0, np.ones(len(annotated.skeleton), np.bool_))
    name = truth.dataset.images[image_id].file_name
    try:
        people = model(image, annotated.boxes_xyxy) if boxes else model(image)
    except AnnotationError as error:  # of a box; the model does not know of which image
        raise AnnotationError(f"{name}: {error}") from None
    _check_finite(people, name)
    weights = remap_weights(people.skeleton, annotated.skeleton)
    has_joint = np.asarray(weights.sum(axis=1) > 0)
    remapped = people if people.skeleton == annotated.skeleton else people.remap_to(annotated.skeleton)
    if boxes and len(remapped) != len(annotated):
        raise ShapeError(f"people of {name}", expected=f"{len(annotated)}, one a box", got=len(remapped))
    comparable = replace(annotated, keypoint_scores=annotated.keypoint_scores * has_joint)
    order = np.arange(len(annotated)) if boxes else match_poses(remapped, comparable)
    return _ImageResult(
        annotated,
        _in_order(remapped, order),
        int((order >= 0).sum()),
        len(people),
        has_joint,
        _derived_joints(weights, annotated.skeleton, people.skeleton),
    )


def _in_order(predicted: People, order: NDArray[np.intp]) -> People:
    """The predicted people in the order of the annotated ones; joints of missed people have score 0."""
    if len(predicted) == 0:
        blank = np.zeros((len(order), len(predicted.skeleton), 2))
        return People.from_poses(predicted.skeleton, blank, blank[..., 0])
    ordered = predicted[np.maximum(order, 0)]
    return replace(ordered, keypoint_scores=ordered.keypoint_scores * (order >= 0)[:, None], masks=None)


def _pairs(results: list[_ImageResult], truth: GroundTruth, boxes: bool) -> PosePairs:
    skeleton = truth.dataset.skeleton
    has_joint = np.logical_and.reduce([result.has_joint for result in results])
    if not has_joint.any():
        raise AnnotationError(
            f"The model has none of the joints {', '.join(skeleton.joints)} that {truth.dataset.path} annotates; "
            "give a model of these joints, or rename those of the file."
        )
    persons = sum(len(result.annotated) for result in results)
    matched = sum(result.num_matched for result in results)
    matching = f"{MATCHED_BY_BOX if boxes else MATCHED_BY_IOU}; {matched:,} of {persons:,} people detected"
    return make_pairs(
        skeleton,
        np.concatenate([result.annotated.keypoints for result in results]),
        np.concatenate([result.predicted.keypoints for result in results]),
        annotated=np.concatenate([result.annotated.keypoint_scores > 0 for result in results]),
        detected=np.concatenate([result.predicted.keypoint_scores > 0 for result in results]),
        image_index=np.repeat(np.arange(len(results)), [len(result.annotated) for result in results]),
        num_images=len(results),
        evaluated_joints=has_joint,
        protocol_note="; ".join([*max((result.derived for result in results), key=len), matching]),
    )


def _pose_boxes(people: People) -> NDArray[np.float32]:
    """(N, 4) xyxy boxes around the predicted joints, padded by a tenth; zeros for people without joints."""
    visible = people.keypoint_scores > 0
    tight = boxes_from_points(people.keypoints, visible)
    longer = np.maximum((tight[:, 2:] - tight[:, :2]).max(axis=1, keepdims=True), MIN_SIDE_PX)
    padded = tight + np.array([-1, -1, 1, 1], np.float32) * longer * np.float32(BOX_PADDING)
    return np.where(visible.any(axis=1, keepdims=True), padded, 0).astype(np.float32)


def _derived_joints(weights: NDArray[np.float32], target: Skeleton, source: Skeleton) -> tuple[str, ...]:
    """Joints that are the mean of others, as sentences."""
    return tuple(
        f"the model's {joints_in_words([target.joints[row]])} is the mean of "
        + joints_in_words([source.joints[part] for part in np.flatnonzero(weights[row])])
        for row in np.flatnonzero((weights > 0).sum(axis=1) > 1)
    )


def _check_finite(people: People, name: str) -> None:
    bad = np.argwhere((people.keypoint_scores > 0) & ~np.isfinite(people.keypoints).all(axis=2))
    if len(bad):
        joint = people.skeleton.joints[bad[0][1]]
        raise AnnotationError(f"The model predicts NaN or infinity for the {joint} of a person in {name}; fix it.")
