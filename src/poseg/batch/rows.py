"""Results as Parquet: a row for each image or frame, people as typed lists, masks as COCO's run lengths."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from poseg.errors import AnnotationError
from poseg.geometry.masks import Masks
from poseg.io.files import atomic_write
from poseg.people import People
from poseg.skeletons import SKELETONS, Skeleton

_SKELETON = b"poseg.skeleton"


class Result(NamedTuple):
    """The people of an image or frame, or why there are none.

    item    number of the item in the job, from 0
    name    of the image, or of the clip
    size    (height, width); None for an error
    people  in pixels of the image; None for an error
    error   a sentence, or None
    frame   number in its clip; None for images
    time_s  of the frame; None for images
    """

    item: int
    name: str
    size: tuple[int, int] | None = None
    people: People | None = None
    error: str | None = None
    frame: int | None = None
    time_s: float | None = None


@lru_cache(maxsize=1)
def schema() -> Any:
    """The Arrow schema of a shard. Keypoints are pixels as in `People`, one struct for each joint of the skeleton."""
    import pyarrow as pa

    joint = pa.struct([("x", pa.float32()), ("y", pa.float32()), ("score", pa.float32())])
    mask = pa.struct([("size", pa.list_(pa.int32())), ("counts", pa.string())])
    person = pa.struct(
        [
            ("score", pa.float32()),
            ("id", pa.int64()),
            ("box_xyxy", pa.list_(pa.float32())),
            ("keypoints", pa.list_(joint)),
            ("mask", mask),
        ]
    )
    return pa.schema(
        [
            ("item", pa.int64()),
            ("name", pa.string()),
            ("height", pa.int32()),
            ("width", pa.int32()),
            ("people", pa.list_(person)),
            ("error", pa.string()),
            ("frame", pa.int32()),
            ("time_s", pa.float64()),
        ]
    )


def write_shard(path: Path, results: Sequence[Result]) -> None:
    """Write a shard as one row group, whole or not at all; the same results give the same bytes. Raises OutputError."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    names = {result.people.skeleton.name for result in results if result.people is not None}
    table = pa.Table.from_pylist([_row(result) for result in results], schema=schema())
    table = table.replace_schema_metadata({_SKELETON: "".join(names).encode()})
    with atomic_write(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", row_group_size=max(1, len(results)))


def read_shard(path: str | Path) -> Iterator[Result]:
    """The results of a shard, in order: what `write_shard` wrote. Raises AnnotationError for any other file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowException) as fault:
        raise AnnotationError(f"Cannot read {path}: {fault}; name a Parquet shard of poseg batch.") from None
    name = (table.schema.metadata or {}).get(_SKELETON)
    if name is None or table.schema.names != schema().names:
        raise AnnotationError(f"{path} is not a shard of poseg batch; name one of its folder people.")
    skeleton = SKELETONS.get(name.decode())
    for row in table.to_pylist():
        size = None if row["height"] is None else (row["height"], row["width"])
        people = None
        if row["people"] is not None and size is not None:
            if skeleton is None:
                raise AnnotationError(f"{path} has people on the skeleton {name.decode()!r}, which is not known here.")
            people = _people(row["people"], skeleton, size)
        yield Result(row["item"], row["name"], size, people, row["error"], row["frame"], row["time_s"])


def _row(result: Result) -> dict[str, Any]:
    height, width = result.size or (None, None)
    entries = None if result.people is None else [_entry(result.people, at) for at in range(len(result.people))]
    return {
        "item": result.item, "name": result.name, "height": height, "width": width, "people": entries,
        "error": result.error, "frame": result.frame, "time_s": result.time_s,
    }  # fmt: skip


def _entry(people: People, at: int) -> dict[str, Any]:
    joints = zip(people.keypoints[at].tolist(), people.keypoint_scores[at].tolist(), strict=True)
    return {
        "score": float(people.scores[at]),
        "id": None if people.ids is None else int(people.ids[at]),
        "box_xyxy": people.boxes_xyxy[at].tolist(),
        "keypoints": [{"x": x, "y": y, "score": score} for (x, y), score in joints],
        "mask": None if people.masks is None else people.masks.rle(at),
    }


def _people(entries: list[dict[str, Any]], skeleton: Skeleton, size: tuple[int, int]) -> People:
    if not entries:
        return People.empty(skeleton, size)
    joints = np.array([[(j["x"], j["y"], j["score"]) for j in entry["keypoints"]] for entry in entries], np.float32)
    masks = [entry["mask"] for entry in entries]
    ids = [entry["id"] for entry in entries]
    return People(
        skeleton,
        joints[..., :2],
        joints[..., 2],
        np.array([entry["score"] for entry in entries], np.float32),
        np.array([entry["box_xyxy"] for entry in entries], np.float32),
        masks=None if None in masks else Masks.from_rles(masks, size),
        ids=None if None in ids else np.array(ids, np.int64),
    )
