"""Contact sheets of labels, for checking by eye."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.overlay import overlay
from poseg.geometry.boxes import xywh_to_xyxy
from poseg.geometry.grid import pixel_centres
from poseg.geometry.masks import Masks
from poseg.geometry.rle import segmentation_mask
from poseg.io.images import write_png
from poseg.people import People
from poseg.skeletons import COCO17

Image = NDArray[np.uint8]

ROWS, COLUMNS, CELL_PX = 4, 6, 320
GREY, EDGE = 128, 40
HATCH_PX = 8


class ContactSheets:
    """Sheets 0001.png, 0002.png, ... of 24 images each in a folder; regions to ignore are hatched."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._cells: list[Image] = []
        self._written = 0

    def add(self, name: str, image: Image, records: Sequence[Mapping[str, Any]]) -> None:
        """One more image (H, W, 3) with its annotations; `name` is not drawn, cells are in the order of the run."""
        self._cells.append(_cell(draw_labels(image, records)))
        if len(self._cells) == ROWS * COLUMNS:
            self.finish()

    def finish(self) -> None:
        """Write the sheet that is not full yet. Raises OutputError."""
        if not self._cells:
            return
        columns = min(COLUMNS, len(self._cells))
        rows = -(-len(self._cells) // columns)
        sheet = np.full((rows * CELL_PX, columns * CELL_PX, 3), EDGE, np.uint8)
        for index, cell in enumerate(self._cells):
            row, column = divmod(index, columns)
            sheet[row * CELL_PX : (row + 1) * CELL_PX, column * CELL_PX : (column + 1) * CELL_PX] = cell
        self._written += 1
        write_png(self.folder / f"{self._written:04d}.png", sheet)
        self._cells = []


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


def _cell(image: Image) -> Image:
    ratio = (CELL_PX - 4) / max(image.shape[:2])
    height, width = (max(1, round(side * ratio)) for side in image.shape[:2])
    small = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR)
    cell = np.full((CELL_PX, CELL_PX, 3), EDGE, np.uint8)
    top, left = (CELL_PX - height) // 2, (CELL_PX - width) // 2
    cell[top : top + height, left : left + width] = small
    return cell
