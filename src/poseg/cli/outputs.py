"""Where commands write: the folder, and one name for each picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from pathlib import Path

from poseg.errors import OutputError


def make_folder(folder: Path) -> None:
    """Create the folder where it is missing. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as fault:
        raise OutputError(f"Cannot make the folder {folder}: {fault.strerror}; choose another place.") from None


def distinct_names(paths: Sequence[Path]) -> list[str]:
    """A name without suffix for each picture's files; two pictures never share one, whatever the case of letters.

    The stem (`photo` of photo.jpg), else the whole name (photo.png), else that with a number (photo.png-2).
    """
    taken: set[str] = set()
    names = []
    for path in paths:
        numbered = (f"{path.name}-{number}" for number in count(2))
        name = next(name for name in chain((path.stem, path.name), numbered) if name.lower() not in taken)
        taken.add(name.lower())
        names.append(name)
    return names


def not_ours(paths: Sequence[Path], out: Path) -> list[Path]:
    """The pictures, without those in `out` that an earlier run wrote there, as when a folder is its own destination."""
    return [
        path
        for path in paths
        if not (path.name.endswith((".overlay.png", ".masks.png")) and path.parent.resolve() == out.resolve())
    ]
