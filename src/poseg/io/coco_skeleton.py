"""The skeleton of an annotation file: from its category, from a TOML file beside it, or a built-in one.

A category holds `keypoints` (names), `skeleton` (bones) and, as extensions, `tree`, `flip_pairs` and `sigmas`. A TOML
file beside `labels.json`, named `labels.toml`, may hold the same under `name`, `joints`, `bones`, `tree`,
`flip_pairs` and `sigmas`; it overrides the category. Pairs are names of joints, or joint numbers counted from 1, as
in COCO.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from poseg.errors import AnnotationError, SkeletonError
from poseg.io.coco_values import read_integer
from poseg.skeletons import COCO17, SKELETONS, Pair, Skeleton

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

Description = Mapping[str, Any]

KEYS = ("name", "joints", "bones", "tree", "flip_pairs", "sigmas")
_CATEGORY_KEYS = {"joints": "keypoints", "bones": "skeleton"}
_ALIASES = {"head": "head_top", "top_head": "head_top"}
_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}
_OTHER = {"left": "right", "right": "left"}


def joint_names(names: Sequence[object]) -> tuple[str, ...]:
    """Normalised names: "Left Ankle", "leftAnkle", "ankle_l" and "LAnkle" become "left_ankle".

    A letter or word counts as a side only where the joint of the other side is in the list too.
    """
    raw = [_snake(str(name)) for name in names]
    sided = [_with_side_first(name) for name in raw]
    return tuple(side if side and _other_side(side) in sided else name for name, side in zip(raw, sided, strict=True))


def built_in_skeleton(joints: Sequence[str]) -> Skeleton | None:
    """The built-in skeleton with these joints in this order, or None; "head" may be the top of the head."""
    for skeleton in SKELETONS.values():
        if len(skeleton) == len(joints) and all(
            theirs in (ours, _ALIASES.get(ours)) for ours, theirs in zip(joints, skeleton.joints, strict=True)
        ):
            return skeleton
    return None


def read_skeleton_file(path: str | Path) -> dict[str, Any]:
    """The content of a skeleton's TOML file, with the names in `KEYS`. Raises AnnotationError."""
    try:
        raw = tomllib.loads(Path(path).read_text("utf-8-sig"))
    except FileNotFoundError:
        raise AnnotationError(f"There is no file {path}; check the name.") from None
    except (OSError, ValueError, RecursionError) as fault:
        raise AnnotationError(f"Cannot read {path} as TOML: {fault}; correct it.") from None
    unknown = sorted(set(raw) - set(KEYS))
    if unknown:
        raise AnnotationError(f"{path} has the unknown {', '.join(unknown)}; a skeleton has {', '.join(KEYS)}.")
    return raw


def skeleton_file_beside(annotations: str | Path) -> Path | None:
    """`labels.toml` beside `labels.json` or `labels.json.gz`; None where there is none."""
    path = Path(annotations)
    stem = path.name.removesuffix(".gz").removesuffix(".json")
    beside = path.with_name(f"{stem}.toml")
    return beside if beside != path and beside.is_file() else None


def describe_skeleton(category: Description, overrides: Description | None = None) -> dict[str, Any]:
    """The entries of a category, overridden by those of a TOML file, with the names in `KEYS`; no empty ones."""
    entries = {key: category.get(_CATEGORY_KEYS.get(key, key)) for key in KEYS}
    entries |= overrides or {}
    return {key: value for key, value in entries.items() if value not in (None, [], "")}


def build_skeleton(description: Description, joints_in_records: int | None = None) -> Skeleton:
    """The skeleton of `describe_skeleton`. Raises SkeletonError.

    Joints of a built-in skeleton bring its bones, tree and sigmas; what a file adds to the category overrides these.
    Without names it is COCO's 17 joints, if the records have no other number of them.
    """
    if "joints" not in description:
        if joints_in_records not in (None, len(COCO17)):
            raise SkeletonError(
                f"keypoints of {joints_in_records} joints without names; "
                "list the names under `keypoints` of the category."
            )
        joints = COCO17.joints
    else:
        joints = joint_names(_list(description["joints"], "joint names"))
    built_in = built_in_skeleton(joints)
    if built_in is not None and not {"tree", "flip_pairs", "sigmas"} & set(description):
        return built_in
    if built_in is not None:
        bones, tree, sigmas = built_in.bones, built_in.tree, built_in.sigmas
        joints = built_in.joints
    else:
        bones, tree, sigmas = parse_pairs(description.get("bones", ()), joints, "bone"), (), ()
    if "tree" in description:
        tree = parse_pairs(description["tree"], joints, "branch of the tree")
    if "sigmas" in description:
        sigmas = _sigmas(description["sigmas"])
    flips = parse_pairs(description.get("flip_pairs", ()), joints, "flip pair")
    _check_sides(flips)
    return Skeleton(str(description.get("name", "custom")), joints, bones, tree, sigmas, flips)


def coco_category(skeleton: Skeleton) -> dict[str, Any]:
    """COCO's category entry of people on a skeleton, with bones as pairs of joint numbers from 1."""
    bones = [[skeleton.index(a) + 1, skeleton.index(b) + 1] for a, b in skeleton.bones]
    return {"id": 1, "name": "person", "keypoints": list(skeleton.joints), "skeleton": bones}


def parse_pairs(entries: object, joints: Sequence[str], what: str) -> tuple[Pair, ...]:
    """Pairs of joint names, from pairs of names or of numbers from 1. Raises SkeletonError that names the pair."""
    pairs = []
    for entry in _list(entries, f"{what}s"):
        if not isinstance(entry, (list, tuple)) or len(entry) != 2:
            raise SkeletonError(f"a {what} is not a pair of joints: {entry!r}.")
        pairs.append((_joint(entry[0], joints, what), _joint(entry[1], joints, what)))
    return tuple(pairs)


def unpaired_joints(skeleton: Skeleton) -> tuple[str, ...]:
    """Joints whose name has a side, but which have no flip partner in the skeleton."""
    return tuple(
        joint
        for index, joint in enumerate(skeleton.joints)
        if skeleton.flip_index[index] == index and _with_side_first(joint) != ""
    )


def _joint(entry: object, joints: Sequence[str], what: str) -> str:
    if isinstance(entry, str):
        name = entry if entry in joints else _with_side_first(_snake(entry)) or _snake(entry)
        name = name if name in joints else _ALIASES.get(name, name)
        if name in joints:
            return name
        if read_integer(entry) is None:
            raise SkeletonError(f"a {what} names {entry!r}, which is not among the joints {', '.join(joints)}.")
    number = read_integer(entry)
    if number is None:
        raise SkeletonError(f"a {what} is not a pair of joints: it has {entry!r}.")
    if not 1 <= number <= len(joints):
        raise SkeletonError(f"a {what} has joint number {number}, expected 1 to {len(joints)}.")
    return joints[number - 1]


def _list(value: object, what: str) -> Sequence[object]:
    if not isinstance(value, (list, tuple)):
        raise SkeletonError(f"expected a list of {what}, got {type(value).__name__}.")
    return value


def _sigmas(value: object) -> tuple[float, ...]:
    numbers = _list(value, "sigmas")
    if not all(isinstance(v, (int, float)) and not isinstance(v, bool) and 0 < v < 10 for v in numbers):
        raise SkeletonError("sigmas are not positive numbers such as 0.05, one per joint.")
    return tuple(float(v) for v in numbers)  # type: ignore[arg-type]


def _check_sides(flips: Sequence[Pair]) -> None:
    """A left joint must flip to a right one; this reveals numbers counted from 0."""
    for pair in flips:
        sides = {_with_side_first(joint).partition("_")[0] for joint in pair}
        if sides not in ({""}, {"left", "right"}):
            raise SkeletonError(f"a flip pair is {' and '.join(pair)}; write names, or numbers counted from 1.")


def _snake(name: str) -> str:
    """The name in snake case: "LAnkle", "left Ankle" and "left-ankle" are split into words."""
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])|[\s\-./]+", "_", name.strip())
    return re.sub(r"_+", "_", words).strip("_").lower()


def _with_side_first(name: str) -> str:
    """The name as left_X or right_X where exactly one of its words is a side, else an empty text."""
    words = name.split("_")
    sides = [index for index, word in enumerate(words) if word in _SIDES]
    if len(sides) != 1 or len(words) == 1:
        return ""
    side = _SIDES[words[sides[0]]]
    return "_".join([side, *words[: sides[0]], *words[sides[0] + 1 :]])


def _other_side(sided: str) -> str:
    side, _, rest = sided.partition("_")
    return f"{_OTHER[side]}_{rest}"
