"""The noun of this folder: an image's name, its size and its people; and names of files for many images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import PurePath

from poseg.errors import AnnotationError
from poseg.io.files import fit_name
from poseg.people import People


@dataclass(frozen=True, slots=True, eq=False)
class ImagePeople:
    """The people of an image or frame.

    name    of its file, with folders where there are any
    people  in pixels of the image
    size    (height, width); None where it is not known and the people have no masks
    """

    name: str
    people: People
    size: tuple[int, int] | None = None

    def __post_init__(self) -> None:
        if self.size is None and self.people.masks is not None:
            object.__setattr__(self, "size", self.people.masks.size)

    @property
    def known_size(self) -> tuple[int, int]:
        """The size. Raises AnnotationError where it is not known."""
        if self.size is None:
            raise AnnotationError(f"The size of {self.name} is not known, and this format needs it; give the images.")
        return self.size

    def with_people(self, people: People) -> ImagePeople:
        """The same image with other people."""
        return replace(self, people=people)


def file_stems(names: Sequence[str]) -> list[str]:
    """A name without suffix for each image's file: its stem, or where two share it, the path with __ for slashes."""
    stems = [PurePath(name).stem for name in names]
    shared = Counter(stem.casefold() for stem in stems)
    paths = [name.replace("\\", "/").strip("/").replace("/", "__") for name in names]
    chosen = [stem if shared[stem.casefold()] == 1 else path for stem, path in zip(stems, paths, strict=True)]
    return [fit_name(name, "_keypoints.json").removesuffix("_keypoints.json") for name in chosen]
