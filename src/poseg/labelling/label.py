"""Labelling a folder: one image after the other, resumable, and the label file is written whole or not at all."""

from __future__ import annotations

import glob
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import cv2
import numpy as np

import poseg
from poseg.errors import AnnotationError, FieldError, ImageError, OutputError, WeightsError
from poseg.io.coco_json import CocoDataset, read_coco
from poseg.io.files import read_json, write_json
from poseg.io.image_names import match_files
from poseg.io.images import read_image
from poseg.io.sources import find_images, image_ids
from poseg.labelling.ensemble import EnsembleConfig, ensemble_image
from poseg.labelling.records import LabelThresholds, category, to_coco
from poseg.labelling.teachers import Image
from poseg.people import People
from poseg.skeletons import COCO17

OnLabelled = Callable[[str, Image, Sequence[Mapping[str, Any]]], None]


@dataclass(frozen=True, slots=True)
class LabelingJob:
    """What is labelled, and how.

    folder         of the images, at any depth
    out            label file, .json or .json.gz
    prior_labels   an earlier label file: its list of images is used, with ids and sizes (images are resized to
                   them), and its people count as more views
    keep_existing  images that `out` contains already keep their labels
    exclude        a folder whose images are left out, such as that of the contact sheets
    """

    folder: Path
    out: Path
    ensemble: EnsembleConfig
    thresholds: LabelThresholds = field(default_factory=LabelThresholds)
    prior_labels: Path | None = None
    keep_existing: bool = False
    exclude: Path | None = None

    def settings(self) -> dict[str, Any]:
        """What decides the labels, ready for JSON: stated in the label file, and compared on resuming."""
        return {
            "flip": self.ensemble.flip,
            "tiles": self.ensemble.tiles,
            "thresholds": asdict(self.thresholds),
            "fusion": asdict(self.ensemble.fusion),
            "prior_labels": None if self.prior_labels is None else self.prior_labels.name,
            "teachers": [
                {
                    "name": config.teacher.name,
                    "licence": config.teacher.licence,
                    "sizes": list(config.input_sizes),
                    "weight": config.weight,
                    "tile_size": config.tile_size,
                }
                for config in self.ensemble.teachers
            ],
        }


@dataclass(frozen=True, slots=True)
class LabelingSummary:
    """Counts of a finished run.

    images   in the label file, those without people included
    people   labelled with joints
    masks    of these, with a mask
    ignored  regions to ignore
    errors   a message for each image that could not be labelled, and for entries of the folder that cannot be read
    """

    images: int
    people: int
    masks: int
    ignored: int
    errors: tuple[str, ...]


def label(
    job: LabelingJob,
    *,
    progress: Callable[[int, int], None] | None = None,
    on_labelled: OnLabelled | None = None,
) -> LabelingSummary:
    """Label the images of a folder and write the label file.

    progress     called with (done, all) after each image
    on_labelled  called with the name, the image and the records of each image labelled in this run

    Finished images are logged beside the label file until it is written, so an interrupted run is resumed. An image
    that cannot be read, or that a network fails on, becomes an error of the summary. Raises ImageError for a folder
    without images, AnnotationError for bad prior labels, and OutputError.
    """
    prior = None if job.prior_labels is None else read_coco(job.prior_labels)
    entries, left_out = _entries(job, prior)
    existing = _load_existing(job.out) if job.keep_existing and job.out.exists() else {}
    with ResumeLog(job.out, job.settings()) as log:
        for done, entry in enumerate(entries, start=1):
            name = entry["file_name"]
            if name not in existing and name not in log.items:
                log.add(name, _label_image(job, entry, prior, on_labelled))
            if progress is not None:
                progress(done, len(entries))
        items = [existing.get(entry["file_name"]) or log.items[entry["file_name"]] for entry in entries]
        write_json(job.out, _to_dataset(items, job.settings()))
        log.delete()
    records = [record for item in items for record in item["annotations"]]
    return LabelingSummary(
        images=sum("error" not in item for item in items),
        people=sum(not record.get("ignore") for record in records),
        masks=sum("segmentation" in record for record in records),
        ignored=sum(bool(record.get("ignore")) for record in records),
        errors=(*left_out, *(item["error"] for item in items if "error" in item)),
    )


def _entries(job: LabelingJob, prior: CocoDataset | None) -> tuple[list[dict[str, Any]], list[str]]:
    """The images as COCO lists them, the sizes only from prior labels; and what is left out of the folder, and why."""
    folder = job.folder
    if prior is not None:
        files = match_files(folder, (image.file_name for image in prior.images.values())).paths
        names = {name: Path(os.path.relpath(path, folder)).as_posix() for name, path in files.items()}
        return [
            {"id": image.id, "file_name": names.get(image.file_name, image.file_name)}
            | ({} if image.size is None else {"height": image.size[0], "width": image.size[1]})
            for image in prior.images.values()
        ], []
    if not folder.is_dir():
        raise ImageError(f"There is no folder {folder}; check the name.")
    found = find_images([str(Path(glob.escape(str(folder))) / "**" / "*")])
    paths = [path for path in found.paths if job.exclude is None or job.exclude.resolve() not in path.resolve().parents]
    if not paths:
        raise ImageError(f"Folder {folder} holds no images; name another folder.")
    ids = image_ids(paths)
    entries = [{"id": ids[path], "file_name": path.relative_to(folder).as_posix()} for path in paths]
    return entries, list(map(str, found.errors))


def _label_image(
    job: LabelingJob, entry: Mapping[str, Any], prior: CocoDataset | None, on_labelled: OnLabelled | None
) -> dict[str, Any]:
    """The entry of one image with its annotations, or its error."""
    name = entry["file_name"]
    try:
        image = read_image(job.folder / name)
        if "height" in entry and image.shape[:2] != (entry["height"], entry["width"]):
            size = (entry["width"], entry["height"])
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_CUBIC), np.uint8)
        size = (image.shape[0], image.shape[1])
        consensus = ensemble_image(image, job.ensemble, _prior_people(prior, entry["id"], size))
        records = to_coco(consensus, size, job.thresholds)
    except (ImageError, FieldError, WeightsError) as error:
        message = str(error) if isinstance(error, ImageError) else f"{name}: {error}"
        return {"image": dict(entry), "annotations": [], "error": message}
    if on_labelled is not None:
        on_labelled(name, image, records)
    return {"image": {**entry, "height": size[0], "width": size[1]}, "annotations": records}


def _prior_people(prior: CocoDataset | None, image_id: int, size: tuple[int, int]) -> People | None:
    if prior is None or prior.skeleton != COCO17:
        return None
    people = prior.people(image_id, size)
    return people[people.keypoint_scores.max(axis=1, initial=0) > 0] if len(people) else None


def _load_existing(out: Path) -> dict[str, dict[str, Any]]:
    """The entries of a label file with their annotations, by file name."""
    data = read_json(out)
    try:
        items = {image["id"]: {"image": image, "annotations": []} for image in data["images"]}
        for record in data["annotations"]:
            items[record["image_id"]]["annotations"].append(record)
        return {item["image"]["file_name"]: item for item in items.values()}
    except (KeyError, TypeError) as error:
        raise AnnotationError(
            f"{out} is no label file ({error!r}), so none of its labels can be kept; give another name."
        ) from None


def _to_dataset(items: Sequence[Mapping[str, Any]], settings: Mapping[str, Any]) -> dict[str, Any]:
    """The COCO file: images in the order of the run, annotations numbered from 1."""
    good = [item for item in items if "error" not in item]
    records = [{**record, "image_id": item["image"]["id"]} for item in good for record in item["annotations"]]
    return {
        "info": {"description": "pseudo-labels of networks", "poseg": poseg.__version__, **settings},
        "images": [item["image"] for item in good],
        "annotations": [{**record, "id": number} for number, record in enumerate(records, start=1)],
        "categories": [category()],
    }


class ResumeLog:
    """The finished items of a long run by name, in `.NAME.progress` beside the file NAME that is written at the end.

    One line of JSON an item, appended and flushed; the first line holds the settings. A truncated line is dropped.

    out       the file written at the end
    settings  ready for JSON; the log of a run with other settings is not resumed

    Raises OutputError where the log cannot be written, or is that of a run with other settings.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.path = out.with_name(f".{out.name}.progress")
        self.items: dict[str, Any] = {}
        self._settings = json.loads(json.dumps(settings))
        self._stream: TextIO | None = None

    def __enter__(self) -> ResumeLog:
        if not self.path.parent.is_dir():
            raise OutputError(f"Cannot write {self.path}: there is no folder {self.path.parent}; create it first.")
        length = self._read() if self.path.exists() else 0
        try:
            self._stream = open(self.path, "a+", encoding="ascii", newline="\n")
            self._stream.truncate(length)
        except OSError as error:
            raise OutputError(f"Cannot write {self.path}: {error.strerror}; choose another file.") from None
        if not length:
            self._append({"settings": self._settings})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def add(self, name: str, item: Any) -> None:
        """Log a finished item."""
        self.items[name] = item
        self._append({"name": name, "item": item})

    def delete(self) -> None:
        """Close and delete the log."""
        self.__exit__(None, None, None)
        self.path.unlink(missing_ok=True)

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._stream is None:
            raise OutputError(f"The log {self.path} is closed; use it in a with statement.")
        self._stream.write(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n")
        self._stream.flush()

    def _read(self) -> int:
        """Load the items of the complete lines, and return the length of these lines in bytes."""
        data = self.path.read_bytes()
        length = 0
        for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(keepends=True)):
            try:
                entry = json.loads(line)
            except json.JSONDecodeError:
                break
            if number == 0 and entry.get("settings") != self._settings:
                raise OutputError(
                    f"{self.path} is the log of an unfinished run with other settings; "
                    f"repeat that command to finish it, or delete the file ({os.fspath(self.path)})."
                )
            if number:
                self.items[entry["name"]] = entry["item"]
            length += len(line)
        return length
