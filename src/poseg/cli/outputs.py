"""What commands that take images and videos share: the folder and names of outputs, errors and progress on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING
from unicodedata import normalize

import typer

from poseg.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

INTERRUPTED = 130  # exit code of a program that Ctrl-C ended
LONGEST_ENDING = ".overlay.partial.webm"  # of the files that are written for a source


def unique_names(paths: Sequence[Path], console: Console | None = None) -> list[str]:
    """A name without suffix for each source's files; two sources never share one, whatever the case of letters.

    The stem (`photo` of photo.jpg), else the whole name (photo.png), else that with a number (photo.png-2). A name
    that is too long for the endings of our files is cut, which one line on the console says.
    """
    from poseg.io.files import fit_name

    taken: set[str] = set()
    names, cut = [], []
    for path in paths:
        numbered = (f"{path.name}-{number}" for number in count(2))
        for whole in chain((path.stem, path.name), numbered):
            name = fit_name(whole, LONGEST_ENDING).removesuffix(LONGEST_ENDING)
            key = normalize("NFC", name).casefold()
            if key not in taken:
                break
        taken.add(key)
        names.append(name)
        cut += [(path, name)] * (name != whole)
    if cut and console is not None:
        path, name = cut[0]
        console.print(
            f"poseg: {'A name is' if len(cut) == 1 else f'{len(cut)} names are'} too long for the files that are "
            f"written, so these have shorter ones, such as {name} for {path.name}."
        )
    return names


def clip_name(clip: Path | int) -> str:
    """What messages call a video (its path) or a camera (its number)."""
    return clip.name if isinstance(clip, Path) else f"camera {clip}"


def clip_names(clips: Sequence[Path | int], console: Console | None = None) -> list[str]:
    """`unique_names` of videos and cameras."""
    return unique_names([clip if isinstance(clip, Path) else Path(f"camera-{clip}") for clip in clips], console)


def exclude_outputs(paths: Sequence[Path], out: Path, endings: tuple[str, ...]) -> list[Path]:
    """The images, without those that an earlier run wrote into `out`, as when a folder is its own destination."""
    return [path for path in paths if not (path.name.endswith(endings) and path.parent.resolve() == out.resolve())]


def error_console() -> Console:
    """Where errors and progress are shown."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)


@contextmanager
def progress_bar(title: str, console: Console | None = None) -> Iterator[Callable[[int, int | None], None]]:
    """A bar with speed, on terminals; what it yields takes how many are done, of how many."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = console or Console(stderr=True)
    speed = TextColumn("{task.fields[speed]:.1f} a second")
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn(), speed)
    start = perf_counter()
    with Progress(
        *columns, TimeRemainingColumn(), console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task(title, total=None, speed=0.0)

        def show(done: int, total: int | None) -> None:
            bar.update(task, completed=done, total=total, speed=done / max(perf_counter() - start, 1e-6))

        yield show


@dataclass(slots=True)
class Progress:
    """What was done with images: how many were processed without an error, how many failed, whether Ctrl-C came."""

    done: int = 0
    failed: int = 0
    stopped: bool = False

    def exit(self) -> None:
        """End the command where this was not all: with 130 after Ctrl-C, else with 2."""
        if self.stopped or self.failed:
            raise typer.Exit(INTERRUPTED if self.stopped else 2)


def process_images(
    paths: Sequence[Path], process: Callable[[Path, NDArray[np.uint8]], None], console: Console
) -> Progress:  # fmt: skip
    """Read and process one image after the other, with a bar; errors are named, and Ctrl-C ends it early."""
    from poseg.errors import AnnotationError, EffectError, FieldError, ImageError, ShapeError, WeightsError
    from poseg.io.images import read_image

    progress = Progress()
    try:
        with progress_bar("Images", console) as show:
            for number, path in enumerate(paths, 1):
                try:
                    process(path, read_image(path))
                    progress.done += 1
                except (ImageError, OutputError) as error:  # which name the file
                    console.print(f"poseg: {error}")
                    progress.failed += 1
                except (AnnotationError, EffectError, FieldError, ShapeError, WeightsError) as error:
                    console.print(f"poseg: {path}: {error}")
                    progress.failed += 1
                show(number, len(paths))
    except KeyboardInterrupt:
        progress.stopped = True
    return progress
