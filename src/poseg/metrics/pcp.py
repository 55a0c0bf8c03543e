"""PCP: the share of sticks (limbs) whose two ends are found near enough, measured by the stick's own true length.

strict  both ends are within alpha times the length (Ferrari, Marin-Jimenez & Zisserman, CVPR 2008, as written)
loose   the mean of the two errors is (what early tool kits computed); whatever is right strictly is right loosely

Short sticks, seen from their end, are judged hard: PCK was made to mend that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from poseg.errors import AnnotationError, SkeletonError
from poseg.metrics.pairs import Bools, Floats, PosePairs
from poseg.metrics.score import Draws, Items, Score, averaged
from poseg.skeletons import Skeleton


@dataclass(frozen=True, slots=True)
class Stick:
    """A limb; an end named by several joints is their middle."""

    name: str
    group: str
    start: tuple[str, ...]
    end: tuple[str, ...]

    @property
    def joints(self) -> tuple[str, ...]:
        """All joints it is made of."""
        return self.start + self.end


def _limb(side: str, group: str, start: str, end: str) -> Stick:
    return Stick(f"{side}_{group}", f"{group}s", (f"{side}_{start}",), (f"{side}_{end}",))


_LIMBS = (
    ("upper_arm", "shoulder", "elbow"), ("lower_arm", "elbow", "wrist"),
    ("upper_leg", "hip", "knee"), ("lower_leg", "knee", "ankle"),
)  # fmt: skip
TORSO = Stick("torso", "torso", ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"))
HEAD = Stick("head", "head", ("neck",), ("head_top",))
BODY = (TORSO, *(_limb(side, *limb) for limb in _LIMBS for side in ("left", "right")), HEAD)


def sticks_of(skeleton: Skeleton) -> tuple[Stick, ...]:
    """The ten sticks of a human body, those whose joints there are; for other skeletons their bones."""
    body = tuple(stick for stick in BODY if set(stick.joints) <= set(skeleton.joints))
    return body if TORSO in body else bone_sticks(skeleton)


def bone_sticks(skeleton: Skeleton) -> tuple[Stick, ...]:
    """A stick for each bone; a bone and its mirror image are one group."""
    mirror = {joint: skeleton.joints[skeleton.flip_index[place]] for place, joint in enumerate(skeleton.joints)}
    sticks: list[Stick] = []
    groups: dict[frozenset[str], str] = {}
    for a, b in skeleton.bones:
        name = f"{a}-{b}"
        group = groups.get(frozenset((mirror[a], mirror[b])), name)
        groups[frozenset((a, b))] = group
        sticks.append(Stick(name, group, (a,), (b,)))
    return tuple(sticks)


def pcp(
    pairs: PosePairs,
    *,
    strict: bool,
    alpha: float = 0.5,
    sticks: Sequence[Stick] | None = None,
    draws: Draws | None = None,
) -> Score:
    """Share of sticks right; its name says whether strictly or loosely.

    sticks  those of `sticks_of(pairs.skeleton)` by default
    draws   (B, I) resamples of pictures for intervals; none without

    A stick counts where all its true joints are annotated, the model has them, and its length is not zero. One with
    an end that was not found, or of a person who was not, is wrong. Raises SkeletonError for sticks of other joints.
    """
    if not 0 <= alpha < np.inf:
        raise AnnotationError(f"An alpha of {alpha} measures nothing; give a part of the stick's length, such as 0.5.")
    chosen = sticks_of(pairs.skeleton) if sticks is None else tuple(sticks)
    errors, lengths = stick_errors(pairs, chosen)
    with np.errstate(invalid="ignore"):
        worst = errors.max(axis=-1) if strict else errors.mean(axis=-1)
    right = np.where(lengths > 0, worst <= alpha * lengths, np.nan)
    rule = "both its ends are" if strict else "the mean of its two ends' errors is"
    name = f"PCP@{alpha:g} {'strict' if strict else 'loose'}"
    protocol = f"{name}: a stick is right where {rule} within {alpha:g} times its true length; {_said(pairs, chosen)}"
    items = Items(right, tuple(stick.name for stick in chosen), _groups(chosen), pairs.picture, pairs.pictures)
    return averaged(items, name=name, unit="share", protocol=protocol, draws=draws)


def stick_errors(pairs: PosePairs, sticks: Sequence[Stick]) -> tuple[Floats, Floats]:
    """Errors of both ends (N, S, 2), infinite where not found, and true lengths (N, S), NaN where not counted."""
    starts, ends = _weights(pairs.skeleton, sticks)
    true = [_middles(weights, pairs.true) for weights in (starts, ends)]
    found = [_middles(weights, pairs.found) for weights in (starts, ends)]
    placed = [_all_of(weights, pairs.placed) for weights in (starts, ends)]
    errors = [
        np.where(there, np.linalg.norm(a - b, axis=-1), np.inf) for a, b, there in zip(found, true, placed, strict=True)
    ]
    counted = _all_of(starts, pairs.counted) & _all_of(ends, pairs.counted)
    lengths = np.where(counted, np.linalg.norm(true[0] - true[1], axis=-1), np.nan)
    return np.stack(errors, axis=-1), lengths


def _weights(skeleton: Skeleton, sticks: Sequence[Stick]) -> tuple[Floats, Floats]:
    """(S, K) weights of the joints in the first and in the second end; rows sum to 1."""
    if not sticks:
        raise SkeletonError(f"Skeleton {skeleton.name} has no bones, so it has no sticks; give `sticks`.")
    both = np.zeros((2, len(sticks), len(skeleton)))
    for row, stick in enumerate(sticks):
        for side, joints in enumerate((stick.start, stick.end)):
            for joint in joints:
                both[side, row, skeleton.index(joint)] = 1 / len(joints)
    return both[0], both[1]


def _middles(weights: Floats, points: Floats) -> Floats:
    """(N, S, D) of points (N, K, D)."""
    return np.asarray(np.einsum("sk,nkd->nsd", weights, points))


def _all_of(weights: Floats, flags: Bools) -> Bools:
    """(N, S): whether all joints with a weight have the flag (N, K)."""
    return np.asarray((~flags).astype(np.float64) @ (weights > 0).T.astype(np.float64) == 0)


def _said(pairs: PosePairs, sticks: Sequence[Stick]) -> str:
    """The protocol beyond the rule."""
    has = dict(zip(pairs.skeleton.joints, pairs.known, strict=True))
    lacking = [stick.name for stick in sticks if not all(has[joint] for joint in stick.joints)]
    named = f" (not {', '.join(lacking)})" if lacking else ""
    torso = "; the torso goes from the middle of the shoulders to that of the hips" if TORSO in sticks else ""
    return (
        "sticks with an end that was not found, and of people not found, are wrong; "
        f"{len(sticks) - len(lacking)} of {len(sticks)} sticks{named}{torso}; {pairs.said()}; mean over sticks"
    )


def _groups(sticks: Sequence[Stick]) -> dict[str, list[int]]:
    groups: dict[str, list[int]] = {}
    for place, stick in enumerate(sticks):
        groups.setdefault(stick.group, []).append(place)
    return groups
