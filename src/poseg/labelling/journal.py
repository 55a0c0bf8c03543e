"""What a long run has done so far, on disk, so that it can go on after it was killed.

One line of JSON a page, appended and flushed, beside the file that is to be written; the first line holds the
settings. A line that was cut short is forgotten.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from poseg.errors import OutputError


class Journal:
    """Pages by name, kept in `.NAME.progress` beside the file NAME.

    out       the file that will be written in the end
    settings  plain data; a journal of other settings is a run of its own and is not resumed

    Raises OutputError where the place cannot be written, or holds the journal of another run.
    """

    def __init__(self, out: Path, settings: Mapping[str, Any]) -> None:
        self.path = out.with_name(f".{out.name}.progress")
        self.pages: dict[str, Any] = {}
        self._settings = json.loads(json.dumps(settings))
        self._stream: TextIO | None = None

    def __enter__(self) -> Journal:
        if not self.path.parent.is_dir():
            raise OutputError(f"Cannot write {self.path}: there is no folder {self.path.parent}; create it first.")
        whole = self._read() if self.path.exists() else 0
        try:
            self._stream = open(self.path, "a+", encoding="ascii", newline="\n")
            self._stream.truncate(whole)
        except OSError as fault:
            raise OutputError(f"Cannot write {self.path}: {fault.strerror}; choose another place.") from None
        if not whole:
            self._append({"settings": self._settings})
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def add(self, name: str, page: Any) -> None:
        """Keep a page."""
        self.pages[name] = page
        self._append({"name": name, "page": page})

    def discard(self) -> None:
        """Forget everything: the file is written."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None
        self.path.unlink(missing_ok=True)

    def _append(self, line: Mapping[str, Any]) -> None:
        if self._stream is None:
            raise OutputError(f"The journal {self.path} is closed; use it in a with statement.")
        self._stream.write(json.dumps(line, allow_nan=False, separators=(",", ":")) + "\n")
        self._stream.flush()

    def _read(self) -> int:
        """Take over the pages of whole lines; returns how many bytes these are. 0 for a journal without any."""
        data = self.path.read_bytes()
        lines = data[: data.rfind(b"\n") + 1].splitlines(keepends=True)
        length = 0
        for number, line in enumerate(lines):
            try:
                plain = json.loads(line)
            except json.JSONDecodeError:
                break
            if number == 0 and plain.get("settings") != self._settings:
                raise OutputError(
                    f"{self.path} holds the beginning of a run with other settings; "
                    f"repeat that command to finish it, or delete the file ({os.fspath(self.path)})."
                )
            if number:
                self.pages[plain["name"]] = plain["page"]
            length += len(line)
        return length
