"""Several views of one image become one set of poses: the people that views agree on.

Two detections are one person where their poses are similar (OKS). A person's score falls with the fraction of views
that show their position but do not detect them, a joint's score with the distance between its detections. So mistakes
of one view get low scores, and a view fused with itself is the view.

Letters: D detections of all views, N people, K joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.errors import PosegError, ShapeError
from poseg.geometry.pose_size import MIN_JOINT_SCORE, pose_areas
from poseg.geometry.similarity import oks_matrix
from poseg.people import People

Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]


class Detections(Protocol):
    """Detections of one view: `ViewDetections`, or a view that was run (`runtime.multi_scale.View`)."""

    @property
    def people(self) -> People:
        """Poses with scores in pixels of the whole image; masks are ignored."""

    @property
    def weight(self) -> float:
        """Factor on the scores of its people, which makes the scores of different networks comparable."""

    @property
    def crop_xyxy(self) -> Box | None:
        """The part of the image that is shown; all of it where None."""

    @property
    def scale(self) -> float:
        """Scale of the image relative to other views: joints of larger views have more weight."""


@dataclass(frozen=True, slots=True, eq=False)
class ViewDetections:
    """Detections of one view as plain values; see `Detections`."""

    people: People
    weight: float = 1.0
    crop_xyxy: Box | None = None
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class FusionConfig:
    """Thresholds of the fusion.

    match_oks  minimum OKS of two detections of one person
    nms_oks    of two fused people more similar than this, that no view detects as two, only the higher score is kept
    min_score  detections with a lower score are ignored
    """

    match_oks: float = 0.4
    nms_oks: float = 0.6
    min_score: float = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class FusedPeople:
    """The people of all views, highest score first.

    people     without masks; see `fuse_poses` for their scores
    votes      (N,) number of views that detected the person
    max_votes  (N,) number of views that show the person's centre
    sources    for each person its detections, as (view, row of its people), highest score first
    """

    people: People
    votes: NDArray[np.int64]
    max_votes: NDArray[np.int64]
    sources: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Poses:
    """Poses: points (D, K, 2), confidence (D, K) and areas_px (D,)."""

    points: Floats
    confidence: Floats
    areas_px: Floats


@dataclass(frozen=True, slots=True, eq=False)
class _Detections(_Poses):
    """All detections, highest score first; ties are ordered by joints, so that the order of views does not matter."""

    scores: Floats  # (D,)
    scale: Floats  # (D,)
    view: NDArray[np.intp]  # (D,)
    row: NDArray[np.intp]  # (D,) in its view


def fuse_poses(views: Sequence[Detections], config: FusionConfig = FusionConfig()) -> FusedPeople:
    """The people of all views, each once.

    Highest score first, a detection joins the most similar person that its view has not detected yet, or is a new one.
    A joint is the mean of the detections near the best supported one, weighted by confidence, nearness (as in COCO's
    OKS) and scale. Scores are

        joint score   sqrt(largest weight * sum of weights / detections)
        person score  largest score * votes / max votes

    so one more agreeing view never lowers a person's score, a single view is returned as it is, and a view fused with
    itself gives the same people. The order of the views does not matter. Raises PosegError for no views, ShapeError for
    views on different skeletons.
    """
    if not views:
        raise PosegError("Fusing poses needs at least one view of the image; there are none.")
    skeleton = views[0].people.skeleton
    for number, view in enumerate(views):
        if view.people.skeleton != skeleton:
            raise ShapeError(f"views[{number}]", expected=skeleton.name, got=view.people.skeleton.name)
    if len(views) == 1:
        people, one = views[0].people, np.ones(len(views[0].people), np.int64)
        people = replace(people, scores=people.scores * np.float32(views[0].weight), masks=None)
        return FusedPeople(people, one, one, tuple(((0, row),) for row in range(len(people))))
    sigmas = skeleton.oks_sigmas
    pool = _pool(views, config.min_score)
    groups = _cluster(pool, sigmas, config.match_oks)
    if not groups:
        none = np.zeros(0, np.int64)
        return FusedPeople(People.empty(skeleton), none, none, ())
    poses = [_fuse_cluster(pool, group, sigmas) for group in groups]
    points, confidence = np.stack([pose[0] for pose in poses]), np.stack([pose[1] for pose in poses])
    votes = np.array([len(group) for group in groups], np.int64)
    centres = np.stack([_centre(pool.points[group], pool.confidence[group]) for group in groups])
    max_votes = np.maximum(_visible_in(centres, views), votes)
    top_scores = np.array([pool.scores[group[0]] for group in groups])
    scores = (top_scores * votes / max_votes).astype(np.float32)
    distinct = _distinct_in_a_view(pool, groups)
    fused = _Poses(points, confidence, pose_areas(points, confidence))
    kept = _nms(fused, scores, sigmas, config.nms_oks, distinct)
    people = People.from_poses(skeleton, points[kept], confidence[kept], scores=scores[kept])
    sources = tuple(tuple((int(pool.view[d]), int(pool.row[d])) for d in groups[person]) for person in kept)
    return FusedPeople(people, votes[kept], max_votes[kept], sources)


def without_duplicates(people: People, max_oks: float) -> People:
    """People, highest score first, without those more similar than `max_oks` to one of a higher score."""
    poses = _Poses(people.keypoints, people.keypoint_scores, pose_areas(people.keypoints, people.keypoint_scores))
    distinct = np.zeros((len(people), len(people)), np.bool_)
    return people[_nms(poses, people.scores, people.skeleton.oks_sigmas, max_oks, distinct)]


def _pool(views: Sequence[Detections], min_score: float) -> _Detections:
    people = [view.people for view in views]
    scores = np.concatenate([view.people.scores * np.float32(view.weight) for view in views])
    points, confidence = (
        np.concatenate([getattr(p, name) for p in people]) for name in ("keypoints", "keypoint_scores")
    )
    view = np.repeat(np.arange(len(views)), [len(p) for p in people])
    row = np.concatenate([np.arange(len(p)) for p in people])
    keys = [*points.reshape(len(points), 2 * points.shape[1]).T[::-1], -scores]
    order = np.lexsort(keys) if len(points) else np.zeros(0, np.intp)
    order = order[scores[order] >= min_score]
    points, confidence = points[order], confidence[order]
    areas = pose_areas(points, confidence) if len(points) else np.zeros(0, np.float32)
    scale = np.array([one.scale for one in views], np.float32)[view[order]]
    return _Detections(points, confidence, areas, scores[order], scale, view[order], row[order])


def _pairwise_oks(poses: _Poses, sigmas: NDArray[np.float64]) -> Floats:
    """(D, D) OKS of all pairs: weights are the lower joint confidence, areas the geometric mean."""
    weights = np.minimum(poses.confidence[:, None], poses.confidence[None])
    areas_px = np.sqrt(poses.areas_px[:, None] * poses.areas_px[None])
    return oks_matrix(poses.points, poses.points, areas_px=areas_px, sigmas=sigmas, weights=weights)


def _cluster(pool: _Detections, sigmas: NDArray[np.float64], match_oks: float) -> list[list[int]]:
    """Detections by person, highest score first; each is compared with the first of a group, one for each view."""
    groups: list[list[int]] = []
    present: list[set[int]] = []
    pairwise = _pairwise_oks(pool, sigmas)
    for detection in range(len(pool.points)):
        view = int(pool.view[detection])
        heads = [group[0] for group in groups]
        oks = pairwise[detection, heads]
        free = np.array([view not in views for views in present], np.bool_)
        oks = np.where(free, oks, -1)
        best = int(oks.argmax()) if len(oks) else -1
        if best >= 0 and oks[best] >= match_oks:
            groups[best].append(detection)
            present[best].add(view)
        else:
            groups.append([detection])
            present.append({view})
    return groups


def _fuse_cluster(pool: _Detections, group: list[int], sigmas: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """The joints (K, 2) of a group and their scores (K,)."""
    points, confidence = pool.points[group], pool.confidence[group]
    if len(group) == 1:
        return points[0], confidence[0]
    scale = (pool.scale[group] / pool.scale[group].max())[:, None]
    area = np.median(pool.areas_px[group])
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    near = np.exp(-squared / (2 * area * (2 * sigmas) ** 2))
    support = (near * confidence).sum(axis=1)
    best = (support * scale).argmax(axis=0)
    joint = np.arange(len(sigmas))
    weights = near[best, :, joint].T * confidence
    scaled = weights * scale
    total = scaled.sum(axis=0)
    mean = (scaled[..., None] * points).sum(axis=0) / np.maximum(total, 1e-9)[:, None]
    fused = np.where(total[:, None] > 1e-9, mean, points[0]).astype(np.float32)
    fraction = support[best, joint] / len(group)
    return fused, np.sqrt(weights.max(axis=0) * fraction).astype(np.float32)


def _centre(points: Floats, confidence: Floats) -> Floats:
    """(2,) median of the confident joints of a person's detections."""
    mean = confidence.mean(axis=0)
    return np.asarray(np.median(points[:, mean >= min(MIN_JOINT_SCORE, mean.max())], axis=(0, 1)), np.float32)


def _visible_in(centres: Floats, views: Sequence[Detections]) -> NDArray[np.int64]:
    """(N,) number of views that show the points (N, 2)."""
    whole = sum(view.crop_xyxy is None for view in views)
    crops = np.array([view.crop_xyxy for view in views if view.crop_xyxy is not None], np.float32).reshape(-1, 4)
    inside = (crops[None, :, :2] <= centres[:, None]) & (centres[:, None] <= crops[None, :, 2:])
    return np.asarray(whole + inside.all(axis=-1).sum(axis=1), np.int64)


def _distinct_in_a_view(pool: _Detections, groups: list[list[int]]) -> NDArray[np.bool_]:
    """(N, N) pairs of people that one view detected both: two detections of one view are two people."""
    member = np.zeros((len(groups), int(pool.view.max()) + 1), np.int64)
    for person, group in enumerate(groups):
        member[person, pool.view[group]] = 1
    return np.asarray(member @ member.T > 0, np.bool_)


def _nms(
    poses: _Poses, scores: Floats, sigmas: NDArray[np.float64], nms_oks: float, distinct: NDArray[np.bool_]
) -> list[int]:
    """Indices by score, without people similar to one of a higher score; `distinct` pairs are never duplicates."""
    kept: list[int] = []
    duplicates = (_pairwise_oks(poses, sigmas) > nms_oks) & ~distinct
    for person in np.argsort(-scores, kind="stable").tolist():
        if not duplicates[person, kept].any():
            kept.append(person)
    return kept
