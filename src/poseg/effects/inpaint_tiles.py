"""Fills a narrow hole beside a person so that stripes, fences and walls continue.

The hole is covered by tiles that overlap. For each tile the background around the hole in it is compared with the
background near by at all shifts d at once, as correlations: with V where there is background and M that within the
tile,

    cost(d) = sum_p M(p) V(p + d) (I(p) - I(p + d))^2 / sum_p M(p) V(p + d)                               (1)

plus a penalty for shifts by which pixels of the hole come from no background. A stripe is continued by a shift along
it, a fence by one of its periods. The hole takes the pixels of the best shift and the mean step at the tile's edge;
where tiles overlap they are mixed with narrow seams. Shifts are searched on a smaller image and refined at full size.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import cv2
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Bools = NDArray[np.bool_]
Floats = NDArray[np.float32]

TILE_CELLS = 16  # side of a tile on the smaller image
TILE_DEPTHS = 4.0  # side of a tile in depths of the hole
TILE_PX = (32, 96)  # and at least and at most
ROUNDS = 4  # of filling, each deeper in the hole
MIN_KNOWN = 0.1  # of a tile, before it is filled
REACH = 1.5  # how far pixels may come from, in sides of a tile
MIN_PAIRS = 0.3  # of the background in a tile that must meet background
UNCOVERED = 4000.0  # cost of a tile none of whose hole meets background, in squared grey levels
DISTANCE = 2.0  # how much more a shift by `REACH` costs, for what it costs
NOISE = 20.0  # squared grey levels that are no difference
WHOLE = 0.99
MIN_WEIGHT = 1e-6  # of tiles: less is none
SEAM = 4  # how narrow seams are: the power of the weights that mix tiles


@dataclass(frozen=True, slots=True, eq=False)
class Ground:
    """Grey levels of an image (h, w) float32, where it is what, each 0 or 1.

    known   background, and what was filled
    valid   background, which may be copied
    hole    what is still to be filled
    """

    grey: Floats
    known: Floats
    valid: Floats
    hole: Floats

    def shrunk(self, times: int) -> Ground:
        """The same in cells so many pixels wide and high; a cell is known or valid where all of it is."""
        if times == 1:
            return self
        size = max(self.grey.shape[1] // times, 1), max(self.grey.shape[0] // times, 1)
        grey, known, valid, hole = (
            np.asarray(cv2.resize(part[: size[1] * times, : size[0] * times], size, interpolation=cv2.INTER_AREA))
            for part in (self.grey * self.known, self.known, self.valid, self.hole)
        )
        known, valid = ((part > WHOLE).astype(np.float32) for part in (known, valid))
        return Ground(grey * known, known, valid, (hole > 0).astype(np.float32))


def continue_ground(image: Bytes, invalid: Bools, hole: Bools) -> tuple[Bytes, Bools]:
    """The image with its hole filled as far as background near by allows, and (h, w) bool what of it is not.

    image    (h, w, 3) uint8
    invalid  (h, w) bool: pixels that are no background; the hole is among them

    Tiles with much background come first; where they are filled they are background to those deeper in the hole.
    """
    depth = float(np.quantile(cv2.distanceTransform(invalid.view(np.uint8), cv2.DIST_L2, 3)[hole], 0.9))
    side = 2 * round(float(np.clip(TILE_DEPTHS * depth, *TILE_PX)) / 2)
    valid, left = (~invalid).view(np.uint8), hole.copy()
    sums = np.zeros(image.shape, np.float32), np.zeros(hole.shape, np.float32)
    out, window = image.copy(), _window(side)
    for _ in range(ROUNDS):
        known = ((valid > 0) | (hole & ~left)).astype(np.float32)
        grey = np.asarray(cv2.cvtColor(out, cv2.COLOR_RGB2GRAY), np.float32)
        ground = Ground(grey, known, valid.astype(np.float32), left.astype(np.float32))
        shrink = max(1, round(side / TILE_CELLS))
        small = ground.shrunk(shrink)
        for corner in _tiles(left, side):
            shift = _best_shift(small, (corner[0] // shrink, corner[1] // shrink), max(4, side // shrink))
            if shift is not None:
                shift = _refined(ground, corner, side, (round(shift[0] * shrink), round(shift[1] * shrink)))
                _add_tile((out, valid, known), corner, shift, window, sums)
        filled = left & (sums[1] > MIN_WEIGHT)
        if not filled.any():
            break
        colours = sums[0][filled] / sums[1][filled][:, None]
        out[filled] = np.rint(np.clip(colours, 0, 255))
        left &= ~filled
        if not left.any():
            break
    return out, left


def _tiles(hole: Bools, side: int) -> list[tuple[int, int]]:
    """Top and left of tiles half a side apart, such that each pixel of the hole lies in the inner half of one."""
    step, margin = side // 2, side // 4
    x, y, columns, rows = cv2.boundingRect(hole.view(np.uint8))
    corners = product(range(y - margin, y + rows - margin, step), range(x - margin, x + columns - margin, step))
    return [
        (top, left)
        for top, left in corners
        if hole[max(top + margin, 0) : top + margin + step, max(left + margin, 0) : left + margin + step].any()
    ]


def _best_shift(ground: Ground, corner: tuple[int, int], side: int) -> tuple[float, float] | None:
    """The shift (rows, columns) of least cost, equation (1), to a fraction; None where too little is known."""
    reach = round(REACH * side)
    spans = [(max(low, 0), min(low + side, length)) for low, length in zip(corner, ground.grey.shape, strict=True)]
    areas = [
        (max(start - reach, 0), min(stop + reach, length))
        for (start, stop), length in zip(spans, ground.grey.shape, strict=True)
    ]
    if any(stop - start < 2 for start, stop in spans):
        return None
    tile, area = tuple(slice(*span) for span in spans), tuple(slice(*span) for span in areas)
    known, hole, mine = ground.known[tile], ground.hole[tile], ground.grey[tile]
    valid, theirs = ground.valid[area], ground.grey[area]
    count, needed = float(known.sum()), float(hole.sum())
    if count < MIN_KNOWN * known.size or not needed:
        return None
    mean = float((mine * known).sum() / count)  # small numbers are exact in single precision
    mine, theirs = (mine - mean) * known, (theirs - mean) * valid
    pairs = _correlate(valid, known)
    error = _correlate(valid, mine * mine) - 2 * _correlate(theirs, mine) + _correlate(theirs * theirs, known)
    uncovered = 1 - _correlate(valid, hole) / needed
    rows, columns = (
        np.arange(length, dtype=np.float32) - (span[0] - low[0])
        for length, span, low in zip(pairs.shape, spans, areas, strict=True)
    )
    far = (rows[:, None] ** 2 + columns**2) / np.float32(reach * reach)
    cost = (error / np.maximum(pairs, 1) + NOISE) * (1 + DISTANCE * far) + UNCOVERED * uncovered
    cost[(pairs < MIN_PAIRS * count) | (uncovered > WHOLE)] = np.inf
    row, column = np.unravel_index(int(cost.argmin()), cost.shape)
    if not np.isfinite(cost[row, column]):
        return None
    down, across = _vertex(cost[:, column], int(row)), _vertex(cost[row], int(column))
    return float(rows[row]) + down, float(columns[column]) + across


def _vertex(costs: Floats, at: int) -> float:
    """How far from a minimum the vertex of the parabola through it and its neighbours is, -0.5 to 0.5."""
    if not 0 < at < len(costs) - 1:
        return 0.0
    before, least, after = (float(cost) for cost in costs[at - 1 : at + 2])
    bend = before - 2 * least + after
    return 0.5 * (before - after) / bend if 0 < bend < np.inf else 0.0


def _correlate(area: Floats, tile: Floats) -> Floats:
    return np.asarray(cv2.matchTemplate(area, tile, cv2.TM_CCORR), np.float32)


def _refined(ground: Ground, corner: tuple[int, int], side: int, shift: tuple[int, int]) -> tuple[int, int]:
    """The best of a shift that was found on a smaller image and those a pixel away."""
    size = ground.grey.shape
    rows, columns = ((max(low, 0), min(low + side, length)) for low, length in zip(corner, size, strict=True))
    here = slice(*rows, 2), slice(*columns, 2)
    mine, known = ground.grey[here], ground.known[here]
    best, least = shift, np.inf
    for dy, dx in product((shift[0], shift[0] - 1, shift[0] + 1), (shift[1], shift[1] - 1, shift[1] + 1)):
        if rows[0] + dy < 0 or columns[0] + dx < 0 or rows[1] + dy > size[0] or columns[1] + dx > size[1]:
            continue
        there = slice(rows[0] + dy, rows[1] + dy, 2), slice(columns[0] + dx, columns[1] + dx, 2)
        both = (known * ground.valid[there]).reshape(-1)
        error = (mine - ground.grey[there]).reshape(-1)
        cost = float((both * error) @ error) / max(float(both.sum()), 1.0)
        if cost < least:
            best, least = (dy, dx), cost
    return best


def _window(side: int) -> Floats:
    """(side, side) weights that fall from the centre to the edges."""
    line = np.sin(np.pi * (np.arange(side, dtype=np.float32) + 0.5) / side)
    return np.asarray(np.outer(line, line) ** SEAM, np.float32)


def _add_tile(
    ground: tuple[Bytes, Bytes, Floats], corner: tuple[int, int], shift: tuple[int, int], window: Floats,
    sums: tuple[Floats, Floats],
) -> None:  # fmt: skip
    """Add what a tile copies from its shift, where that is background, and its weights.

    ground  image, 1 where it may be copied, and 1 where it is known
    sums    of colours (h, w, 3) and of weights (h, w), changed in place
    """
    (image, valid, known), side = ground, len(window)
    rows, columns = (
        (max(low, 0, -by), min(low + side, length, length - by))
        for low, by, length in zip(corner, shift, valid.shape, strict=True)
    )
    if rows[1] <= rows[0] or columns[1] <= columns[0]:
        return
    here = slice(*rows), slice(*columns)
    there = slice(rows[0] + shift[0], rows[1] + shift[0]), slice(columns[0] + shift[1], columns[1] + shift[1])
    both = valid[there] & known[here].astype(np.uint8)
    step = np.subtract(cv2.mean(image[here], both)[:3], cv2.mean(image[there], both)[:3])
    part = slice(rows[0] - corner[0], rows[1] - corner[0]), slice(columns[0] - corner[1], columns[1] - corner[1])
    weight = window[part] * valid[there]
    sums[0][here] += (image[there] + step.astype(np.float32)) * weight[..., None]
    sums[1][here] += weight
