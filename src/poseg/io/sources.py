"""Image and video sources as a user types them: files, folders and patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from poseg.errors import ImageError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
     ".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".avif"}
)  # fmt: skip
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts",
     ".flv", ".wmv", ".asf", ".ogv", ".3gp", ".3g2"}
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FoundImages:
    """paths: images in the order of the sources, each once; errors: one for each source without images."""

    paths: tuple[Path, ...]
    errors: tuple[ImageError, ...]


def find_images(sources: Sequence[str | Path]) -> FoundImages:
    """The images of files, folders and patterns.

    A file is taken as it is, whatever its name. A folder gives the images directly in it, sorted by name, without
    hidden files. A pattern (`*`, `?`, `[]`, `**` for folders at any depth) gives the images that match, sorted by
    name; a file or folder of exactly that name has priority. No image is opened.
    """
    paths: dict[str, Path] = {}
    errors: list[ImageError] = []
    for source in sources:
        try:
            for path in _expand(str(source)):
                paths.setdefault(os.path.abspath(path), path)
        except ImageError as fault:
            errors.append(fault)
    return FoundImages(tuple(paths.values()), tuple(errors))


def is_video(path: str | os.PathLike[str]) -> bool:
    """Whether a name ends as the names of videos do; no file is opened."""
    return PurePath(os.fspath(path)).suffix.lower() in VIDEO_SUFFIXES


def image_ids(paths: Iterable[Path]) -> dict[Path, int]:
    """An integer id for each image, as COCO files need it.

    The file names where all are different integers (000000000139.jpg is 139), else 1, 2, 3, ...
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
        return _nonempty(_in_folder(source), f"Folder {source} holds no images; name another folder or a pattern.")
    if os.path.exists(source):
        return [Path(source)]
    if source.startswith(("http://", "https://")):
        raise ImageError(f"{source} is an address; download the image and name the file.")
    if glob.has_magic(source):
        files = (path for path in glob.iglob(source, recursive=True) if os.path.isfile(path))
        return _nonempty(files, f"No file that matches {source} is an image; check the pattern and its quotes.")
    raise ImageError(f"There is no file or folder {source}; check the name.")


def _in_folder(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from (entry.path for entry in entries if entry.is_file() and not entry.name.startswith("."))
    except OSError as fault:
        raise ImageError(f"Cannot list folder {folder}: {fault.strerror}; check its permissions.") from None


def _nonempty(files: Iterable[str], otherwise: str) -> list[Path]:
    images = sorted(Path(path) for path in files if Path(path).suffix.lower() in IMAGE_SUFFIXES)
    if not images:
        raise ImageError(otherwise)
    return images
