"""What a batch job is made of: its sources become items, and items become shards, before any image is opened.

The same sources give the same plan, so a job can be resumed: a shard is finished or it is not.
"""

from __future__ import annotations

import hashlib
import json
import os
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, BinaryIO, NamedTuple

from poseg.errors import ImageError
from poseg.io.sources import find_files, image_suffixes, is_video

IMAGE_COLUMNS = ("image", "bytes", "image_bytes", "jpg", "jpeg", "png")
NAME_COLUMNS = ("file_name", "path", "name", "key", "__key__", "url", "id")
FILE, MEMBER, ROW, CLIP, FAULT = "file", "member", "row", "clip", "fault"


class Item(NamedTuple):
    """One image or clip of a source.

    kind    FILE; MEMBER of a tar file; ROW of a Parquet file; CLIP; FAULT, which has no image but a sentence in `name`
    path    the file that holds it, a path or an address that fsspec can open
    name    of the image, for results: the path, with the member or row of a container after it
    at      first byte of a member; row group of a row
    length  bytes of a member; place of a row in its group
    """

    kind: str
    path: str
    name: str
    at: int = 0
    length: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """Shards of items, in the order of the sources; a clip is a shard of its own.

    image_column  of Parquet sources, or None for the first of `IMAGE_COLUMNS`
    """

    shards: tuple[tuple[Item, ...], ...]
    image_column: str | None = None

    @property
    def items(self) -> int:
        """Number of items in all shards."""
        return sum(map(len, self.shards))

    @property
    def fingerprint(self) -> str:
        """Hash of all items and their shards: equal for equal plans."""
        digest = hashlib.sha256(json.dumps(self.image_column).encode())
        for shard in self.shards:
            digest.update(json.dumps(shard).encode())
        return digest.hexdigest()


def make_plan(sources: Sequence[str], *, shard_items: int = 256, image_column: str | None = None) -> Plan:
    """The plan of files, folders, patterns, lists (.txt), tar shards, Parquet files and addresses that fsspec opens.

    Raises ImageError for a source that does not exist or holds no images, and for Parquet without image bytes. A tar
    file that is damaged gives the members before the damage, and a FAULT.
    """
    paths = list(dict.fromkeys(path for source in sources for path in _files(source)))
    shards: list[tuple[Item, ...]] = []
    waiting: list[Item] = []
    for item in (item for path in paths for item in _items(path, image_column)):
        if item.kind == CLIP:
            shards.append((item,))
            continue
        waiting.append(item)
        if len(waiting) == shard_items:
            shards.append(tuple(waiting))
            waiting = []
    if waiting:
        shards.append(tuple(waiting))
    if not shards:
        raise ImageError(f"There are no images in {', '.join(sources)}; name other sources.")
    return Plan(tuple(shards), image_column)


def is_address(path: str) -> bool:
    """Whether fsspec opens it, such as memory://a.jpg or s3://bucket/a.tar; anything else is a local path."""
    return "://" in path


def open_source(path: str) -> BinaryIO:
    """A file or address, open for reading. Raises ImageError."""
    try:
        if not is_address(path):
            return open(path, "rb")
        import fsspec

        opened: BinaryIO = fsspec.open(path, "rb").open()
        return opened
    except (OSError, ValueError, ImportError) as fault:
        reason = getattr(fault, "strerror", None) or fault
        raise ImageError(f"Cannot read {path}: {reason}; check the name and the permissions.") from None


def _files(source: str) -> Iterator[str]:
    """The files of one source, by absolute path or address, sorted by name."""
    if source.lower().endswith(".txt"):
        with open_source(source) as stream:
            lines = stream.read().decode("utf-8", "replace").splitlines()
        base = "" if is_address(source) else os.path.dirname(os.path.abspath(source))
        for line in filter(None, map(str.strip, lines)):
            yield line if is_address(line) else os.path.join(base, line)
    elif is_address(source):
        yield from _addresses(source)
    else:
        found = find_files(source)
        for path in found.paths:
            if found.is_file or _is_known(str(path)):
                yield os.path.abspath(path)


def _addresses(source: str) -> Iterator[str]:
    import fsspec

    try:
        system, path = fsspec.core.url_to_fs(source)
        names = system.glob(path) if any(letter in path for letter in "*?[") else system.find(path)
        names = [system.unstrip_protocol(name) for name in sorted(names)]
    except (OSError, ValueError, ImportError) as fault:
        raise ImageError(f"Cannot list {source}: {fault}; check the address and the package that opens it.") from None
    if not names:
        raise ImageError(f"There is no file or folder {source}; check the address.")
    yield from (name for name in names if len(names) == 1 or _is_known(name))


def _is_known(path: str) -> bool:
    suffix = PurePosixPath(path).suffix.lower()
    return suffix in image_suffixes() or suffix in (".tar", ".parquet") or is_video(path)


def _items(path: str, image_column: str | None) -> Iterable[Item]:
    suffix = PurePosixPath(path).suffix.lower()
    if suffix == ".tar":
        return _members(path)
    if suffix == ".parquet":
        return _rows(path, image_column)
    return (Item(CLIP if is_video(path) else FILE, path, path),)


def _members(path: str) -> Iterator[Item]:
    """The images of a tar file, by the headers alone: members are skipped, not read."""
    try:
        with open_source(path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                if member.isfile() and PurePosixPath(member.name).suffix.lower() in image_suffixes():
                    yield Item(MEMBER, path, f"{path}/{member.name}", member.offset_data, member.size)
    except ImageError as fault:
        yield Item(FAULT, path, str(fault))
    except (tarfile.TarError, OSError, EOFError) as fault:
        yield Item(FAULT, path, f"{path} is damaged and ends early as a tar file ({fault}); copy it again.")


def _rows(path: str, image_column: str | None) -> Iterator[Item]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    with open_source(path) as stream:
        try:
            table = pq.ParquetFile(stream)
            column_of(table.schema_arrow, path, image_column)
            names = name_column(table.schema_arrow)
            for group in range(table.num_row_groups):
                count = table.metadata.row_group(group).num_rows
                labels: list[Any] = [None] * count
                if names is not None:
                    labels = table.read_row_group(group, columns=[names]).column(0).to_pylist()
                for row, label in enumerate(labels):
                    name = f"{group}/{row}" if label is None else label
                    yield Item(ROW, path, f"{path}/{name}", group, row)
        except (pa.ArrowInvalid, OSError) as fault:
            yield Item(FAULT, path, f"{path} cannot be read as Parquet ({fault}); copy it again.")


def column_of(schema: Any, path: str, wanted: str | None) -> str:
    """The column of an Arrow schema that holds image bytes, or structs with a field `bytes`. Raises ImageError."""
    import pyarrow as pa

    def holds_bytes(kind: Any) -> bool:
        if pa.types.is_struct(kind):
            return any(field.name == "bytes" and holds_bytes(field.type) for field in kind)
        return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind))

    for name in (wanted,) if wanted else IMAGE_COLUMNS:
        if name in schema.names and holds_bytes(schema.field(name).type):
            return name
    raise ImageError(
        f"{path} has no column {wanted or ' or '.join(IMAGE_COLUMNS)} of image bytes, its columns are "
        f"{', '.join(schema.names)}; name the right one with --image-column."
    )


def name_column(schema: Any) -> str | None:
    """The column of an Arrow schema that names its images, or None."""
    return next((name for name in NAME_COLUMNS if name in schema.names), None)
