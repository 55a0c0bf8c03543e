"""The rules that an annotation file is checked against: how severe a violation is, and how to fix it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from enum import IntEnum
from typing import Any

MAX_EXAMPLES = 5


class Severity(IntEnum):
    """How severe an issue is.

    NOTE     for information; nothing is wrong
    WARNING  training works, but something is lost or learnt wrongly
    ERROR    training, or evaluation, is impossible
    """

    NOTE = 0
    WARNING = 1
    ERROR = 2


@dataclass(frozen=True, slots=True)
class Rule:
    """What is wrong in one sentence, how severe it is, and how to fix it."""

    severity: Severity
    message: str
    hint: str


@dataclass(frozen=True, slots=True)
class Issue:
    """All violations of one rule: their number, and up to five examples with their ids."""

    rule: str
    severity: Severity
    message: str
    hint: str
    count: int
    examples: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain data for JSON."""
        return {**asdict(self), "severity": self.severity.name.lower(), "examples": list(self.examples)}


class Issues:
    """Collects violations, grouped by rule."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._examples: dict[str, list[str]] = {}

    def add(self, rule: str, example: str = "") -> None:
        """Add one violation."""
        self.add_all(rule, [example], str)

    def add_all(self, rule: str, violations: Iterable[Any], describe: Callable[[Any], str]) -> None:
        """Add several violations of a rule; `describe` is called for the first few only."""
        entries = list(violations)
        if not entries:
            return
        self._counts[rule] = self._counts.get(rule, 0) + len(entries)
        examples = self._examples.setdefault(rule, [])
        examples += [text for entry in entries[: MAX_EXAMPLES - len(examples)] if (text := describe(entry))]

    def by_rule(self) -> tuple[Issue, ...]:
        """One issue per violated rule, the most severe first, in the order of `RULES` among equals."""
        issues = [
            Issue(name, rule.severity, rule.message, rule.hint, self._counts[name], tuple(self._examples[name]))
            for name, rule in RULES.items()
            if name in self._counts
        ]
        return tuple(sorted(issues, key=lambda issue: -issue.severity))


def _error(message: str, hint: str) -> Rule:
    return Rule(Severity.ERROR, message, hint)


def _warning(message: str, hint: str) -> Rule:
    return Rule(Severity.WARNING, message, hint)


def _note(message: str, hint: str = "") -> Rule:
    return Rule(Severity.NOTE, message, hint)


RULES: dict[str, Rule] = {
    # The file as a whole.
    "unreadable": _error("The file cannot be read as an annotation file.",
                         "Give a COCO annotation file: an object with images, annotations and categories."),
    "list-missing": _error("A list of the file is missing or is not a list of objects.",
                           "A COCO annotation file has the lists images, annotations and categories."),
    "category": _error("There is not exactly one category of people.",
                       "Name one category 'person', or keep one category only."),
    "no-people": _error("The file has no annotation of a person.", "Without people there is nothing to learn."),
    "other-categories": _note("Annotations of other categories are not used."),
    # Ids.
    "id": _error("An id is missing or is not an integer.", "Number images, annotations and categories."),
    "image-id-twice": _error("Different images have the same id.", "Give each image its own id."),
    "annotation-id-twice": _error("Annotations share an id.", "Give each annotation its own id."),
    "unknown-image": _error("Annotations belong to images that the file does not list.",
                            "List the image, or remove the annotation."),
    "image-repeated": _note("An image is listed several times with the same entries; it counts once."),
    "file-twice": _warning("Several images name the same file.",
                           "Merge them into one image with all its people: otherwise each person is background in the "
                           "other images."),
    # The skeleton.
    "no-joints": _note("The category names no joints, so COCO's 17 are assumed.",
                       "List the names under `keypoints` of the category."),
    "skeleton": _error("The joints, bones, flip pairs or sigmas of the category do not fit together.",
                       "Correct the category, or override it in a TOML file beside the file (docs/data.md)."),
    "no-tree": _warning("The bones do not join all joints into one tree, which PersonLab and PoSeg need.",
                        "To train these give `bones` or `tree`, in the category or in a TOML file beside the file "
                        "(docs/data.md); drawing, PCK and top-down models work without."),
    "bones-ignored": _warning("The category's bones name joints that do not exist.",
                              "The joints are those of a built-in skeleton, whose bones are used; correct the file."),
    "unpaired": _warning("A joint's name has a side, but it has no flip partner.",
                         "Rename its partner alike (left_paw, right_paw) or list both under `flip_pairs`."),
    "asymmetric": _warning("The tree of the skeleton is not the same on both sides.",
                           "Give a symmetric `tree`; until then flipped views (--flip) cannot be averaged."),
    "no-sigmas": _note("The category has no sigmas, so OKS and with it keypoint AP are not defined.",
                       "Add `sigmas`, one per joint: the standard deviation of annotators over the square root of the "
                       "person's area."),
    # Numbers.
    "not-a-number": _error("An entry that should be numbers is not: text, NaN, infinity or the wrong shape.",
                           "Write finite numbers, or leave the entry out."),
    "number-as-text": _warning("Numbers are written as text.", "Remove the quotes: other tools refuse them."),
    "number-form": _note("Integers are written as 1.0 or true, or a file name as a number; they are read.",
                         "Other tools may refuse them."),
    "keypoints-length": _error("Keypoints are not x, y, v for every joint.",
                               "Write three numbers per joint, in the order of the category; zeros for missing ones."),
    # Joints.
    "visibility": _warning("A visibility is not 0, 1 or 2.",
                           "0: not annotated; 1: annotated but hidden; 2: visible. Anything above 0 is learnt."),
    "joint-outside": _warning("Joints lie outside their image.",
                              "Check the image's size and the order x, y; joints outside the image have v = 0."),
    "joint-in-corner": _warning("Joints are annotated at exactly (0, 0).", "Set v = 0 where a joint is not annotated."),
    "num-keypoints": _warning("`num_keypoints` disagrees with the joints that have v > 0.",
                              "Correct it: COCO's evaluator leaves out people with num_keypoints 0."),
    "joints-uncertain": _note("Joints have coordinates but v = 0: they are neither learnt nor background."),
    "no-keypoints": _note("People without any joint: inside their mask no joint is background."),
    # Boxes and areas.
    "box-missing": _note("People without `bbox`: it is computed from the mask, or else from the joints."),
    "box-empty": _warning("Boxes have a width or height that is not positive.", "Boxes are x, y, width, height."),
    "box-outside": _warning("Boxes extend beyond their image by more than a pixel.",
                            "Boxes are x, y, width, height, not two corners; check the image's size."),
    "box-misses-joints": _warning("Most joints of a person lie outside its box.",
                                  "Boxes are x, y, width, height; the joints may belong to another person."),
    "box-misses-mask": _warning("The box and the mask of a person hardly overlap.",
                                "One of them belongs to another person, or to another image size."),
    "area-missing": _note("People with joints but without `area`, which OKS needs: poseg uses that of their mask or "
                          "box.", "COCO's own evaluator fails without; write the mask's area, or half the box's."),
    "area-not-positive": _warning("`area` is not positive.", "Write the mask's area in square pixels."),
    "area-differs": _warning("`area` is not that of the mask.",
                             "OKS is scaled by it; the area of a box is about twice that of the mask."),
    # Masks.
    "segmentation-type": _error("A segmentation is neither a list of polygons nor run lengths.",
                                "Write [[x0, y0, x1, y1, ...], ...] or {\"size\": [height, width], \"counts\": ...}."),
    "polygon-odd": _error("A polygon is not a flat list of an even number of coordinates near the image.",
                          "Write [x0, y0, x1, y1, ...] in pixels."),
    "polygon-short": _warning("A polygon has fewer than three points and covers nothing.", "Remove or complete it."),
    "rle-broken": _error("Run lengths cannot be read or do not fill their size.", "Encode the mask again."),
    "rle-size": _error("Run lengths have another size than the image.", "Their size is [height, width]."),
    "mask-empty": _warning("A mask covers no pixel of its image.", "Remove it, or check the image's size."),
    "mask-missing": _note("People with joints but without a mask: the pixels of their box are neither person nor "
                          "background."),
    "box-only": _note("People with a box and nothing else: the box is ignored."),
    # Crowds and duplicates.
    "iscrowd-value": _warning("`iscrowd` is not 0 or 1.", "Another number counts as a crowd, which is ignored."),
    "flag": _error("`iscrowd` or `ignore` is not a number.", "Write 0 or 1."),
    "crowd-without-rle": _warning("A crowd has no run lengths.", "Its polygons or else its box are ignored instead."),
    "person-twice": _warning("A person is annotated twice.", "Remove one: the same joints and box in the same image."),
    # Images.
    "image-entry": _error("An image's height, width or file name is invalid.",
                          "Write height and width as integers in pixels, and file_name as text."),
    "image-without-size": _note("An image has no height and width; checks that need them were skipped."),
    "image-name": _warning("An image has no file name and is not used.", "Write `file_name`."),
    "image-missing": _warning("Labelled images are not in the folder and are not used.",
                              "Check the folder: `file_name` is relative to it."),
    "image-unclear": _warning("Images are in the folder but are not used: they cannot be read, or several fit a name.",
                              "Copy them again; write whole names."),
    "image-other-name": _note("Images have other names in the folder; the one that fits is taken.",
                              "Other tools need the exact name."),
    "background-missing": _note("Images without people are not in the folder."),
    "no-image": _error("None of the labelled images is in the folder.", "`file_name` is relative to it."),
    "image-broken": _error("Images cannot be read.", "Copy them again, or remove them from the file."),
    "image-size": _error("Images have another size than the file says.",
                         "Labels and image must have one size: correct the file or the image."),
    "image-empty": _note("Images without any annotation: they are pure background, and not used by default."),
}  # fmt: skip
