"""Inpainting: a hole is filled from the rest of the image with what could be there.

A coarse image is completed by patches of its valid rest (Wexler, Shechtman and Irani, "Space-time completion of video",
2007): each patch in the hole is matched to the most similar patch of the rest, valid cells counting most, and each cell
becomes the weighted mean of the patches over it; a few rounds, coarse to fine. The shifts of the matches then copy
pixels of the image into the hole: see `inpaint_shift_map`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.inpaint_shift_map import SQUARE, apply_shifts

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

RADIUS = 2  # of a patch, in cells
PYRAMID_CELLS = (700, 2800)  # cells of the image, coarse to fine
ITERATIONS = 3
LARGE_CELLS = 64  # pixels
MIN_SOURCES = 30
HOLE_DECAY = 0.5  # how much less a cell counts for each cell that it lies deeper in the hole
DISTANCE_PENALTY = 0.02  # penalty for a patch from far away, against colours in [0, 1]
SEAM_PENALTY = 0.004  # what a border between two shifts costs, against colours in [0, 1]
SWEEPS = 12
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """An image in cells.

    colour  (h, w, 3) float32 in [0, 1], also guesses in the hole
    hole    (h, w) bool: to be filled
    valid   (h, w) bool: may be copied from
    """

    colour: Floats
    hole: Bools
    valid: Bools


def inpaint(image: Bytes, hole: Bools, valid: Bools) -> Bytes:
    """The image (h, w, 3) uint8 with its hole (h, w) filled; elsewhere it is unchanged.

    valid  (h, w) bool: pixels to copy from, none of them in the hole

    Where next to nothing is valid, the colours at the hole's edge are extrapolated into it.
    """
    if not hole.any():
        return image
    more = [-length % SQUARE for length in hole.shape]
    if any(more):  # whole squares shrink several times as fast
        wider = (
            cv2.copyMakeBorder(part, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE)
            for part in (image, hole.view(np.uint8), valid.view(np.uint8))
        )
        image, *flags = (np.asarray(part, np.uint8) for part in wider)
        filled = inpaint(image, flags[0].view(np.bool_), flags[1].view(np.bool_))
        return np.ascontiguousarray(filled[: hole.shape[0], : hole.shape[1]])
    small = _halved(image, hole, valid)
    guess, shifts = None, None
    for cells in PYRAMID_CELLS:
        level = _to_cells(small, hole.shape, cells)
        colour = _telea(level) if guess is None else _finer(guess, level)
        match = _match_patches(Cells(colour, level.hole, level.valid))
        if match is not None:
            guess, shifts = match
    if guess is None or shifts is None:
        return _paste(image, hole, np.asarray(_telea(_to_cells(small, hole.shape, PYRAMID_CELLS[-1])), np.float32))
    return apply_shifts(image, hole, valid, shifts)


def _halved(image: Bytes, hole: Bools, valid: Bools) -> tuple[Bytes, Bytes, Bytes]:
    """Sums of valid colours (h, w, 3), how much is hole and how much is valid (h, w), in bytes.

    Images of large cells are halved, which is quick; a square with any hole still has some.
    """
    flags = [part.view(np.uint8) * np.uint8(255) for part in (hole, valid)]
    parts = [np.asarray(cv2.copyTo(image, flags[1]), np.uint8), *flags]
    if hole.size >= LARGE_CELLS * PYRAMID_CELLS[-1]:
        size = hole.shape[1] // 2, hole.shape[0] // 2
        parts = [np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8) for part in parts]
    return parts[0], parts[1], parts[2]


def _to_cells(small: tuple[Bytes, Bytes, Bytes], shape: tuple[int, ...], cells: int) -> Cells:
    """Valid colours in so many cells; a cell is a hole where any of it is, and valid where nearly all of it is."""
    height, width = shape
    shrink = max(1.0, float(np.sqrt(height * width / cells)))
    size = max(round(width / shrink), 1), max(round(height / shrink), 1)
    valid_sums, *flags = small
    hole, fraction = (
        np.asarray(cv2.resize(part * np.float32(1 / 255), size, interpolation=cv2.INTER_AREA), np.float32)
        for part in flags
    )
    sums = np.asarray(cv2.resize(valid_sums, size, interpolation=cv2.INTER_AREA), np.float32) * np.float32(1 / 255)
    colour = np.clip(sums / np.maximum(fraction, 1e-3)[..., None], 0, 1)
    in_hole = hole > 0
    return Cells(np.asarray(colour, np.float32), in_hole, (fraction > 0.98) & ~in_hole)


def _telea(level: Cells) -> Floats:
    """Colours of valid cells extended smoothly over all others (Telea 2004)."""
    mask = (~level.valid).astype(np.uint8)
    if not level.valid.any():
        return np.full_like(level.colour, 0.5)
    image = np.rint(level.colour * 255).astype(np.uint8)
    filled: Floats = cv2.inpaint(image, mask, 3, cv2.INPAINT_TELEA).astype(np.float32) * np.float32(1 / 255)
    return filled


def _finer(guess: Floats, level: Cells) -> Floats:
    """A coarser guess where nothing is valid, and the level's own colours elsewhere."""
    height, width = level.hole.shape
    large = np.asarray(cv2.resize(guess, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(np.where(level.valid[..., None], level.colour, large), np.float32)


def _patches(plane: Floats, rows: Indices, columns: Indices) -> Floats:
    """(N, patch, channels) around N cells of (h, w, channels); the border is replicated."""
    padded = np.pad(plane, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge")
    corners = rows * padded.shape[1] + columns
    within = _offsets(padded.shape[1]) + RADIUS * (padded.shape[1] + 1)
    patches: Floats = padded.reshape(-1, plane.shape[2]).take(corners[:, None] + within, axis=0)
    return patches


def _offsets(width: int) -> Indices:
    """(patch,) how far the cells of a patch lie from its centre, in flattened rows so wide."""
    reach = np.arange(-RADIUS, RADIUS + 1)
    return np.asarray((reach[:, None] * width + reach).reshape(-1), np.intp)


def _match_patches(level: Cells) -> tuple[Floats, Indices] | None:
    """Colours with the hole filled, and the shift (2, h, w) of each of its cells, y then x; None without sources."""
    solid = cv2.erode(level.valid.astype(np.uint8), np.ones((2 * RADIUS + 1,) * 2, np.uint8), borderValue=0) > 0
    sources = np.argwhere(solid)
    targets = np.argwhere(level.hole)
    if len(sources) < MIN_SOURCES or not len(targets):
        return None
    size = level.hole.shape
    depth = cv2.distanceTransform((~level.valid).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    weight = _patches(np.power(np.float32(HOLE_DECAY), depth, dtype=np.float32)[..., None], *targets.T)[..., 0]
    weight /= weight.sum(axis=1, keepdims=True)
    votes = Votes.of(targets, sources, weight, size)
    from_patches = _patches(level.colour, *sources.T)
    # The weighted squared differences of colours and the squared distances of positions, less what is the same for all
    # sources, are one product of matrices.
    diagonal = np.float32(np.hypot(*size))
    to, origins = targets.astype(np.float32) / diagonal, sources.astype(np.float32) / diagonal
    source_terms = np.concatenate(
        [(from_patches**2).sum(axis=2), from_patches.reshape(len(sources), -1), origins, (origins**2).sum(1)[:, None]],
        axis=1,
    ).T
    distance_terms = [-2 * DISTANCE_PENALTY * to, np.full((len(targets), 1), DISTANCE_PENALTY)]
    distance = np.concatenate(distance_terms, axis=1).astype(np.float32)
    colour, nearest, cost = level.colour, np.zeros(len(targets), np.intp), np.zeros((0, 0), np.float32)
    for _ in range(ITERATIONS):
        to_patches = _patches(colour, *targets.T) * (-2 * weight[..., None])
        cost = np.concatenate([weight, to_patches.reshape(len(targets), -1), distance], axis=1) @ source_terms
        nearest = cost.argmin(axis=1)
        colour = votes.cast(colour, nearest)
    nearest = _regularise_shifts(cost, nearest, targets, sources, size)
    shifts = np.zeros((2, *size), np.intp)
    shifts[:, targets[:, 0], targets[:, 1]] = (sources[nearest] - targets).T
    return votes.cast(colour, nearest), shifts


def _regularise_shifts(
    cost: Floats, nearest: Indices, targets: Indices, sources: Indices, size: tuple[int, ...]
) -> Indices:
    """Sources whose shifts equal their neighbours' where that costs little, so that large pieces are copied.

    Minimises the sum of costs and of seams between different shifts, by iterated conditional modes on a chessboard.
    """
    # Positions are numbers in a grid with as much room on each side as a shift can go beyond.
    grid = tuple(3 * length for length in size)
    here, source = (((cells + size) * (grid[1], 1)).sum(axis=1) for cells in (targets, sources))
    source_at = np.full(grid[0] * grid[1], -1, np.intp)
    source_at[source] = np.arange(len(sources))
    target_at = np.full(grid[0] * grid[1], -1, np.intp)
    target_at[here] = np.arange(len(targets))
    neighbours = np.stack([target_at[here + dy * grid[1] + dx] for dy, dx in NEIGHBOURS])
    odd = targets.sum(axis=1) % 2 == 1
    shift = source[nearest] - here
    chosen, unchanged = nearest.copy(), 0
    for sweep in range(SWEEPS):
        cells = np.flatnonzero(odd if sweep % 2 else ~odd)
        nearby = neighbours[:, cells]
        theirs, exists = shift[nearby], nearby >= 0
        options = np.concatenate([theirs, shift[None, cells]])
        index = source_at[here[cells] + options]
        usable = (index >= 0) & np.concatenate([exists, np.ones_like(exists[:1])])
        seams = ((options[:, None] != theirs) & exists).sum(axis=1)
        costs = cost.reshape(-1).take(cells * len(sources) + np.maximum(index, 0))
        energy = np.where(usable, costs + SEAM_PENALTY * seams, np.inf)
        best = np.take_along_axis(index, energy.argmin(axis=0)[None], axis=0)[0]
        unchanged = 0 if (best != chosen[cells]).any() else unchanged + 1
        if unchanged == 2:  # for both colours of the chessboard
            break
        chosen[cells] = best
        shift[cells] = source[best] - here[cells]
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Which patches vote on the colour of which cell of the hole: each cell lies in the patches of those around it.

    cells    (T,) numbers of the hole's cells in the flattened image
    source   (S,) numbers of the sources there
    voters   (patch, T) which of the T cells votes for each; T, with no weight, where there is none
    weights  (patch, T, 1) float32, their sum over the patch is 1; patches with more valid cells count more
    """

    cells: Indices
    source: Indices
    voters: Indices
    weights: Floats

    @classmethod
    def of(cls, targets: Indices, sources: Indices, weight: Floats, size: tuple[int, ...]) -> Votes:
        """The votes on a hole's cells (T, 2), from sources (S, 2) and the weight (T, patch) in each cell's patch."""
        stride = size[1] + 2 * RADIUS
        padded = (targets[:, 0] + RADIUS) * stride + targets[:, 1] + RADIUS
        target_at = np.full((size[0] + 2 * RADIUS) * stride, len(targets), np.intp)
        target_at[padded] = np.arange(len(targets))
        voters = target_at[padded - _offsets(stride)[:, None]]
        weights = np.append(weight.max(axis=1) ** 0.5, np.float32(0))[voters]
        weights /= np.maximum(weights.sum(axis=0), 1e-6)
        cells, source = (position[:, 0] * size[1] + position[:, 1] for position in (targets, sources))
        return cls(cells, source, voters, weights[..., None])

    def cast(self, colour: Floats, chosen: Indices) -> Floats:
        """Colours (h, w, 3) where each cell of the hole is the weighted mean of the patches over it."""
        flat = colour.reshape(-1, 3)
        votes = np.append(self.source[chosen], self.source[0])[self.voters] + _offsets(colour.shape[1])[:, None]
        out = colour.copy()
        out.reshape(-1, 3)[self.cells] = (flat.take(votes, axis=0) * self.weights).sum(axis=0)
        return out


def _paste(image: Bytes, hole: Bools, colour: Floats) -> Bytes:
    """The image with colours (any size, in [0, 1]) in its hole."""
    if colour.shape[:2] != hole.shape:
        colour = np.asarray(cv2.resize(colour, hole.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
    filled = cv2.addWeighted(colour, 255, colour, 0, 0, dtype=cv2.CV_8U)  # rounds, and clips to 0..255
    out = np.ascontiguousarray(image.copy())
    cv2.copyTo(filled, hole.view(np.uint8), out)
    return out
