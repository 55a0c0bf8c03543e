"""What commands that take images and videos share: the folder and names of outputs, errors and progress on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, count
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING

from poseg.errors import OutputError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console


def make_folder(folder: Path) -> None:
    """Create the folder where it is missing. Raises OutputError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"Cannot make the folder {folder}: {error.strerror}; choose another folder.") from None


def unique_names(paths: Sequence[Path]) -> list[str]:
    """A name without suffix for each source's files; two sources never share one, whatever the case of letters.

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


def clip_name(clip: Path | int) -> str:
    """What messages call a video (its path) or a camera (its number)."""
    return clip.name if isinstance(clip, Path) else f"camera {clip}"


def clip_names(clips: Sequence[Path | int]) -> list[str]:
    """`unique_names` of videos and cameras."""
    return unique_names([clip if isinstance(clip, Path) else Path(f"camera-{clip}") for clip in clips])


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


def process_images(
    paths: Sequence[Path], process: Callable[[Path, NDArray[np.uint8]], None], console: Console
) -> int:  # fmt: skip
    """Read and process one image after the other, with a bar; errors are named, and how many failed is returned."""
    from poseg.errors import AnnotationError, EffectError, FieldError, ImageError, ShapeError, WeightsError
    from poseg.io.images import read_image

    failed = 0
    with progress_bar("Images", console) as progress:
        for done, path in enumerate(paths, 1):
            try:
                process(path, read_image(path))
            except ImageError as error:  # which names the file
                console.print(f"poseg: {error}")
                failed += 1
            except (AnnotationError, EffectError, FieldError, ShapeError, WeightsError) as error:
                console.print(f"poseg: {path}: {error}")
                failed += 1
            progress(done, len(paths))
    return failed
