"""Files appear whole or not at all: written under a temporary name in the same folder, then renamed.

A reader sees the old file or the new one, never half of one; a crash leaves the old one. (It is no promise against
power cuts: nothing is forced onto the disk.)
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from poseg.errors import OutputError


@contextmanager
def replacing(path: str | Path) -> Iterator[Path]:
    """A temporary path beside `path`, with the same suffix; it takes the place of `path` when the block succeeds.

    The writer must create the file. A link is followed, so that it still links afterwards. Raises OutputError where
    the folder is missing or refuses us, and where `path` is a folder or a device.
    """
    target = real_file(path)
    spare = target.with_name(f".{secrets.token_hex(8)}{target.suffix[:32]}")
    try:
        yield spare
        os.replace(spare, target)
    except OSError as fault:
        if isinstance(fault, OutputError):
            raise
        raise OutputError(f"Cannot write {path}: {fault.strerror or fault}; choose another place.") from fault
    finally:
        with suppress(OSError):
            spare.unlink()


def write_bytes(path: str | Path, data: bytes) -> None:
    """Put `data` into the file `path`, whole or not at all. Raises OutputError."""
    with replacing(path) as spare:
        spare.write_bytes(data)


def write_text(path: str | Path, text: str) -> None:
    """Put `text` as UTF-8 with plain line feeds into the file `path`, whole or not at all. Raises OutputError."""
    write_bytes(path, text.encode("utf-8"))


def real_file(path: str | Path) -> Path:
    """The real file behind `path`, or an OutputError that says why it cannot be one."""
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise OutputError(f"Cannot write {path}: it is a folder; give the name of a file.")
    if target.exists() and not target.is_file():
        raise OutputError(f"Cannot write {path}: it is a device or a pipe; give the name of a file.")
    if not target.parent.is_dir():
        raise OutputError(f"Cannot write {path}: there is no folder {target.parent}; create it first.")
    return target
