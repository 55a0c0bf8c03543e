"""What one worker does with one shard: read, predict, write. It needs no Ray, so it is tested without."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.batch.plan import CLIP, Item, is_address
from poseg.batch.reader import decoded
from poseg.batch.rows import Result, write_shard
from poseg.errors import FieldError, ImageError, OutputError, VideoError
from poseg.io.coco_results import coco_results
from poseg.io.files import write_json
from poseg.people import People

Detect = Callable[[NDArray[np.uint8]], People]


@dataclass(frozen=True, slots=True)
class Output:
    """The files of a shard in the folder of a job: people as Parquet, COCO's results, and notes on the time it took.

    A shard is finished when its Parquet file is there: that is written last.
    """

    folder: Path

    def people(self, shard: int) -> Path:
        """Parquet."""
        return self.folder / "people" / f"{shard:06d}.parquet"

    def coco(self, shard: int) -> Path:
        """COCO results."""
        return self.folder / "coco" / f"{shard:06d}.json"

    def notes(self, shard: int) -> Path:
        """Counts, and milliseconds of the slowest images."""
        return self.folder / "notes" / f"{shard:06d}.json"

    def tries(self, shard: int) -> Path:
        """A byte for each time that a worker began it; gone when it is finished."""
        return self.folder / "notes" / f"{shard:06d}.tries"

    def make(self) -> None:
        """Create the folders, and remove what a killed run left under temporary names. Raises OutputError."""
        try:
            for name in ("people", "coco", "notes"):
                (self.folder / name).mkdir(parents=True, exist_ok=True)
                for path in (self.folder / name).glob(".*"):
                    path.unlink(missing_ok=True)
        except OSError as fault:
            raise OutputError(f"Cannot make the folder {self.folder}: {fault.strerror}; choose another.") from None


def process_shard(
    shard: int, first_item: int, items: Sequence[Item], detect: Detect, output: Output, image_column: str | None = None
) -> dict[str, Any]:
    """Write the results of a shard, its notes included, which are returned. Raises OutputError.

    What cannot be read or decoded becomes a row with an error; an image id of COCO is the item's number plus one.
    """
    start = perf_counter()
    results, slow = [], []
    for result in _results(first_item, items, detect, image_column):
        results.append(result)
        now = perf_counter()
        slow.append((round(1e3 * (now - start), 2), result.name))
        start = now
    # COCO's results know no frames, so people of clips are in Parquet alone.
    records: list[dict[str, Any]] = []
    for result in results:
        if result.people is not None and result.frame is None:
            records += coco_results(
                result.people, result.item + 1, first_id=len(records) + 1, file_name=result.name
            )  # fmt: skip
    notes = {
        "shard": shard,
        "items": len(items),
        "rows": len(results),
        "errors": sum(result.error is not None for result in results),
        "people": sum(len(result.people) for result in results if result.people is not None),
        "ms": round(sum(ms for ms, _ in slow), 2),
        "slowest": sorted(slow, reverse=True)[:5],
        "first_errors": [result.error for result in results if result.error is not None][:20],
    }
    write_json(output.coco(shard), records)
    write_json(output.notes(shard), notes)
    write_shard(output.people(shard), results)
    return notes


def _results(first_item: int, items: Sequence[Item], detect: Detect, image_column: str | None) -> Iterator[Result]:
    if items[0].kind == CLIP:
        return chain.from_iterable(_clip(first_item + at, item, detect) for at, item in enumerate(items))
    return (
        _image(first_item + at, item.name, image, detect)
        for at, (item, image) in enumerate(decoded(items, image_column))
    )


def _image(number: int, name: str, image: NDArray[np.uint8] | ImageError, detect: Detect) -> Result:
    if isinstance(image, ImageError):
        return Result(number, name, error=str(image))
    size = (image.shape[0], image.shape[1])
    try:
        return Result(number, name, size, detect(image))
    except (FieldError, ImageError) as fault:
        return Result(number, name, error=f"{name}: {fault}")


def _clip(number: int, item: Item, detect: Detect) -> Iterator[Result]:
    """The frames of a clip, with ids that are the same over time; a damaged end is one row more, with the error."""
    from poseg.io.video_reader import open_video
    from poseg.runtime.people_tracker import PeopleTracker

    tracker = PeopleTracker()
    try:
        if is_address(item.path):
            raise VideoError(f"{item.path} is an address; videos are read from a local or mounted folder, copy it.")
        with open_video(item.path) as video:
            for frame in video:
                people = tracker.update(detect(frame.image), frame.time_s)
                size = (frame.image.shape[0], frame.image.shape[1])
                yield Result(number, item.name, size, people, None, frame.index, frame.time_s)
    except (VideoError, FieldError) as fault:
        yield Result(number, item.name, error=str(fault))
