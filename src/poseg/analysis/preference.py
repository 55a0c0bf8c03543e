"""Which joint a neuron follows: where its strongest responses lie from the joints of the pictures they come from.

Letters: C channels, K strongest pictures of each, N pictures, J joints. Places and joints are continuous crop pixels.
Several joints stand close together and people fill their crops alike, so every spread is set against chance: places
drawn anywhere, and the channel's own places laid into other pictures.
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
LEAST_PLACES = 10  # fewer lie close to some joint too often
_LEAST_SHARE = 0.5  # of a channel's pictures that must know a joint before it can be the preferred one


@dataclass(frozen=True, slots=True, eq=False)
class Preference:
    """The joint that each channel prefers; joint -1 and NaN where it has fewer than 10 places or no joint is known.

    joint        (C,) the nearest: the least median distance from the places
    distance_px  (C,) that median distance
    offset_xy    (C, 2) median of place minus joint: a channel may respond beside the joint it follows
    spread_px    (C,) median distance of the places from joint + offset: how closely it follows
    shuffled_px  (C,) the same spread where the places are laid into other pictures, median over draws
    p            (C,) share of those draws, the true one included, with as small a spread
    random_px    the same spread of places drawn anywhere, median over draws
    """

    joint: NDArray[np.int64]
    distance_px: Floats
    offset_xy: Floats
    spread_px: Floats
    shuffled_px: Floats
    p: Floats
    random_px: float


def preferred_joints(
    places: Floats, sources: NDArray[np.int64], joints: Floats, anywhere: tuple[Floats, Floats], *, seed: int = 0
) -> Preference:
    """The preferred joint of each channel.

    places    (C, K, 2) where a channel responds; NaN where it has fewer than K pictures
    sources   (C, K) the picture's number in `joints`; -1 likewise
    joints    (N, J, 2) of all pictures; NaN where not known
    anywhere  x and y of the columns and rows that a place can lie on
    """
    if joints.ndim != 3 or joints.shape[2] != 2 or sources.max(initial=-1) >= len(joints):
        raise ShapeError("joints", expected=(f"{sources.max(initial=-1) + 1} or more", "joints", 2), got=joints.shape)
    rng = np.random.default_rng(seed)
    known = joints.astype(np.float64)
    measured = [_measure(at[who >= 0], who[who >= 0], known, rng) for at, who in zip(places, sources, strict=True)]
    pictures = rng.integers(max(len(known), 1), size=(DRAWS, places.shape[1]))
    drawn = np.stack([rng.choice(axis, size=pictures.shape) for axis in anywhere], axis=-1)
    return Preference(
        joint=np.array([row[0].joint[0] for row in measured], np.int64),
        distance_px=np.array([row[0].distance[0] for row in measured], np.float32),
        offset_xy=np.array([row[0].offset[0] for row in measured], np.float32).reshape(-1, 2),
        spread_px=np.array([row[0].spread[0] for row in measured], np.float32),
        shuffled_px=np.array([row[1] for row in measured], np.float32),
        p=np.array([row[2] for row in measured], np.float32),
        random_px=_middle(_nearest(drawn, pictures, known).spread),
    )


class _Nearest(NamedTuple):
    """For each of R draws: the nearest joint (-1 for none), distance, offset, and spread around joint + offset."""

    joint: NDArray[np.int64]
    distance: Doubles
    offset: Doubles
    spread: Doubles


def _measure(
    places: Floats, sources: NDArray[np.int64], joints: Doubles, rng: np.random.Generator
) -> tuple[_Nearest, float, float]:
    """One channel's nearest joint, its spread in other pictures, and the share of those draws that are as narrow."""
    others = rng.integers(max(len(joints), 1), size=(DRAWS, len(places)))
    pictures = np.concatenate([sources[None], others])
    found = _nearest(np.broadcast_to(places, (*pictures.shape, 2)), pictures, joints)
    narrow = found.spread <= found.spread[0]
    return found, _middle(found.spread[1:]), float(narrow.mean()) if narrow[0] else float("nan")


def _nearest(places: Floats, pictures: NDArray[np.int64], joints: Doubles) -> _Nearest:
    """The joint nearest to places (R, K, 2) in pictures (R, K) whose joints are (N, J, 2)."""
    draws, count = pictures.shape
    if count < LEAST_PLACES or not joints.size:
        none = np.full(draws, np.nan)
        return _Nearest(np.full(draws, -1), none, np.full((draws, 2), np.nan), none)
    offsets = places[:, :, None] - joints[pictures]  # (R, K, J, 2)
    lengths = np.hypot(offsets[..., 0], offsets[..., 1])
    often = np.isfinite(lengths).sum(axis=1) >= _LEAST_SHARE * count
    distances = np.where(often, np.nan_to_num(_median(lengths), nan=np.inf), np.inf)  # (R, J)
    joint = distances.argmin(axis=1)
    some = np.isfinite(distances.min(axis=1))
    chosen = np.take_along_axis(offsets, joint[:, None, None, None], axis=2)[:, :, 0]  # (R, K, 2)
    offset = np.where(some[:, None], _median(chosen), np.nan)
    spread = _median(np.hypot(*np.moveaxis(chosen - offset[:, None], 2, 0)))
    distance = np.where(some, distances.min(axis=1), np.nan)
    return _Nearest(np.where(some, joint, -1), distance, offset, np.where(some, spread, np.nan))


def _median(values: Doubles) -> Doubles:
    """Median along axis 1 of what is not NaN; NaN where nothing is."""
    count = np.isfinite(values).sum(axis=1, keepdims=True)
    ordered = np.sort(values, axis=1)  # NaN comes last
    low, high = (np.take_along_axis(ordered, np.maximum(at, 0), axis=1) for at in ((count - 1) // 2, count // 2))
    middle: Doubles = np.where(count > 0, (low + np.where(count > 0, high, low)) / 2, np.nan)[:, 0]
    return middle


def _middle(values: Doubles) -> float:
    """Median of what is not NaN in (R,); NaN where nothing is."""
    return float(_median(values[None])[0])
