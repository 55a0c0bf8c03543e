"""The whole check of an annotation file: its issues, and a summary in numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from poseg.datasets.check.annotations import check_masks, check_people
from poseg.datasets.check.rules import Issue, Issues, Severity
from poseg.datasets.check.tables import (
    AnnotationTable,
    Size,
    build_table,
    find_category,
    image_sizes,
    person_annotations,
    required_lists,
    unique_images,
)
from poseg.errors import AnnotationError, ImageError, SkeletonError
from poseg.io.coco_skeleton import (
    build_skeleton,
    describe_skeleton,
    parse_pairs,
    read_skeleton_file,
    skeleton_file_beside,
    unpaired_joints,
)
from poseg.io.coco_table import has_key
from poseg.io.coco_values import Record, is_integer
from poseg.io.files import read_json
from poseg.io.image_names import match_files
from poseg.io.images import image_size, is_rotated
from poseg.io.ochuman import is_ochuman, ochuman_to_coco
from poseg.skeletons import Skeleton

PERCENTILES = (5, 25, 50, 75, 95)
SMALL_PX, LARGE_PX = 32.0, 96.0  # COCO's limits: sides of squares of the same area


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a file.

    joints           by name: how many are visible (v = 2), and hidden (v = 1)
    person_sizes_px  percentiles (`PERCENTILES`) of the longer side of people's boxes
    sizes            people by COCO's classes of area: small, medium, large
    """

    images: int = 0
    images_with_people: int = 0
    people: int = 0
    with_joints: int = 0
    with_masks: int = 0
    crowds: int = 0
    skeleton: str = ""
    joints: dict[str, tuple[int, int]] = field(default_factory=dict)
    person_sizes_px: tuple[float, ...] = ()
    sizes: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CheckReport:
    """Issues by rule, the most severe first, and what the file holds."""

    issues: tuple[Issue, ...]
    summary: Summary

    @property
    def worst(self) -> Severity:
        """The highest severity; NOTE where there are no issues. Also the exit code of `poseg data check`."""
        return max((issue.severity for issue in self.issues), default=Severity.NOTE)

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"issues": [issue.to_dict() for issue in self.issues], "summary": asdict(self.summary)}


def check_file(annotations: Path, image_dir: Path | None = None, skeleton_file: Path | None = None) -> CheckReport:
    """All issues of an annotation file, plain or gzipped; OCHuman's own layout is converted first.

    image_dir      folder of the images, to compare their headers with the file
    skeleton_file  TOML that completes the category, instead of the one beside the annotation file

    No content of the file raises; a TOML that cannot be read raises AnnotationError.
    """
    beside = skeleton_file or skeleton_file_beside(annotations)
    overrides = None if beside is None else read_skeleton_file(beside)
    try:
        raw = read_json(annotations)
        if is_ochuman(raw):
            raw = ochuman_to_coco(raw, source=str(annotations))
    except AnnotationError as fault:
        issues = Issues()
        issues.add("unreadable", str(fault))
        return CheckReport(issues.by_rule(), Summary())
    return check_dict(raw, image_dir=image_dir, overrides=overrides)


def check_dict(
    raw: object, *, image_dir: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> CheckReport:
    """The same for the content of a JSON file; `overrides` as in a skeleton's TOML file."""
    issues = Issues()
    lists = required_lists(raw, issues)
    if lists is None:
        return CheckReport(issues.by_rule(), Summary())
    images = unique_images(lists["images"], issues)
    labelled = {record["image_id"] for record in lists["annotations"] if is_integer(record.get("image_id"))}
    sizes = image_sizes(images) if image_dir is None else check_images(images, labelled, image_dir, issues)
    category = find_category(lists["categories"], lists["annotations"], issues)
    if category is None:
        return CheckReport(issues.by_rule(), Summary(images=len(images)))
    people = person_annotations(lists["annotations"], category, images, issues)
    skeleton, joints = check_skeleton(category, people, overrides, issues)
    table = build_table(people, sizes, joints, issues)
    check_people(table, skeleton, issues)
    masked = check_masks(table, issues)
    return CheckReport(issues.by_rule(), summarise(table, len(images), skeleton, masked))


def check_images(
    images: Mapping[int, Record], labelled: Collection[int], image_dir: Path, issues: Issues
) -> dict[int, Size]:
    """Check that the images exist with the size in the file, from their headers; their sizes, else as stated.

    labelled  ids of the images that have annotations
    """
    stated = image_sizes(images)
    named = {n: name for n, record in images.items() if isinstance(name := record.get("file_name"), str) and name}
    files = match_files(image_dir, named.values())
    exists = files.paths
    unclear = [n for n, name in named.items() if name in files.faults]
    issues.add_all("image-unclear", unclear, lambda n: f"image {n}: {named[n]}: {files.faults[named[n]]}")
    loose = [n for n, name in named.items() if name in exists and exists[name] != image_dir / name]
    issues.add_all("image-other-name", loose, lambda n: f"image {n}: {named[n]} is {exists[named[n]].name}")
    for rule, with_people in (("image-missing", True), ("background-missing", False)):
        absent = [n for n, name in named.items() if name not in exists and name not in files.faults]
        missing = [n for n in absent if (n in labelled) == with_people]
        issues.add_all(rule, missing, lambda number: f"image {number}: {named[number]}")
    if not any(named.get(number) in exists for number in labelled):
        issues.add("no-image", f"{image_dir} has none of {len(labelled)}")
    sizes = dict(stated)
    for number, name in named.items():
        if name not in exists:
            continue
        try:
            size = image_size(exists[name])
        except ImageError as fault:
            issues.add("image-broken", f"image {number}: {fault}")
            continue
        if number in stated and size != stated[number]:
            reason = _size_mismatch(size, stated[number], rotated=is_rotated(exists[name]))
            issues.add("image-size", f"image {number} ({name}): {reason}")
        sizes.setdefault(number, size)
    return sizes


def _size_mismatch(size: Size, stated: Size, *, rotated: bool) -> str:
    reason = ""
    if size == stated[::-1]:
        turned = "the image is rotated by its EXIF orientation, the labels are not"
        reason = (
            f"; {turned if rotated else 'height and width are swapped in the file, or the image was rotated since'}"
        )
    return f"{size[1]} x {size[0]} pixels, the file has {stated[1]} x {stated[0]} (width x height){reason}"


def check_skeleton(
    category: Record, people: Sequence[Record], overrides: Mapping[str, Any] | None, issues: Issues
) -> tuple[Skeleton | None, int]:
    """The skeleton and the number of joints; without a skeleton as many as the category names or most records have."""
    description = describe_skeleton(category, overrides)
    keypoints = [record["keypoints"] for record in people if has_key(record, "keypoints")]
    lengths = Counter(len(triplets) for triplets in keypoints if isinstance(triplets, list))
    common = lengths.most_common(1)[0][0] // 3 if lengths else None
    names = description.get("joints")
    try:
        skeleton = build_skeleton(description, common)
    except SkeletonError as fault:
        issues.add("skeleton", str(fault))
        return None, len(names) if isinstance(names, (list, tuple)) else common or 0
    if names is None and lengths:
        issues.add("no-joints")
    bones = description.get("bones", ())
    for bone in bones if isinstance(bones, (list, tuple)) else ():
        try:
            parse_pairs([bone], skeleton.joints, "bone")
        except SkeletonError as fault:  # only where the bones of a built-in skeleton were used instead
            issues.add("bones-ignored", str(fault))
    unpaired = unpaired_joints(skeleton)
    issues.add_all("unpaired", unpaired, str)
    if len(skeleton) > 1 and not skeleton.tree:
        issues.add("no-tree", f"{len(skeleton.bones)} bones for {len(skeleton)} joints")
    elif not unpaired and not _symmetric(skeleton):
        issues.add("asymmetric", f"tree: {', '.join(f'{a}-{b}' for a, b in skeleton.tree)}")
    if not skeleton.sigmas:
        issues.add("no-sigmas", f"skeleton {skeleton.name} of {len(skeleton)} joints")
    return skeleton, len(skeleton)


def _symmetric(skeleton: Skeleton) -> bool:
    try:
        return len(skeleton.edge_flip_index) >= 0
    except SkeletonError:
        return False


def summarise(table: AnnotationTable, images: int, skeleton: Skeleton | None, masked: Sequence[bool]) -> Summary:
    """Counts of the valid records of a file."""
    people = ~table.crowds
    v, annotated = table.triplets[people, :, 2], table.annotated[people]
    names = skeleton.joints if skeleton is not None else [f"joint {i + 1}" for i in range(v.shape[1])]
    sides = table.boxes_xywh[people, 2:].max(axis=1, initial=0)
    sides = sides[np.isfinite(sides) & (sides > 0)]
    areas = np.where(table.areas > 0, table.areas, table.boxes_xywh[:, 2:].prod(axis=1) / 2)[people]
    areas = areas[np.isfinite(areas)]
    return Summary(
        images=images,
        images_with_people=len({r["image_id"] for r, person in zip(table.records, people, strict=True) if person}),
        people=int(people.sum()),
        with_joints=int(annotated.any(axis=1).sum()),
        with_masks=int((np.array(masked, bool).reshape(-1) & people).sum()),
        crowds=int(table.crowds.sum()),
        skeleton="" if skeleton is None else skeleton.name,
        joints={
            name: (int((v[:, i] >= 2).sum()), int((annotated[:, i] & (v[:, i] < 2)).sum()))
            for i, name in enumerate(names)
        },
        person_sizes_px=tuple(round(float(p), 1) for p in np.percentile(sides, PERCENTILES)) if len(sides) else (),
        sizes={
            "small": int((areas < SMALL_PX**2).sum()),
            "medium": int(((areas >= SMALL_PX**2) & (areas < LARGE_PX**2)).sum()),
            "large": int((areas >= LARGE_PX**2).sum()),
        },
    )
