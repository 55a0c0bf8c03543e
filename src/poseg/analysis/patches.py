"""The K strongest places of each channel over a stream of pictures, and what could be seen there.

Letters: B pictures at a time, C channels, K kept for each, S size of the receptive field, H and W of the pictures.
Memory is C K S S 3 bytes, however many pictures there are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]


_LEAST_SHARE = 0.2  # of a channel's patches: fewer are no average but a picture


class Peaks(NamedTuple):
    """Where each channel responds most in each picture.

    responses  (B, C) float32
    rows       (B, C) cells
    columns    (B, C) cells
    flat       (B, C) True where the response is the same everywhere, so that no cell stands out
    cells      rows and columns of the layer
    """

    responses: Floats
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    flat: NDArray[np.bool_]
    cells: tuple[int, int]


class Receptive(NamedTuple):
    """Pixels: size of a cell's receptive field, distance between neighbours' fields, where cell 0's field begins."""

    size: int
    jump: int
    start: int


class StrongestPatches:
    """Keeps the K strongest responses of C channels, one a picture, with their patches."""

    def __init__(self, channels: int, strongest: int, receptive: Receptive, size: tuple[int, int]) -> None:
        self.receptive, self.size = receptive, size
        self.cells = (0, 0)
        self._responses = np.full((channels, strongest), -np.inf, np.float32)
        self._sources = np.full((channels, strongest), -1, np.int64)
        self._corners = np.zeros((channels, strongest, 2), np.int64)
        self._patches = np.zeros((channels, strongest, receptive.size, receptive.size, 3), np.uint8)

    def add(self, peaks: Peaks, images: Sequence[Bytes], first: int) -> None:
        """Take in B pictures (H, W, 3), numbered from `first`."""
        self.cells = peaks.cells
        corners = self.receptive.start + self.receptive.jump * np.stack([peaks.columns, peaks.rows], axis=-1)
        new = np.where(peaks.flat, -np.inf, peaks.responses).T
        both = np.concatenate([self._responses, new], axis=1)
        kept = np.zeros(both.shape, np.bool_)
        # Of equals the earlier picture stays, whatever the batches: numbers settle it.
        numbers = np.concatenate([self._sources, np.broadcast_to(first + np.arange(new.shape[1]), new.shape)], axis=1)
        order = np.lexsort((numbers, -both), axis=1)[:, : self._responses.shape[1]]
        np.put_along_axis(kept, order, True, axis=1)
        old, entering = np.split(kept & np.isfinite(both), [self._responses.shape[1]], axis=1)
        for channel in np.flatnonzero(entering.any(axis=1)):
            slots = np.flatnonzero(~old[channel])
            for slot, picture in zip(slots, np.flatnonzero(entering[channel]), strict=False):
                self._responses[channel, slot] = new[channel, picture]
                self._sources[channel, slot] = first + picture
                self._corners[channel, slot] = corners[picture, channel]
                self._cut(channel, slot, images[int(picture)])

    def responses(self) -> Floats:
        """(C, K), strongest first; NaN for places that are free."""
        ordered = np.take_along_axis(self._responses, self._order(), axis=1)
        return np.where(np.isfinite(ordered), ordered, np.nan).astype(np.float32)

    def sources(self) -> NDArray[np.int64]:
        """(C, K) numbers of the pictures; -1 likewise."""
        return np.take_along_axis(self._sources, self._order(), axis=1)

    def places(self) -> Floats:
        """(C, K, 2) middles of the receptive fields, x and y in continuous pixels; NaN likewise."""
        corners = np.take_along_axis(self._corners, self._order()[..., None], axis=1)
        middles = np.clip(corners + self.receptive.size / 2, 0, self.size[::-1])
        return np.where(self.sources()[..., None] >= 0, middles, np.nan).astype(np.float32)

    def anywhere(self) -> tuple[Floats, Floats]:
        """Where places can lie: x of the columns and y of the rows."""
        field = self.receptive
        y, x = (
            np.clip(field.start + field.jump * np.arange(count) + field.size / 2, 0, side)
            for count, side in zip(self.cells, self.size, strict=True)
        )
        return x.astype(np.float32), y.astype(np.float32)

    def averaged(self) -> Floats:
        """(C, S, S, 3) mean patch of each channel in 0..255; NaN where hardly any patch lies inside its picture."""
        steps, side = np.arange(self.receptive.size), np.array(self.size[::-1])
        at = self._corners[..., None] + steps  # (C, K, 2, S)
        inside = (at >= 0) & (at < side[:, None]) & (self._sources >= 0)[..., None, None]
        means = np.full((len(at), self.receptive.size, self.receptive.size, 3), np.nan, np.float32)
        for channel, (patches, (x, y)) in enumerate(zip(self._patches, np.moveaxis(inside, 2, 1), strict=True)):
            seen = np.einsum("kr,kc->rc", y.astype(np.float32), x.astype(np.float32))[..., None]
            # Outside its picture a patch is black, so the sum over all is the sum over what was seen.
            enough = seen >= max(_LEAST_SHARE * int((self._sources[channel] >= 0).sum()), 1)
            np.divide(patches.sum(axis=0, dtype=np.float32), seen, out=means[channel], where=enough)
        return means

    def _order(self) -> NDArray[np.intp]:
        return np.lexsort((self._sources, -self._responses), axis=1)

    def _cut(self, channel: np.intp, slot: np.intp, image: Bytes) -> None:
        """Put the part of a picture that the corner of a slot points at into its patch; black beyond the border."""
        x, y = self._corners[channel, slot]
        size, (height, width) = self.receptive.size, self.size
        top, bottom = np.clip([y, y + size], 0, height)
        left, right = np.clip([x, x + size], 0, width)
        patch = self._patches[channel, slot]
        patch[:] = 0
        patch[top - y : bottom - y, left - x : right - x] = image[top:bottom, left:right]
