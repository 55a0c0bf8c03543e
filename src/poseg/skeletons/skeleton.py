"""A skeleton: joints have names, and every index is derived from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from poseg.errors import SkeletonError

Pair = tuple[str, str]
MAX_SIGMA = 10.0
DEFAULT_SIGMA = 0.065  # mean of COCO's sigmas, for skeletons without measured sigmas
_SIDES = {"left_": "right_", "right_": "left_"}


@dataclass(frozen=True)
class Skeleton:
    """Named joints, the bones between them, and a kinematic tree over them.

    joints      K names; left_X and right_X swap in a flipped image, unless `flip_pairs` are provided
    bones       pairs of names, as drawn and as scored by PCP
    tree        K - 1 (parent, child) pairs in the channel order of mid-range offsets; by default the breadth-first
                spanning tree of the bones from the first joint, or none where the bones do not reach every joint: such
                people can be drawn and measured, and only what follows a tree needs one (`required_tree`)
    sigmas      K standard deviations of human annotators, relative to the square root of the person's area
                (COCO); empty where they were not measured
    flip_pairs  joints that swap in a flipped image; empty where the names left_X and right_X are enough
    """

    name: str
    joints: tuple[str, ...]
    bones: tuple[Pair, ...]
    tree: tuple[Pair, ...] = ()
    sigmas: tuple[float, ...] = ()
    flip_pairs: tuple[Pair, ...] = ()

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            raise SkeletonError(f"Skeleton {self.name} names a joint twice: {', '.join(self.joints)}.")
        for pair in (*self.bones, *self.tree, *self.flip_pairs):
            for joint in pair:
                self.index(joint)
        paired = [joint for pair in self.flip_pairs for joint in pair]
        if len(set(paired)) != len(paired):
            raise SkeletonError(
                f"The flip pairs of skeleton {self.name} name a joint twice; give each joint one partner at most."
            )
        if self.sigmas and len(self.sigmas) != len(self.joints):
            raise SkeletonError(
                f"Skeleton {self.name} has {len(self.joints)} joints but {len(self.sigmas)} sigmas; give one each."
            )
        if not self.joints:
            raise SkeletonError(f"Skeleton {self.name} has no joints; name at least one.")
        if not all(0 < sigma < MAX_SIGMA for sigma in self.sigmas):  # also NaN
            raise SkeletonError(f"The sigmas of skeleton {self.name} are not positive numbers such as 0.05.")
        if not self.tree:
            spanning = _span(self.joints, self.bones)
            object.__setattr__(self, "tree", spanning if _is_tree(self.joints, spanning) else ())
        elif not _is_tree(self.joints, self.tree):
            raise SkeletonError(
                f"The tree of skeleton {self.name} does not join its {len(self.joints)} joints; "
                "give `tree` as one (parent, child) pair fewer than joints, parents first."
            )

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """Position of a joint; an unknown name raises a SkeletonError that lists all names."""
        try:
            return self.joints.index(joint)
        except ValueError:
            raise SkeletonError(
                f"Skeleton {self.name} has no joint {joint!r}; it has {', '.join(self.joints)}."
            ) from None

    def subset(self, joints: Sequence[str]) -> Skeleton:
        """Some of the joints, in the order given, with the bones and flip pairs between them. Raises SkeletonError."""
        order, kept = [self.index(joint) for joint in joints], set(joints)
        bones, flips = (tuple(p for p in pairs if kept.issuperset(p)) for pairs in (self.bones, self.flip_pairs))
        return Skeleton(self.name, tuple(joints), bones, (), tuple(self.sigmas[i] for i in order if self.sigmas), flips)

    def extended(self, other: Skeleton) -> Skeleton:
        """All joints, then those that only `other` has, each joined as in the tree of that.

        Joints of both have the sigmas of `other`. Raises SkeletonError where a tree is missing, or no joint is shared.
        """
        new = [joint for joint in other.joints if joint not in self.joints]
        tree, reached, rest = list(self.required_tree), set(self.joints), list(other.required_tree)
        while rest:
            pair = next((p for p in rest if p[0] in reached or p[1] in reached), None)
            if pair is None:
                raise SkeletonError(f"The skeletons {self.name} and {other.name} share no joint.")
            rest.remove(pair)
            if not reached.issuperset(pair):
                tree.append(pair if pair[0] in reached else pair[::-1])
            reached.update(pair)
        sigmas = dict(zip(self.joints, self.oks_sigmas, strict=True)) | dict(
            zip(other.joints, other.oks_sigmas, strict=True)
        )
        joints = (*self.joints, *new)
        flips = {
            tuple(sorted((s.joints[a], s.joints[b])))
            for s in (self, other)
            for a, b in enumerate(s.flip_index)
            if a != b
        }
        # A joint of both keeps one partner, that of `other`.
        paired = {joint for joint in other.joints if other.flip_index[other.index(joint)] != other.index(joint)}
        pairs = tuple(sorted(p for p in flips if _are_partners(p, other) or not paired.intersection(p)))
        bones = tuple(dict.fromkeys((*other.bones, *self.bones)))
        return Skeleton(other.name, joints, bones, tuple(tree), tuple(float(sigmas[j]) for j in joints), pairs)

    def indices(self, pairs: Sequence[Pair]) -> NDArray[np.intp]:
        """(len(pairs), 2) positions of pairs of names."""
        return np.array([[self.index(a), self.index(b)] for a, b in pairs], np.intp).reshape(-1, 2)

    @cached_property
    def flip_index(self) -> NDArray[np.intp]:
        """(K,) permutation that swaps left and right; its own inverse."""
        partners = dict(self.flip_pairs) | {right: left for left, right in self.flip_pairs}
        if not self.flip_pairs:
            partners = {joint: _other_side(joint) for joint in self.joints if _other_side(joint) in self.joints}
        return np.array([self.index(partners.get(joint, joint)) for joint in self.joints], np.intp)

    @cached_property
    def oks_sigmas(self) -> NDArray[np.float64]:
        """(K,) `sigmas`, or `DEFAULT_SIGMA` for each joint where they were not measured; read-only."""
        sigmas = np.array(self.sigmas or (DEFAULT_SIGMA,) * len(self), np.float64)
        sigmas.flags.writeable = False
        return sigmas

    @property
    def required_tree(self) -> tuple[Pair, ...]:
        """The tree, for what cannot do without. Raises SkeletonError where the skeleton has none."""
        if not self.tree and len(self.joints) > 1:
            raise SkeletonError(
                f"The bones of skeleton {self.name} do not join its {len(self.joints)} joints into one tree, which is "
                "needed here; give `bones` or `tree` in the category or in a TOML file beside it (docs/data.md)."
            )
        return self.tree

    @cached_property
    def edges(self) -> NDArray[np.intp]:
        """(2 (K - 1), 2) directed tree edges, source then target: all forward, then all backward."""
        forward = self.indices(self.required_tree)
        return np.concatenate([forward, forward[:, ::-1]])

    @cached_property
    def edge_flip_index(self) -> NDArray[np.intp]:
        """(2 (K - 1),) permutation of the directed edges that goes with `flip_index`.

        Raises SkeletonError for a tree that is not symmetric: its fields cannot be flipped.
        """
        index = {(int(a), int(b)): i for i, (a, b) in enumerate(self.edges)}
        try:
            return np.array([index[int(self.flip_index[a]), int(self.flip_index[b])] for a, b in self.edges], np.intp)
        except KeyError:
            raise SkeletonError(
                f"The tree of skeleton {self.name} is not the same on both sides, so its fields cannot be flipped; "
                "give a symmetric tree or leave flipping off."
            ) from None


def _are_partners(pair: Pair, skeleton: Skeleton) -> bool:
    """Whether a pair of joints are flip partners in a skeleton."""
    if not {*pair} <= {*skeleton.joints}:
        return False
    return bool(skeleton.flip_index[skeleton.index(pair[0])] == skeleton.index(pair[1]))


def _other_side(joint: str) -> str:
    for side, other in _SIDES.items():
        if joint.startswith(side):
            return other + joint.removeprefix(side)
    return joint


def _span(joints: tuple[str, ...], bones: tuple[Pair, ...]) -> tuple[Pair, ...]:
    """Spanning tree of the bones, breadth first from the first joint."""
    reached, tree, frontier = set(joints[:1]), [], list(joints[:1])
    while frontier:
        parent = frontier.pop(0)
        for a, b in bones:
            child = b if a == parent else a if b == parent else None
            if child is not None and child not in reached:
                reached.add(child)
                tree.append((parent, child))
                frontier.append(child)
    return tuple(tree)


def _is_tree(joints: tuple[str, ...], tree: tuple[Pair, ...]) -> bool:
    """True where the pairs reach every joint exactly once, parents before children."""
    if len(joints) == 1:
        return not tree
    if not joints or len(tree) != len(joints) - 1:
        return False
    reached = {tree[0][0]}
    for parent, child in tree:
        if parent not in reached or child in reached:
            return False
        reached.add(child)
    return True
