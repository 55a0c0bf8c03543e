"""A consensus as COCO annotations (certain people are labels, uncertain ones regions to ignore), and labels drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.figures import contact_sheet, resize_to
from poseg.draw.overlay import overlay
from poseg.geometry.boxes import xywh_to_xyxy
from poseg.geometry.grid import pixel_centres, pixel_indices
from poseg.geometry.masks import Masks
from poseg.geometry.rle import encode_rle, segmentation_mask, tight_boxes
from poseg.io.images import write_png
from poseg.labelling.ensemble import Consensus
from poseg.labelling.teachers import Image
from poseg.people import People
from poseg.skeletons import COCO17

ON_MASK = 0.02  # a joint is on a mask within this fraction of the longer side of the person's box
BOX_FILL = 0.5  # fraction of its box that a body without a mask is taken to cover
MAX_COVERED = 0.6  # a region to ignore of which a label's box covers more is a second detection of that person

ROWS, COLUMNS, TILE_PX = 4, 6, 320  # of a contact sheet
GREY, HATCH_PX = 128, 8


@dataclass(frozen=True, slots=True)
class LabelThresholds:
    """What becomes a label.

    min_person    score of a labelled person
    min_ignore    score of a person to ignore
    min_joint     score of a joint with v = 2
    min_mask_iou  agreement between teachers of a mask that is kept
    min_joints    number of joints with v = 2 of a labelled person
    min_view_iou  agreement of a mask that is kept, where it is that of views or prompts of one teacher alone
    min_on_mask   fraction of the joints with v = 2 that lie on a mask that is kept
    """

    min_person: float = 0.2
    min_ignore: float = 0.1
    min_joint: float = 0.35
    min_mask_iou: float = 0.5
    min_joints: int = 3
    min_view_iou: float = 0.5
    min_on_mask: float = 0.0

    @classmethod
    def strictest(cls, several: Iterable[LabelThresholds]) -> LabelThresholds:
        """The highest of each of some thresholds, and of the defaults: every teacher gets what it asks for."""
        rows = [astuple(one) for one in (cls(), *several)]
        return cls(*(max(column) for column in zip(*rows, strict=True)))


def to_coco(
    consensus: Consensus, size: tuple[int, int], thresholds: LabelThresholds = LabelThresholds()
) -> list[dict[str, Any]]:
    """COCO annotations of one image of `size` (height, width), without ids, highest score first.

    keypoints        x, y, v: v = 2 confident and inside the image, v = 0 uncertain, with its position
    keypoint_scores  one a joint; score: the person's
    segmentation     RLE, only where masks agree; `mask_agreement` is their IoU. Box and area are the mask's
                     then, else the detected box, or that around the body by its joints, and half of it
    ignore           1 for an uncertain person: no joints, no mask, box only; left out where it covers a labelled one
    """
    scores = consensus.fused.people.scores
    rows = [row for row in range(len(scores)) if scores[row] >= thresholds.min_ignore]
    records = [_record(consensus, row, size, thresholds) for row in rows]
    labels = [record["bbox"] for record in records if "ignore" not in record]
    return [record for record in records if "ignore" not in record or not _covered(record["bbox"], labels)]


def _record(consensus: Consensus, row: int, size: tuple[int, int], thresholds: LabelThresholds) -> dict[str, Any]:
    people = consensus.fused.people
    points, scores = people.keypoints[row], people.keypoint_scores[row]
    score, agreement = float(people.scores[row]), float(consensus.mask_agreement[row])
    inside = ((points >= 0) & (points <= (size[1], size[0]))).all(axis=1)
    confident = (scores >= thresholds.min_joint) & inside
    is_label = score >= thresholds.min_person and int(confident.sum()) >= thresholds.min_joints
    record = _pose(points, scores, confident & is_label, score)
    mask, box = consensus.masks[row], _clipped_box(people.boxes_xyxy[row], size)
    holds = agreement >= (thresholds.min_mask_iou if consensus.independent[row] else thresholds.min_view_iou)
    reach_px = max(1, round(ON_MASK * float((box[2:] - box[:2]).max())))
    if is_label and holds and fraction_on_mask(mask, points[confident], reach_px) >= thresholds.min_on_mask:
        record |= _bbox_area(tight_boxes(mask[None])[0], float(np.count_nonzero(mask)))
        return record | {"segmentation": encode_rle(mask), "mask_agreement": round(agreement, 2)}
    record |= _bbox_area(box, BOX_FILL * float(np.prod(np.maximum(box[2:] - box[:2], 1))))
    return record if is_label else record | {"ignore": 1}


def _covered(bbox: Sequence[float], labels: Sequence[Sequence[float]]) -> bool:
    """Whether most of a box lies in that of one label."""
    if not labels:
        return False
    low, high = np.split(xywh_to_xyxy([bbox])[0], 2)
    others = xywh_to_xyxy(labels)
    shared = np.clip(np.minimum(others[:, 2:], high) - np.maximum(others[:, :2], low), 0, None).prod(axis=1)
    return bool((shared > MAX_COVERED * max(float((high - low).prod()), 1.0)).any())


def category() -> dict[str, Any]:
    """The person category as COCO writes it."""
    return {
        "id": 1,
        "name": "person",
        "supercategory": "person",
        "keypoints": list(COCO17.joints),
        "skeleton": (COCO17.indices(COCO17.bones) + 1).tolist(),
    }


def _pose(
    points: NDArray[np.float32], scores: NDArray[np.float32], confident: NDArray[np.bool_], score: float
) -> dict[str, Any]:
    triplets = np.column_stack([pixel_indices(points), np.where(confident, 2, 0)]).astype(np.float64)
    keypoints = [round(value, 1) + 0.0 for value in triplets.reshape(-1).tolist()]
    keypoints[2::3] = [int(flag) for flag in keypoints[2::3]]
    return {
        "category_id": 1,
        "iscrowd": 0,
        "score": round(score, 3),
        "num_keypoints": int(confident.sum()),
        "keypoints": keypoints,
        "keypoint_scores": [round(value, 2) for value in scores.astype(np.float64).tolist()],
    }


def _bbox_area(box: NDArray[np.float32], area: float) -> dict[str, Any]:
    left, top, right, bottom = (float(side) for side in box)
    return {"bbox": [round(side, 1) for side in (left, top, right - left, bottom - top)], "area": round(area, 1)}


def _clipped_box(box: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """A box (4,) xyxy clipped to the image."""
    return np.clip(box, 0, np.array(size[::-1] * 2, np.float32))


def fraction_on_mask(mask: NDArray[np.bool_], points: NDArray[np.float32], reach_px: int) -> float:
    """Fraction of points (M, 2) in an image that lie on its mask (H, W), or within `reach_px`; 1 for no points."""
    if not len(points):
        return 1.0
    side = 2 * reach_px + 1
    near = cv2.dilate(mask.astype(np.uint8), np.ones((side, side), np.uint8))
    column, row = np.clip(np.floor(points).astype(int), 0, np.array(mask.shape[::-1]) - 1).T
    return float((near[row, column] > 0).mean())


class ContactSheets:
    """Sheets 0001.png, 0002.png, ... of 24 images each in a folder, with their names; regions to ignore are hatched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._tiles: dict[str, Image] = {}
        self._written = 0

    def add(self, name: str, image: Image, records: Sequence[Mapping[str, Any]]) -> None:
        """One more image (H, W, 3) with its annotations. Raises OutputError."""
        self._tiles[name], _ = resize_to(draw_labels(image, records), TILE_PX)
        if len(self._tiles) == ROWS * COLUMNS:
            self.finish()

    def finish(self) -> None:
        """Write the sheet that is not full yet. Raises OutputError."""
        if self._tiles:
            self._written += 1
            sheet = contact_sheet(list(self._tiles.values()), list(self._tiles), COLUMNS)
            write_png(self.folder / f"{self._written:04d}.png", sheet)
            self._tiles = {}


def draw_labels(image: Image, records: Sequence[Mapping[str, Any]]) -> Image:
    """The image with its labels: confident joints, masks, scores, and hatched regions to ignore."""
    labels = [record for record in records if not record.get("ignore")]
    canvas = image.copy()
    for record in records:
        if record.get("ignore"):
            _hatch(canvas, record["bbox"])
    triplets = np.array([record["keypoints"] for record in labels], np.float32).reshape(-1, 17, 3)
    size = (image.shape[0], image.shape[1])
    masks = [segmentation_mask(record.get("segmentation"), size) for record in labels]
    people = People(
        COCO17,
        pixel_centres(triplets[..., :2]),
        (triplets[..., 2] > 0).astype(np.float32),
        np.array([record["score"] for record in labels], np.float32),
        xywh_to_xyxy([record["bbox"] for record in labels]),
        Masks.from_full(np.stack(masks)) if masks else None,
    )
    return overlay(canvas, people, scores=True)


def _hatch(canvas: Image, bbox: Sequence[float]) -> None:
    left, top, width, height = (round(side) for side in bbox)
    part = canvas[max(top, 0) : top + height, max(left, 0) : left + width]
    y, x = np.indices(part.shape[:2])
    part[(x + y) % HATCH_PX < HATCH_PX // 4] = GREY
