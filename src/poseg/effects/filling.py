"""Filling a hole from the rest of the picture: what could be there, not what is.

A picture of cells is completed by patches of the known rest (Wexler, Shechtman and Irani, "Space-time completion of
video", 2007): each patch in the hole looks for the patch of the rest that is most like it, known cells counting most,
and each cell becomes the mean of what those patches say; a few rounds, coarse to fine. The shifts found that way then
carry whole pixels of the picture into the hole: see `carrying`.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.effects.carrying import SQUARE, carried

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

RADIUS = 2  # of a patch, in cells
LEVELS = (700, 2800)  # cells of the picture, coarse to fine
ROUNDS = 3
LARGE_CELLS = 64  # pixels
LEAST_SOURCES = 30
DOUBT = 0.5  # how much less a cell counts for each cell that it lies deeper in the hole
NEAR = 0.02  # penalty for a patch from far away, against colours in [0, 1]
BORDER = 0.004  # what a border between two shifts costs, against colours in [0, 1]
SWEEPS = 12
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))


@dataclass(frozen=True, slots=True, eq=False)
class Cells:
    """A picture in cells.

    colour  (h, w, 3) float32 in [0, 1], also guesses in the hole
    hole    (h, w) bool: to be filled
    known   (h, w) bool: may be copied from
    """

    colour: Floats
    hole: Bools
    known: Bools


def fill(image: Bytes, hole: Bools, known: Bools) -> Bytes:
    """A picture (h, w, 3) uint8 whose hole (h, w) is filled; elsewhere it is as it was.

    known  (h, w) bool: pixels to copy from, none of them in the hole

    Where next to nothing is known, the colours at the hole's edge are drawn out into it.
    """
    if not hole.any():
        return image
    more = [-length % SQUARE for length in hole.shape]
    if any(more):  # whole squares shrink several times as fast
        wider = (
            cv2.copyMakeBorder(part, 0, more[0], 0, more[1], cv2.BORDER_REPLICATE)
            for part in (image, hole.view(np.uint8), known.view(np.uint8))
        )
        picture, *flags = (np.asarray(part, np.uint8) for part in wider)
        filled = fill(picture, flags[0].view(np.bool_), flags[1].view(np.bool_))
        return np.ascontiguousarray(filled[: hole.shape[0], : hole.shape[1]])
    small = _halved(image, hole, known)
    guess, shifts = None, None
    for cells in LEVELS:
        level = _in_cells(small, hole.shape, cells)
        colour = _spread(level) if guess is None else _finer(guess, level)
        found = _completed(Cells(colour, level.hole, level.known))
        if found is not None:
            guess, shifts = found
    if guess is None or shifts is None:
        return _laid(image, hole, np.asarray(_spread(_in_cells(small, hole.shape, LEVELS[-1])), np.float32))
    return carried(image, hole, known, shifts)


def _halved(image: Bytes, hole: Bools, known: Bools) -> tuple[Bytes, Bytes, Bytes]:
    """Sums of known colours (h, w, 3), how much is hole and how much is known (h, w), in bytes.

    Pictures of large cells are halved, which is quick; a square with any hole still has some.
    """
    flags = [part.view(np.uint8) * np.uint8(255) for part in (hole, known)]
    parts = [np.asarray(cv2.copyTo(image, flags[1]), np.uint8), *flags]
    if hole.size >= LARGE_CELLS * LEVELS[-1]:
        size = hole.shape[1] // 2, hole.shape[0] // 2
        parts = [np.asarray(cv2.resize(part, size, interpolation=cv2.INTER_AREA), np.uint8) for part in parts]
    return parts[0], parts[1], parts[2]


def _in_cells(small: tuple[Bytes, Bytes, Bytes], shape: tuple[int, ...], cells: int) -> Cells:
    """Known colours in so many cells; a cell is a hole where any of it is, and known where nearly all of it is."""
    height, width = shape
    shrink = max(1.0, float(np.sqrt(height * width / cells)))
    size = max(round(width / shrink), 1), max(round(height / shrink), 1)
    seen, *flags = small
    hole, share = (
        np.asarray(cv2.resize(part * np.float32(1 / 255), size, interpolation=cv2.INTER_AREA), np.float32)
        for part in flags
    )
    sums = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.float32) * np.float32(1 / 255)
    colour = np.clip(sums / np.maximum(share, 1e-3)[..., None], 0, 1)
    in_hole = hole > 0
    return Cells(np.asarray(colour, np.float32), in_hole, (share > 0.98) & ~in_hole)


def _spread(level: Cells) -> Floats:
    """Colours of known cells carried on smoothly over all others."""
    mask = (~level.known).astype(np.uint8)
    if not level.known.any():
        return np.full_like(level.colour, 0.5)
    picture = np.rint(level.colour * 255).astype(np.uint8)
    spread: Floats = cv2.inpaint(picture, mask, 3, cv2.INPAINT_TELEA).astype(np.float32) * np.float32(1 / 255)
    return spread


def _finer(guess: Floats, level: Cells) -> Floats:
    """A coarser guess where nothing is known, and the level's own colours elsewhere."""
    height, width = level.hole.shape
    large = np.asarray(cv2.resize(guess, (width, height), interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(np.where(level.known[..., None], level.colour, large), np.float32)


def _patches(plane: Floats, rows: Indices, columns: Indices) -> Floats:
    """(N, patch, channels) around N cells of (h, w, channels); the border is carried on."""
    padded = np.pad(plane, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge")
    corners = rows * padded.shape[1] + columns
    within = _offsets(padded.shape[1]) + RADIUS * (padded.shape[1] + 1)
    patches: Floats = padded.reshape(-1, plane.shape[2]).take(corners[:, None] + within, axis=0)
    return patches


def _offsets(width: int) -> Indices:
    """(patch,) how far the cells of a patch lie from its middle, in flattened rows so wide."""
    reach = np.arange(-RADIUS, RADIUS + 1)
    return np.asarray((reach[:, None] * width + reach).reshape(-1), np.intp)


def _completed(level: Cells) -> tuple[Floats, Indices] | None:
    """Colours with the hole filled, and the shift (2, h, w) of each of its cells, y then x; None without sources."""
    solid = cv2.erode(level.known.astype(np.uint8), np.ones((2 * RADIUS + 1,) * 2, np.uint8), borderValue=0) > 0
    sources = np.argwhere(solid)
    targets = np.argwhere(level.hole)
    if len(sources) < LEAST_SOURCES or not len(targets):
        return None
    size = level.hole.shape
    depth = cv2.distanceTransform((~level.known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    trust = _patches(np.power(np.float32(DOUBT), depth, dtype=np.float32)[..., None], *targets.T)[..., 0]
    trust /= trust.sum(axis=1, keepdims=True)
    votes = Votes.of(targets, sources, trust, size)
    from_patches = _patches(level.colour, *sources.T)
    # Differences squared, weighted by trust, and the way between the places squared: less what is the same for all
    # sources, all of it is one product of matrices.
    away = np.float32(np.hypot(*size))
    places, homes = targets.astype(np.float32) / away, sources.astype(np.float32) / away
    offered = np.concatenate(
        [(from_patches**2).sum(axis=2), from_patches.reshape(len(sources), -1), homes, (homes**2).sum(1)[:, None]],
        axis=1,
    ).T
    way = np.concatenate([-2 * NEAR * places, np.full((len(targets), 1), NEAR)], axis=1).astype(np.float32)
    colour, nearest, cost = level.colour, np.zeros(len(targets), np.intp), np.zeros((0, 0), np.float32)
    for _ in range(ROUNDS):
        asked = _patches(colour, *targets.T) * (-2 * trust[..., None])
        cost = np.concatenate([trust, asked.reshape(len(targets), -1), way], axis=1) @ offered
        nearest = cost.argmin(axis=1)
        colour = votes.counted(colour, nearest)
    nearest = _agreed(cost, nearest, targets, sources, size)
    shifts = np.zeros((2, *size), np.intp)
    shifts[:, targets[:, 0], targets[:, 1]] = (sources[nearest] - targets).T
    return votes.counted(colour, nearest), shifts


def _agreed(cost: Floats, nearest: Indices, targets: Indices, sources: Indices, size: tuple[int, ...]) -> Indices:
    """Sources that agree with their neighbours' where that costs little: large pieces are copied rather than crumbs.

    Least sum of costs and of borders between different shifts, by iterated conditional modes on a chessboard.
    """
    # Places are numbers in a grid with as much room on each side as a shift can go beyond.
    grid = tuple(3 * length for length in size)
    here, source = (((spots + size) * (grid[1], 1)).sum(axis=1) for spots in (targets, sources))
    number = np.full(grid[0] * grid[1], -1, np.intp)
    number[source] = np.arange(len(sources))
    place = np.full(grid[0] * grid[1], -1, np.intp)
    place[here] = np.arange(len(targets))
    beside = np.stack([place[here + dy * grid[1] + dx] for dy, dx in NEIGHBOURS])
    odd = targets.sum(axis=1) % 2 == 1
    shift = source[nearest] - here
    chosen, still = nearest.copy(), 0
    for sweep in range(SWEEPS):
        turn = np.flatnonzero(odd if sweep % 2 else ~odd)
        nearby = beside[:, turn]
        theirs, there = shift[nearby], nearby >= 0
        options = np.concatenate([theirs, shift[None, turn]])
        index = number[here[turn] + options]
        usable = (index >= 0) & np.concatenate([there, np.ones_like(there[:1])])
        borders = ((options[:, None] != theirs) & there).sum(axis=1)
        costs = cost.reshape(-1).take(turn * len(sources) + np.maximum(index, 0))
        energy = np.where(usable, costs + BORDER * borders, np.inf)
        best = np.take_along_axis(index, energy.argmin(axis=0)[None], axis=0)[0]
        still = 0 if (best != chosen[turn]).any() else still + 1
        if still == 2:  # both colours of the chessboard are content
            break
        chosen[turn] = best
        shift[turn] = source[best] - here[turn]
    return chosen


@dataclass(frozen=True, slots=True, eq=False)
class Votes:
    """Who says what about which cell of the hole: each of its cells lies in the patches of those around it.

    cells    (T,) numbers of the hole's cells in the flattened picture
    source   (S,) numbers of the sources there
    voters   (patch, T) which of the T cells votes for each; T, with no weight, where there is none
    weights  (patch, T, 1) float32, their sum over the patch is 1; surer patches count more
    """

    cells: Indices
    source: Indices
    voters: Indices
    weights: Floats

    @classmethod
    def of(cls, targets: Indices, sources: Indices, trust: Floats, size: tuple[int, ...]) -> Votes:
        """The votes on a hole's cells (T, 2), from sources (S, 2) and the trust (T, patch) in each cell's patch."""
        wide = size[1] + 2 * RADIUS
        spots = (targets[:, 0] + RADIUS) * wide + targets[:, 1] + RADIUS
        place = np.full((size[0] + 2 * RADIUS) * wide, len(targets), np.intp)
        place[spots] = np.arange(len(targets))
        voters = place[spots - _offsets(wide)[:, None]]
        weights = np.append(trust.max(axis=1) ** 0.5, np.float32(0))[voters]
        weights /= np.maximum(weights.sum(axis=0), 1e-6)
        cells, source = (spots[:, 0] * size[1] + spots[:, 1] for spots in (targets, sources))
        return cls(cells, source, voters, weights[..., None])

    def counted(self, colour: Floats, chosen: Indices) -> Floats:
        """Colours (h, w, 3) where each cell of the hole is the mean of what the patches over it say."""
        flat = colour.reshape(-1, 3)
        said = np.append(self.source[chosen], self.source[0])[self.voters] + _offsets(colour.shape[1])[:, None]
        out = colour.copy()
        out.reshape(-1, 3)[self.cells] = (flat.take(said, axis=0) * self.weights).sum(axis=0)
        return out


def _laid(image: Bytes, hole: Bools, colour: Floats) -> Bytes:
    """The picture with colours (any size, in [0, 1]) in its hole."""
    if colour.shape[:2] != hole.shape:
        colour = np.asarray(cv2.resize(colour, hole.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
    painted = cv2.addWeighted(colour, 255, colour, 0, 0, dtype=cv2.CV_8U)  # rounds, and cuts to 0..255
    out = np.ascontiguousarray(image.copy())
    cv2.copyTo(painted, hole.view(np.uint8), out)
    return out
