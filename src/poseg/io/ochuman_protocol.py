"""The protocols under which OCHuman is evaluated: a choice of people, the name of its file, and a sentence about it.

Scores on OCHuman can only be compared under one protocol: most boxed people have no mask, so what a model finds there
is charged to it or not, depending on the file; and a run on ground-truth poses never meets them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from poseg.errors import AnnotationError

Bounds = tuple[float, float]

# The upper bound is out of range, so that one above 1 leaves nobody out.
ALL: Bounds = (0.0, 1.01)
MODERATE: Bounds = (0.5, 0.75)
HARD: Bounds = (0.75, 1.01)
SUBSETS: Mapping[str, Bounds] = {"all": ALL, "moderate": MODERATE, "hard": HARD}

VAL_PICTURES = 2500
SPLITS: Mapping[str, slice] = {"val": slice(VAL_PICTURES), "test": slice(VAL_PICTURES, None), "all": slice(None)}

_LEFT_OUT = "are not in the file, so predicted people on them count as false alarms (ground-truth poses are immune)"
_IGNORED = "are crowd regions, so predicted people on them count neither for nor against"


@dataclass(frozen=True, slots=True)
class Kept:
    """How many pictures and persons a selection keeps, and of the others in these pictures those without labels."""

    pictures: int
    persons: int
    unlabelled: int
    outside: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which people are measured, and what becomes of the others of their pictures.

    split           "val", "test" or "all"; the authors' since June 2019, when they corrected theirs
    max_iou         (low, high) of the people that are measured, high excluded. A person's MaxIoU is the largest
                    IoU of the box with another person's
    fully_labelled  only pictures in which every boxed person has a mask (OCHuman-FL, Ling et al. 2022)
    ignore_others   the others are crowd regions: finding them is neither a hit nor a false alarm. Without it they are
                    not in the file, as with the authors, and finding them is a false alarm

    Raises AnnotationError for another split, or a range that can hold nobody.
    """

    split: str = "all"
    max_iou: Bounds = ALL
    fully_labelled: bool = False
    ignore_others: bool = False

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise AnnotationError(f"OCHuman has the splits {', '.join(SPLITS)}, got {self.split!r}; choose one.")
        low, high = self.max_iou
        if not 0 <= low < high < math.inf:
            raise AnnotationError(
                f"A range of MaxIoU is a lower and a larger upper number from 0 up, got {low:g} and {high:g}; "
                "give such as 0.5 and 0.75."
            )

    def holds(self, max_iou: float) -> bool:
        """Whether a person of that MaxIoU is measured."""
        return self.max_iou[0] <= max_iou < self.max_iou[1]

    def file_name(self, stem: str | None = None) -> str:
        """What the authors' converter calls the file, and then what it does not know; `stem` replaces their beginning.

        The range is rounded to two decimals, as theirs.
        """
        low, high = self.max_iou
        more = "_fully_labelled" * self.fully_labelled + "_others_ignored" * self.ignore_others
        return f"{stem or f'ochuman_coco_format_{self.split}'}_range_{low:.2f}_{high:.2f}{more}.json"

    def sentence(self, kept: Kept, converted: str | None = None) -> str:
        """The protocol with what it keeps; `converted` is the file that was in COCO's format before."""
        low, high = self.max_iou
        outside = count(kept.outside, "person", "people") + " outside the range"
        if converted is None:
            name = f"OCHuman {self.split}"
            labels = "fully labelled pictures only (OCHuman-FL)" if self.fully_labelled else "original labels"
            unlabelled = count(kept.unlabelled, "box", "boxes") + " without mask or joints"
        else:  # of the boxes without a mask nothing is known, not even how many
            name = "OCHuman" if self.split == "all" else f"OCHuman {self.split}"
            labels = f"from {converted}, which is converted already"
            unlabelled = "boxes without a mask"
        if not self.ignore_others:
            others = f"{unlabelled} and {outside} {_LEFT_OUT}"
        elif converted is None:
            others = f"{unlabelled} and {outside} {_IGNORED}"
        else:
            others = f"{outside} {_IGNORED}; {unlabelled} {_LEFT_OUT}"
        pictures, persons = count(kept.pictures, "picture", "pictures"), count(kept.persons, "person", "people")
        return f"{name}, {labels}, MaxIoU in [{low:g}, {high:g}): {pictures} with {persons}; {others}."


def count(number: int, one: str, many: str) -> str:
    """The number with its noun."""
    return f"{number:,} {one if number == 1 else many}"
