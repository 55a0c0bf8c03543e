"""Which sources of a command are videos and cameras, and which are pictures."""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from poseg.io.frames import is_video
from poseg.io.sources import SUFFIXES

CAMERA = "camera:"
# What we write ourselves, when a folder is its own destination.
_OURS = (".overlay.mp4", ".overlay.webm", ".effect.mp4")


@dataclass(frozen=True, slots=True)
class Divided:
    """The sources of a command by kind.

    pictures  as they were typed, for `io.sources.find_images`
    videos    files, each once
    cameras   numbers
    faults    a sentence for each source that is neither
    """

    pictures: tuple[str, ...]
    videos: tuple[Path, ...]
    cameras: tuple[int, ...]
    faults: tuple[str, ...]

    @property
    def clips(self) -> tuple[Path | int, ...]:
        """Videos, then cameras."""
        return (*self.videos, *self.cameras)


def divide(sources: Sequence[str], out: Path | None = None) -> Divided:
    """Tell videos (by their names) and cameras (`camera:0`) from pictures; folders and patterns may hold both.

    out  the destination: overlays that an earlier run wrote there are left out
    """
    pictures: list[str] = []
    videos: dict[str, Path] = {}
    cameras: dict[int, None] = {}
    faults: list[str] = []
    for source in sources:
        if source.lower().startswith(CAMERA):
            number = source[len(CAMERA) :]
            if number.isascii() and number.isdigit():
                cameras.setdefault(int(number))
            else:
                faults.append(f"A camera is named by its number, such as camera:0, got {source}.")
            continue
        files = _files(source)
        clips = [path for path in files if is_video(path)]
        for path in clips:
            if not _ours(path, out):
                videos.setdefault(os.path.abspath(path), Path(path))
        if not clips or any(Path(path).suffix.lower() in SUFFIXES for path in files):
            pictures.append(source)
    return Divided(tuple(pictures), tuple(videos.values()), tuple(cameras), tuple(faults))


def _files(source: str) -> list[str]:
    """The files that a source stands for, by name; nothing where it cannot be looked into."""
    if os.path.isdir(source):
        try:
            with os.scandir(source) as entries:
                return sorted(entry.path for entry in entries if entry.is_file() and not entry.name.startswith("."))
        except OSError:
            return []
    if os.path.exists(source):
        return [source]
    if glob.has_magic(source):
        return sorted(path for path in glob.iglob(source, recursive=True) if os.path.isfile(path))
    return [source] if is_video(source) else []  # a video that is missing is told of as a video


def _ours(path: str, out: Path | None) -> bool:
    if out is None or Path(path).parent.resolve() != out.resolve():
        return False
    return path.endswith(_OURS) or ".partial." in Path(path).name
