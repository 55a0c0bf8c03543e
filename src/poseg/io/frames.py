"""Moving pictures as the rest of poseg sees them: frames with the time at which each is shown.

Nothing here needs a video library, so that faces can tell videos from pictures before they load one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from os import PathLike, fspath
from pathlib import PurePath
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

VIDEO_SUFFIXES = frozenset(
    {".mp4", ".m4v", ".mov", ".qt", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".m2v", ".vob", ".ts", ".mts", ".m2ts",
     ".flv", ".wmv", ".asf", ".ogv", ".3gp", ".3g2"}
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Frame:
    """One picture of a video or a camera.

    image   (H, W, 3) uint8 RGB, upright, with square pixels; the same size in all frames of a source
    index   0, 1, 2, ...
    time_s  seconds since the first frame, rising from frame to frame
    """

    image: NDArray[np.uint8]
    index: int
    time_s: float


class FrameSource(Protocol):
    """What a video file and a camera have in common."""

    @property
    def name(self) -> str:
        """What messages call it."""

    @property
    def size(self) -> tuple[int, int]:
        """(height, width) of its frames, pixels."""

    @property
    def rate(self) -> Fraction:
        """Frames a second, on average."""

    @property
    def frames(self) -> int | None:
        """How many there are, for a progress bar: counted or estimated; None where nobody knows."""

    @property
    def has_audio(self) -> bool:
        """Whether it comes with sound."""

    def __iter__(self) -> Iterator[Frame]: ...


def is_video(path: str | PathLike[str]) -> bool:
    """Whether a name ends as the names of videos do; no file is opened."""
    return PurePath(fspath(path)).suffix.lower() in VIDEO_SUFFIXES
