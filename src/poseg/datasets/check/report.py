"""The check of an annotation file from beginning to end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poseg.datasets.check.faults import Fault, Findings, Level
from poseg.datasets.check.masks import check_masks
from poseg.datasets.check.people import check_people
from poseg.datasets.check.pictures import check_pictures
from poseg.datasets.check.skeleton import check_skeleton
from poseg.datasets.check.structure import check_images, find_category, image_sizes, lists_of, persons_of, whole
from poseg.datasets.check.summary import Summary, summarise
from poseg.datasets.check.table import build_table
from poseg.errors import AnnotationError
from poseg.io.coco_skeleton import read_skeleton_file, skeleton_file_beside
from poseg.io.files import read_json
from poseg.io.ochuman import is_ochuman, ochuman_to_coco


@dataclass(frozen=True, slots=True)
class Report:
    """What was found: faults by kind, worst first, and what the file holds."""

    faults: tuple[Fault, ...]
    summary: Summary

    @property
    def worst(self) -> Level:
        """Level of the worst fault; NOTE where there is none. Also what `poseg data check` exits with."""
        return max((fault.level for fault in self.faults), default=Level.NOTE)

    def to_plain(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {"faults": [fault.to_plain() for fault in self.faults], "summary": self.summary.to_plain()}


def check_file(annotations: Path, pictures: Path | None = None, skeleton_file: Path | None = None) -> Report:
    """Everything that is wrong with an annotation file, plain or gzipped; OCHuman's own layout is converted first.

    pictures       folder of the pictures, to compare their headers with the file
    skeleton_file  TOML that completes the category, instead of the one beside the annotation file

    Nothing about the file raises; a TOML that cannot be read is an AnnotationError.
    """
    beside = skeleton_file or skeleton_file_beside(annotations)
    overrides = None if beside is None else read_skeleton_file(beside)
    try:
        plain = read_json(annotations)
        if is_ochuman(plain):
            plain = ochuman_to_coco(plain, source=str(annotations))
    except AnnotationError as fault:
        findings = Findings()
        findings.add("unreadable", str(fault))
        return Report(findings.faults(), Summary())
    return check_plain(plain, pictures=pictures, overrides=overrides)


def check_plain(plain: object, *, pictures: Path | None = None, overrides: Mapping[str, Any] | None = None) -> Report:
    """The same for what a JSON file held; `overrides` as in a skeleton's TOML file."""
    findings = Findings()
    lists = lists_of(plain, findings)
    if lists is None:
        return Report(findings.faults(), Summary())
    images = check_images(lists["images"], findings)
    labelled = {record["image_id"] for record in lists["annotations"] if whole(record.get("image_id"))}
    sizes = image_sizes(images) if pictures is None else check_pictures(images, labelled, pictures, findings)
    category = find_category(lists["categories"], findings)
    if category is None:
        return Report(findings.faults(), Summary(pictures=len(images)))
    people = persons_of(lists["annotations"], category, images, findings)
    skeleton, joints = check_skeleton(category, people, overrides, findings)
    table = build_table(people, sizes, joints, findings)
    check_people(table, skeleton, findings)
    masked = check_masks(table, findings)
    return Report(findings.faults(), summarise(table, len(images), skeleton, masked))
