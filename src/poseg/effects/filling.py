"""Filling a hole from the rest of the picture: what could be there, not what is.

A picture of cells is completed by patches of the known rest (Wexler, Shechtman and Irani, "Space-time completion of
video", 2007): each patch in the hole looks for the patch of the rest that is most like it, known cells counting most,
and each cell becomes the mean of what those patches say; a few rounds, coarse to fine. The shifts found that way then
carry whole pixels of the picture into the hole, and a smooth field of colour takes away the step at its edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import pixel_centres

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]
Indices = NDArray[np.intp]

RADIUS = 2  # of a patch, in cells
LEVELS = (700, 2800)  # cells of the picture, coarse to fine
ROUNDS = 3
LEAST_SOURCES = 30
DOUBT = 0.5  # how much less a cell counts for each cell that it lies deeper in the hole
NEAR = 0.02  # penalty for a patch from far away, against colours in [0, 1]
BORDER = 0.004  # what a border between two shifts costs, against colours in [0, 1]
SWEEPS = 12
NEIGHBOURS = ((-1, 0), (1, 0), (0, -1), (0, 1))
SEAM = 2  # how narrow the seams between shifts are: the power of the weights that mix them


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
    guess, shifts = None, None
    for cells in LEVELS:
        level = _in_cells(image, hole, known, cells)
        colour = _spread(level) if guess is None else _finer(guess, level)
        found = _completed(Cells(colour, level.hole, level.known))
        if found is not None:
            guess, shifts = found
    if guess is None or shifts is None:
        return _laid(image, hole, np.asarray(_spread(_in_cells(image, hole, known, LEVELS[-1])), np.float32))
    return _carried(image, hole, known, shifts)


def _in_cells(image: Bytes, hole: Bools, known: Bools, cells: int) -> Cells:
    """The picture in so many cells; a cell is a hole where any of it is, and known where nearly all of it is."""
    height, width = hole.shape
    shrink = max(1.0, float(np.sqrt(height * width / cells)))
    size = max(round(width / shrink), 1), max(round(height / shrink), 1)
    share = np.asarray(cv2.resize(known.astype(np.float32), size, interpolation=cv2.INTER_AREA), np.float32)
    seen = cv2.copyTo(image, known.view(np.uint8))
    sums = np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA), np.float32) / 255
    colour = np.clip(sums / np.maximum(share, 1e-3)[..., None], 0, 1)
    in_hole = np.asarray(cv2.resize(hole.astype(np.float32), size, interpolation=cv2.INTER_AREA)) > 0
    return Cells(colour.astype(np.float32), in_hole, (share > 0.98) & ~in_hole)


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


def _patches(plane: Floats) -> Floats:
    """(h, w, patch, channels) of (h, w, channels); the border is carried on."""
    padded = np.pad(plane, ((RADIUS, RADIUS), (RADIUS, RADIUS), (0, 0)), mode="edge")
    side = 2 * RADIUS + 1
    views = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(0, 1))
    return np.ascontiguousarray(views.transpose(0, 1, 3, 4, 2)).reshape(*plane.shape[:2], side * side, -1)


def _completed(level: Cells) -> tuple[Floats, Indices] | None:
    """Colours with the hole filled, and the shift (2, h, w) of each of its cells, y then x; None without sources."""
    solid = cv2.erode(level.known.astype(np.uint8), np.ones((2 * RADIUS + 1,) * 2, np.uint8), borderValue=0) > 0
    sources = np.argwhere(solid)
    targets = np.argwhere(level.hole)
    if len(sources) < LEAST_SOURCES or not len(targets):
        return None
    depth = cv2.distanceTransform((~level.known).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_3)
    trust = _patches(np.power(np.float32(DOUBT), depth, dtype=np.float32)[..., None])[
        targets[:, 0], targets[:, 1], :, 0
    ]
    trust /= trust.sum(axis=1, keepdims=True)
    away = np.float32(np.hypot(*level.hole.shape))
    places, homes = targets.astype(np.float32) / away, sources.astype(np.float32) / away
    apart = (places**2).sum(axis=1)[:, None] - 2 * places @ homes.T + (homes**2).sum(axis=1)
    colour = level.colour.copy()
    from_patches = _patches(level.colour)[sources[:, 0], sources[:, 1]]
    squared = (from_patches**2).sum(axis=2)
    flat = from_patches.reshape(len(sources), -1)
    nearest = np.zeros(len(targets), np.intp)
    for _ in range(ROUNDS):
        asked = _patches(colour)[targets[:, 0], targets[:, 1]]
        cost = trust @ squared.T - 2 * ((asked * trust[..., None]).reshape(len(targets), -1) @ flat.T) + NEAR * apart
        nearest = cost.argmin(axis=1)
        colour = _voted(colour, targets, sources[nearest], trust)
    nearest = _agreed(cost, nearest, targets, sources, level.hole.shape)
    shifts = np.zeros((2, *level.hole.shape), np.intp)
    shifts[:, targets[:, 0], targets[:, 1]] = (sources[nearest] - targets).T
    return _voted(colour, targets, sources[nearest], trust), shifts


def _agreed(cost: Floats, nearest: Indices, targets: Indices, sources: Indices, size: tuple[int, ...]) -> Indices:
    """Sources that agree with their neighbours' where that costs little: large pieces are copied rather than crumbs.

    Least sum of costs and of borders between different shifts, by iterated conditional modes on a chessboard.
    """
    height, width = size
    number = np.full((height + 2, width + 2), -1, np.intp)
    number[sources[:, 0] + 1, sources[:, 1] + 1] = np.arange(len(sources))
    place = np.full((height + 2, width + 2), -1, np.intp)
    place[targets[:, 0] + 1, targets[:, 1] + 1] = np.arange(len(targets))
    beside = np.stack([place[targets[:, 0] + 1 + dy, targets[:, 1] + 1 + dx] for dy, dx in NEIGHBOURS])
    there = beside >= 0
    chosen = nearest.copy()
    everyone = np.arange(len(targets))
    for sweep in range(SWEEPS):
        turn = (targets.sum(axis=1) + sweep) % 2 == 0
        theirs = (sources[chosen] - targets)[beside]  # (4, T, 2) shifts of the neighbours
        options = np.concatenate([theirs, (sources[chosen] - targets)[None]])
        at = np.clip(targets + options, -1, (height, width)) + 1
        index = number[at[..., 0], at[..., 1]]
        usable = (index >= 0) & np.concatenate([there, np.ones_like(there[:1])])
        borders = ((options[:, None] != theirs[None]).any(axis=3) & there[None]).sum(axis=1)
        energy = np.where(usable, cost[everyone, index] + BORDER * borders, np.inf)
        best = index[energy.argmin(axis=0), everyone]
        chosen = np.where(turn, best, chosen)
    return chosen


def _voted(colour: Floats, targets: Indices, chosen: Indices, trust: Floats) -> Floats:
    """Each cell of the hole becomes the mean of what the patches over it say; surer patches count more."""
    height, width = colour.shape[:2]
    sums, total = np.zeros((height * width, 3), np.float32), np.zeros(height * width, np.float32)
    place = np.full((height, width), -1, np.intp)
    place[targets[:, 0], targets[:, 1]] = np.arange(len(targets))
    sureness = trust.max(axis=1) ** 0.5
    for dy in range(-RADIUS, RADIUS + 1):
        for dx in range(-RADIUS, RADIUS + 1):
            at = targets + np.array([dy, dx])
            inside: Bools = np.asarray(((at >= 0) & (at < (height, width))).all(axis=1))
            inside[inside] = place[at[inside, 0], at[inside, 1]] >= 0
            flat = at[inside, 0] * width + at[inside, 1]
            source = chosen[inside] + np.array([dy, dx])
            sums[flat] += colour[source[:, 0], source[:, 1]] * sureness[inside, None]
            total[flat] += sureness[inside]
    out = colour.copy()
    flat = targets[:, 0] * width + targets[:, 1]
    out[targets[:, 0], targets[:, 1]] = sums[flat] / np.maximum(total[flat], 1e-6)[:, None]
    return out


def _carried(image: Bytes, hole: Bools, known: Bools, shifts: Indices) -> Bytes:
    """Pixels carried into the hole by the shifts of the cells, with narrow seams, and no step at its edge."""
    height, width = hole.shape
    step_px = np.array([[[width / shifts.shape[2]]], [[height / shifts.shape[1]]]])
    moved = np.rint(_widespread(shifts)[::-1] * step_px).astype(np.int16)
    # x and y of a shift lie side by side, so that they are copied as one number.
    paired = np.ascontiguousarray(moved.transpose(1, 2, 0)).view(np.int32)[..., 0]
    here = np.ascontiguousarray(np.mgrid[:height, :width][::-1].transpose(1, 2, 0).astype(np.int16))
    (above, below), (weight_above, weight_below) = _two_nearest(height, shifts.shape[1])
    (left, right), (weight_left, weight_right) = _two_nearest(width, shifts.shape[2])

    def taken(rows: Indices, columns: Indices) -> Bytes:
        """The picture shifted by one cell's shift at each pixel."""
        places = paired[rows][:, columns][..., None].view(np.int16) + here
        empty = np.zeros(0, np.float32)
        return np.asarray(
            cv2.remap(image, places, empty, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101), np.uint8
        )

    across = [np.ascontiguousarray(np.broadcast_to(weight, hole.shape)) for weight in (weight_left, weight_right)]
    downward = [
        np.ascontiguousarray(np.broadcast_to(weight[:, None], hole.shape)) for weight in (weight_above, weight_below)
    ]
    upper = cv2.blendLinear(taken(above, left), taken(above, right), *across)
    lower = cv2.blendLinear(taken(below, left), taken(below, right), *across)
    carried = np.asarray(cv2.blendLinear(upper, lower, *downward), np.uint8)
    level = carried + _step_at_edge(image, carried, hole, known)
    return _laid(image, hole, level * np.float32(1 / 255))


def _widespread(shifts: Indices) -> Indices:
    """Shifts carried on from the hole over all cells, so that the step at its edge can be measured."""
    outside = (shifts == 0).all(axis=0)
    _, nearest = cv2.distanceTransformWithLabels(
        outside.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    numbers = np.zeros(nearest.max() + 1, np.intp)
    numbers[nearest[~outside]] = np.flatnonzero(~outside)
    return np.asarray(shifts.reshape(2, -1)[:, numbers[nearest]], np.intp)


def _two_nearest(pixels: int, cells: int) -> tuple[tuple[Indices, Indices], tuple[Floats, Floats]]:
    """For each pixel along an axis the two cells around it, and their weights, which sum to 1."""
    place = pixel_centres(np.arange(pixels)) * np.float32(cells / pixels) - np.float32(0.5)
    first = np.floor(place)
    share = np.asarray(place - first, np.float32)
    near, far = (1 - share) ** SEAM, share**SEAM
    index = first.astype(np.intp)
    both = np.clip(index, 0, cells - 1), np.clip(index + 1, 0, cells - 1)
    return both, (np.asarray(near / (near + far), np.float32), np.asarray(far / (near + far), np.float32))


def _step_at_edge(image: Bytes, carried: Bytes, hole: Bools, known: Bools) -> Floats:
    """What the fill lacks at the hole's edge, carried smoothly over the hole."""
    height, width = hole.shape
    reach = max(round(0.01 * float(np.hypot(height, width))), 2)
    ring = (known & (cv2.dilate(hole.view(np.uint8), np.ones((2 * reach + 1,) * 2, np.uint8)) > 0)).view(np.uint8)
    small = max(width // 4, 1), max(height // 4, 1)
    share = np.asarray(cv2.resize(ring * np.uint8(255), small, interpolation=cv2.INTER_AREA), np.float32) / 255
    there, made = (
        np.asarray(cv2.resize(cv2.copyTo(part, ring), small, interpolation=cv2.INTER_AREA), np.float32)
        for part in (image, carried)
    )
    lack = there - made
    sums, total = np.zeros((*share.shape, 3), np.float32), np.full((*share.shape, 1), 1e-6, np.float32)
    for power in range(2, 8):
        box = (2**power + 1,) * 2
        weight = np.float32(8.0**-power)
        sums += cv2.blur(lack, box) * weight
        total += cv2.blur(share, box)[..., None] * weight
    return np.asarray(cv2.resize(sums / total, (width, height)), np.float32)


def _laid(image: Bytes, hole: Bools, colour: Floats) -> Bytes:
    """The picture with colours (any size, in [0, 1]) in its hole."""
    if colour.shape[:2] != hole.shape:
        colour = np.asarray(cv2.resize(colour, hole.shape[::-1], interpolation=cv2.INTER_CUBIC), np.float32)
    painted = cv2.addWeighted(colour, 255, colour, 0, 0, dtype=cv2.CV_8U)  # rounds, and cuts to 0..255
    out = np.ascontiguousarray(image.copy())
    cv2.copyTo(painted, hole.view(np.uint8), out)
    return out
