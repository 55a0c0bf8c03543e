"""A JSON file that holds a list and grows: results of a long job, complete after every addition."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from io import FileIO
from os import PathLike, fspath
from types import TracebackType
from typing import Any

from poseg.errors import AnnotationError, OutputError
from poseg.io.files import PartialFile, write_at


class JsonListWriter:
    """A list of records in a JSON file, the same bytes as of `write_json`; use it in a `with` block.

    After every `extend` the file is valid JSON. While it grows it is called `NAME.partial.json`; a process that is
    killed leaves it there. It gets its final name at the end of the block, also when an error or Ctrl-C ends the
    block, but not where `extend` was never called: then there is no file, and an older one stays.

    Records that the disk has no room for are kept and written with the next ones.

    records   how many were added

    Raises OutputError where the file cannot be created.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = fspath(path)
        self.records = 0
        self._partial = PartialFile.for_target(self.path)
        self._stream = FileIO(self._partial.path, "r+b")
        self._end = 0  # where the closing bracket is
        self._used = False
        self._pending: list[bytes] = []

    def extend(self, records: Iterable[Mapping[str, Any]]) -> None:
        """Add records. Raises OutputError, and AnnotationError for a number that is not finite."""
        try:
            added = [json.dumps(one, allow_nan=False, separators=(",", ":")).encode("ascii") for one in records]
        except ValueError as fault:
            raise AnnotationError(f"Cannot write {self.path}: {fault}; every number must be finite.") from None
        self._used = True
        self._pending += added
        self.records += len(added)
        self._flush()

    @property
    def written(self) -> int:
        """How many of the records are in the file."""
        return self.records - len(self._pending)

    def close(self) -> None:
        """Finish the file and give it its final name. Raises OutputError."""
        if self._stream.closed:
            return
        try:
            if self._used and (self._pending or not self._end):
                self._flush()
        finally:
            self._stream.close()
            if self._end:
                self._partial.finish()
            else:
                self._partial.discard()

    def __enter__(self) -> JsonListWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _flush(self) -> None:
        """Overwrite the closing bracket by the pending records and a new one."""
        start = b"[" if not self._end else b"," if self._end > 1 and self._pending else b""
        data = start + b",".join(self._pending)
        try:
            write_at(self._stream, self._end, data + b"]")
        except OSError as fault:
            if self._end:
                with suppress(OSError):
                    write_at(self._stream, self._end, b"]")
            raise OutputError(f"Cannot write {self.path}: {fault.strerror or fault}; make room.") from None
        self._end, self._pending = self._end + len(data), []
