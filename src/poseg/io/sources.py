"""Image and video sources as a user types them: files, folders and patterns.

What cannot be read (a link to nothing or in a circle, a pipe) and images of formats that cannot be decoded here are
named; the others are returned.
"""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path, PurePath

from poseg.errors import ImageError

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff",
     ".pbm", ".pgm", ".ppm", ".pnm", ".jp2", ".avif"}
)  # fmt: skip
HEIF_SUFFIXES = frozenset({".heic", ".heif", ".hif"})
HEIF_READER = "pillow_heif"  # the extra `heif`
HEIF_ADVICE = "install their reader with: pip install 'poseg[heif]'"
# Images that are not decoded here: a folder of them is not without images.
OTHER_IMAGE_SUFFIXES = frozenset(
    {".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".orf", ".rw2", ".pef", ".srw", ".psd", ".jxl", ".tga", ".exr",
     ".hdr"}
)  # fmt: skip
KNOWN_IMAGE_SUFFIXES = IMAGE_SUFFIXES | HEIF_SUFFIXES | OTHER_IMAGE_SUFFIXES
VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts",
     ".flv", ".wmv", ".asf", ".ogv", ".3gp", ".3g2"}
)  # fmt: skip
# Two letters and more, since one is a drive; pathlib leaves a single slash.
_ADDRESS = re.compile(r"[a-z][a-z0-9+.-]+:/|data:", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FoundImages:
    """paths: images in the order of the sources, each once; errors: what cannot be read, and sources without images."""

    paths: tuple[Path, ...]
    errors: tuple[ImageError, ...]


@dataclass(frozen=True, slots=True)
class FoundFiles:
    """The files of one source.

    paths      regular files, sorted by name
    faults     why an entry cannot be read, by its path
    unlisted   a sentence for each folder below it that cannot be listed
    is_file    whether the source is a file itself, which is taken whatever its name
    """

    paths: tuple[Path, ...] = ()
    faults: dict[Path, str] = field(default_factory=dict)
    unlisted: tuple[str, ...] = ()
    is_file: bool = False


def find_images(sources: Sequence[str | Path]) -> FoundImages:
    """The images of files, folders and patterns.

    A file is taken as it is, whatever its name. A folder gives the images directly in it, sorted by name, without
    hidden files. A pattern (`*`, `?`, `[]`, `**` for folders at any depth) gives the images that match, sorted by
    name; a file or folder of exactly that name has priority. No image is opened.
    """
    paths: dict[str, Path] = {}
    errors: list[ImageError] = []
    for source in map(str, sources):
        try:
            found = find_files(source)
        except ImageError as fault:
            errors.append(fault)
            continue
        images = [path for path in found.paths if found.is_file or path.suffix.lower() in image_suffixes()]
        for path in images:
            paths.setdefault(os.path.abspath(path), path)
        problems = [*describe_faults(found, image_suffixes()), *found.unlisted, *_undecodable(source, found)]
        if not images and not problems:
            problems = [_no_images(source)]
        errors += map(ImageError, problems)
    return FoundImages(tuple(paths.values()), tuple(errors))


def find_files(source: str) -> FoundFiles:
    """The files of a file, folder or pattern; hidden ones only where they are named. Raises ImageError."""
    if os.path.isdir(source):
        return _sorted(_in_folder(source))
    if os.path.lexists(source):
        fault = entry_fault(source)
        if fault:
            raise ImageError(f"Cannot read {source}: {fault}; name another file.")
        return FoundFiles((Path(source),), is_file=True)
    if is_address(source):
        raise ImageError(f"{source} is an address; download the image and name the file.")
    if glob.has_magic(source):
        unlisted: list[str] = []
        return replace(_sorted(_matching(source, unlisted)), unlisted=tuple(unlisted))
    raise ImageError(f"There is no file or folder {source}; check the name.")


def describe_faults(found: FoundFiles, suffixes: Iterable[str]) -> list[str]:
    """A sentence for each entry with one of the suffixes that cannot be read."""
    return [
        f"{path} is left out: {fault}; remove it, or mend it."
        for path, fault in found.faults.items()
        if path.suffix.lower() in suffixes
    ]


def image_suffixes() -> frozenset[str]:
    """The suffixes of images that can be decoded here, with those of HEIF where its reader is installed."""
    return IMAGE_SUFFIXES | (HEIF_SUFFIXES if find_spec(HEIF_READER) else frozenset())


def at_any_depth(sources: Sequence[str]) -> list[str]:
    """The sources, each folder as a pattern that takes the files at any depth below it, without hidden ones."""
    return [os.path.join(glob.escape(one), "**", "*") if os.path.isdir(one) else one for one in sources]


def is_address(name: str) -> bool:
    """Whether a name is an address, such as https://example.org/a.jpg, rather than a path."""
    return _ADDRESS.match(name) is not None


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


def _no_images(source: str) -> str:
    if os.path.isdir(source):
        return f"Folder {source} holds no images; name another folder or a pattern."
    return f"No file that matches {source} is an image; check the pattern and its quotes."


def _undecodable(source: str, found: FoundFiles) -> Iterator[str]:
    """How many images there are of formats that cannot be decoded here, and what to do with them."""
    counts = Counter(path.suffix.lower() for path in found.paths if not found.is_file)
    for suffixes, advice in ((HEIF_SUFFIXES - image_suffixes(), HEIF_ADVICE),
                             (OTHER_IMAGE_SUFFIXES, "save them as JPEG or PNG")):  # fmt: skip
        listed = [f"{counts[suffix]} {suffix}" for suffix in sorted(suffixes) if counts[suffix]]
        if listed:
            yield f"{source} holds images that cannot be read here and are left out: {', '.join(listed)}; {advice}."


def _sorted(entries: Iterable[str]) -> FoundFiles:
    """Entries that are no folders, and why the others cannot be read."""
    paths, faults = [], {}
    for path in sorted(set(map(Path, entries))):
        fault = entry_fault(path)
        if fault:
            faults[path] = fault
        elif fault is not None:
            paths.append(path)
    return FoundFiles(tuple(paths), faults)


def entry_fault(path: str | Path) -> str | None:
    """Why an entry is not a file that can be read; an empty text for a regular file, None for a folder."""
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError) as fault:
        code = getattr(fault, "errno", None)
        if os.path.islink(path) and code in (errno.ENOENT, errno.ELOOP):
            return "it is a link to nothing" if code == errno.ENOENT else "it is a link that leads in a circle"
        return str(getattr(fault, "strerror", None) or fault)
    if stat.S_ISDIR(mode):
        return None
    return "" if stat.S_ISREG(mode) else "it is a device or a pipe"


def _in_folder(folder: str) -> list[str]:
    try:
        with os.scandir(folder) as entries:
            return [entry.path for entry in entries if not entry.name.startswith(".")]
    except OSError as fault:
        raise ImageError(_unlisted(folder, fault)) from None


def _unlisted(folder: str, fault: OSError) -> str:
    return f"Cannot list folder {folder}: {fault.strerror}; check its permissions."


def _matching(pattern: str, unlisted: list[str]) -> Iterator[str]:
    """The entries that match a pattern. `**` follows links, as `glob` does, but visits each folder once.

    unlisted  takes a sentence for each folder that cannot be listed
    """
    parts = PurePath(pattern).parts
    if "**" not in parts:
        yield from glob.iglob(pattern)
        return
    level = parts.index("**")
    tail = os.path.join(*(parts[level + 1 :] or ("*",)))
    for root in glob.iglob(os.path.join(*parts[:level])) if level else ("",):
        for folder in _folders(root, unlisted):
            yield from _matching(os.path.join(glob.escape(folder), tail), unlisted)


def _folders(root: str, unlisted: list[str]) -> Iterator[str]:
    """A folder and all below it, each once, without hidden ones."""
    visited: set[tuple[int, int]] = set()

    def first_visit(folder: str) -> bool:
        try:
            status = os.stat(folder)
        except OSError:
            return False
        seen = (status.st_dev, status.st_ino) in visited
        visited.add((status.st_dev, status.st_ino))
        return not seen

    first_visit(root or os.curdir)

    def report(fault: OSError) -> None:
        unlisted.append(_unlisted(str(fault.filename), fault))

    for folder, names, _ in os.walk(root or os.curdir, onerror=report, followlinks=True):
        names[:] = sorted(name for name in names if name[0] != "." and first_visit(os.path.join(folder, name)))
        yield folder if root else os.path.relpath(folder)
