"""The K strongest responses of each channel over a stream of images, and the patches they respond to.

Letters: B images per batch, C channels, K kept for each, S size of the receptive field, H and W of the images.
Memory is C K S S 3 bytes, for any number of images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

_MIN_FRACTION = 0.2  # of a channel's patches, for an average


class Peaks(NamedTuple):
    """The maximum of each channel on each image.

    responses  (B, C) float32
    rows       (B, C) cells
    columns    (B, C) cells
    flat       (B, C) True where the response is constant, so that there is no maximum
    shape_hw   rows and columns of the layer
    """

    responses: Floats
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    flat: NDArray[np.bool_]
    shape_hw: tuple[int, int]


class ReceptiveField(NamedTuple):
    """In pixels: size of a cell's receptive field, distance between neighbouring fields, first pixel of cell 0's."""

    size: int
    jump: int
    start: int


class StrongestPatches:
    """Keeps the K strongest responses of C channels, one per image, with their patches."""

    def __init__(self, channels: int, strongest: int, field: ReceptiveField, size: tuple[int, int]) -> None:
        self.field, self.size = field, size
        self.shape_hw = (0, 0)
        self._responses = np.full((channels, strongest), -np.inf, np.float32)
        self._sources = np.full((channels, strongest), -1, np.int64)
        self._corners = np.zeros((channels, strongest, 2), np.int64)
        self._patches = np.zeros((channels, strongest, field.size, field.size, 3), np.uint8)

    def add(self, peaks: Peaks, images: Sequence[Bytes], first: int) -> None:
        """Add B images (H, W, 3), numbered from `first`."""
        self.shape_hw = peaks.shape_hw
        corners = self.field.start + self.field.jump * np.stack([peaks.columns, peaks.rows], axis=-1)
        new = np.where(peaks.flat, -np.inf, peaks.responses).T
        both = np.concatenate([self._responses, new], axis=1)
        kept = np.zeros(both.shape, np.bool_)
        # Of equals the earlier image stays, for any batch size.
        numbers = np.concatenate([self._sources, np.broadcast_to(first + np.arange(new.shape[1]), new.shape)], axis=1)
        order = np.lexsort((numbers, -both), axis=1)[:, : self._responses.shape[1]]
        np.put_along_axis(kept, order, True, axis=1)
        old, entering = np.split(kept & np.isfinite(both), [self._responses.shape[1]], axis=1)
        for channel in np.flatnonzero(entering.any(axis=1)):
            slots = np.flatnonzero(~old[channel])
            for slot, image in zip(slots, np.flatnonzero(entering[channel]), strict=False):
                self._responses[channel, slot] = new[channel, image]
                self._sources[channel, slot] = first + image
                self._corners[channel, slot] = corners[image, channel]
                self._cut(channel, slot, images[int(image)])

    def responses(self) -> Floats:
        """(C, K), strongest first; NaN in unused slots."""
        ordered = np.take_along_axis(self._responses, self._order(), axis=1)
        return np.where(np.isfinite(ordered), ordered, np.nan).astype(np.float32)

    def sources(self) -> NDArray[np.int64]:
        """(C, K) indices of the images; -1 in unused slots."""
        return np.take_along_axis(self._sources, self._order(), axis=1)

    def positions(self) -> Floats:
        """(C, K, 2) centres of the receptive fields, x and y in continuous pixels; NaN in unused slots."""
        corners = np.take_along_axis(self._corners, self._order()[..., None], axis=1)
        centres = np.clip(corners + self.field.size / 2, 0, self.size[::-1])
        return np.where(self.sources()[..., None] >= 0, centres, np.nan).astype(np.float32)

    def possible_xy(self) -> tuple[Floats, Floats]:
        """Possible positions: x of the columns and y of the rows."""
        field = self.field
        y, x = (
            np.clip(field.start + field.jump * np.arange(count) + field.size / 2, 0, side)
            for count, side in zip(self.shape_hw, self.size, strict=True)
        )
        return x.astype(np.float32), y.astype(np.float32)

    def average(self) -> Floats:
        """(C, S, S, 3) mean patch of each channel in 0..255; NaN where less than a fifth of the patches are inside."""
        steps, side = np.arange(self.field.size), np.array(self.size[::-1])
        at = self._corners[..., None] + steps  # (C, K, 2, S)
        inside = (at >= 0) & (at < side[:, None]) & (self._sources >= 0)[..., None, None]
        means = np.full((len(at), self.field.size, self.field.size, 3), np.nan, np.float32)
        for channel, (patches, (x, y)) in enumerate(zip(self._patches, np.moveaxis(inside, 2, 1), strict=True)):
            count = np.einsum("kr,kc->rc", y.astype(np.float32), x.astype(np.float32))[..., None]
            # Outside the image a patch is black, so the sum over all is the sum over the pixels inside.
            enough = count >= max(_MIN_FRACTION * int((self._sources[channel] >= 0).sum()), 1)
            np.divide(patches.sum(axis=0, dtype=np.float32), count, out=means[channel], where=enough)
        return means

    def _order(self) -> NDArray[np.intp]:
        return np.lexsort((self._sources, -self._responses), axis=1)

    def _cut(self, channel: np.intp, slot: np.intp, image: Bytes) -> None:
        """Copy the patch at a slot's corner from the image; black outside the image."""
        x, y = self._corners[channel, slot]
        size, (height, width) = self.field.size, self.size
        top, bottom = np.clip([y, y + size], 0, height)
        left, right = np.clip([x, x + size], 0, width)
        patch = self._patches[channel, slot]
        patch[:] = 0
        patch[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
