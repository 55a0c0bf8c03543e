"""The people of a video as JSON lines: a header, then one line per frame, readable while the file grows.

The header holds the format, the skeleton, the source and its rate. A frame holds its index, time, size and people. A
person is a record of COCO's result format (`io.coco_results`) with the frame index as image_id, so that the people of
all lines in one list are a COCO result file; `id` is the person's track id.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, replace
from fractions import Fraction
from io import FileIO
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

import numpy as np

from poseg.errors import AnnotationError, OutputError, SkeletonError, VideoError
from poseg.io.coco_results import coco_results, people_from_records
from poseg.io.coco_values import is_integer
from poseg.io.files import PartialFile, write_at
from poseg.people import People
from poseg.skeletons import SKELETONS, Skeleton

FORMAT = "poseg frames"
VERSION = 1


class FramePeople(NamedTuple):
    """Frame index, seconds since the first frame, and the people in it."""

    frame: int
    time_s: float
    people: People


class FramesWriter:
    """A file of JSON lines that grows frame by frame; use it in a `with` block.

    Each line is written before `write` returns. While it grows the file is called `NAME.partial.jsonl`; it gets its
    final name at the end of the block, also when an error or Ctrl-C ends the block after its first frame. Where the
    disk had no room for a line, an older file is not replaced.

    path      of the file
    skeleton  of all people
    source    name of the video, for the header
    rate      its frames per second; None where unknown

    Raises OutputError where the file cannot be written.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        skeleton: Skeleton,
        *,
        source: str = "",
        rate: Fraction | float | None = None,
    ) -> None:
        self.path = fspath(path)
        self.frames = 0
        self._skeleton = skeleton
        self._last, self._complete = -1, True
        self._partial = PartialFile.for_target(self.path)
        self._stream, self._end = FileIO(self._partial.path, "r+b"), 0
        built_in = SKELETONS.get(skeleton.name) == skeleton
        header = {
            "format": FORMAT,
            "version": VERSION,
            "skeleton": skeleton.name if built_in else asdict(skeleton),
            "source": source,
            "rate": None if rate is None else str(Fraction(rate)),
        }
        try:
            self._append(header)
        except OutputError:
            self._stream.close()
            self._partial.discard()
            raise

    def write(self, frame: int, time_s: float, people: People, size: tuple[int, int]) -> None:
        """Add the people of one frame.

        frame    its index, increasing from line to line
        time_s   seconds since the first frame
        people   on the skeleton of the file; `ids` are kept
        size     (height, width) of the frame

        Raises SkeletonError, AnnotationError for an index that does not increase or a number that is not finite, and
        OutputError.
        """
        if people.skeleton != self._skeleton:
            raise SkeletonError(
                f"{self.path} holds people on skeleton {self._skeleton.name}, got {people.skeleton.name}; "
                f"convert them with people.remap_to()."
            )
        if frame <= self._last:
            raise AnnotationError(
                f"Frame {frame} cannot follow frame {self._last} in {self.path}; frames must increase."
            )
        records = coco_results(people, frame)
        for row, record in enumerate(records):
            record.pop("skeleton", None)
            if people.ids is None:
                del record["id"]
            else:
                record["id"] = int(people.ids[row])
        height, width = size
        self._append({"frame": frame, "time_s": time_s, "width": width, "height": height, "people": records})
        self._last = frame
        self.frames += 1

    def close(self) -> None:
        """Finish the file and give it its final name. Raises OutputError."""
        if not self._stream.closed:
            self._stream.close()
            if self._complete or not self._partial.target.exists():
                self._partial.finish()

    def __enter__(self) -> FramesWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is not None and self.frames == 0 and not self._stream.closed:
            self._stream.close()
            self._partial.discard()
        self.close()

    def _append(self, record: Mapping[str, Any]) -> None:
        if self._stream.closed:
            raise VideoError(f"{self.path} is finished; open a new FramesWriter for more frames.")
        try:
            line = json.dumps(record, allow_nan=False, separators=(",", ":")).encode("ascii") + b"\n"
        except ValueError as fault:
            raise AnnotationError(f"Cannot write {self.path}: {fault}; every number must be finite.") from None
        try:
            write_at(self._stream, self._end, line)
        except OSError as fault:
            self._complete = False
            raise OutputError(
                f"Cannot write {self.path}: {fault.strerror or fault}; make room. It holds {self.frames} frames."
            ) from fault
        self._end += len(line)


@dataclass(frozen=True, slots=True)
class FramesFile:
    """A file of JSON lines; iterate over it for (frame, time_s, people), any number of times.

    path      of the file
    skeleton  of all people
    source    name of the video, may be empty
    rate      its frames per second, or None
    """

    path: str
    skeleton: Skeleton
    source: str
    rate: Fraction | None

    def __iter__(self) -> Iterator[FramePeople]:
        last = -1
        for number, line in _lines(self.path):
            if number == 1:
                continue
            entry = _frame(_object(line, self.path, number), self.skeleton, f"{self.path}, line {number}")
            if entry.frame <= last:
                raise AnnotationError(
                    f"{self.path}, line {number}: frame {entry.frame} follows frame {last}; frames must increase."
                )
            last = entry.frame
            yield entry


def read_frames(path: str | PathLike[str]) -> FramesFile:
    """Open a file that `FramesWriter` wrote, also while it is still growing; lines are read during iteration.

    An incomplete last line (the writer was killed) is left out. A frame without people has empty masks and no ids.
    Boxes are those of the masks where there are masks. Raises AnnotationError that names the file, the line and the
    error.
    """
    source = fspath(path)
    for _, line in _lines(source):
        return _header(_object(line, source, 1), source)
    raise AnnotationError(f"{source} has no complete line; give a file that poseg wrote for a video.")


def _lines(path: str) -> Iterator[tuple[int, bytes]]:
    """Lines numbered from 1, without an incomplete last line."""
    try:
        with Path(path).open("rb") as stream:
            for number, line in enumerate(stream, 1):
                if line.endswith(b"\n") or _is_json(line):
                    yield number, line
    except FileNotFoundError:
        raise AnnotationError(f"There is no file {path}; check the name.") from None
    except OSError as fault:
        raise AnnotationError(f"Cannot read {path}: {fault.strerror or fault}; check the permissions.") from None


def _is_json(line: bytes) -> bool:
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


def _object(line: bytes, path: str, number: int) -> dict[str, Any]:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as fault:
        raise AnnotationError(f"{path}, line {number} is not JSON ({fault}); write the file again.") from None
    if not isinstance(value, dict):
        raise AnnotationError(f"{path}, line {number} is not a JSON object; give a file that poseg wrote for a video.")
    return value


def _header(record: dict[str, Any], path: str) -> FramesFile:
    if record.get("format") != FORMAT:
        raise AnnotationError(
            f"{path}, line 1 is not a header of {FORMAT!r}; give a file that poseg wrote for a video."
        )
    if record.get("version") != VERSION:
        raise AnnotationError(
            f"{path}, line 1: version {record.get('version')!r}, expected {VERSION}; update poseg, or write it again."
        )
    try:
        rate = None if record.get("rate") is None else Fraction(str(record["rate"]))
        return FramesFile(path, _skeleton(record["skeleton"]), str(record.get("source", "")), rate)
    except (KeyError, TypeError, ValueError, ZeroDivisionError) as fault:
        raise AnnotationError(f"{path}, line 1: {fault!r} in the header; write the file again.") from None


def _skeleton(raw: str | dict[str, Any]) -> Skeleton:
    """A built-in skeleton by its name, or one that is written out."""
    if isinstance(raw, str):
        return SKELETONS[raw]
    pairs = {key: tuple((str(a), str(b)) for a, b in raw[key]) for key in ("bones", "tree", "flip_pairs")}
    return Skeleton(
        name=str(raw["name"]),
        joints=tuple(str(joint) for joint in raw["joints"]),
        sigmas=tuple(float(sigma) for sigma in raw["sigmas"]),
        **pairs,
    )


def _frame(record: dict[str, Any], skeleton: Skeleton, where: str) -> FramePeople:
    try:
        frame, height, width = (_integer(record[key], key) for key in ("frame", "height", "width"))
        time_s = float(record["time_s"])
        records = [dict(person) for person in record["people"]]
    except (KeyError, TypeError, ValueError) as fault:
        raise AnnotationError(f"{where}: {fault!r} in the frame; write the file again.") from None
    if not math.isfinite(time_s):
        raise AnnotationError(f"{where}: time_s is {time_s}, expected seconds; write the file again.")
    if not records:
        return FramePeople(frame, time_s, People.empty(skeleton, (height, width)))
    people = people_from_records([{**person, "skeleton": skeleton.name} for person in records], skeleton, where)
    if people.masks is not None and people.masks.shape[1:] != (height, width):
        raise AnnotationError(
            f"{where}: masks are {people.masks.shape[1:]}, the frame is {(height, width)} (height, width); "
            "write the file again."
        )
    return FramePeople(frame, time_s, replace(people, ids=_ids(records, where)))


def _ids(records: list[dict[str, Any]], where: str) -> np.ndarray[Any, np.dtype[np.int64]] | None:
    ids = [person.get("id") for person in records]
    if all(number is None for number in ids):
        return None
    try:
        return np.array([_integer(number, "id") for number in ids], np.int64)
    except (ValueError, OverflowError) as fault:
        raise AnnotationError(f"{where}: {fault}; give all people an id, or none.") from None


def _integer(value: object, key: str) -> int:
    if not is_integer(value):
        raise ValueError(f"{key} is {value!r}, expected an integer")
    return value
