"""Looking at a picture with every teacher: several sizes, its mirror image, its parts; then agreeing on the people."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.agreement import Agreed, Agreement, Box, Look, agree
from poseg.errors import PosegError
from poseg.labelling.teachers import Image, Outliner, Teacher
from poseg.metrics.iou import Mask
from poseg.people import People
from poseg.skeletons import COCO17

TILES = {"none": (), "2x2": (2,), "3x3": (3,), "all": (2, 3), "auto": (3,)}
# Parts overlap, so that whoever is cut by the edge of one is whole in its neighbour.
SHARE = {2: 0.6, 3: 0.45}
CROWD = 5
CROWD_SCORE = 0.2
EARLIER = 3  # labels made before are worth several looks: they are what several looks agreed on


@dataclass(frozen=True, slots=True)
class Assignment:
    """A teacher and how it looks.

    sizes      long sides of its input; None takes the teacher's own
    trust      factor on its scores
    tile_size  long side at which it looks at parts of the picture; None leaves them out
    """

    teacher: Teacher
    sizes: tuple[int, ...] | None = None
    trust: float = 1.0
    tile_size: int | None = None

    @property
    def looks_at(self) -> tuple[int, ...]:
        """The sizes in use."""
        return self.sizes or self.teacher.sizes


@dataclass(frozen=True, slots=True)
class Looking:
    """How pictures are looked at.

    assignments  the teachers
    flip         the mirror image too
    tiles        "none"; "2x2", "3x3" overlapping parts or "all" of both; "auto": 3x3 where 5 people or more are found
    agreement    when looks agree
    """

    assignments: tuple[Assignment, ...]
    flip: bool = True
    tiles: str = "auto"
    agreement: Agreement = field(default_factory=Agreement)

    def __post_init__(self) -> None:
        if all(getattr(one.teacher, "only_outlines", False) for one in self.assignments):
            raise PosegError("Labelling needs at least one teacher that finds people.")
        if self.tiles not in TILES:
            raise PosegError(f"Parts are {', '.join(TILES)}; got {self.tiles!r}.")


@dataclass(frozen=True, slots=True, eq=False)
class Finding:
    """What teachers agree on in one picture.

    agreed          the people, without masks
    masks           (N, H, W) bool
    mask_agreement  (N,) how much the masks of teachers agree; 0 where at most one knows the person's
    """

    agreed: Agreed
    masks: NDArray[np.bool_]
    mask_agreement: NDArray[np.float32]


def find_people(image: Image, looking: Looking, before: People | None = None) -> Finding:
    """The people of a picture (H, W, 3) that teachers agree on; labels made `before` count as more looks."""
    views = [(image, False)]
    if looking.flip:
        views.append((np.ascontiguousarray(image[:, ::-1]), True))
    looks, owners = _whole_looks(views, looking)
    if before is not None:
        looks += [Look(before.remap_to(COCO17))] * EARLIER
        owners += [-1] * EARLIER
    if looking.tiles != "none" and (looking.tiles != "auto" or _crowded(looks, looking.agreement)):
        parts = _part_looks(views, looking)
        looks += parts
    agreed = agree(looks, looking.agreement)
    given = None if before is None or before.masks is None else (owners.index(-1), before.masks.full())
    masks, agreement = _outlined(views, looking, agreed, given)
    return Finding(agreed, masks, agreement)


def part_windows(height: int, width: int, parts: int) -> list[tuple[int, int, int, int]]:
    """Overlapping windows xyxy, parts x parts, that cover a picture, the same in its mirror image."""
    share = SHARE[parts]
    across, down = max(1, round(share * width)), max(1, round(share * height))
    starts = [
        [round((side - length) * place / (parts - 1)) for place in range(parts)]
        for side, length in ((width, across), (height, down))
    ]
    return [(x, y, x + across, y + down) for y in starts[1] for x in starts[0]]


def _whole_looks(views: Sequence[tuple[Image, bool]], looking: Looking) -> tuple[list[Look], list[int]]:
    """Looks at the whole picture, and whose they are."""
    looks, owners = [], []
    for owner, assignment in enumerate(looking.assignments):
        # Whoever finds nobody on principle must not count as a look that missed everybody.
        for size in () if getattr(assignment.teacher, "only_outlines", False) else assignment.looks_at:
            for image, flipped in views:
                people = assignment.teacher(image, size).remap_to(COCO17)
                looks.append(Look(people.flipped(image.shape[1]) if flipped else people, assignment.trust))
                owners.append(owner)
    return looks, owners


def _part_looks(views: Sequence[tuple[Image, bool]], looking: Looking) -> list[Look]:
    looks = []
    for assignment in looking.assignments:
        if assignment.tile_size is None:
            continue
        for image, flipped in views:
            height, width = image.shape[:2]
            for parts in TILES[looking.tiles]:
                for window in part_windows(height, width, parts):
                    looks.append(_part_look(image, flipped, window, assignment))
    return looks


def _part_look(image: Image, flipped: bool, window: tuple[int, int, int, int], assignment: Assignment) -> Look:
    left, top, right, bottom = window
    people = assignment.teacher(np.ascontiguousarray(image[top:bottom, left:right]), assignment.tile_size).remap_to(
        COCO17
    )
    corner = np.array([left, top], np.float32)
    people = replace(
        people, keypoints=people.keypoints + corner, boxes_xyxy=people.boxes_xyxy + np.tile(corner, 2), masks=None
    )
    box: Box = (left, top, right, bottom)
    if flipped:
        width = image.shape[1]
        people, box = people.flipped(width), (width - right, top, width - left, bottom)
    return Look(people, assignment.trust, box)


def _crowded(looks: Sequence[Look], agreement: Agreement) -> bool:
    return int((agree(looks, agreement).people.scores >= CROWD_SCORE).sum()) >= CROWD


def _outlined(
    views: Sequence[tuple[Image, bool]],
    looking: Looking,
    agreed: Agreed,
    given: tuple[int, NDArray[np.bool_]] | None,
) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
    """The masks that teachers agree on, and how much; `given` are masks of the people of one look."""
    people, image = agreed.people, views[0][0]
    masks = np.zeros((len(people), image.shape[0], image.shape[1]), np.bool_)
    agreement = np.zeros(len(people), np.float32)
    if not len(people):
        return masks, agreement
    drawn: list[tuple[int, NDArray[np.bool_]]] = []
    for owner, assignment in enumerate(looking.assignments):
        if isinstance(assignment.teacher, Outliner):
            for size in assignment.looks_at:
                for view, flipped in views:
                    asked = people.flipped(view.shape[1]) if flipped else people
                    stack = assignment.teacher.outline(view, asked, size)
                    drawn.append((owner, stack[:, :, ::-1] if flipped else stack))
    for person in range(len(people)):
        known = [(owner, stack[person]) for owner, stack in drawn if stack[person].any()]
        if given is not None:
            rows = [row for look, row in agreed.members[person] if look == given[0]]
            known += [(-1, given[1][row]) for row in rows if given[1][row].any()]
        if known:
            masks[person], agreement[person] = majority_mask([mask for _, mask in known], [owner for owner, _ in known])
    return masks, agreement


def majority_mask(masks: Sequence[Mask], teachers: Sequence[Hashable]) -> tuple[Mask, float]:
    """The pixels that at least half of the masks (H, W) of one person hold, and how much the masks agree.

    `teachers` says whose mask each is. The agreement is the mean IoU of the pairs of masks of different teachers,
    or, where there is only one teacher, of all pairs; 0 for a single mask.
    """
    votes = np.sum([mask.astype(np.uint8) for mask in masks], axis=0)
    majority = np.asarray(2 * votes >= len(masks), np.bool_)
    several = len(set(teachers)) > 1
    overlaps = [
        _iou(a, b)
        for (a, first), (b, second) in combinations(list(zip(masks, teachers, strict=True)), 2)
        if not several or first != second
    ]
    return majority, float(np.mean(overlaps)) if overlaps else 0.0


def _iou(a: Mask, b: Mask) -> float:
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 0.0
