"""A model against annotated joints of any skeleton: PCK, PCKh, PDJ and PCP, with intervals and protocols."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, ShapeError
from poseg.evaluation.matching import RULE, match_poses
from poseg.evaluation.pictures import Pictures, find_pictures
from poseg.evaluation.report import Model, about
from poseg.io.images import read_image
from poseg.metrics.bootstrap import image_counts
from poseg.metrics.pairs import PosePairs, joints_in_words, make_pairs
from poseg.metrics.pck import has_size, pck, pckh, pcp, pdj
from poseg.metrics.score import Score
from poseg.people import People
from poseg.skeletons import Skeleton, remap_weights

Pixels = NDArray[np.uint8]

WANTS_BOXES = "wants_boxes"
GIVEN = "people looked for in the boxes of the file, one in each"


@dataclass(frozen=True, slots=True)
class JointsReport:
    """What a model scored in its joints.

    scores    by name: pck_torso, pck_box, pckh, pdj, pcp_strict, pcp_loose; those that the skeleton allows
    compared  which joints of whom were compared, and how people were matched: part of each score's protocol
    skeleton  of the annotation, on which everything was measured
    joints    those of it that the model has
    images    pictures evaluated
    persons   people with an annotated joint in them, crowds left out
    matched   how many of these were found
    found     people that the model found
    skipped   pictures without people that the data set lists and that do not lie on disk
    data      the annotation file
    about     what it says of itself
    """

    scores: Mapping[str, Score]
    compared: str
    skeleton: str
    joints: tuple[str, ...]
    images: int
    persons: int
    matched: int
    found: int
    skipped: int
    data: str
    about: str = ""

    def to_plain(self) -> dict[str, Any]:
        """Ready for JSON; null stands where there was nothing to measure."""
        plain = {name: getattr(self, name) for name in self.__slots__}
        return {**plain, "joints": list(self.joints), "scores": {name: s.to_dict() for name, s in self.scores.items()}}


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    """One picture: the annotated people, and those found in their place, in the same order.

    matched  how many of the annotated were found
    total    how many people the model found
    known    (K,) joints that the model has
    made     which of these are the middle of others, as sentences
    """

    true: People
    found: People
    matched: int
    total: int
    known: NDArray[np.bool_]
    made: tuple[str, ...] = ()


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
    """Run a model over a COCO-format file and measure the joints it puts out.

    model      anything that finds People in a picture; one with a true attribute `wants_boxes` may be handed boxes:
               `model(picture, boxes_xyxy)` then gives one person for each
    data       COCO annotation file of any skeleton, plain or .gz
    images     folder of its pictures; missing ones are skipped where nobody is in them
    boxes      hand a model that wants boxes those of the file (N, 4), and match its people by their order
    progress   called with (done, all) after each picture
    limit      the first pictures only
    resamples  of the bootstrap over pictures, drawn with `seed`

    People are mapped to the file's skeleton by the names of joints. Joints that the model's skeleton lacks are left
    out, and named in each protocol; joints and people that it has not found are wrong. Otherwise people are matched by
    the boxes of their poses (`evaluation.matching`), and people found besides count for nothing. Raises
    AnnotationError and ImageError for data that cannot be used, and where no joint can be compared.
    """
    if boxes and not getattr(model, WANTS_BOXES, False):
        raise AnnotationError("This model looks for people by itself and takes no boxes; leave `boxes` out.")
    pictures = find_pictures(data, images, limit)
    outcomes = []
    for image_id, path in pictures.paths.items():
        outcomes.append(_run(model, read_image(path), pictures, image_id, boxes))
        if progress is not None:
            progress(len(outcomes), len(pictures.paths))
    pairs = _pairs(outcomes, pictures, boxes)
    draws = image_counts(np.random.default_rng(seed), pairs.num_images, resamples)
    return JointsReport(
        scores=joint_scores(pairs, draws),
        compared=pairs.describe(),
        skeleton=pairs.skeleton.name,
        joints=tuple(joint for joint, has in zip(pairs.skeleton.joints, pairs.evaluated_joints, strict=True) if has),
        images=len(outcomes),
        persons=len(pairs),
        matched=sum(outcome.matched for outcome in outcomes),
        found=sum(outcome.total for outcome in outcomes),
        skipped=pictures.skipped,
        data=pictures.dataset.path,
        about=about(pictures.plain),
    )


def joint_scores(pairs: PosePairs, draws: NDArray[np.int64] | None = None) -> dict[str, Score]:
    """All scores of joints in a picture that a skeleton allows, by name."""
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


def _run(model: Model, image: Pixels, pictures: Pictures, image_id: int, boxes: bool) -> _Outcome:
    true = _annotated(pictures, image_id, (image.shape[0], image.shape[1]))
    if boxes and not len(true):
        return _Outcome(true, true, 0, 0, np.ones(len(true.skeleton), np.bool_))
    name = pictures.dataset.images[image_id].file_name
    try:
        people = model(image, true.boxes_xyxy) if boxes else model(image)
    except AnnotationError as fault:  # of a box: only we know of which picture
        raise AnnotationError(f"{name}: {fault}") from None
    _refuse_nowhere(people, name)
    weights = remap_weights(people.skeleton, true.skeleton)
    known = np.asarray(weights.sum(axis=1) > 0)
    mapped = people if people.skeleton == true.skeleton else people.remap_to(true.skeleton)
    if boxes and len(mapped) != len(true):
        raise ShapeError(f"people of {name}", expected=f"{len(true)}, one a box", got=len(mapped))
    seen = replace(true, keypoint_scores=true.keypoint_scores * known)
    order = np.arange(len(true)) if boxes else match_poses(mapped, seen)
    in_order, matched = _in_order(mapped, order), int((order >= 0).sum())
    return _Outcome(true, in_order, matched, len(people), known, _made_up(weights, true.skeleton, people.skeleton))


def _annotated(pictures: Pictures, image_id: int, size: tuple[int, int]) -> People:
    """The people of a picture who have an annotated joint."""
    people = pictures.dataset.people(image_id, size)
    return people[np.asarray((people.keypoint_scores > 0).any(axis=1))]


def _in_order(found: People, order: NDArray[np.intp]) -> People:
    """The found people in the order of the true ones; nobody's joints have score 0."""
    if len(found) == 0:
        blank = np.zeros((len(order), len(found.skeleton), 2))
        return People.from_poses(found.skeleton, blank, blank[..., 0])
    there = found[np.maximum(order, 0)]
    return replace(there, keypoint_scores=there.keypoint_scores * (order >= 0)[:, None], masks=None)


def _pairs(outcomes: list[_Outcome], pictures: Pictures, boxes: bool) -> PosePairs:
    skeleton = pictures.dataset.skeleton
    known = np.logical_and.reduce([outcome.known for outcome in outcomes])
    if not known.any():
        raise AnnotationError(
            f"The model has none of the joints {', '.join(skeleton.joints)} that {pictures.dataset.path} annotates; "
            "give a model of these joints, or rename those of the file."
        )
    persons, matched = (sum(counts) for counts in zip(*((len(o.true), o.matched) for o in outcomes), strict=True))
    matching = f"{GIVEN if boxes else RULE}; {matched:,} of {persons:,} people found"
    return make_pairs(
        skeleton,
        np.concatenate([outcome.true.keypoints for outcome in outcomes]),
        np.concatenate([outcome.found.keypoints for outcome in outcomes]),
        annotated=np.concatenate([outcome.true.keypoint_scores > 0 for outcome in outcomes]),
        detected=np.concatenate([outcome.found.keypoint_scores > 0 for outcome in outcomes]),
        image_index=np.repeat(np.arange(len(outcomes)), [len(outcome.true) for outcome in outcomes]),
        num_images=len(outcomes),
        evaluated_joints=known,
        protocol_note="; ".join([*max((outcome.made for outcome in outcomes), key=len), matching]),
    )


def _made_up(weights: NDArray[np.float32], wanted: Skeleton, source: Skeleton) -> tuple[str, ...]:
    """Joints that are the middle of others, as sentences."""
    return tuple(
        f"the model's {joints_in_words([wanted.joints[row]])} is the middle of "
        + joints_in_words([source.joints[part] for part in np.flatnonzero(weights[row])])
        for row in np.flatnonzero((weights > 0).sum(axis=1) > 1)
    )


def _refuse_nowhere(people: People, name: str) -> None:
    lost = np.argwhere((people.keypoint_scores > 0) & ~np.isfinite(people.keypoints).all(axis=2))
    if len(lost):
        joint = people.skeleton.joints[lost[0][1]]
        raise AnnotationError(f"The model put the {joint} of somebody in {name} at NaN or infinity; mend the model.")
