"""Instance masks: each person's raster, as coarse as its source, and its position on the image.

A raster is a small map of probabilities (a crop of a network) or of bits (an annotation). An affine map carries the
image onto it, so cropping, resizing and flipping change maps and touch no pixel; pixels of the image are made when
they are asked for, for one person at a time.

Letters: N people, H x W pixels of the image, h x w pixels of a raster.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, overload

import cv2
import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray
from pycocotools import mask as coco  # type: ignore[import-untyped]

from poseg.errors import ShapeError
from poseg.geometry import affine
from poseg.geometry.raster_boxes import LEVEL, box_around, rotated_box, straight_box
from poseg.geometry.rle import Rle, decode_rle

Bits = NDArray[np.bool_]
Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Masks:
    """The masks of N people on an image of `size`.

    rasters   N arrays (h, w) uint8, probabilities times 255; empty where there is no mask
    matrices  (N, 2, 3) float64, from the image onto each raster, in continuous pixels (`geometry.grid`)
    size      (H, W) of the image

    A pixel of the image belongs to a person where the raster, interpolated bilinearly at the pixel's centre, is above
    one half. `len`, iteration, indexing and `numpy.asarray` (N, H, W) work as for an array of masks.
    """

    rasters: tuple[Bytes, ...]
    matrices: affine.Matrix
    size: tuple[int, int]

    def __post_init__(self) -> None:
        matrices = np.asarray(self.matrices, np.float64).reshape(-1, 2, 3)
        if len(matrices) != len(self.rasters):
            raise ShapeError("matrices", expected=(len(self.rasters), 2, 3), got=matrices.shape)
        for raster in self.rasters:
            if raster.ndim != 2 or raster.dtype != np.uint8:
                raise ShapeError("rasters", expected="(height, width) uint8", got=f"{raster.shape} {raster.dtype}")
        object.__setattr__(self, "matrices", matrices)
        object.__setattr__(self, "size", (int(self.size[0]), int(self.size[1])))

    @classmethod
    def from_full(cls, masks: ArrayLike) -> Masks:
        """Masks (N, H, W) bool as rasters in their tight boxes. Raises ShapeError."""
        full = np.asarray(masks, np.bool_)
        if full.ndim != 3:
            raise ShapeError("masks", expected=("people", "height", "width"), got=full.shape)
        return cls.from_bitmaps([(mask, 0, 0) for mask in full], (full.shape[1], full.shape[2]))

    @classmethod
    def from_bitmaps(cls, bitmaps: Iterable[tuple[Bits, int, int]], size: tuple[int, int]) -> Masks:
        """Masks from bits (h, w) with the column and the row of the image that each begins at."""
        rasters, shifts = [], []
        for bits, left, top in bitmaps:
            x0, y0, x1, y1 = _extent(bits)
            rasters.append(np.where(bits[y0:y1, x0:x1], np.uint8(255), np.uint8(0)))
            shifts.append((-left - x0, -top - y0))
        matrices = np.tile(affine.identity(), (len(rasters), 1, 1))
        matrices[:, :, 2] = np.array(shifts, np.float64).reshape(-1, 2)
        return cls(tuple(rasters), matrices, size)

    @classmethod
    def from_probabilities(
        cls, probabilities: Floats, matrices: affine.Matrix, size: tuple[int, int], threshold: float = 0.5
    ) -> Masks:
        """Masks from crops (N, h, w) in [0, 1], onto which `matrices` (N, 2, 3) carry the image.

        A pixel of at least `threshold` belongs to the mask: values are stretched so that it becomes one half.
        """
        low, high = 127.5 / threshold, 127.5 / (1 - threshold)
        values = np.where(
            probabilities < threshold, probabilities * low, 127.5 + (probabilities - threshold) * high
        )  # fmt: skip
        return cls(tuple(np.rint(values).clip(0, 255).astype(np.uint8)), matrices, size)

    @classmethod
    def from_rles(cls, rles: Iterable[Rle], size: tuple[int, int]) -> Masks:
        """Masks from COCO's run lengths. Raises AnnotationError, and ShapeError for those of another size."""
        masks = []
        for rle in rles:
            mask = decode_rle(rle)
            if mask.shape != tuple(size):
                raise ShapeError("run lengths", expected=size, got=mask.shape)
            masks.append((mask, 0, 0))
        return cls.from_bitmaps(masks, size)

    @classmethod
    def empty(cls, count: int, size: tuple[int, int]) -> Masks:
        """Masks without a pixel of `count` people."""
        return cls((np.zeros((0, 0), np.uint8),) * count, np.tile(affine.identity(), (count, 1, 1)), size)

    @classmethod
    def concatenate(cls, parts: Sequence[Masks]) -> Masks:
        """All masks of some parts on one image, part after part. Raises ShapeError for images of different sizes."""
        for part in parts:
            if part.size != parts[0].size:
                raise ShapeError("masks", expected=parts[0].size, got=part.size)
        rasters = tuple(raster for part in parts for raster in part.rasters)
        return cls(rasters, np.concatenate([part.matrices for part in parts]), parts[0].size)

    def __len__(self) -> int:
        return len(self.rasters)

    def __iter__(self) -> Iterator[Bits]:
        return (self.full(row) for row in range(len(self)))

    @overload
    def __getitem__(self, which: int | np.integer[Any]) -> Bits: ...
    @overload
    def __getitem__(self, which: slice | Sequence[int] | NDArray[Any]) -> Masks: ...
    def __getitem__(self, which: Any) -> Bits | Masks:
        """`masks[0]` is one person's mask (H, W) bool; `masks[flags]` and `masks[:3]` are Masks."""
        rows = np.arange(len(self))[which]
        if rows.ndim == 0:
            return self.full(int(rows))
        return replace(self, rasters=tuple(self.rasters[row] for row in rows), matrices=self.matrices[rows])

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        return self.full().astype(dtype or np.bool_, copy=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """(N, H, W), that of `full()`."""
        return (len(self), *self.size)

    @cached_property
    def nonempty(self) -> Bits:
        """(N,) whose raster reaches one half; the others have no mask."""
        return np.array([bool(raster.size) and int(raster.max()) > LEVEL for raster in self.rasters], np.bool_)

    def bitmap(self, index: int) -> tuple[Bits, int, int]:
        """One person's pixels (h, w) bool, and the column and the row of the image that they begin at."""
        if not self.nonempty[index]:
            return np.zeros((0, 0), np.bool_), 0, 0
        raster, matrix = self.rasters[index], self.matrices[index]
        shift = _whole_shift(matrix)
        if shift is not None:
            return _clipped(raster > LEVEL, *shift, self.size)
        left, top, right, bottom = self._reach(index)
        width, height = right - left, bottom - top
        if width <= 0 or height <= 0:
            return np.zeros((0, 0), np.bool_), 0, 0
        onto = affine.to_cv2(affine.compose(matrix, np.array([[1.0, 0, left], [0, 1, top]])))
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        values = cv2.warpAffine(raster, onto, (width, height), flags=flags, borderMode=cv2.BORDER_CONSTANT)
        return np.asarray(values > LEVEL, np.bool_), left, top

    def full(self, index: int | None = None) -> Bits:
        """One person's mask (H, W) bool, or those of all people (N, H, W)."""
        rows = range(len(self)) if index is None else [index]
        out = np.zeros((len(rows), *self.size), np.bool_)
        for target, row in zip(out, rows, strict=True):
            bits, left, top = self.bitmap(row)
            target[top : top + bits.shape[0], left : left + bits.shape[1]] = bits
        return out if index is None else out[0]

    def union(self) -> Bits:
        """(H, W) where any person is."""
        out = np.zeros(self.size, np.bool_)
        for row in range(len(self)):
            bits, left, top = self.bitmap(row)
            out[top : top + bits.shape[0], left : left + bits.shape[1]] |= bits
        return out

    @property
    def areas(self) -> NDArray[np.int64]:
        """(N,) numbers of pixels."""
        return np.array([np.count_nonzero(self.bitmap(row)[0]) for row in range(len(self))], np.int64)

    @cached_property
    def boxes_xyxy(self) -> Floats:
        """(N, 4) boxes around the masks in pixels of the image, to a part of a pixel; zeros for an empty mask."""
        boxes = np.zeros((len(self), 4), np.float32)
        for row in np.flatnonzero(self.nonempty):
            raster, matrix = self.rasters[row], self.matrices[row]
            if _whole_shift(matrix) is not None:
                x, y = -matrix[:, 2]
                boxes[row] = np.add(_extent(raster > LEVEL), (x, y, x, y))
            elif matrix[0, 1] == 0 == matrix[1, 0]:
                boxes[row] = straight_box(raster, matrix, self.size)
            else:
                boxes[row] = rotated_box(raster, matrix, self.size)
        edge = np.array((*self.size[::-1], *self.size[::-1]), np.float32)
        return np.clip(boxes, 0, edge)

    @property
    def confidences(self) -> Floats:
        """(N,) mean probability within each mask, in [0, 1]; 0 for an empty one."""
        inside = [raster[raster > LEVEL] for raster in self.rasters]
        return np.array([pixels.mean() / 255 if pixels.size else 0 for pixels in inside], np.float32)

    def without_overlaps(self, weights: ArrayLike | None = None) -> Masks:
        """The masks where a pixel belongs to one person at most: the most probable one, of equals the first.

        `weights` (N,), such as people's scores, multiply the probabilities, so that an uncertain second detection of a
        body does not take its pixels. Decided on each raster's own pixels, so at a border between two people both may
        hold a few pixels of the image.
        """
        weight = np.ones(len(self)) if weights is None else np.maximum(np.asarray(weights, np.float64), 1e-3)
        boxes, rasters = self.boxes_xyxy, list(self.rasters)
        for row in np.flatnonzero(self.nonempty):
            meets = (boxes[:, :2] < boxes[row, 2:]).all(axis=1) & (boxes[row, :2] < boxes[:, 2:]).all(axis=1)
            rivals = [other for other in np.flatnonzero(meets & self.nonempty) if other != row]
            if not rivals:
                continue
            own = self.rasters[row].astype(np.float32)
            back = affine.invert(self.matrices[row])
            value = own.copy()
            for other in rivals:
                onto = affine.to_cv2(affine.compose(self.matrices[other], back))
                flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
                theirs = cv2.warpAffine(self.rasters[other], onto, own.shape[::-1], flags=flags).astype(np.float32)
                # Half of the lead beside one half: the raster stays above it where the person leads.
                heavier = max(weight[row], weight[other])
                lead = (255 + own * (weight[row] / heavier) - theirs * (weight[other] / heavier) + (other > row)) / 2
                np.minimum(value, np.where(theirs > LEVEL, lead, value), out=value)
            rasters[row] = np.floor(value).astype(np.uint8)
        return replace(self, rasters=tuple(rasters))

    def rle(self, index: int) -> Rle:
        """One person's mask as COCO's compressed run lengths, counts as text, ready for JSON."""
        runs = self._runs(index)
        return {"size": list(self.size), "counts": runs["counts"].decode("ascii")}

    def iou(self, others: Masks) -> Floats:
        """(N, M) intersection over union with other masks on the same image; 0 where both are empty."""
        if self.size != others.size:
            raise ShapeError("others", expected=("M", *self.size), got=others.shape)
        if not len(self) or not len(others):
            return np.zeros((len(self), len(others)), np.float32)
        runs = [[masks._runs(row) for row in range(len(masks))] for masks in (self, others)]
        return np.asarray(coco.iou(runs[0], runs[1], [0] * len(others)), np.float32)

    def warp(self, matrix: affine.Matrix, size: tuple[int, int]) -> Masks:
        """The masks on another image of `size`, onto which `matrix` (2, 3) carries this one."""
        back = affine.invert(matrix)
        moved = [affine.compose(own, back) for own in self.matrices]
        return replace(self, matrices=np.array(moved).reshape(-1, 2, 3), size=size)

    def crop(self, crop_xyxy: tuple[int, int, int, int]) -> Masks:
        """The masks on a part of the image, in whole pixels; bits outside of it are gone for good."""
        left, top, right, bottom = crop_xyxy
        part = self.warp(np.array([[1.0, 0, -left], [0, 1, -top]]), (bottom - top, right - left))
        rasters, matrices = list(part.rasters), part.matrices.copy()
        for row, matrix in enumerate(part.matrices):
            shift = _whole_shift(matrix)
            if shift is not None:
                rasters[row], x, y = _clipped(rasters[row], *shift, part.size)
                matrices[row, :, 2] = -x, -y
        return replace(part, rasters=tuple(rasters), matrices=matrices)

    def resize(self, size: tuple[int, int]) -> Masks:
        """The masks on the image scaled to `size`."""
        y, x = (new / old for new, old in zip(size, self.size, strict=True))
        return self.warp(np.array([[x, 0, 0], [0, y, 0]]), size)

    def flip_lr(self) -> Masks:
        """The masks on the image flipped left to right."""
        return self.warp(np.array([[-1.0, 0, self.size[1]], [0, 1, 0]]), self.size)

    def _reach(self, index: int) -> tuple[int, int, int, int]:
        """Left, top, right and bottom of the whole pixels that a mask may touch."""
        x0, y0, x1, y1 = _extent(self.rasters[index] > LEVEL)
        corners = np.array([(x0, y0), (x1, y0), (x0, y1), (x1, y1)], np.float64)
        corners += np.array([(-1, -1), (1, -1), (-1, 1), (1, 1)])
        box = box_around(affine.apply(affine.invert(self.matrices[index]), corners))
        low, high = np.floor(box[:2]), np.ceil(box[2:])
        left, top = np.clip(low, 0, self.size[::-1]).astype(int).tolist()
        right, bottom = np.clip(high, 0, self.size[::-1]).astype(int).tolist()
        return left, top, right, bottom

    def _runs(self, index: int) -> dict[str, Any]:
        """Pycocotools' compressed run lengths, made from one person's own pixels alone."""
        bits, left, top = self.bitmap(index)
        height, width = self.size
        column = np.zeros((bits.shape[1], bits.shape[0] + 2), np.int8)
        column[:, 1:-1] = bits.T
        at, edge = np.nonzero(np.diff(column, axis=1))
        # Positions down the columns where the mask begins and ends. A run that ends a column and one that begins the
        # next are one: pycocotools' IoU stops at runs without a pixel.
        positions = (left + at) * height + top + edge
        joined = np.flatnonzero(positions[1:] == positions[:-1])
        positions = np.delete(positions, np.concatenate([joined, joined + 1]))
        ends = positions if height * width in positions[-1:] else np.append(positions, height * width)
        lengths = np.diff(ends, prepend=0)
        runs: dict[str, Any] = coco.frPyObjects({"size": [height, width], "counts": lengths.tolist()}, height, width)
        return runs


def _extent(bits: Bits) -> tuple[int, int, int, int]:
    """The tight box of bits (h, w) in whole pixels; zeros where there are none."""
    columns, rows = np.flatnonzero(bits.any(axis=0)), np.flatnonzero(bits.any(axis=1))
    if not len(rows):
        return 0, 0, 0, 0
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _whole_shift(matrix: affine.Matrix) -> tuple[int, int] | None:
    """The column and the row of the image that a raster begins at, where their pixels are the same; or None."""
    shift = np.rint(matrix[:, 2])
    if np.array_equal(matrix[:, :2], np.eye(2)) and np.array_equal(shift, matrix[:, 2]):
        return int(-shift[0]), int(-shift[1])
    return None


def _clipped(bits: NDArray[Any], left: int, top: int, size: tuple[int, int]) -> tuple[NDArray[Any], int, int]:
    """Bits (h, w) that begin at a column and a row, without those outside an image of `size`."""
    inside = bits[max(-top, 0) : max(size[0] - top, 0), max(-left, 0) : max(size[1] - left, 0)]
    return inside, max(left, 0), max(top, 0)
