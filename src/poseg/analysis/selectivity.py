"""Selectivity of neurons for joints: distances of their strongest responses from the joints of the same images.

Letters: C channels, K strongest images of each, N images, J joints. Positions and joints are continuous crop pixels.
Joints are close together and people fill their crops similarly, so every deviation is compared with chance: with
random positions, and with the channel's own positions on other images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poseg.errors import ShapeError

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DRAWS = 200
MIN_POSITIONS = 10  # fewer are close to some joint too often
_MIN_FRACTION = 0.5  # of a channel's images with a joint, for it to be the preferred one


@dataclass(frozen=True, slots=True, eq=False)
class JointSelectivity:
    """The preferred joint of each channel; -1 and NaN for channels with fewer than 10 positions or unknown joints.

    joint         (C,) the nearest: the smallest median distance from the positions
    distance_px   (C,) that median distance
    offset_xy     (C, 2) median of position minus joint: a channel may respond beside its joint
    deviation_px  (C,) median distance of the positions from joint + offset
    shuffled_px   (C,) the deviation of the same positions on other images, median over draws
    p             (C,) fraction of those draws, the true one included, with a deviation no larger
    random_px     the deviation of random positions, median over draws
    """

    joint: NDArray[np.int64]
    distance_px: Floats
    offset_xy: Floats
    deviation_px: Floats
    shuffled_px: Floats
    p: Floats
    random_px: float


def joint_selectivity(
    positions: Floats, sources: NDArray[np.int64], joints: Floats, possible_xy: tuple[Floats, Floats], *, seed: int = 0
) -> JointSelectivity:
    """The preferred joint of each channel.

    positions    (C, K, 2) of the responses; NaN where a channel has fewer than K images
    sources      (C, K) index of the image in `joints`; -1 for NaN
    joints       (N, J, 2) of all images; NaN if unknown
    possible_xy  x of the columns and y of the rows of the layer
    """
    if joints.ndim != 3 or joints.shape[2] != 2 or sources.max(initial=-1) >= len(joints):
        raise ShapeError("joints", expected=(f"{sources.max(initial=-1) + 1} or more", "joints", 2), got=joints.shape)
    rng = np.random.default_rng(seed)
    points = joints.astype(np.float64)
    rows = [_channel(at[of >= 0], of[of >= 0], points, rng) for at, of in zip(positions, sources, strict=True)]
    images = rng.integers(max(len(points), 1), size=(DRAWS, positions.shape[1]))
    drawn = np.stack([rng.choice(axis, size=images.shape) for axis in possible_xy], axis=-1)
    return JointSelectivity(
        joint=np.array([row[0].joint[0] for row in rows], np.int64),
        distance_px=np.array([row[0].distance[0] for row in rows], np.float32),
        offset_xy=np.array([row[0].offset[0] for row in rows], np.float32).reshape(-1, 2),
        deviation_px=np.array([row[0].deviation[0] for row in rows], np.float32),
        shuffled_px=np.array([row[1] for row in rows], np.float32),
        p=np.array([row[2] for row in rows], np.float32),
        random_px=_finite_median(_nearest(drawn, images, points).deviation),
    )


class _Nearest(NamedTuple):
    """For each of R draws: the nearest joint (-1 for none), distance, offset, and deviation from joint + offset."""

    joint: NDArray[np.int64]
    distance: Doubles
    offset: Doubles
    deviation: Doubles


def _channel(
    positions: Floats, sources: NDArray[np.int64], joints: Doubles, rng: np.random.Generator
) -> tuple[_Nearest, float, float]:
    """A channel's nearest joint, its deviation on other images, and the p-value."""
    others = rng.integers(max(len(joints), 1), size=(DRAWS, len(positions)))
    images = np.concatenate([sources[None], others])
    nearest = _nearest(np.broadcast_to(positions, (*images.shape, 2)), images, joints)
    as_small = nearest.deviation <= nearest.deviation[0]
    return nearest, _finite_median(nearest.deviation[1:]), float(as_small.mean()) if as_small[0] else float("nan")


def _nearest(positions: Floats, images: NDArray[np.int64], joints: Doubles) -> _Nearest:
    """The joint nearest to positions (R, K, 2) on images (R, K) whose joints are (N, J, 2)."""
    draws, count = images.shape
    if count < MIN_POSITIONS or not joints.size:
        none = np.full(draws, np.nan)
        return _Nearest(np.full(draws, -1), none, np.full((draws, 2), np.nan), none)
    offsets = positions[:, :, None] - joints[images]  # (R, K, J, 2)
    lengths = np.hypot(offsets[..., 0], offsets[..., 1])
    often = np.isfinite(lengths).sum(axis=1) >= _MIN_FRACTION * count
    distances = np.where(often, np.nan_to_num(_median(lengths), nan=np.inf), np.inf)  # (R, J)
    joint = distances.argmin(axis=1)
    defined = np.isfinite(distances.min(axis=1))
    chosen = np.take_along_axis(offsets, joint[:, None, None, None], axis=2)[:, :, 0]  # (R, K, 2)
    offset = np.where(defined[:, None], _median(chosen), np.nan)
    deviation = _median(np.hypot(*np.moveaxis(chosen - offset[:, None], 2, 0)))
    distance = np.where(defined, distances.min(axis=1), np.nan)
    return _Nearest(np.where(defined, joint, -1), distance, offset, np.where(defined, deviation, np.nan))


def _median(values: Doubles) -> Doubles:
    """Median along axis 1 of the values that are not NaN; NaN without any."""
    count = np.isfinite(values).sum(axis=1, keepdims=True)
    ordered = np.sort(values, axis=1)  # NaN comes last
    low, high = (np.take_along_axis(ordered, np.maximum(at, 0), axis=1) for at in ((count - 1) // 2, count // 2))
    median: Doubles = np.where(count > 0, (low + np.where(count > 0, high, low)) / 2, np.nan)[:, 0]
    return median


def _finite_median(values: Doubles) -> float:
    """Median of the values (R,) that are not NaN; NaN without any."""
    return float(_median(values[None])[0])
