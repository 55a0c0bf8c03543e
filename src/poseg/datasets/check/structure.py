"""Checks of the lists of a file: that they are there, that ids are numbers, that images and people belong together."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from poseg.datasets.check.faults import Findings
from poseg.datasets.check.table import Record, Size, named
from poseg.errors import AnnotationError
from poseg.io.coco_table import person_category, record_list

_MOST_PX = 10**6  # a side: no picture is larger


def lists_of(plain: object, findings: Findings) -> dict[str, list[Record]] | None:
    """The three lists, None where one is missing."""
    found = {}
    for key in ("images", "annotations", "categories"):
        try:
            found[key] = record_list(plain, key, "The file")
        except AnnotationError as fault:
            if not isinstance(plain, Mapping):
                findings.add("unreadable", str(fault))
                return None
            findings.add("list-missing", f"`{key}`: {_state(plain, key)}")
    return found if len(found) == 3 else None


def check_images(images: Sequence[Record], findings: Findings) -> dict[int, Record]:
    """Images by id, the first of each."""
    found: dict[int, Record] = {}
    for record in images:
        number = record.get("id")
        if not whole(number):
            findings.add("id", f"an image has id {number!r}")
            continue
        assert isinstance(number, int)
        if number in found:
            same = all(found[number].get(key) == record.get(key) for key in ("file_name", "height", "width"))
            findings.add("image-repeated" if same else "image-id-twice", f"image {number}")
            continue
        found[number] = record
        _check_image(number, record, findings)
    names = defaultdict(list)
    for number, record in found.items():
        if record.get("file_name"):
            names[str(record["file_name"])].append(number)
    twice = [(name, numbers) for name, numbers in names.items() if len(numbers) > 1]
    findings.add_all("file-twice", twice, lambda pair: f"{pair[0]}: images {', '.join(map(str, pair[1][:5]))}")
    return found


def image_sizes(images: Mapping[int, Record]) -> dict[int, Size]:
    """(height, width) of the images that say it."""
    sides = {number: (record.get("height"), record.get("width")) for number, record in images.items()}
    return {number: (h, w) for number, (h, w) in sides.items() if _positive(h) and _positive(w)}  # type: ignore[misc]


def find_category(categories: Sequence[Record], findings: Findings) -> Record | None:
    """The category of persons."""
    try:
        return person_category(categories, "The file")
    except AnnotationError as fault:
        numbered = sum(str(category.get("name", "")).lower() == "person" for category in categories) == 1
        findings.add("id" if numbered or len(categories) == 1 else "category", str(fault))
        return None


def persons_of(
    annotations: Sequence[Record], category: Record, images: Mapping[int, Record], findings: Findings
) -> list[Record]:
    """Annotations of the category whose ids are sound and whose image is there."""
    without = [record for record in annotations if "category_id" not in record]
    findings.add_all("id", without, lambda record: f"{named(record)} has no category_id")
    people = [record for record in annotations if record.get("category_id", category) == category["id"]]
    others = len(annotations) - len(without) - len(people)
    findings.add_all("other-categories", range(others), lambda _: "")
    if not people:
        findings.add("nobody-at-all")
    odd = [record for record in people if not whole(record.get("id")) or not whole(record.get("image_id"))]
    findings.add_all("id", odd, lambda record: f"{named(record)}: id and image_id must be whole numbers")
    sound = [record for record in people if whole(record.get("id")) and whole(record.get("image_id"))]
    counts = Counter(record["id"] for record in sound)
    shared = [number for number, count in counts.items() if count > 1]
    findings.add_all("annotation-id-twice", shared, lambda number: f"annotation {number}: {counts[number]} times")
    lost = [record for record in sound if record["image_id"] not in images]
    findings.add_all("unknown-image", lost, named)
    busy = {record.get("image_id") for record in annotations if whole(record.get("image_id"))}
    empty = [number for number in images if number not in busy]
    findings.add_all("picture-of-nobody", empty, lambda n: f"image {n} ({images[n].get('file_name')})")
    return [record for record in sound if record["image_id"] in images]


def whole(value: Any) -> bool:
    """Whether it is a whole number of 64 bits, and no truth value."""
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63


def _check_image(number: int, record: Record, findings: Findings) -> None:
    sides = record.get("height"), record.get("width")
    if any(side is not None and not _positive(side) for side in sides):
        findings.add("image-size", f"image {number}: height {sides[0]!r}, width {sides[1]!r}")
    elif None in sides:
        findings.add("image-without-size", f"image {number}")
    name = record.get("file_name", "")
    if not isinstance(name, str):
        findings.add("image-size", f"image {number}: file_name {name!r} is not text")
    elif not name:
        findings.add("image-name", f"image {number}")


def _positive(value: Any) -> bool:
    return whole(value) and 0 < value < _MOST_PX


def _state(plain: Mapping[str, Any], key: str) -> str:
    if key not in plain:
        return f"missing; the file has {', '.join(map(str, list(plain)[:8])) or 'nothing'}"
    return f"a {type(plain[key]).__name__}" if not isinstance(plain[key], list) else "not only objects"
