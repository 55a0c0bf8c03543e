"""Several looks at one picture become one answer: the people that looks agree on, as sure as the looks agree.

A look is what one network said of the picture, or of a part of it, at one size, mirrored or not. Two looks agree on
a person where their poses are alike (OKS); how sure a person is grows with the share of looks that agree, how sure a
joint is falls with their distance. So a mistake of one look fades without anybody judging it.

Letters: D detections of all looks, N people, K joints.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.errors import PosegError, ShapeError
from poseg.geometry.pose_size import MIN_JOINT_SCORE, pose_areas
from poseg.people import People
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]
Box = tuple[float, float, float, float]


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """What one look found, in pixels of the whole picture.

    people       poses with scores; masks do not matter here
    trust        factor on the scores of its people, which brings networks to one scale
    window_xyxy  the part of the picture that was looked at; all of it where None
    detail       how large the picture was seen, relative to other looks: a joint lies where it was seen large
    """

    people: People
    trust: float = 1.0
    window_xyxy: Box | None = None
    detail: float = 1.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """When looks agree.

    alike      least OKS of two detections of one person
    same       of two people more alike than this in the end, the surer one stands
    min_score  detections with a lower score are left out at the start
    """

    alike: float = 0.4
    same: float = 0.6
    min_score: float = 0.03


@dataclass(frozen=True, slots=True, eq=False)
class Agreed:
    """The people that looks agree on, surest first.

    people    without masks; see `agree` for its scores
    agreeing  (N,) how many looks found the person
    possible  (N,) how many looks could have: those at a part of the picture that holds the person's middle
    members   for each person the detections behind it, as (look, row of its people), surest first
    """

    people: People
    agreeing: NDArray[np.int64]
    possible: NDArray[np.int64]
    members: tuple[tuple[tuple[int, int], ...], ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """All detections, surest first; equals are ordered by their joints, so that the order of looks does not matter."""

    points: Floats  # (D, K, 2)
    sure: Floats  # (D, K)
    scores: Floats  # (D,)
    areas_px: Floats  # (D,)
    detail: Floats  # (D,)
    look: NDArray[np.intp]  # (D,)
    row: NDArray[np.intp]  # (D,) in its look


def agree(looks: Sequence[Look], choices: Agreement = Agreement()) -> Agreed:
    """The people of all looks, each once.

    Surest first, a detection joins the person most like it whom its look has not found yet, or is a new one. A
    joint lies at the mean of the detections near the best supported one, each weighing as much as it is sure, near and
    detailed; near is what COCO's OKS calls near. Joints and people are as sure as the surest detection and the share of
    those that agree:

        joint score   sqrt(largest weight * sum of weights / detections)
        person score  sqrt(largest score * agreeing / possible)

    so that one more look that agrees never lowers a person. The order of the looks does not matter. Raises
    PosegError for no looks, ShapeError for looks on different skeletons.
    """
    if not looks:
        raise PosegError("Agreement needs at least one look at the picture; there are none.")
    skeleton = looks[0].people.skeleton
    for number, look in enumerate(looks):
        if look.people.skeleton != skeleton:
            raise ShapeError(f"looks[{number}]", expected=skeleton.name, got=look.people.skeleton.name)
    kappas = _kappas(skeleton)
    pool = _pooled(looks, choices.min_score)
    groups = _groups(pool, kappas, choices.alike)
    if not groups:
        none = np.zeros(0, np.int64)
        return Agreed(People.empty(skeleton), none, none, ())
    poses = [_fused(pool, group, kappas) for group in groups]
    points, sure = np.stack([pose[0] for pose in poses]), np.stack([pose[1] for pose in poses])
    agreeing = np.array([len(group) for group in groups], np.int64)
    middles = np.stack([_middle(pool.points[group], pool.sure[group]) for group in groups])
    possible = np.maximum(_reach(middles, looks), agreeing)
    tops = np.array([pool.scores[group[0]] for group in groups])
    scores = np.sqrt(tops * agreeing / possible).astype(np.float32)
    kept = _distinct(points, sure, scores, kappas, choices.same)
    people = People.from_poses(skeleton, points[kept], sure[kept], scores=scores[kept])
    members = tuple(tuple((int(pool.look[d]), int(pool.row[d])) for d in groups[person]) for person in kept)
    return Agreed(people, agreeing[kept], possible[kept], members)


def _kappas(skeleton: Skeleton) -> Floats:
    return 2 * skeleton.oks_sigmas.astype(np.float32)


def _pooled(looks: Sequence[Look], min_score: float) -> _Pool:
    people = [look.people for look in looks]
    scores = np.concatenate([look.people.scores * np.float32(look.trust) for look in looks])
    points, sure = (np.concatenate([getattr(p, name) for p in people]) for name in ("keypoints", "keypoint_scores"))
    look = np.repeat(np.arange(len(looks)), [len(p) for p in people])
    row = np.concatenate([np.arange(len(p)) for p in people])
    keys = [*points.reshape(len(points), 2 * points.shape[1]).T[::-1], -scores]
    order = np.lexsort(keys) if len(points) else np.zeros(0, np.intp)
    order = order[scores[order] >= min_score]
    points, sure = points[order], sure[order]
    areas = pose_areas(points, sure)
    detail = np.array([one.detail for one in looks], np.float32)[look[order]]
    return _Pool(points, sure, scores[order], areas, detail, look[order], row[order])


def _alike(point: Floats, weight: Floats, area: np.float32, points: Floats, weights: Floats, areas: Floats,
           kappas: Floats) -> Floats:  # fmt: skip
    """(N,) OKS of a pose with poses (N, K, 2): joints weigh as the less sure one, the areas' mean is geometric."""
    squared = ((points - point) ** 2).sum(axis=-1)
    near = np.exp(-squared / (2 * np.sqrt(areas * area)[:, None] * kappas**2))
    both = np.minimum(weights, weight)
    return np.asarray((near * both).sum(axis=1) / np.maximum(both.sum(axis=1), 1e-9), np.float32)


def _groups(pool: _Pool, kappas: Floats, alike: float) -> list[list[int]]:
    """Detections by person, surest first in each; the first one speaks for the group, no look is in a group twice."""
    groups: list[list[int]] = []
    present: list[set[int]] = []
    for detection in range(len(pool.points)):
        look = int(pool.look[detection])
        heads = [group[0] for group in groups]
        oks = _alike(
            pool.points[detection], pool.sure[detection], pool.areas_px[detection],
            pool.points[heads], pool.sure[heads], pool.areas_px[heads], kappas,
        )  # fmt: skip
        free = np.array([look not in there for there in present], np.bool_)
        oks = np.where(free, oks, -1)
        best = int(oks.argmax()) if len(oks) else -1
        if best >= 0 and oks[best] >= alike:
            groups[best].append(detection)
            present[best].add(look)
        else:
            groups.append([detection])
            present.append({look})
    return groups


def _fused(pool: _Pool, group: list[int], kappas: Floats) -> tuple[Floats, Floats]:
    """The joints (K, 2) of a group and how sure they are (K,)."""
    points, sure = pool.points[group], pool.sure[group]
    detail = (pool.detail[group] / pool.detail[group].max())[:, None]
    area = np.median(pool.areas_px[group])
    squared = ((points[:, None] - points[None]) ** 2).sum(axis=-1)
    near = np.exp(-squared / (2 * area * kappas**2))
    support = (near * sure).sum(axis=1)
    best = (support * detail).argmax(axis=0)
    joint = np.arange(len(kappas))
    weights = near[best, :, joint].T * sure
    detailed = weights * detail
    total = detailed.sum(axis=0)
    mean = (detailed[..., None] * points).sum(axis=0) / np.maximum(total, 1e-9)[:, None]
    fused = np.where(total[:, None] > 1e-9, mean, points[0]).astype(np.float32)
    share = support[best, joint] / len(group)
    return fused, np.sqrt(weights.max(axis=0) * share).astype(np.float32)


def _middle(points: Floats, sure: Floats) -> Floats:
    """(2,) median of the joints that the detections of a person are sure of."""
    mean = sure.mean(axis=0)
    return np.asarray(np.median(points[:, mean >= min(MIN_JOINT_SCORE, mean.max())], axis=(0, 1)), np.float32)


def _reach(middles: Floats, looks: Sequence[Look]) -> NDArray[np.int64]:
    """(N,) how many looks saw the place (N, 2)."""
    whole = sum(look.window_xyxy is None for look in looks)
    windows = np.array([look.window_xyxy for look in looks if look.window_xyxy is not None], np.float32).reshape(-1, 4)
    inside = (windows[None, :, :2] <= middles[:, None]) & (middles[:, None] <= windows[None, :, 2:])
    return np.asarray(whole + inside.all(axis=-1).sum(axis=1), np.int64)


def _distinct(points: Floats, sure: Floats, scores: Floats, kappas: Floats, same: float) -> list[int]:
    """People in the order of their scores, without those who are the same as a surer one."""
    areas = pose_areas(points, sure)
    kept: list[int] = []
    for person in np.argsort(-scores, kind="stable"):
        oks = _alike(points[person], sure[person], areas[person], points[kept], sure[kept], areas[kept], kappas)
        if not (oks > same).any():
            kept.append(int(person))
    return kept
