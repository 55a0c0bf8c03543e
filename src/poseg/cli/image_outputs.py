"""What `predict` and `segment` write: COCO results, overlays and label maps of one image after the other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.cli.convert import Format
from poseg.errors import PosegError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.cli.outputs import Progress
    from poseg.interop.image_people import ImagePeople
    from poseg.people import People, Timings

    # Gives the people of an image that was read from a path.
    DetectAt = Callable[[NDArray[np.uint8], Path], People]
    # Gets ready for the images: what gives their people, and an image id for each.
    MakeDetector = Callable[[Sequence[Path], Console], tuple[DetectAt, Mapping[Path, int | str]]]

RESULTS = "results.json"
ENDINGS = (".overlay.png", ".masks.png")

SourcesArgument = Annotated[
    list[str], typer.Argument(metavar="SOURCE", help="Images, folders of images, or patterns in quotes.")
]
MasksOption = Annotated[
    bool, typer.Option("--masks", help="Write NAME.masks.png too: 0 is background, 1 the person of the highest score.")
]
OverlayOption = Annotated[bool, typer.Option("--overlay/--no-overlay", help="Write NAME.overlay.png.")]
LABELS = ("ids", "scores", "names", "boxes")
LabelsOption = Annotated[
    str | None,
    typer.Option("--labels", help=f"What overlays show too, between commas: {', '.join(LABELS)}."),
]
RecursiveOption = Annotated[bool, typer.Option("--recursive", "-r", help="Folders: take files at any depth.")]


@dataclass(frozen=True, slots=True)
class ImageOutputs:
    """What is written for images, beside the results.

    masks    NAME.masks.png
    overlay  NAME.overlay.png
    labels   what it shows besides poses and masks, of `LABELS`
    formats  other formats, of `Format`
    """

    masks: bool = False
    overlay: bool = True
    labels: tuple[str, ...] = ()
    formats: tuple[Format, ...] = ()

    def draw(self, image: NDArray[np.uint8], people: People) -> NDArray[np.uint8]:
        """The overlay."""
        from poseg.draw.overlay import overlay

        return overlay(image, people, **dict.fromkeys(self.labels, True))


def parse_labels(text: str | None) -> tuple[str, ...]:
    """Labels between commas. Raises PosegError that lists them."""
    names = tuple(part.strip() for part in (text or "").split(",") if part.strip())
    unknown = [name for name in names if name not in LABELS]
    if unknown:
        raise PosegError(f"There is no label {unknown[0]!r}; the labels are {', '.join(LABELS)}.")
    return names


def predict_images(sources: Sequence[str], out: Path, make_detector: MakeDetector, outputs: ImageOutputs) -> None:
    """Write all people in the images of the sources to a folder; `make_detector` is called where there are any.

    What cannot be read or written is named on stderr, the others are finished, and the exit code is 2. Ctrl-C ends it
    early with 130. Either way the results file holds the people of all images that were processed.
    """
    from poseg.cli.outputs import Progress, error_console, exclude_outputs
    from poseg.io.sources import find_images

    console = error_console()
    images = find_images(sources)
    for error in images.errors:
        console.print(f"poseg: {error}")
    progress = Progress()
    paths = exclude_outputs(images.paths, out, ENDINGS)
    if paths:
        detect, ids = make_detector(paths, console)
        progress = _write_all(detect, paths, ids, out, console, outputs)
    progress.failed += len(images.errors)
    progress.exit()


def provided_people(
    file: Path, paths: Sequence[Path], console: Console | None = None
) -> tuple[Callable[[Path], People], dict[Path, int | str]]:
    """What gives the people that a file holds for an image, and the image ids; no people where it does not list one.

    Images that it does not list are named on the console. Raises AnnotationError, also where it lists none of them.
    """
    from poseg.io.people_file import match_images, read_people
    from poseg.io.sources import image_ids

    people, numbers = read_people(file), image_ids(paths)
    matched = match_images(people, paths, [numbers[path] for path in paths])
    missing = [path for path, image_id in zip(paths, matched, strict=True) if image_id is None]
    if missing and console is not None:
        console.print(
            f"poseg: {people.source} does not list {len(missing)} of {len(paths)} images, such as {missing[0]}; "
            "they are taken to show no people."
        )
    image_id = dict(zip(paths, matched, strict=True))
    ids = {path: numbers[path] if listed is None else listed for path, listed in image_id.items()}
    return lambda path: people.people(image_id[path]), ids


def _write_all(
    detect: DetectAt, paths: Sequence[Path], ids: Mapping[Path, int | str], out: Path, console: Console,
    wanted: ImageOutputs,
) -> Progress:  # fmt: skip
    """Take one image after the other, and add its people to the results."""
    from poseg.cli.outputs import Progress, process_images, unique_names
    from poseg.draw.mask import label_map
    from poseg.errors import OutputError
    from poseg.interop.image_people import ImagePeople
    from poseg.io.coco_results import coco_results
    from poseg.io.files import make_folder
    from poseg.io.images import write_png
    from poseg.io.json_list import JsonListWriter

    make_folder(out)
    same_names = len({path.name for path in paths}) < len(paths)
    names = dict(zip(paths, unique_names(paths, console), strict=True))
    timings: list[Timings] = []
    converted: list[ImagePeople] = []

    def write(path: Path, image: NDArray[np.uint8]) -> None:
        people, name = detect(image, path), names[path]
        file_name = path.as_posix() if same_names else path.name
        new = coco_results(people, ids[path], first_id=results.records + 1, file_name=file_name)
        outputs = [lambda: results.extend(new)]
        if wanted.formats:
            converted.append(ImagePeople(file_name, people, (image.shape[0], image.shape[1])))
        if wanted.overlay:
            outputs.append(lambda: write_png(out / f"{name}.overlay.png", wanted.draw(image, people)))
        if people.keypoints_3d is not None:
            outputs.append(lambda: _write_3d(out, name, image, people))
        if wanted.masks:
            outputs.append(lambda: write_png(out / f"{name}.masks.png", label_map(people, image.shape[:2])))
        timings.extend([people.timings] if people.timings else [])
        _write_each(outputs)

    progress, results = Progress(), JsonListWriter(out / RESULTS)
    try:
        with results:
            progress = process_images(paths, write, console)
    except OutputError as fault:  # no room for the last records
        console.print(f"poseg: {fault} It holds {results.written} of {results.records} people.")
        progress.failed += 1
    progress.failed += _write_formats(out, converted, wanted.formats, console)
    if timings:
        typer.echo(f"{_summary(results.records, timings)}; written to {out}")
    if progress.stopped:
        typer.echo(f"Stopped early: the people of {len(timings)} of {len(paths)} images are in {out / RESULTS}.")
    return progress


def _write_formats(out: Path, images: Sequence[ImagePeople], formats: Sequence[Format], console: Console) -> int:
    """The people in other formats, beside the results; what cannot be written is named. Returns how many failed."""
    from poseg.cli.convert import format_paths, write_format

    failed = 0
    for form, path in format_paths(out, formats).items():
        try:
            write_format(form, path, images)
        except PosegError as fault:
            console.print(f"poseg: {fault}")
            failed += 1
    return failed


def _write_each(outputs: Sequence[Callable[[], None]]) -> None:
    """Write what can be written. Raises OutputError at the end, with the sentences of all that cannot."""
    from poseg.errors import OutputError

    faults = []
    for write in outputs:
        try:
            write()
        except OutputError as fault:
            faults.append(str(fault))
    if faults:
        raise OutputError(" ".join(faults))


def _write_3d(out: Path, name: str, image: NDArray[np.uint8], people: People) -> None:
    """People in 3D: a figure from the side and from above, and a page on which they can be rotated."""
    from poseg.draw.pose3d import views_3d
    from poseg.draw.viewer3d import viewer3d_html
    from poseg.io.files import write_text
    from poseg.io.images import write_png

    write_png(out / f"{name}.3d.png", views_3d(image, people))
    write_text(out / f"{name}.3d.html", viewer3d_html(people, image, title=name))


def _summary(people: int, timings: Sequence[Timings]) -> str:
    before, network, after = (
        median(getattr(t, part) for t in timings) for part in ("preprocess_ms", "inference_ms", "postprocess_ms")
    )
    return (
        f"{people} {'person' if people == 1 else 'people'} in "
        f"{len(timings)} {'image' if len(timings) == 1 else 'images'}; "
        f"median {before + network + after:.0f} ms an image: {before:.0f} before the network, {network:.0f} in it, "
        f"{after:.0f} after it"
    )
