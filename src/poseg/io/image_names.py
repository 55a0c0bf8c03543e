r"""Which image an annotation or result file means by a name: the one matcher, for files on disk and names in files.

A name means the image that fits it best, where exactly one does:

1. by its whole name: folders are divided by / or \, those before it may be missing on either side
2. by the same, whatever the case of letters, the form of accents and %20 for a space
3. by its stem: another suffix (.png for .jpg), or none
4. by the number that it ends in, where one of both is nothing else: 42 and COCO_val2014_000000000042.jpg
"""

from __future__ import annotations

import os
import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar
from urllib.parse import unquote

from poseg.io.sources import IMAGE_SUFFIXES, entry_fault

Key = TypeVar("Key", bound=Hashable)
Parts = tuple[str, ...]


def name_parts(name: str) -> Parts:
    """The folders and the base name of a path, which may have been written on Windows."""
    return PurePosixPath(name.replace("\\", "/")).parts


def last_number(name: str) -> int | None:
    """The number that the stem of a name ends in: 42 of COCO_val2014_000000000042.jpg."""
    digits = re.search(r"([0-9]{1,18})$", _stem(name))
    return int(digits[1]) if digits else None


class NameIndex(Generic[Key]):
    """Names of images by key, in which a name is searched."""

    def __init__(self, names: Mapping[Key, str]) -> None:
        self._names = {key: parts for key, name in names.items() if (parts := name_parts(name))}
        self._levels: dict[int, dict[Hashable, list[Key]]] = {}

    def find(self, name: str) -> tuple[int, list[Key]]:
        """How well names fit this one, from 0 for the best, and the keys that fit so well; none where nothing fits."""
        parts = name_parts(name)
        for level, form in enumerate(_FORMS):
            wanted = form(parts[-1]) if parts else None
            keys = [] if wanted is None else self._level(level).get(wanted, [])
            if form is last_number:
                keys = [key for key in keys if _is_number(parts[-1]) or _is_number(self._names[key][-1])]
            if keys:
                fits = {key: _suffix_match(parts, self._names[key]) for key in keys}
                return level, [key for key in keys if fits[key] == max(fits.values())]
        return len(_FORMS), []

    def _level(self, level: int) -> dict[Hashable, list[Key]]:
        if level not in self._levels:
            index: dict[Hashable, list[Key]] = defaultdict(list)
            for key, parts in self._names.items():
                if (form := _FORMS[level](parts[-1])) is not None:
                    index[form].append(key)
            self._levels[level] = index
        return self._levels[level]


@dataclass(frozen=True, slots=True)
class MatchedFiles:
    """The image files of a folder that names mean.

    paths   by name
    faults  by name, for those that are there but cannot be used: why, in words
    """

    paths: Mapping[str, Path]
    faults: Mapping[str, str]


def match_files(folder: Path, names: Iterable[str]) -> MatchedFiles:
    """The files that names relative to `folder` mean; each folder is listed once instead of asking per file.

    Names in folders that do not exist are looked up one folder up, down to `folder` itself. A file means the name that
    is exactly its own, else the only one that it fits.
    """
    wanted = list(dict.fromkeys(name for name in names if name_parts(name)))
    folders = _Folders(folder)
    paths: dict[str, Path] = {}
    faults: dict[str, str] = {}
    for name in wanted:
        *parents, base = name_parts(name)
        listing = folders.listing(parents)
        if base in listing.files:
            paths[name] = folder.joinpath(*parents, base)
        elif base in listing.broken:
            faults[name] = listing.broken[base]
    taken = {os.path.normpath(path) for path in paths.values()}
    loose: dict[Path, list[str]] = defaultdict(list)
    for name in wanted:
        fits = [] if name in paths or name in faults else folders.find(name_parts(name), taken)
        if len(fits) > 1:
            faults[name] = f"it may be {fits[0].name} or {fits[1].name}; write the whole name"
        elif fits:
            loose[fits[0]].append(name)
    for path, rivals in loose.items():
        if len(rivals) == 1:
            paths[rivals[0]] = path
        else:
            faults |= {name: f"{path.name} may be {' or '.join(rivals[:2])}; write whole names" for name in rivals}
    return MatchedFiles(paths, faults)


@dataclass(frozen=True, slots=True)
class _Listing:
    """What a folder holds: names of files, the images among them, and why other entries cannot be read."""

    files: frozenset[str]
    images: NameIndex[str]
    broken: Mapping[str, str]


class _Folders:
    """Listings of the folders below one, each made once."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._listings: dict[Parts, _Listing] = {}

    def listing(self, parents: Sequence[str]) -> _Listing:
        """What the folder `parents` below the root holds; nothing where there is none."""
        key = tuple(parents)
        if key not in self._listings:
            self._listings[key] = _list(self._root.joinpath(*parents))
        return self._listings[key]

    def find(self, parts: Parts, taken: Collection[str]) -> list[Path]:
        """The files that fit a name best and are not taken by their own, in its folder or in one above."""
        for start in range(len(parts)):
            parents = parts[start:-1]
            if {"..", "/"} & set(parents):
                continue
            inside = self._root.joinpath(*parents)
            fits = [inside / name for name in self.listing(parents).images.find(parts[-1])[1]]
            fits = [path for path in fits if os.path.normpath(path) not in taken]
            if fits:
                return fits
        return []


def _list(folder: Path) -> _Listing:
    files, broken = set(), {}
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                fault = "" if entry.is_file(follow_symlinks=False) else entry_fault(entry.path)
                if fault == "":
                    files.add(entry.name)
                else:
                    broken[entry.name] = fault or "it is a folder"
    except (OSError, ValueError):  # there is no such folder, or its name cannot be one
        pass
    images = {name: name for name in sorted(files) if _has_image_suffix(name)}
    return _Listing(frozenset(files), NameIndex(images), broken)


def _suffix_match(path: Sequence[str], name: Sequence[str]) -> tuple[bool, int]:
    """Whether a path ends in the folders of a whole name, and how many of them both share at the end."""
    path, name = path[:-1], name[:-1]
    pairs = zip(reversed(path), reversed(name), strict=False)
    shared = next((count for count, (one, other) in enumerate(pairs) if one != other), min(len(path), len(name)))
    return shared == len(name), shared


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", unquote(name)).casefold()


def _stem(name: str) -> str:
    """The name without the suffix of an image."""
    base = name_parts(name)[-1] if name_parts(name) else ""
    return base.rpartition(".")[0] if _has_image_suffix(base) else base


def _folded_stem(name: str) -> str:
    return _folded(_stem(name))


def _has_image_suffix(name: str) -> bool:
    return PurePosixPath(name).suffix.lower() in IMAGE_SUFFIXES


def _is_number(name: str) -> bool:
    stem = _stem(name)
    return stem.isascii() and stem.isdigit()


def _whole(name: str) -> str:
    return name


_FORMS: tuple[Callable[[str], Hashable], ...] = (_whole, _folded, _folded_stem, last_number)
