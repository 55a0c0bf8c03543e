"""Writing files safely, and JSON.

`atomic_write` and what builds on it: a file appears whole or not at all. It is written under a temporary name in the
same folder, then renamed, so a reader sees the old file or the new one, and a crash leaves the old one. (It is no
promise against power cuts: nothing is forced onto the disk.)

`PartialFile`: a file that grows during a long job and keeps what was done, however the job ends. `NAME.mp4` is called
`NAME.partial.mp4` until it is complete, or until an error or Ctrl-C ends the job; a process that is killed leaves it
under the partial name.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import secrets
import zlib
from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, OutputError

MAX_NAME_BYTES = 255  # of a file's name, on nearly every file system


def fit_name(stem: str, ending: str = "") -> str:
    """`stem` + `ending`, with the stem cut where that is longer than a name may be; different stems stay different.

    A cut stem ends in `~` and eight digits of its hash. Limits count bytes: a Chinese letter takes three.
    """
    room = MAX_NAME_BYTES - len(os.fsencode(ending))
    encoded = os.fsencode(stem)
    if len(encoded) <= room:
        return stem + ending
    mark = f"~{hashlib.sha256(encoded).hexdigest()[:8]}"
    return encoded[: room - len(mark)].decode("utf-8", "ignore") + mark + ending


_GZIP = b"\x1f\x8b"  # how such files begin


@contextmanager
def atomic_write(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix; it replaces `path` when the block succeeds.

    The writer must create the file. A link is followed, so that it still links afterwards. Raises OutputError where
    the folder is missing or not writable, and where `path` is a folder or a device.
    """
    target = _resolve_target(path)
    temporary = target.with_name(f".{secrets.token_hex(8)}{target.suffix[:32]}")
    try:
        yield temporary
        os.replace(temporary, target)
    except OSError as fault:
        if isinstance(fault, OutputError):
            raise
        raise OutputError(f"Cannot write {path}: {fault.strerror or fault}; choose another path.") from fault
    finally:
        with suppress(OSError):
            temporary.unlink()


def write_bytes(path: str | Path, data: bytes) -> None:
    """Write `data` to the file `path`, whole or not at all. Raises OutputError."""
    with atomic_write(path) as temporary:
        temporary.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Write `text` as UTF-8 with plain line feeds to the file `path`, whole or not at all. Raises OutputError."""
    write_bytes(path, text.encode("utf-8"))


def make_folder(folder: Path) -> None:
    """Create the folder where it is missing. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror}; choose another folder.") from None


@dataclass(frozen=True, slots=True)
class PartialFile:
    """The two names of a growing file.

    target   its final name; links are followed
    path     its name while it grows
    """

    target: Path
    path: Path

    @classmethod
    def for_target(cls, path: str | Path) -> PartialFile:
        """Create the partial file of `path`, empty. Raises OutputError where it cannot be created."""
        target = _resolve_target(path)
        partial = target.with_name(fit_name(target.stem, f".partial{target.suffix}"))
        try:
            partial.open("wb").close()
        except OSError as fault:
            raise OutputError(f"Cannot write {path}: {fault.strerror or fault}; choose another path.") from fault
        return cls(target, partial)

    def finish(self) -> None:
        """Give the file its final name, replacing an older file. Raises OutputError."""
        try:
            os.replace(self.path, self.target)
        except OSError as fault:
            raise OutputError(
                f"Cannot name the finished file {self.target}: {fault.strerror or fault}; it is {self.path}."
            ) from fault

    def discard(self) -> None:
        """Remove a file that holds nothing worth keeping."""
        with suppress(OSError):
            self.path.unlink()


def write_at(stream: FileIO, position: int, data: bytes) -> None:
    """Write all of `data` at a position, where the file ends after it; nothing of it stays where that fails (OSError).

    stream   without a buffer: one would try again when it is closed
    """
    try:
        stream.seek(position)
        rest = memoryview(data)
        while len(rest):
            rest = rest[stream.write(rest) or 0 :]
        stream.truncate()
    except OSError:
        with suppress(OSError):
            stream.truncate(position)
        raise


def read_json(path: str | Path) -> Any:
    """The content of a JSON file, gzipped or not, whatever its name.

    Raises AnnotationError, with the position of the error, where it cannot be read.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
        return json.loads(gzip.decompress(data) if data.startswith(_GZIP) else data)
    except FileNotFoundError:
        raise AnnotationError(f"There is no file {path}; check the name.") from None
    except (OSError, EOFError, zlib.error) as fault:
        raise AnnotationError(f"Cannot read {path}: {fault}; check that the file is complete and readable.") from None
    except json.JSONDecodeError as fault:
        raise AnnotationError(f"{path} is not JSON: {fault}; give a COCO annotation or result file.") from None
    except (UnicodeDecodeError, RecursionError):
        raise AnnotationError(f"{path} is not JSON text; give a COCO annotation or result file.") from None


def write_json(path: str | Path, value: object) -> None:
    """Write plain data as compact JSON, whole or not at all; the same data gives the same bytes.

    Raises OutputError, and AnnotationError for numbers that JSON cannot hold (NaN, infinity).
    """
    try:
        data = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except ValueError as fault:
        raise AnnotationError(f"Cannot write {path}: {fault}; every number must be finite.") from None
    write_bytes(path, gzip.compress(data, mtime=0) if Path(path).suffix == ".gz" else data)


def read_arrays(path: Path, keys: Collection[str], hint: str) -> dict[str, NDArray[Any]]:
    """Those of the arrays `keys` that an `.npz` archive holds; nothing is unpickled.

    hint  what to do about a file that cannot be read, for messages

    Raises AnnotationError.
    """
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {key: archive[key] for key in archive.files if key in keys}
    except FileNotFoundError:
        raise AnnotationError(f"There is no {path}; {hint}.") from None
    except (OSError, AttributeError, KeyError, ValueError, TypeError, EOFError, BadZipFile) as fault:
        raise AnnotationError(f"Cannot read {path}: {fault}; {hint}.") from None


def _resolve_target(path: str | Path) -> Path:
    """The real file behind `path`. Raises OutputError where it cannot be a regular file."""
    try:
        target = Path(os.path.realpath(path))
        if target.is_dir():
            raise OutputError(f"Cannot write {path}: it is a folder; give the name of a file.")
        if target.exists() and not target.is_file():
            raise OutputError(f"Cannot write {path}: it is a device or a pipe; give the name of a file.")
        if target.is_symlink():
            raise OutputError(f"Cannot write {path}: it is a link that leads in a circle; remove it.")
        if not target.parent.is_dir():
            raise OutputError(f"Cannot write {path}: there is no folder {target.parent}; create it first.")
    except (OSError, ValueError) as fault:  # such as a name that is too long, or one with a zero byte
        if isinstance(fault, OutputError):
            raise
        reason = getattr(fault, "strerror", None) or fault
        raise OutputError(f"Cannot write {path}: {reason}; choose another path.") from None
    return target
