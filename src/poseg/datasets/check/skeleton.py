"""Checks of the category: names of joints, bones, flip pairs, sigmas."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from poseg.datasets.check.faults import Findings
from poseg.datasets.check.table import Record, given
from poseg.errors import SkeletonError
from poseg.io.coco_skeleton import build_skeleton, describe_skeleton, parse_pairs, unpaired_joints
from poseg.skeletons import Skeleton


def check_skeleton(
    category: Record, people: Sequence[Record], overrides: Mapping[str, Any] | None, findings: Findings
) -> tuple[Skeleton | None, int]:
    """The skeleton and the number of joints; without a skeleton as many as the category names or most records have."""
    said = describe_skeleton(category, overrides)
    lengths = Counter(len(r["keypoints"]) for r in people if given(r, "keypoints") and isinstance(r["keypoints"], list))
    common = lengths.most_common(1)[0][0] // 3 if lengths else None
    names = said.get("joints")
    try:
        skeleton = build_skeleton(said, common)
    except SkeletonError as fault:
        findings.add("skeleton", str(fault))
        return None, len(names) if isinstance(names, (list, tuple)) else common or 0
    if names is None and lengths:
        findings.add("no-joints")
    _check_bones(said, skeleton, findings)
    lost = unpaired_joints(skeleton)
    findings.add_all("unpaired", lost, str)
    if not lost and not _symmetric(skeleton):
        findings.add("lopsided", f"tree: {', '.join(f'{a}-{b}' for a, b in skeleton.tree)}")
    if not skeleton.sigmas:
        findings.add("no-sigmas", f"skeleton {skeleton.name} of {len(skeleton)} joints")
    return skeleton, len(skeleton)


def _check_bones(said: Mapping[str, Any], skeleton: Skeleton, findings: Findings) -> None:
    """Bones that a known skeleton made superfluous."""
    bones = said.get("bones", ())
    for bone in bones if isinstance(bones, (list, tuple)) else ():
        try:
            parse_pairs([bone], skeleton.joints, "bone")
        except SkeletonError as fault:
            findings.add("bones-ignored", str(fault))


def _symmetric(skeleton: Skeleton) -> bool:
    try:
        return len(skeleton.edge_flip_index) >= 0
    except SkeletonError:
        return False
