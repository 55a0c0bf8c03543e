"""What can be wrong with an annotation file: every kind of fault, how bad it is, and what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

EXAMPLES = 5


class Level(IntEnum):
    """How bad a fault is.

    NOTE   good to know; nothing is wrong
    FAULT  training works, but something is lost or learnt wrongly
    ERROR  training, or scoring, is impossible
    """

    NOTE = 0
    FAULT = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of fault: its level, a plain sentence, and what to do."""

    level: Level
    sentence: str
    advice: str


@dataclass(frozen=True, slots=True)
class Fault:
    """All findings of one kind: how many, and up to five of them in words, ids in front."""

    kind: str
    level: Level
    sentence: str
    advice: str
    count: int
    examples: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {**asdict(self), "level": self.level.name.lower(), "examples": list(self.examples)}


class Findings:
    """Collects findings, and groups them by kind."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, kind: str, example: str = "") -> None:
        """One finding."""
        self.add_all(kind, [example], str)

    def add_all(self, kind: str, found: Iterable[Any], tell: Callable[[Any], str]) -> None:
        """Several findings of a kind; `tell` puts one into words, and is asked for the first few only."""
        entries = list(found)
        if not entries:
            return
        self._counts[kind] = self._counts.get(kind, 0) + len(entries)
        examples = self._examples.setdefault(kind, [])
        examples += [text for entry in entries[: EXAMPLES - len(examples)] if (text := tell(entry))]

    def faults(self) -> tuple[Fault, ...]:
        """By kind, worst first, in the order of `KINDS` among equals."""
        found = [
            Fault(name, kind.level, kind.sentence, kind.advice, self._counts[name], tuple(self._examples[name]))
            for name, kind in KINDS.items()
            if name in self._counts
        ]
        return tuple(sorted(found, key=lambda fault: -fault.level))


def _error(sentence: str, advice: str) -> Kind:
    return Kind(Level.ERROR, sentence, advice)


def _fault(sentence: str, advice: str) -> Kind:
    return Kind(Level.FAULT, sentence, advice)


def _note(sentence: str, advice: str = "") -> Kind:
    return Kind(Level.NOTE, sentence, advice)


KINDS: dict[str, Kind] = {
    # The file as a whole.
    "unreadable": _error("The file cannot be read as an annotation file.",
                         "Give a COCO annotation file: an object with images, annotations and categories."),
    "list-missing": _error("A list of the file is missing or is not a list of objects.",
                           "A COCO annotation file has the lists images, annotations and categories."),
    "category": _error("There is not exactly one category of persons.",
                       "Name one category 'person', or keep one category only."),
    "nobody-at-all": _error("The file has no annotation of a person.", "Without people there is nothing to learn."),
    "other-categories": _note("Annotations of other categories are left out."),
    # Ids.
    "id": _error("An id is missing or is not a whole number.", "Number images, annotations and categories."),
    "image-id-twice": _error("Different images have the same id.", "Give each image its own id."),
    "annotation-id-twice": _error("Annotations share an id.", "Give each annotation its own id."),
    "unknown-image": _error("Annotations belong to images that the file does not list.",
                            "List the image, or remove the annotation."),
    "image-repeated": _note("An image is listed several times, word for word; it counts once."),
    "file-twice": _fault("Several images name the same file.",
                         "Merge them into one image with all its people: what one lists, the other calls background."),
    # The skeleton.
    "no-joints": _note("The category names no joints, so they are taken for COCO's 17.",
                       "List names under `keypoints` of the category to say which they are."),
    "skeleton": _error("The joints, bones, flip pairs or sigmas of the category do not fit together.",
                       "Correct the category, or say it in a TOML file beside the annotation file (docs/data.md)."),
    "bones-ignored": _fault("The category's bones name joints that there are not.",
                            "The joints are those of a known skeleton, whose bones are used; correct the file."),
    "unpaired": _fault("A joint's name says left or right, but no joint mirrors it.",
                       "Rename its partner alike (left_paw, right_paw) or list both under `flip_pairs`."),
    "lopsided": _fault("The tree of the skeleton is not the same on both sides.",
                       "Give a symmetric `tree`; until then mirrored looks (--flip) cannot be averaged."),
    "no-sigmas": _note("The category has no sigmas, so OKS and with it keypoint AP are not defined.",
                       "Add `sigmas`, one a joint: the spread of annotators over the root of the person's area."),
    # Numbers.
    "not-a-number": _error("Something that should be numbers is not: text, NaN, infinity or the wrong shape.",
                           "Write finite numbers, or leave the entry out."),
    "number-as-text": _fault("Numbers are written as text.", "Remove the quotes: other tools refuse them."),
    "keypoints-length": _error("Keypoints are not x, y, v for every joint.",
                               "Write three numbers a joint, in the order of the category; zeros for unknown ones."),
    # Joints.
    "visibility": _fault("A visibility is not 0, 1 or 2.",
                         "0: not annotated; 1: annotated though hidden; 2: seen. Anything above 0 is learnt."),
    "joint-outside": _fault("Joints lie outside their picture.",
                            "Check the picture's size and the order x, y; joints out of the picture have v = 0."),
    "joint-in-corner": _fault("Joints are annotated at exactly (0, 0).", "Set v = 0 where a joint is not annotated."),
    "num-keypoints": _fault("`num_keypoints` disagrees with the joints that have v > 0.",
                            "Correct it: COCO's evaluator leaves out people with num_keypoints 0."),
    "joints-unsure": _note("Joints have a place but v = 0: they are neither learnt nor taken for background."),
    "no-keypoints": _note("People without any joint: inside their mask no joint is background."),
    # Boxes and areas.
    "box-missing": _note("People without `bbox`: it is drawn around the mask, or else around the joints."),
    "box-empty": _fault("Boxes have a width or height that is not positive.", "Boxes are x, y, width, height."),
    "box-outside": _fault("Boxes reach out of their picture by more than a pixel.",
                          "Boxes are x, y, width, height, not two corners; check the picture's size."),
    "box-misses-joints": _fault("Most joints of a person lie outside its box.",
                                "Boxes are x, y, width, height; joints may belong to somebody else."),
    "box-misses-mask": _fault("A box and the mask of the same person hardly overlap.",
                              "One of them belongs to somebody else, or to another picture size."),
    "area-missing": _note("People with joints but without `area`, which OKS needs: poseg takes that of their mask or "
                          "box.", "COCO's own evaluator fails without; write the mask's area, or half the box's."),
    "area-not-positive": _fault("`area` is not positive.", "Write the mask's area in square pixels."),
    "area-differs": _fault("`area` is not that of the mask.",
                           "OKS is scaled by it; the area of a box is about twice that of the mask."),
    # Masks.
    "segmentation-type": _error("A segmentation is neither a list of polygons nor run lengths.",
                                "Write [[x0, y0, x1, y1, ...], ...] or {\"size\": [height, width], \"counts\": ...}."),
    "polygon-odd": _error("A polygon is not a flat list of an even number of numbers near the picture.",
                          "Write [x0, y0, x1, y1, ...] in pixels."),
    "polygon-short": _fault("A polygon has fewer than three points and covers nothing.", "Remove or complete it."),
    "rle-broken": _error("Run lengths cannot be read or do not fill their size.", "Encode the mask again."),
    "rle-size": _error("Run lengths are of another size than the picture.", "Their size is [height, width]."),
    "mask-empty": _fault("A mask covers no pixel of its picture.", "Remove it, or check the picture's size."),
    "mask-missing": _note("People with joints but without a mask: pixels of their box are unknown."),
    "box-only": _note("People with a box and nothing else: the box is ignored."),
    # Crowds and doubles.
    "iscrowd-value": _fault("`iscrowd` is not 0 or 1.", "Anything but 0 is taken for a crowd, which is ignored."),
    "crowd-without-rle": _fault("A crowd has no run lengths.", "Its polygons or else its box are ignored instead."),
    "person-twice": _fault("A person is annotated twice.", "Remove one: the same joints and box in the same picture."),
    # Pictures.
    "image-size": _error("An image's height, width or file name is not what it should be.",
                         "Write height and width as whole numbers of pixels, and file_name as text."),
    "image-without-size": _note("An image has no height and width; what needs them was not checked."),
    "image-name": _fault("An image has no file name and is left out.", "Write `file_name`."),
    "picture-missing": _fault("Pictures are not in the folder and are left out.",
                              "Check the folder: `file_name` counts from there."),
    "background-missing": _note("Pictures of nobody are not in the folder."),
    "no-picture": _error("None of the labelled pictures is in the folder.", "`file_name` counts from there."),
    "picture-broken": _error("Pictures cannot be read.", "Copy them again, or remove them from the file."),
    "picture-size": _error("Pictures have another size than the file says.",
                           "Labels and picture must be of one size: correct the file or the picture."),
    "picture-of-nobody": _note("Pictures without any annotation: they are pure background, and left out by default."),
}  # fmt: skip
