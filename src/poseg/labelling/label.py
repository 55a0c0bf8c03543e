"""Labelling many pictures: one after the other, resumed where it was stopped, written whole or not at all."""

from __future__ import annotations

import glob
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np

import poseg
from poseg.errors import AnnotationError, FieldError, ImageError, WeightsError
from poseg.io.coco_json import CocoDataset, read_coco
from poseg.io.images import read_image
from poseg.io.plain_json import read_json, write_json
from poseg.io.sources import find_images, image_ids
from poseg.labelling.journal import Journal
from poseg.labelling.looking import Looking, find_people
from poseg.labelling.records import Cuts, category, label_records
from poseg.labelling.teachers import Image
from poseg.people import People
from poseg.skeletons import COCO17


@dataclass(frozen=True, slots=True)
class Labelling:
    """What is to be labelled, and how.

    folder   of the pictures, with folders in it at any depth
    out      the label file, .json or .json.gz
    looking  the teachers and how they look
    cuts     what is sure enough
    before   a label file made before: its list of pictures, with ids and sizes, is taken, pictures of another size
             are stretched to it, and its people count as one more look
    keep     pictures that `out` speaks of already stay as they are there
    without  a folder whose pictures are left out, such as the one that is drawn into
    """

    folder: Path
    out: Path
    looking: Looking
    cuts: Cuts = field(default_factory=Cuts)
    before: Path | None = None
    keep: bool = False
    without: Path | None = None

    def settings(self) -> dict[str, Any]:
        """What decides the labels, as plain data for the file and for resuming."""
        return {
            "flip": self.looking.flip,
            "tiles": self.looking.tiles,
            "cuts": {name: getattr(self.cuts, name) for name in self.cuts.__slots__},
            "agreement": {name: getattr(self.looking.agreement, name) for name in self.looking.agreement.__slots__},
            "before": None if self.before is None else self.before.name,
            "teachers": [
                {
                    "name": one.teacher.name,
                    "licence": one.teacher.licence,
                    "sizes": list(one.looks_at),
                    "trust": one.trust,
                    "tile_size": one.tile_size,
                }
                for one in self.looking.assignments
            ],
        }


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it.

    images    pictures in the label file; those nobody is in are among them
    people    labelled with joints
    masks     of these, with a mask that teachers agree on
    ignored   regions to ignore
    faults    one sentence for each picture that could not be labelled
    """

    images: int
    people: int
    masks: int
    ignored: int
    faults: tuple[str, ...]


Seen = Callable[[str, Image, Sequence[Mapping[str, Any]]], None]


def label(job: Labelling, *, progress: Callable[[int, int], None] | None = None, seen: Seen | None = None) -> Outcome:
    """Label the pictures of a folder and write the file.

    progress   called with (done, all) after each picture
    seen       called with the name, the picture and the records of each picture labelled in this run

    What is done is kept beside the file until it is written, so a run that was stopped goes on where it was. A
    picture that cannot be read, or that a network chokes on, becomes a fault and is left out. Raises ImageError for
    a folder without pictures, AnnotationError for a bad file of earlier labels, and OutputError.
    """
    before = None if job.before is None else read_coco(job.before)
    entries = _entries(job, before)
    kept = _kept(job.out) if job.keep and job.out.exists() else {}
    with Journal(job.out, job.settings()) as journal:
        for done, entry in enumerate(entries, start=1):
            name = entry["file_name"]
            if name not in kept and name not in journal.pages:
                journal.add(name, _page(job, entry, before, seen))
            if progress is not None:
                progress(done, len(entries))
        pages = [kept.get(entry["file_name"]) or journal.pages[entry["file_name"]] for entry in entries]
        write_json(job.out, _whole(pages, job.settings()))
        journal.discard()
    records = [record for page in pages for record in page["annotations"]]
    return Outcome(
        images=sum("fault" not in page for page in pages),
        people=sum(not record.get("ignore") for record in records),
        masks=sum("segmentation" in record for record in records),
        ignored=sum(bool(record.get("ignore")) for record in records),
        faults=tuple(page["fault"] for page in pages if "fault" in page),
    )


def _entries(job: Labelling, before: CocoDataset | None) -> list[dict[str, Any]]:
    """The pictures as COCO lists them, sizes where they are known."""
    folder = job.folder
    if before is not None:
        return [
            {"id": image.id, "file_name": image.file_name}
            | ({} if image.size is None else {"height": image.size[0], "width": image.size[1]})
            for image in before.images.values()
        ]
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}; check the name.")
    found = find_images([str(Path(glob.escape(str(folder))) / "**" / "*")]).paths
    paths = [path for path in found if job.without is None or job.without.resolve() not in path.resolve().parents]
    if not paths:
        raise ImageError(f"Folder {folder} holds no pictures; name another folder.")
    ids = image_ids(paths)
    return [{"id": ids[path], "file_name": path.relative_to(folder).as_posix()} for path in paths]


def _page(job: Labelling, entry: Mapping[str, Any], before: CocoDataset | None, seen: Seen | None) -> dict[str, Any]:
    """One picture's entry and annotations, or its fault."""
    name = entry["file_name"]
    try:
        image = read_image(job.folder / name)
        if "height" in entry and image.shape[:2] != (entry["height"], entry["width"]):
            size = (entry["width"], entry["height"])
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        size = (image.shape[0], image.shape[1])
        records = label_records(find_people(image, job.looking, _earlier(before, entry["id"], size)), size, job.cuts)
    except (ImageError, FieldError, WeightsError) as fault:
        sentence = str(fault) if isinstance(fault, ImageError) else f"{name}: {fault}"
        return {"image": dict(entry), "annotations": [], "fault": sentence}
    if seen is not None:
        seen(name, image, records)
    return {"image": {**entry, "height": size[0], "width": size[1]}, "annotations": records}


def _earlier(before: CocoDataset | None, image_id: int, size: tuple[int, int]) -> People | None:
    if before is None or before.skeleton != COCO17:
        return None
    people = before.people(image_id, size)
    return people[people.keypoint_scores.max(axis=1, initial=0) > 0] if len(people) else None


def _kept(out: Path) -> dict[str, dict[str, Any]]:
    """Pages of the label file that is there, by file name."""
    plain = read_json(out)
    try:
        pages = {image["id"]: {"image": image, "annotations": []} for image in plain["images"]}
        for record in plain["annotations"]:
            pages[record["image_id"]]["annotations"].append(record)
        return {page["image"]["file_name"]: page for page in pages.values()}
    except (KeyError, TypeError) as fault:
        raise AnnotationError(
            f"{out} is no label file ({fault!r}), so nothing of it can be kept; give another name."
        ) from None


def _whole(pages: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The COCO file: pictures in the order of the run, annotations numbered from 1."""
    good = [page for page in pages if "fault" not in page]
    records = [{**record, "image_id": page["image"]["id"]} for page in good for record in page["annotations"]]
    return {
        "info": {"description": "labels made by networks", "poseg": poseg.__version__, **settings},
        "images": [page["image"] for page in good],
        "annotations": [{**record, "id": number} for number, record in enumerate(records, start=1)],
        "categories": [category()],
    }
