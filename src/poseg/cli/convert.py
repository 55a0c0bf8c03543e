"""`poseg convert`: files with people in the formats of other tools, and back; and `--format` of `poseg predict`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.errors import AnnotationError, ImageError, PosegError

if TYPE_CHECKING:
    from poseg.interop import ImagePeople


class Format(str, Enum):
    """What people are written as."""

    coco = "coco"
    csv = "csv"
    yolo = "yolo"
    yolo_seg = "yolo-seg"
    labelme = "labelme"
    openpose = "openpose"
    cvat = "cvat"


# The file or folder that each format makes in a folder.
OUTPUTS = {
    Format.coco: "coco.json", Format.csv: "people.csv", Format.yolo: "yolo", Format.yolo_seg: "yolo-seg",
    Format.labelme: "labelme", Format.openpose: "openpose", Format.cvat: "cvat.xml",
}  # fmt: skip


FormatOption = Annotated[
    str | None,
    typer.Option(
        "--format", help=f"Images: write these formats too, between commas: {', '.join(form.value for form in Format)}."
    ),
]


def convert(
    source: Annotated[
        Path,
        typer.Argument(
            metavar="IN", help="COCO or results .json, .people.jsonl, CVAT .xml, a folder of labelme or YOLO labels."
        ),
    ],
    out: Annotated[Path, typer.Argument(metavar="OUT", help="A folder; or the file, for one format that is one file.")],
    to: Annotated[
        str, typer.Option("--to", help=f"Formats between commas: {', '.join(form.value for form in Format)}.")
    ],
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="Folder of the images, for sizes that the file does not hold."),
    ] = None,
    segments: Annotated[
        bool, typer.Option("--seg/--pose", help="YOLO labels to read: polygons, or boxes with joints.")
    ] = False,
) -> None:
    """Convert people from one format to others.

    What each format loses is listed in docs/interop.md.
    """
    formats = parse_formats(to)
    people = list(read_any(source, images, segments=segments))
    for form, path in _targets(out, formats).items():
        write_format(form, path, people)
    count = sum(len(image.people) for image in people)
    typer.echo(f"{count} {'person' if count == 1 else 'people'} of {len(people)} images written to {out}")


def parse_formats(text: str | None) -> tuple[Format, ...]:
    """Formats between commas, each once. Raises PosegError that lists them."""
    names = dict.fromkeys(part.strip() for part in (text or "").split(",") if part.strip())
    try:
        return tuple(map(Format, names))
    except ValueError:
        unknown = next(name for name in names if name not in [form.value for form in Format])
        listed = ", ".join(form.value for form in Format)
        raise PosegError(f"There is no format {unknown!r}; the formats are {listed}.") from None


def write_format(form: Format, path: Path, images: Sequence[ImagePeople]) -> None:
    """Write people in a format to its file or folder. Raises AnnotationError, SkeletonError and OutputError."""
    from poseg import interop

    writers: dict[Format, Callable[[Path, Sequence[ImagePeople]], None]] = {
        Format.coco: interop.to_coco,
        Format.csv: interop.to_csv,
        Format.yolo: interop.to_yolo,
        Format.yolo_seg: lambda path, images: interop.to_yolo(path, images, interop.YoloTask.seg),
        Format.labelme: interop.to_labelme,
        Format.openpose: interop.to_openpose,
        Format.cvat: interop.to_cvat,
    }
    writers[form](path, images)


def read_any(source: Path, images: Path | None = None, *, segments: bool = False) -> Iterator[ImagePeople]:
    """The people of a file or folder in any format that is read. Raises AnnotationError that lists these."""
    from poseg import interop

    if source.is_dir():
        if any(source.glob("*.json")):
            return iter(interop.from_labelme(source))
        if not any(source.glob("*.txt")):
            raise AnnotationError(f"{source} holds neither .json of labelme nor .txt of YOLO; name another folder.")
        if images is None:
            raise AnnotationError("YOLO labels are fractions of the images' sides; give them with --images DIR.")
        return iter(interop.from_yolo(source, images, interop.YoloTask.seg if segments else interop.YoloTask.pose))
    if source.suffix == ".xml":
        return iter(interop.from_cvat(source))
    if source.suffix == ".jsonl":
        return _frames(source)
    if images is not None:
        return images_of_file(source, _paths_in(images))
    return _listed(source)


def images_of_file(file: Path, paths: Sequence[Path]) -> Iterator[ImagePeople]:
    """The people that a file holds for images; images that cannot be read are left out."""
    from poseg.cli.image_outputs import provided_people
    from poseg.interop import ImagePeople
    from poseg.io.images import image_size

    people_at, _ = provided_people(file, paths)
    same_names = len({path.name for path in paths}) < len(paths)
    for path in paths:
        try:
            size = image_size(path)
        except ImageError:
            continue
        yield ImagePeople(path.as_posix() if same_names else path.name, people_at(path), size)


def _paths_in(folder: Path) -> Sequence[Path]:
    from poseg.io.sources import find_images

    found = find_images([str(folder)])
    for fault in found.errors:
        raise fault
    return found.paths


def _listed(file: Path) -> Iterator[ImagePeople]:
    """The images that a COCO file lists: ground truth with masks, or results."""
    from poseg.interop import ImagePeople, from_coco
    from poseg.io.people_file import read_people

    people = read_people(file)
    if people.is_ground_truth:
        yield from from_coco(file)
        return
    for image_id in people.by_image:
        yield ImagePeople(people.names.get(image_id, str(image_id)), people.people(image_id))


def _frames(file: Path) -> Iterator[ImagePeople]:
    """The frames of a video, named by their numbers as OpenPose does."""
    from poseg.interop import ImagePeople
    from poseg.io.people_jsonl import read_frames

    name = file.name.removesuffix(".jsonl").removesuffix(".people")
    for frame, _, people in read_frames(file):
        yield ImagePeople(f"{name}_{frame:012d}.png", people)


def _targets(out: Path, formats: Sequence[Format]) -> dict[Format, Path]:
    """Where each format goes. Raises PosegError without formats, OutputError where the folder cannot be made."""
    from poseg.io.files import make_folder

    if not formats:
        raise PosegError(f"--to needs a format; the formats are {', '.join(form.value for form in Format)}.")
    if len(formats) == 1 and out.suffix and out.suffix == Path(OUTPUTS[formats[0]]).suffix:
        return {formats[0]: out}
    make_folder(out)
    return format_paths(out, formats)


def format_paths(folder: Path, formats: Sequence[Format]) -> dict[Format, Path]:
    """The file or folder of each format in a folder."""
    return {form: folder / OUTPUTS[form] for form in formats}
