"""People of one's own in COCO's format, with any number of joints."""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.layout import pictures_of
from poseg.errors import AnnotationError
from poseg.io.coco_json import read_coco
from poseg.skeletons import Skeleton


def own(
    annotations: Path,
    pictures: Path | None = None,
    *,
    name: str | None = None,
    skeleton: Skeleton | None = None,
    complete: bool = True,
    with_nobody: bool = False,
) -> CocoFormat:
    """People of a COCO-format file, on its own skeleton or mapped by name onto another one.

    pictures  folder that `file_name` is relative to; looked for beside the file by default
    name      the file's name without its ending by default

    The file's skeleton is that of its category, or of a TOML file beside it (`io.coco_skeleton`). `poseg data check`
    explains what is wrong with a file. Raises AnnotationError, also where no joint has a place on `skeleton`.
    """
    data = read_coco(annotations)
    images = data.images.values()
    first = next((image.file_name for image in images if image.id in data.rows), "")
    folder = pictures_of(annotations, first) if pictures is None else pictures
    found = CocoFormat(
        name or annotations.name.partition(".")[0], data, folder,
        skeleton=skeleton, complete=complete, with_nobody=with_nobody,
    )  # fmt: skip
    if not found.known.any():
        raise AnnotationError(
            f"{annotations} has the joints {', '.join(data.skeleton.joints)}, none of which is a joint of "
            f"{found.skeleton.name}; rename them, or train on the file's own skeleton."
        )
    return found
