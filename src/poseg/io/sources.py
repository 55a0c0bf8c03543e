"""Finding pictures: files, folders and patterns, as a user types them."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from poseg.errors import ImageError

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
     ".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".avif"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundImages:
    """paths: pictures in the order of the sources, each once; faults: one for each source that gave none."""

    paths: tuple[Path, ...]
    faults: tuple[ImageError, ...]


def find_images(sources: Sequence[str | Path]) -> FoundImages:
    """The pictures that files, folders and patterns stand for.

    A file is taken as it is, whatever its name. A folder stands for the pictures right in it, by name; hidden files
    are left out. A pattern (`*`, `?`, `[]`, `**` for folders at any depth) stands for the pictures it matches, by
    name; something that exists under exactly that name comes first. No picture is opened.
    """
    paths: dict[str, Path] = {}
    faults: list[ImageError] = []
    for source in sources:
        try:
            for path in _expand(str(source)):
                paths.setdefault(os.path.abspath(path), path)
        except ImageError as fault:
            faults.append(fault)
    return FoundImages(tuple(paths.values()), tuple(faults))


def image_ids(paths: Iterable[Path]) -> dict[Path, int]:
    """A whole number for each picture, as COCO files want it.

    The names themselves where all are different whole numbers (000000000139.jpg is 139), else 1, 2, 3, ...
    """
    different = list(dict.fromkeys(paths))
    stems = [path.stem for path in different]
    if all(stem.isascii() and stem.isdigit() and len(stem) <= 18 for stem in stems):
        numbers = [int(stem) for stem in stems]
        if len(set(numbers)) == len(numbers):
            return dict(zip(different, numbers, strict=True))
    return {path: number for number, path in enumerate(different, 1)}


def _expand(source: str) -> list[Path]:
    if os.path.isdir(source):
        return _nonempty(_in_folder(source), f"Folder {source} holds no pictures; name another folder or a pattern.")
    if os.path.exists(source):
        return [Path(source)]
    if source.startswith(("http://", "https://")):
        raise ImageError(f"{source} is an address; download the picture and name the file.")
    if glob.has_magic(source):
        found = (path for path in glob.iglob(source, recursive=True) if os.path.isfile(path))
        return _nonempty(found, f"Nothing that matches {source} is a picture; check the pattern and its quotes.")
    raise ImageError(f"There is no file or folder {source}; check the name.")


def _in_folder(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.path for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except OSError as fault:
        raise ImageError(f"Cannot look into folder {folder}: {fault.strerror}; check its permissions.") from None


def _nonempty(found: Iterable[str], otherwise: str) -> list[Path]:
    pictures = sorted(Path(path) for path in found if Path(path).suffix.lower() in SUFFIXES)
    if not pictures:
        raise ImageError(otherwise)
    return pictures
