"""Reading and decoding the items of a shard, a few ahead of the network."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from poseg.batch.plan import FAULT, FILE, MEMBER, Item, column_of, open_source
from poseg.errors import ImageError
from poseg.io.images import read_image

AHEAD = 2  # decoded images that wait for the network: 24 MP take 72 MB each


@dataclass(slots=True)
class ItemReader:
    """The bytes of items; the file that was read last stays open, and the last row group in memory."""

    image_column: str | None = None
    _open: tuple[str, BinaryIO] | None = None
    _group: tuple[str, int, list[Any]] | None = None
    _stack: ExitStack = field(default_factory=ExitStack)

    def __enter__(self) -> ItemReader:
        return self

    def __exit__(self, *exception: object) -> None:
        self._stack.close()

    def read(self, item: Item) -> bytes:
        """The encoded image. Raises ImageError."""
        if item.kind == FAULT:
            raise ImageError(item.name)
        try:
            if item.kind == FILE:
                with open_source(item.path) as stream:
                    return stream.read()
            if item.kind == MEMBER:
                stream = self._container(item.path)
                stream.seek(item.at)
                return stream.read(item.length)
            return self._row(item)
        except OSError as fault:
            raise ImageError(f"Cannot read {item.name}: {fault.strerror or fault}; copy it again.") from None

    def _container(self, path: str) -> BinaryIO:
        if self._open is None or self._open[0] != path:
            self._stack.close()
            self._open = (path, self._stack.enter_context(open_source(path)))
        return self._open[1]

    def _row(self, item: Item) -> bytes:
        import pyarrow as pa
        import pyarrow.parquet as pq

        if self._group is None or self._group[:2] != (item.path, item.at):
            self._group = None  # the old one leaves the memory before the new one comes
            try:
                table = pq.ParquetFile(self._container(item.path))
                column = column_of(table.schema_arrow, item.path, self.image_column)
                values = table.read_row_group(item.at, columns=[column]).column(0).to_pylist()
            except pa.ArrowException as fault:
                raise ImageError(f"Cannot read {item.name}: {fault}; copy {item.path} again.") from None
            self._group = (item.path, item.at, values)
        value = self._group[2][item.length]
        data = value.get("bytes") if isinstance(value, dict) else value
        if not data:
            raise ImageError(f"{item.name} has no image bytes; leave the row out.")
        return bytes(data)


def decoded(items: Sequence[Item], image_column: str | None) -> Iterator[tuple[Item, NDArray[np.uint8] | ImageError]]:
    """Each item in order with its image (H, W, 3) uint8 RGB, or the error; the next are decoded meanwhile."""

    def load(item: Item) -> NDArray[np.uint8] | ImageError:
        try:
            return read_image(reader.read(item), name=item.name)
        except ImageError as fault:
            return fault

    # One thread, since the open file and the row group are shared by consecutive items.
    with ItemReader(image_column) as reader, ThreadPoolExecutor(1, "decode") as pool:
        waiting: deque[tuple[Item, Future[NDArray[np.uint8] | ImageError]]] = deque()
        for item in items:
            waiting.append((item, pool.submit(load, item)))
            if len(waiting) > AHEAD:
                ready, image = waiting.popleft()
                yield ready, image.result()
        for ready, image in waiting:
            yield ready, image.result()
