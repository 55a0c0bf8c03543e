"""Sides of the body, from the names of the joints: the order that matrices are drawn in, and pairs worth looking at."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from poseg.skeletons import Pair, Skeleton

_LEG = ("hip", "upper_leg", "thigh", "knee", "lower_leg", "shin", "ankle", "heel", "foot", "toe")
_ARM = ("collar", "shoulder", "upper_arm", "elbow", "lower_arm", "forearm", "wrist", "hand", "thumb", "finger")
_OPPOSITE = (("hip", "shoulder"), ("knee", "elbow"), ("ankle", "wrist"))  # a leg's joint and the arm's that is like it
_ENDS = ("wrist", "hand", "ankle", "foot")
_LIMBS = {("right", "leg"): 1, ("left", "leg"): 2, ("right", "arm"): 3, ("left", "arm"): 4}


@dataclass(frozen=True, slots=True, eq=False)
class BodyOrder:
    """Joints by side of the body: torso and head, right leg, left leg, right arm, left arm; limbs from the body out.

    joints  (J,) the joint at each place
    breaks  places where a new part of the body begins, without 0
    """

    joints: NDArray[np.intp]
    breaks: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SidePairs:
    """Pairs of joints by name.

    left_right  the same joint of both sides: the left one, the right one
    same_side   a joint of the leg and its like of the arm on the same side: hip and shoulder, knee and elbow, ...
    """

    left_right: tuple[Pair, ...]
    same_side: tuple[Pair, ...]


def body_order(skeleton: Skeleton) -> BodyOrder:
    """The joints by side of the body. A joint whose name tells no limb counts to torso and head."""
    places = [_place(name, number) for number, name in enumerate(skeleton.joints)]
    joints = sorted(range(len(skeleton)), key=places.__getitem__)
    limbs = [places[joint][0] for joint in joints]
    breaks = tuple(at for at in range(1, len(limbs)) if limbs[at] != limbs[at - 1])
    return BodyOrder(np.array(joints, np.intp), breaks)


def side_pairs(skeleton: Skeleton) -> SidePairs:
    """The pairs of a skeleton whose joints are called left_X and right_X; none for names of another kind."""
    names = set(skeleton.joints)
    sided = [name.removeprefix("left_") for name in skeleton.joints if name.startswith("left_")]
    same = [(f"{side}_{leg}", f"{side}_{arm}") for leg, arm in _OPPOSITE for side in ("left", "right")]
    return SidePairs(
        left_right=tuple((f"left_{joint}", f"right_{joint}") for joint in sided if f"right_{joint}" in names),
        same_side=tuple(pair for pair in same if names.issuperset(pair)),
    )


def is_end(joint: str) -> bool:
    """True for a joint at the end of a limb: a wrist or hand, an ankle or foot."""
    return any(word in joint for word in _ENDS)


def _place(name: str, number: int) -> tuple[int, int, int]:
    """Sorts joints: the part of the body, how far out in the limb, the skeleton's own order."""
    side, _, rest = name.partition("_")
    for limb, words in (("leg", _LEG), ("arm", _ARM)):
        far = next((rank for rank, word in enumerate(words) if word in rest), None)
        if far is not None and (side, limb) in _LIMBS:
            return _LIMBS[side, limb], far, number
    return 0, 0, number
