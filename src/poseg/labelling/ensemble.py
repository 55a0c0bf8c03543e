"""The ensemble: every teacher runs on views of an image (sizes, flip, overlapping tiles), and their poses are fused."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.pose_fusion import FusedPeople, FusionConfig, ViewDetections, fuse_poses
from poseg.errors import PosegError
from poseg.geometry.pose_size import body_boxes
from poseg.labelling.teachers import Image, Segmenter, Teacher
from poseg.people import People
from poseg.skeletons import COCO17

Mask = NDArray[np.bool_]

TILES = {"none": (), "2x2": (2,), "3x3": (3,), "all": (2, 3), "auto": (3,)}
# Tiles overlap, so that a person cut by the edge of one is whole in its neighbour.
TILE_FRACTION = {2: 0.6, 3: 0.45}
CROWD_SIZE = 5
MIN_CROWD_SCORE = 0.2
PRIOR_LABEL_VOTES = 3  # prior labels are a consensus already, so they count as several views
PRIOR_LABELS = -1  # in place of the index of a teacher


@dataclass(frozen=True, slots=True)
class TeacherConfig:
    """A teacher and the views it predicts on.

    sizes      long sides of its input in pixels; None takes the teacher's own
    weight     factor on its scores
    tile_size  long side in pixels of its input for tiles; None: no tiles
    """

    teacher: Teacher
    sizes: tuple[int, ...] | None = None
    weight: float = 1.0
    tile_size: int | None = None

    @property
    def input_sizes(self) -> tuple[int, ...]:
        """The sizes in use."""
        return self.sizes or self.teacher.sizes

    @property
    def masks_only(self) -> bool:
        """Whether the teacher predicts no people, only masks of people."""
        return bool(getattr(self.teacher, "masks_only", False))

    @property
    def detects_boxes(self) -> bool:
        """Whether the boxes of its people are those of a detector rather than around joints."""
        return bool(getattr(self.teacher, "detects_boxes", False))


@dataclass(frozen=True, slots=True)
class EnsembleConfig:
    """The teachers and how their predictions are fused.

    flip    predict on the flipped image too
    tiles   "none"; "2x2", "3x3" overlapping tiles or "all" of both; "auto": 3x3 where 5 people or more are detected
    fusion  when detections are of the same person

    Raises PosegError where no teacher detects people, and for other tiles.
    """

    teachers: tuple[TeacherConfig, ...]
    flip: bool = True
    tiles: str = "auto"
    fusion: FusionConfig = field(default_factory=FusionConfig)

    def __post_init__(self) -> None:
        if all(config.masks_only for config in self.teachers):
            raise PosegError("Labelling needs at least one teacher that detects people.")
        if self.tiles not in TILES:
            raise PosegError(f"Tiles are {', '.join(TILES)}; got {self.tiles!r}.")


@dataclass(frozen=True, slots=True, eq=False)
class Consensus:
    """What the teachers agree on in one image.

    fused           the people, without masks; their boxes are those of detectors, else around the body by its joints
    masks           (N, H, W) bool
    mask_agreement  (N,) mean IoU between the masks of teachers, or those of a single one; 0 for fewer than two masks
    independent     (N,) bool: the masks are those of several teachers
    """

    fused: FusedPeople
    masks: Mask
    mask_agreement: NDArray[np.float32]
    independent: NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class _View:
    """The image (H, W, 3), flipped or not."""

    image: Image
    flipped: bool

    def people(self, people: People) -> People:
        """People of the image in this view, and of this view in the image."""
        return people.flipped(self.image.shape[1]) if self.flipped else people


@dataclass(frozen=True, slots=True, eq=False)
class _Detected(ViewDetections):
    """Detections of one view, and whether their boxes are a detector's."""

    has_boxes: bool = False


def ensemble_image(image: Image, config: EnsembleConfig, prior: People | None = None) -> Consensus:
    """The people of an image (H, W, 3) that the teachers agree on; `prior` labels count as `PRIOR_LABEL_VOTES` views.

    Coordinates are those of the image, in continuous pixels, on the COCO skeleton.
    """
    views = [_View(image, flipped=False)]
    if config.flip:
        views.append(_View(np.ascontiguousarray(image[:, ::-1]), flipped=True))
    detections = list(_full_image_detections(views, config))
    num_teacher_views = len(detections)
    if prior is not None:
        detections += [_Detected(prior.remap_to(COCO17))] * PRIOR_LABEL_VOTES
    if config.tiles != "none" and (config.tiles != "auto" or _is_crowded(detections, config.fusion)):
        detections += _tile_detections(views, config)
    fused = _with_body_boxes(_fused(detections, config.fusion), detections, (image.shape[0], image.shape[1]))
    masks: list[list[tuple[int, Mask]]] = [[] for _ in range(len(fused.people))]
    if len(fused.people):
        _add_teacher_masks(masks, views, config, fused.people)
        if prior is not None and prior.masks is not None:
            for person, sources in enumerate(fused.sources):
                rows = [row for view, row in sources if view == num_teacher_views]
                masks[person] += [(PRIOR_LABELS, prior.masks.full(row)) for row in rows]
    return Consensus(fused, *_consensus_masks(masks, (image.shape[0], image.shape[1])))


def tile_windows(height: int, width: int, count: int) -> list[tuple[int, int, int, int]]:
    """Count x count overlapping tiles xyxy that cover an image, symmetric under flipping."""
    fraction = TILE_FRACTION[count]
    across, down = max(1, round(fraction * width)), max(1, round(fraction * height))
    starts = [
        [round((side - length) * index / (count - 1)) for index in range(count)]
        for side, length in ((width, across), (height, down))
    ]
    return [(x, y, x + across, y + down) for y in starts[1] for x in starts[0]]


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


def _full_image_detections(views: Sequence[_View], config: EnsembleConfig) -> Iterator[_Detected]:
    for teacher in config.teachers:
        # A teacher of masks alone must not count as a view that missed all people.
        for size in () if teacher.masks_only else teacher.input_sizes:
            for view in views:
                people = view.people(teacher.teacher(view.image, size).remap_to(COCO17))
                yield _Detected(people, teacher.weight, has_boxes=teacher.detects_boxes)


def _tile_detections(views: Sequence[_View], config: EnsembleConfig) -> Iterator[_Detected]:
    for teacher in config.teachers:
        if teacher.tile_size is None:
            continue
        for view in views:
            height, width = view.image.shape[:2]
            for count in TILES[config.tiles]:
                for window in tile_windows(height, width, count):
                    yield _tile_detection(view, window, teacher)


def _tile_detection(view: _View, window: tuple[int, int, int, int], config: TeacherConfig) -> _Detected:
    left, top, right, bottom = window
    people = config.teacher(np.ascontiguousarray(view.image[top:bottom, left:right]), config.tile_size).remap_to(COCO17)
    corner = np.array([left, top], np.float32)
    people = replace(
        people, keypoints=people.keypoints + corner, boxes_xyxy=people.boxes_xyxy + np.tile(corner, 2), masks=None
    )
    if view.flipped:
        width = view.image.shape[1]
        left, right = width - right, width - left
    return _Detected(view.people(people), config.weight, (left, top, right, bottom), has_boxes=config.detects_boxes)


def _fused(detections: Sequence[_Detected], fusion: FusionConfig) -> FusedPeople:
    """The people of all views; scores are the square roots of those of fusion, as the label thresholds expect."""
    fused = fuse_poses(detections, fusion)
    return replace(fused, people=replace(fused.people, scores=np.sqrt(fused.people.scores)))


def _with_body_boxes(fused: FusedPeople, detections: Sequence[_Detected], size: tuple[int, int]) -> FusedPeople:
    """The people with the mean of their detected boxes; without any, the box around the body by its joints."""
    people = fused.people
    boxes = body_boxes(people.keypoints, people.keypoint_scores, size)
    for person, sources in enumerate(fused.sources):
        detected = [detections[view].people.boxes_xyxy[row] for view, row in sources if detections[view].has_boxes]
        if detected:
            boxes[person] = np.mean(detected, axis=0)
    return replace(fused, people=replace(people, boxes_xyxy=boxes))


def _is_crowded(detections: Sequence[_Detected], fusion: FusionConfig) -> bool:
    return int((_fused(detections, fusion).people.scores >= MIN_CROWD_SCORE).sum()) >= CROWD_SIZE


def _add_teacher_masks(
    masks: list[list[tuple[int, Mask]]], views: Sequence[_View], config: EnsembleConfig, people: People
) -> None:
    """Append to the masks of each person, as (index of the teacher, mask), those of every teacher that segments."""
    for index, teacher in enumerate(config.teachers):
        if isinstance(teacher.teacher, Segmenter):
            for size in teacher.input_sizes:
                for view in views:
                    segmented = teacher.teacher.segment(view.image, view.people(people), size)
                    for person, prompts in enumerate(segmented[..., ::-1] if view.flipped else segmented):
                        masks[person] += [(index, mask) for mask in prompts.reshape(-1, *prompts.shape[-2:])]


def _consensus_masks(
    masks: Sequence[Sequence[tuple[int, Mask]]], size: tuple[int, int]
) -> tuple[Mask, NDArray[np.float32], NDArray[np.bool_]]:
    """The majority mask of each person's masks, their agreement, and whether several teachers have one."""
    majority = np.zeros((len(masks), *size), np.bool_)
    agreement, independent = np.zeros(len(masks), np.float32), np.zeros(len(masks), np.bool_)
    for person, candidates in enumerate(masks):
        nonempty = [(owner, mask) for owner, mask in candidates if mask.any()]
        if nonempty:
            owners, kept = zip(*nonempty, strict=True)
            majority[person], agreement[person] = majority_mask(kept, owners)
            independent[person] = len(set(owners)) > 1
    return majority, agreement, independent


def _iou(a: Mask, b: Mask) -> float:
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 0.0
