"""What `predict` and `segment` write: COCO results, overlays and label maps of one picture after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.io.coco_results import ImageId
    from poseg.io.given_people import GivenPeople
    from poseg.people import People, Timings

    # Gives the people of a picture that was read from a path.
    Find = Callable[[NDArray[np.uint8], Path], People]
    # Gets ready for the pictures: what gives their people, and an image id for each.
    Prepare = Callable[[Sequence[Path], Console], tuple[Find, Mapping[Path, int | str]]]

RESULTS = "results.json"

SourcesArgument = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="Pictures, folders of pictures, or patterns in quotes.")
]
MasksOption = Annotated[bool, typer.Option("--masks", help="Write NAME.masks.png too: 0 nobody, 1 the surest.")]
OverlayOption = Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write NAME.overlay.png.")]


def write_people(sources: Sequence[str], out: Path, prepare: Prepare, *, masks: bool, overlay: bool) -> None:
    """Write everybody in the pictures of the sources to a folder; `prepare` is called where there are any.

    What cannot be read is named on stderr, the others are finished, and the exit code is 2.
    """
    from rich.console import Console

    from poseg.cli.outputs import not_ours
    from poseg.io.sources import find_images

    console = Console(stderr=True, soft_wrap=True, markup=False, highlight=False, emoji=False)
    found = find_images(sources)
    for fault in found.faults:
        console.print(f"poseg: {fault}")
    failed = len(found.faults)
    paths = not_ours(found.paths, out)
    if paths:
        find, ids = prepare(paths, console)
        failed += _write_all(find, paths, ids, out, console, masks=masks, overlay=overlay)
    if failed:
        raise typer.Exit(2)


def tell_silence(
    given: GivenPeople, paths: Sequence[Path], ids: Sequence[ImageId | None], console: Console
) -> None:  # fmt: skip
    """Name a picture of which the file says nothing; results do not list pictures without people either."""
    silent = [path for path, image_id in zip(paths, ids, strict=True) if image_id is None]
    if silent:
        console.print(
            f"poseg: {given.source} says nothing of {len(silent)} of {len(paths)} pictures, such as {silent[0]}; "
            "nobody is taken to be there."
        )


def _write_all(
    find: Find, paths: Sequence[Path], ids: Mapping[Path, int | str], out: Path, console: Console, *,
    masks: bool, overlay: bool,
) -> int:  # fmt: skip
    """Take one picture after the other and write the results at the end, all at once; returns how many failed."""
    from rich.progress import track

    from poseg.cli.outputs import distinct_names, make_folder
    from poseg.draw.mask import label_map
    from poseg.draw.overlay import overlay as draw
    from poseg.errors import AnnotationError, FieldError, ImageError, WeightsError
    from poseg.io.coco_results import coco_results, write_results
    from poseg.io.images import read_image, write_png

    make_folder(out)
    same_names = len({path.name for path in paths}) < len(paths)
    records: list[dict[str, Any]] = []
    timings: list[Timings] = []
    steps = list(zip(paths, distinct_names(paths), strict=True))
    for path, name in track(steps, "Pictures", console=console, transient=True, disable=not console.is_terminal):
        try:
            image = read_image(path)
            people = find(image, path)
        except (AnnotationError, FieldError, ImageError, WeightsError) as fault:
            console.print(f"poseg: {fault}" if isinstance(fault, ImageError) else f"poseg: {path}: {fault}")
            continue
        if overlay:
            write_png(out / f"{name}.overlay.png", draw(image, people))
        if people.keypoints_3d is not None:
            _write_space(out, name, image, people)
        if masks:
            write_png(out / f"{name}.masks.png", label_map(people, (image.shape[0], image.shape[1])))
        file_name = path.as_posix() if same_names else path.name
        records += coco_results(people, ids[path], first_id=len(records) + 1, file_name=file_name)
        timings += [people.timings] if people.timings else []
    if timings:
        write_results(out / RESULTS, records)
        typer.echo(f"{_summary(len(records), timings)}; written to {out}")
    return len(paths) - len(timings)


def _write_space(out: Path, name: str, image: NDArray[np.uint8], people: People) -> None:
    """People in space: a picture from the side and from above, and a page on which they can be turned."""
    from poseg.draw.pose3d import views_3d
    from poseg.draw.turntable import turntable_html
    from poseg.io.atomic import write_text
    from poseg.io.images import write_png

    write_png(out / f"{name}.space.png", views_3d(image, people))
    write_text(out / f"{name}.space.html", turntable_html(people, image, title=name))


def _summary(people: int, timings: Sequence[Timings]) -> str:
    pre, net, decode = (
        median(getattr(t, part) for t in timings) for part in ("preprocess_ms", "inference_ms", "postprocess_ms")
    )
    return (
        f"{people} {'person' if people == 1 else 'people'} in "
        f"{len(timings)} {'picture' if len(timings) == 1 else 'pictures'}; "
        f"median {pre + net + decode:.0f} ms a picture: {pre:.0f} before the network, {net:.0f} in it, "
        f"{decode:.0f} decoding"
    )
