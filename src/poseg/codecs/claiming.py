"""Claim pixels for people: which person do the long offsets of a pixel point at (PersonLab, section 3.2).

Whose a cell is, is decided on the grid of the fields, which holds all that the network knows of it. Between cells
the decision and the person probability are interpolated, so edges of masks are smooth.

Letters: M cells that may be person, N people, K joints, H x W pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.codecs.decoding import Decoding
from poseg.fields import Fields, sigmoid
from poseg.fields.offsets import clamp, refine
from poseg.geometry.grid import Grid

Floats = NDArray[np.float32]

# Cells less probable than this have too little weight to turn a pixel.
LEAST_PROBABILITY = 0.05
LEAST_TRUST = 1e-3
FACE = 5
SURE = 0.3


def embed(fields: Fields, points: Floats, decoding: Decoding) -> Floats:
    """Where points (M, 2) say that the joints of their person are: (M, K, 2) input pixels."""
    grid, long, sampling = fields.grid, fields["long_offsets"], decoding.sampling
    k = len(long)
    joint = np.broadcast_to(np.arange(k), (len(points), k)).reshape(-1)
    found = np.broadcast_to(points[:, None], (len(points), k, 2)).reshape(-1, 2)
    found = refine(found, long, joint, grid, 1 + decoding.long_steps, sampling)
    found = refine(found, fields["short_offsets"], joint, grid, decoding.long_short_steps, sampling)
    return (clamp(found, grid, fields.cells) if decoding.keep_inside else found).reshape(-1, k, 2)


def paper_distance(embedding: Floats, keypoints: Floats, weights: Floats, scales: Floats, enough: float) -> Floats:
    """Mean distance between the joints pointed at and a person's, in units of the person's scale: (M, N).

    D = sum_k p_k |G_k - y_k| / (lambda sum_k p_k), from embedding (M, K, 2), keypoints (N, K, 2), weights p (N, K)
    and scales lambda (N,). It is no less than the distance between the weighted means of the joints; where that
    alone is more than `enough` it stands for D, which spares the work for nearly all people who are not near.
    """
    share = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9)
    means = (share[..., None] * keypoints).sum(axis=1)
    gap_x, gap_y = (embedding[..., axis] @ share.T - means[:, axis] for axis in (0, 1))
    distance: Floats = np.hypot(gap_x, gap_y) / scales
    cell, person = np.nonzero(distance <= enough)
    gap = embedding[cell] - keypoints[person]
    length = np.sqrt(np.einsum("nkx,nkx->nk", gap, gap))
    distance[cell, person] = np.einsum("nk,nk->n", length, share[person]) / scales[person]
    distance[:, weights.sum(axis=1) <= 0] = np.inf
    return distance


def _mean_square(embedding: Floats, keypoints: Floats, counts: NDArray[np.bool_]) -> Floats:
    """Mean squared distance over the joints that count (N, K), infinite where there are none: (M, N)."""
    squared = ((embedding[:, None] - keypoints[None]) ** 2).sum(axis=3)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (squared * counts).sum(axis=2) / counts.sum(axis=1)
    distance: Floats = np.where(counts.any(axis=1), mean, np.inf).astype(np.float32)
    return distance


def tfjs_distance(embedding: Floats, keypoints: Floats, weights: Floats, scales: Floats, enough: float) -> Floats:
    """As TensorFlow.js does on the CPU: mean square over the sure ones of the first five joints (COCO's face)."""
    return _mean_square(embedding[:, :FACE], keypoints[:, :FACE], weights[:, :FACE] > SURE)


def webgl_distance(embedding: Floats, keypoints: Floats, weights: Floats, scales: Floats, enough: float) -> Floats:
    """As TensorFlow.js does on WebGL: mean square over all joints that are sure."""
    return _mean_square(embedding, keypoints, weights > SURE)


def coral_distance(embedding: Floats, keypoints: Floats, weights: Floats, scales: Floats, enough: float) -> Floats:
    """As Coral does: sum of squares over all joints, sure or not."""
    return _mean_square(embedding, keypoints, np.ones(weights.shape, bool)) * np.float32(keypoints.shape[1])


METRICS: dict[str, Callable[[Floats, Floats, Floats, Floats, float], Floats]] = {
    "paper": paper_distance,
    "tfjs": tfjs_distance,
    "tfjs_webgl": webgl_distance,
    "coral": coral_distance,
}


def margins(distances: Floats, scores: Floats, threshold: float, exclusive: bool) -> Floats:
    """How much rather each cell is a person's than not: (M, N) in [-1, 1], from distances (M, N) and scores (N,).

    (b - a) / (b + a), where a is the distance from the person and b the threshold, or the distance from another
    person where that is less. When `exclusive`, people within the threshold compete by distance over score, so that
    a doubtful second pose of the same body does not take the pixels of the sure one; two people never both have a
    positive margin.
    """
    rival: Floats = np.full(distances.shape, threshold, np.float32)
    if exclusive and distances.shape[1] > 1:
        trust = np.maximum(scores, LEAST_TRUST)
        cost = np.where(distances <= threshold, distances / trust, np.float32(np.inf))
        nearest = np.partition(cost, 1, axis=1)[:, :2]
        first = cost.argmin(axis=1)
        others = np.repeat(nearest[:, :1], distances.shape[1], axis=1)
        others[np.arange(len(first)), first] = nearest[:, 1]
        np.minimum(rival, others * trust, out=rival)
    with np.errstate(invalid="ignore"):
        margin = (rival - distances) / np.maximum(rival + distances, 1e-9)
    margin = np.where(np.isinf(rival), 1, margin)
    return np.where(np.isinf(distances), -1, margin).astype(np.float32)


def interpolate(values: Floats, grid: Grid, top: int, left: int, height: int, width: int) -> Floats:
    """Values (h, w) of cells, bilinearly between them, for a block of pixels of the network's input.

    Weights are multiples of 1/32 (OpenCV), which is exact for strides up to 32 that are powers of two.
    """
    step = 1 / grid.stride
    matrix = np.array([[step, 0, left * step], [0, step, top * step]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    block = cv2.warpAffine(values, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(block, np.float32)


def paint(
    probability: Floats,
    margin: Floats,
    place: NDArray[np.intp],
    grid: Grid,
    least_probability: float,
    exclusive: bool,
) -> tuple[NDArray[np.bool_], Floats]:
    """Masks (N, H, W) of people and the tight boxes (N, 4) around them, xyxy; all zero around an empty mask.

    probability (h, w) that a cell is person, margin (M, N) of the cells numbered `place` (M,) in the raster.
    A pixel is a person's where the interpolated probability is at least `least_probability` and the person's
    margin, interpolated with the probability as weight (what background cells point at means nothing), is not
    negative. When `exclusive`, a pixel halfway between two people is the one's who is listed first.
    """
    h, w = probability.shape
    height, width = (h - 1) * grid.stride + 1, (w - 1) * grid.stride + 1
    free = interpolate(probability, grid, 0, 0, height, width) >= least_probability
    masks = np.zeros((margin.shape[1], height, width), bool)
    boxes_xyxy = np.zeros((margin.shape[1], 4), np.float32)
    weight = probability.reshape(-1)[place]
    for person in range(margin.shape[1]):
        claimed = place[margin[:, person] > 0]
        if not len(claimed):
            continue
        row, column = np.divmod(claimed, w)
        # Between a claimed cell and its neighbours the sign changes somewhere, so the block goes one cell further.
        top, bottom = max(row.min() - 1, 0) * grid.stride, min(row.max() + 1, h - 1) * grid.stride + 1
        left, right = max(column.min() - 1, 0) * grid.stride, min(column.max() + 1, w - 1) * grid.stride + 1
        says = np.zeros(h * w, np.float32)
        says[place] = margin[:, person] * weight
        block = interpolate(says.reshape(h, w), grid, top, left, bottom - top, right - left) >= 0
        block &= free[top:bottom, left:right]
        masks[person, top:bottom, left:right] = block
        if exclusive:
            free[top:bottom, left:right] &= ~block
        rows, columns = np.flatnonzero(block.any(axis=1)), np.flatnonzero(block.any(axis=0))
        if len(rows):
            boxes_xyxy[person] = left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1
    return masks, boxes_xyxy


def claim(
    fields: Fields, keypoints: Floats, weights: Floats, scales: Floats, scores: Floats, decoding: Decoding
) -> tuple[NDArray[np.bool_], Floats]:
    """Masks and boxes of people, as `paint`: keypoints (N, K, 2), weights (N, K), scales (N,), scores (N,).

    A long offset may be right at once, and following it further may lead astray: a joint hidden behind another
    person lies on pixels that point at that person's joints. So the paper's distance is the lesser one of before
    and after refinement. The published decoders know neither that nor the scores.
    """
    person = sigmoid(fields["segmentation"])
    place = np.flatnonzero(person >= LEAST_PROBABILITY)
    row, column = np.divmod(place, person.shape[1])
    points, threshold = fields.grid.to_image(np.stack([column, row], axis=1)), decoding.mask_threshold
    looks, trust = [decoding], np.ones_like(scores)
    if decoding.mask_metric == "paper":
        looks.append(replace(decoding, long_steps=0, long_short_steps=0))
        trust = scores
    measure = METRICS[decoding.mask_metric]
    distances = np.minimum.reduce(
        [measure(embed(fields, points, look), keypoints, weights, scales, threshold) for look in looks]
    )
    margin = margins(distances, trust, threshold, decoding.exclusive)
    return paint(person, margin, place, fields.grid, decoding.mask_probability, decoding.exclusive)
