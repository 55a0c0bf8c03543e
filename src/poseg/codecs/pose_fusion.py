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
    votes = np.array([len(group) for group in groups], np.int64)
    points, confidence, centres = _fuse_clusters(pool, groups, votes, sigmas)
    max_votes = np.maximum(_visible_in(centres, views), votes)
    top_scores = np.array([pool.scores[group[0]] for group in groups])
    scores = (top_scores * votes / max_votes).astype(np.float32)
    distinct = _distinct_in_a_view(pool, groups)
    fused = _Poses(points, confidence, pose_areas(points, confidence))
    kept = _nms(fused, scores, sigmas, config.nms_oks, distinct)
    people = People.from_poses(skeleton, points[kept], confidence[kept], scores=scores[kept])
    detections = list(zip(pool.view.tolist(), pool.row.tolist(), strict=True))
    sources = tuple(tuple(detections[d] for d in groups[person]) for person in kept)
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
    pairwise = _pairwise_oks(pool, sigmas)
    # One column for each group: the OKS with its first detection, or -1 in the rows of a view that it has.
    oks, other_view = np.full_like(pairwise, -1), pool.view[:, None] != pool.view
    for detection in range(len(pool.points)):
        best = int(oks[detection, : len(groups)].argmax()) if groups else -1
        if best < 0 or oks[detection, best] < match_oks:
            best = len(groups)
            groups.append([])
            oks[:, best] = pairwise[:, detection]
        groups[best].append(detection)
        oks[:, best] = np.where(other_view[detection], oks[:, best], -1)
    return groups


def _fuse_clusters(
    pool: _Detections, groups: list[list[int]], votes: NDArray[np.int64], sigmas: NDArray[np.float64]
) -> tuple[Floats, Floats, Floats]:
    """The joints (N, K, 2) of groups, their scores (N, K), and the groups' centres (N, 2)."""
    n, k = len(groups), len(sigmas)
    fused, scores, centres = (np.empty((n, *shape), np.float32) for shape in ((k, 2), (k,), (2,)))
    for size in np.unique(votes):  # groups of one size at once
        rows = np.flatnonzero(votes == size)
        members = np.array([groups[row] for row in rows])
        points, confidence = pool.points[members], pool.confidence[members]
        centres[rows] = _centres(points, confidence)
        fused[rows], scores[rows] = points[:, 0], confidence[:, 0]
        if size > 1:
            areas_px = np.median(pool.areas_px[members], axis=1)
            fused[rows], scores[rows] = _weighted_joints(points, confidence, pool.scale[members], areas_px, sigmas)
    return fused, scores, centres


def _weighted_joints(
    points: Floats, confidence: Floats, scale: Floats, areas_px: Floats, sigmas: NDArray[np.float64]
) -> tuple[Floats, Floats]:
    """The joints (G, K, 2) of G groups of V detections and their scores (G, K).

    points (G, V, K, 2), confidence (G, V, K), scale (G, V), areas_px (G,)
    """
    scale = (scale / scale.max(axis=1, keepdims=True))[..., None]
    dx, dy = (points[:, :, None, :, axis] - points[:, None, :, :, axis] for axis in (0, 1))
    near = np.exp((dx * dx + dy * dy) / (-2 * areas_px[:, None, None, None] * (2 * sigmas) ** 2))
    support = (near * confidence[:, :, None]).sum(axis=1)
    best = (support * scale).argmax(axis=1)[:, None]  # (G, 1, K)
    weights = np.take_along_axis(near, best[:, None], axis=1)[:, 0] * confidence
    scaled = weights * scale
    total = scaled.sum(axis=1)
    mean = (scaled[..., None] * points).sum(axis=1) / np.maximum(total, 1e-9)[..., None]
    fused = np.where(total[..., None] > 1e-9, mean, points[:, 0]).astype(np.float32)
    fraction = np.take_along_axis(support, best, axis=1)[:, 0] / points.shape[1]
    return fused, np.sqrt(weights.max(axis=1) * fraction).astype(np.float32)


def _centres(points: Floats, confidence: Floats) -> Floats:
    """(G, 2) medians of the confident joints of G groups of V detections: (G, V, K, 2) and (G, V, K)."""
    mean = confidence.mean(axis=1)
    confident = mean >= np.minimum(mean.max(axis=1, keepdims=True), MIN_JOINT_SCORE)
    ordered = np.sort(np.where(confident[:, None, :, None], points, np.inf).reshape(len(points), -1, 2), axis=1)
    last = np.count_nonzero(confident, axis=1) * points.shape[1] - 1
    row = np.arange(len(points))
    return np.asarray((ordered[row, last // 2] + ordered[row, (last + 1) // 2]) / 2, np.float32)


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
