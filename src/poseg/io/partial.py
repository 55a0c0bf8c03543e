"""Files that grow while we work, and keep what was done whatever ends the work.

A growing file `NAME.mp4` is called `NAME.partial.mp4` and stands in the same folder. It takes its own name when it is
complete, or when an error or Ctrl-C ended the work early; a process that is killed leaves it under the partial name.
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from poseg.errors import OutputError
from poseg.io.atomic import real_file


@dataclass(frozen=True, slots=True)
class PartialFile:
    """Two names of one file.

    target   what it is called in the end; links are followed
    path     what it is called while it grows
    """

    target: Path
    path: Path

    @classmethod
    def beside(cls, path: str | Path) -> PartialFile:
        """The names for `path`. Raises OutputError where no file of that name can be made."""
        target = real_file(path)
        partial = target.with_name(f"{target.stem}.partial{target.suffix}")
        try:
            partial.open("wb").close()
        except OSError as fault:
            raise OutputError(f"Cannot write {path}: {fault.strerror or fault}; choose another place.") from fault
        return cls(target, partial)

    def finish(self) -> None:
        """Give the file its own name, in place of an older one. Raises OutputError."""
        try:
            os.replace(self.path, self.target)
        except OSError as fault:
            raise OutputError(
                f"Cannot name the finished file {self.target}: {fault.strerror or fault}; it is {self.path}."
            ) from fault

    def discard(self) -> None:
        """Remove a file in which there is nothing worth keeping."""
        with suppress(OSError):
            self.path.unlink()
