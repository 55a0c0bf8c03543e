"""Letterbox: an image of any size on a network's input, and its inverse.

The image is scaled to the requested long edge and lies at the top left. The right and the bottom are padded with the
mean colour, which is 0 after normalisation. On each axis

    input = scale * (image - origin)                                      (1)

in continuous pixels (`geometry.grid`). The two scales differ a little, since the scaled image has whole pixels. The
origin is the top left of the crop, or 0 without a crop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import ShapeError
from poseg.geometry import affine
from poseg.geometry.boxes import CropXYXY
from poseg.people import People

Floats = NDArray[np.float32]
Size = tuple[int, int]
Crop = CropXYXY


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The position of an image on a network's input.

    image_size    (height, width) of the image in pixels
    content_size  (height, width) of the scaled image, at the top left of the input
    input_size    (height, width) of the input
    crop_xyxy     the part of the image that is shown, in whole pixels; None shows all of it
    """

    image_size: Size
    content_size: Size
    input_size: Size
    crop_xyxy: Crop | None = None

    @property
    def shown_xyxy(self) -> Crop:
        """The part of the image that is shown, all of it or the crop."""
        return self.crop_xyxy or (0, 0, self.image_size[1], self.image_size[0])

    @property
    def scale_xy(self) -> tuple[float, float]:
        """Input pixels in one pixel of the image, along x and along y."""
        left, top, right, bottom = self.shown_xyxy
        return self.content_size[1] / (right - left), self.content_size[0] / (bottom - top)

    def to_input(self, points: ArrayLike) -> Floats:
        """Points (..., 2) of the image on the input: equation (1)."""
        return ((np.asarray(points, np.float64) - self.shown_xyxy[:2]) * self.scale_xy).astype(np.float32)

    def to_image(self, points: ArrayLike) -> Floats:
        """Points (..., 2) of the input on the image; the inverse of `to_input`."""
        return (np.asarray(points, np.float64) / self.scale_xy + self.shown_xyxy[:2]).astype(np.float32)

    @property
    def onto_image(self) -> affine.Matrix:
        """`to_image` as a map of the plane."""
        return np.column_stack([np.diag(1 / np.array(self.scale_xy)), self.shown_xyxy[:2]])

    def padded_image(self, image: NDArray[np.uint8], colour: Sequence[float]) -> NDArray[np.uint8]:
        """The network's input before normalisation: (*input_size, 3) uint8, padded with a colour."""
        padded = np.empty((*self.input_size, 3), np.uint8)
        padded[:] = np.rint(colour)
        padded[: self.content_size[0], : self.content_size[1]] = self._scaled(image)
        return padded

    def _scaled(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The visible part of the image, resized to the content."""
        rows, columns = self.content_size
        left, top, right, bottom = self.shown_xyxy
        image = image[top:bottom, left:right]
        if (rows, columns) == image.shape[:2]:
            return image
        # Area interpolation averages all pixels when it shrinks, but is nearest-neighbour when it enlarges.
        shrinks = rows < image.shape[0] or columns < image.shape[1]
        interpolation = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        return np.asarray(cv2.resize(image, (columns, rows), interpolation=interpolation), np.uint8)

    def people_to_input(self, people: People) -> People:
        """People of the image as people of the input, without masks."""
        boxes = self.to_input(people.boxes_xyxy.reshape(-1, 2, 2)).reshape(-1, 4)
        return replace(people, keypoints=self.to_input(people.keypoints), boxes_xyxy=boxes, masks=None)

    def people_to_image(self, people: People) -> People:
        """People of the input as people of the image.

        Joints may lie outside the image; boxes and masks are clipped to its visible part. Masks must have the
        size of the input (ShapeError), and get that of the image.
        """
        left, top, right, bottom = self.shown_xyxy
        low, high = np.array([(left, top) * 2, (right, bottom) * 2], np.float32)
        boxes = self.to_image(people.boxes_xyxy.reshape(-1, 2, 2)).reshape(-1, 4)
        masks = people.masks
        if masks is not None:
            if masks.size != self.input_size:
                raise ShapeError("people.masks", expected=("N", *self.input_size), got=masks.shape)
            rows, columns = self.content_size
            masks = masks.crop((0, 0, columns, rows)).warp(self.onto_image, self.image_size)
        return replace(
            people,
            keypoints=self.to_image(people.keypoints),
            boxes_xyxy=np.clip(boxes, low, high),
            masks=masks,
        )


def letterbox(
    image: NDArray[np.uint8],
    long_edge_px: int,
    *,
    size_divisor: int,
    size_offset: int,
    mean: Sequence[float],
    std: Sequence[float],
    crop_xyxy: Crop | None = None,
) -> tuple[Floats, Letterbox]:
    """Scale, pad and normalise an image for a network.

    image                      (H, W, 3) uint8 RGB
    long_edge_px               long edge of the input, rounded to the nearest valid size
    size_divisor, size_offset  valid sides are size_divisor * n + size_offset pixels with n >= 1
    mean, std                  for each channel: the input is (RGB in 0..255 - mean) / std
    crop_xyxy                  show this part only, at the scale of the whole image

    Returns the input (1, 3, h, w) float32 and the position of the image on it. Raises ShapeError.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise ShapeError("image", expected="(height, width, 3) uint8", got=f"{image.shape} {image.dtype}")
    target = make_letterbox(
        (image.shape[0], image.shape[1]),
        long_edge_px,
        size_divisor=size_divisor,
        size_offset=size_offset,
        crop_xyxy=crop_xyxy,
    )
    rows, columns = target.content_size
    tensor = np.zeros((1, 3, *target.input_size), np.float32)
    factor = 1 / np.array(std, np.float32)
    # Bytes have 256 values, so a lookup table for each channel is three times as fast as arithmetic.
    tables = np.arange(256, dtype=np.float32) * factor[:, None] - (np.array(mean, np.float32) * factor)[:, None]
    for plane, table, channel in zip(cv2.split(target._scaled(image)), tables, tensor[0], strict=True):
        channel[:rows, :columns] = cv2.LUT(plane, table)
    return tensor, target


def make_letterbox(
    image_size: Size, long_edge_px: int, *, size_divisor: int, size_offset: int, crop_xyxy: Crop | None = None
) -> Letterbox:
    """The letterbox of an image of `image_size` (height, width); the other arguments as in `letterbox`.

    A crop becomes a little smaller or larger, so that it fills an input, where the image is large enough.
    Raises ShapeError for a crop that is empty or not in the image.
    """

    def valid_side(n: int) -> int:
        return size_divisor * max(n, 1) + size_offset

    def covering(side: int) -> int:
        return valid_side(-((size_offset - side) // size_divisor))

    long_px = valid_side(round((long_edge_px - size_offset) / size_divisor))
    ratio = long_px / max(image_size)
    if crop_xyxy is None:
        rows, columns = (max(1, round(side * ratio)) for side in image_size)
        return Letterbox(image_size, (rows, columns), (covering(rows), covering(columns)))
    left, top, right, bottom = crop_xyxy
    if not (0 <= left < right <= image_size[1] and 0 <= top < bottom <= image_size[0]):
        raise ShapeError("crop_xyxy", expected=f"a part of {image_size[1]} x {image_size[0]} px", got=crop_xyxy)
    spans, contents = [], []
    for low, high, side in ((top, bottom, image_size[0]), (left, right, image_size[1])):
        input_px = valid_side(round(((high - low) * ratio - size_offset) / size_divisor))
        length = side if high - low == side else min(round(input_px / ratio), side)
        content = input_px if length < side else max(1, round(side * ratio))
        # Where a pixel is enlarged to many, whole pixels hardly ever fill an input: what is left is padded.
        if length < side and abs(input_px - length * ratio) > 1 + size_divisor / length:
            length = max(1, int(input_px / ratio))
            content = round(length * ratio)
        # What changes changes on both ends, but for an end at the edge of the image.
        centred = min(max((low + high - length) // 2, 0), side - length)
        start = 0 if low == 0 else side - length if high == side else centred
        spans.append((start, start + length))
        contents.append(content)
    (top, bottom), (left, right) = spans
    inputs = (covering(contents[0]), covering(contents[1]))
    return Letterbox(image_size, (contents[0], contents[1]), inputs, (left, top, right, bottom))
