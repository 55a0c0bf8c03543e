"""Claim pixels for people: which person do the long offsets of a pixel point at (PersonLab, section 3.2).

Whose a cell is, is decided on the grid of the fields, which holds all that the network knows of it. Between cells
the decision and the person probability are interpolated, so edges of masks are smooth.

Letters: M cells that may be person, N people, K joints, H x W pixels of the network's input.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.codecs.decoding import Decoding
from poseg.fields import Fields, sigmoid
from poseg.fields.offsets import clamp, refine, sample_bilinear
from poseg.geometry.grid import Grid, pixel_centres
from poseg.geometry.masks import Masks

Floats = NDArray[np.float32]

# Cells less probable than this, or than half of what a mask asks of a pixel, have too little weight to turn one.
LEAST_PROBABILITY = 0.2
LEAST_TRUST = 1e-3
FACE = 5
SURE = 0.3


def embed(fields: Fields, points: Floats, decoding: Decoding) -> Floats:
    """Where points (M, 2) say that the joints of their person are: (M, K, 2) input pixels."""
    long = fields["long_offsets"]
    joint = np.repeat(np.arange(len(long)), len(points))
    found = refine(np.tile(points, (len(long), 1)), long, joint, fields.grid, 1, decoding.sampling)
    return _follow(fields, found.reshape(len(long), -1, 2), decoding)


def embed_cells(fields: Fields, place: NDArray[np.intp], looks: Sequence[Decoding]) -> list[Floats]:
    """`embed` of the cells numbered `place` (M,) in the raster, in several ways; at a cell nothing is interpolated."""
    long = fields["long_offsets"]
    row, column = np.divmod(place, long.shape[-1])
    points = fields.grid.to_image(np.stack([column, row], axis=1))
    found = points + long.reshape(len(long), 2, -1).take(place, axis=2).transpose(0, 2, 1)
    return [_follow(fields, found, look) for look in looks]


def _follow(fields: Fields, found: Floats, decoding: Decoding) -> Floats:
    """Places (K, M, 2) that long offsets led to, followed further and corrected: (M, K, 2).

    One joint comes after another, so that each is read from a plane that stays in the cache.
    """
    grid, (k, m, _) = fields.grid, found.shape
    joint, found = np.repeat(np.arange(k), m), found.reshape(-1, 2)
    if decoding.long_steps:
        found = refine(found, fields["long_offsets"], joint, grid, decoding.long_steps, decoding.sampling)
    if decoding.long_short_steps:
        found = refine(found, fields["short_offsets"], joint, grid, decoding.long_short_steps, decoding.sampling)
    if decoding.keep_inside:
        found = clamp(found, grid, fields.shape_hw)
    return found.reshape(k, m, 2).transpose(1, 0, 2)


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
    left_cell, top_cell = grid.to_cells(pixel_centres([left, top]))
    matrix = np.array([[step, 0, left_cell], [0, step, top_cell]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    block = cv2.warpAffine(values, matrix, (width, height), flags=flags, borderMode=cv2.BORDER_REPLICATE)
    return np.asarray(block, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Claims:
    """Whose each cell is, before anything is painted.

    probability  (h, w) that a cell is person
    place        (M,) numbers in the raster of the cells that may be
    margin       (M, N) how much rather each of them is a person's than not
    grid         where the cells stand
    """

    probability: Floats
    place: NDArray[np.intp]
    margin: Floats
    grid: Grid

    @property
    def says(self) -> Floats:
        """(N, h, w) the margins, weighted by the probability: what background cells point at means nothing."""
        says = np.zeros((self.margin.shape[1], *self.probability.shape), np.float32)
        weight = self.probability.reshape(-1)[self.place]
        says.reshape(len(says), self.probability.size)[:, self.place] = (self.margin * weight[:, None]).T
        return says

    def of(self, people: NDArray[np.bool_] | NDArray[np.intp]) -> Claims:
        """Those of some people, as an array is indexed."""
        return replace(self, margin=self.margin[:, people])


def paint(claims: Claims, least_probability: float, exclusive: bool) -> Masks:
    """Masks of people on the network's input.

    A pixel is a person's where the interpolated probability is at least `least_probability` and the person's
    margin, interpolated with the probability as weight (what background cells point at means nothing), is not
    negative. When `exclusive`, a pixel halfway between two people is the one's who is listed first.
    """
    probability, margin, place, grid = claims.probability, claims.margin, claims.place, claims.grid
    h, w = probability.shape
    height, width = grid.size(h, w)
    free = interpolate(probability, grid, 0, 0, height, width) >= least_probability
    bitmaps = []
    weight = probability.reshape(-1)[place]
    for person in range(margin.shape[1]):
        claimed = place[margin[:, person] > 0]
        if not len(claimed):
            bitmaps.append((np.zeros((0, 0), np.bool_), 0, 0))
            continue
        row, column = np.divmod(claimed, w)
        # Between a claimed cell and its neighbours the sign changes somewhere, so the block goes one cell further.
        top, left = (max(first.min() - 1, 0) * grid.stride for first in (row, column))
        bottom, right = grid.size(min(row.max() + 1, h - 1) + 1, min(column.max() + 1, w - 1) + 1)
        says = np.zeros(h * w, np.float32)
        says[place] = margin[:, person] * weight
        block = interpolate(says.reshape(h, w), grid, top, left, bottom - top, right - left) >= 0
        block &= free[top:bottom, left:right]
        bitmaps.append((np.asarray(block, np.bool_), int(left), int(top)))
        if exclusive:
            free[top:bottom, left:right] &= ~block
    return Masks.from_bitmaps(bitmaps, (height, width))


def probable(person: Floats, least_probability: float) -> NDArray[np.intp]:
    """Numbers in the raster of the cells that count where pixels must be person with `least_probability`."""
    return np.flatnonzero(person >= min(LEAST_PROBABILITY, least_probability / 2))


def claim(
    fields: Fields, keypoints: Floats, weights: Floats, scales: Floats, scores: Floats, decoding: Decoding
) -> Claims:
    """What people claim: keypoints (N, K, 2), weights (N, K), scales (N,), scores (N,).

    A long offset may be right at once, and following it further may lead astray: a joint hidden behind another
    person lies on pixels that point at that person's joints. So the paper's distance is the lesser one of before
    and after refinement. The published decoders know neither that nor the scores.
    """
    person = sigmoid(fields["segmentation"])
    place = probable(person, decoding.mask_probability) if len(keypoints) else np.zeros(0, np.intp)
    threshold, looks, trust = decoding.mask_threshold, [decoding], np.ones_like(scores)
    if decoding.mask_metric == "paper":
        looks.append(replace(decoding, long_steps=0, long_short_steps=0))
        trust = scores
    measure = METRICS[decoding.mask_metric]
    distances = np.minimum.reduce(
        [measure(found, keypoints, weights, scales, threshold) for found in embed_cells(fields, place, looks)]
    )
    return Claims(person, place, margins(distances, trust, threshold, decoding.exclusive), fields.grid)


def mask_scores(claims: Claims, keypoints: Floats, keypoint_scores: Floats, least_probability: float) -> Floats:
    """How sure we are of people's masks, given their poses (N, K, 2) and (N, K): (N,) in [0, 1].

    The mean person probability in the mask, squared, times (1 + s) / 2, where s is the share of the joints, weighted
    by their scores, that lie on their own mask. A pose without person pixels of its own is most likely nobody; and
    what a mask is worth, joints alone cannot tell. Joints off the mask count half, since thin limbs are often missed.
    A mask too small to have a cell of its own has `least_probability`, which all its pixels have.
    """
    n, k = keypoint_scores.shape
    if not n:
        return np.zeros(0, np.float32)
    probability, weight = claims.probability, claims.probability.reshape(-1)[claims.place]
    own = (claims.margin > 0) & (weight >= least_probability)[:, None]
    count = own.sum(axis=0)
    mean = np.where(count > 0, weight @ own / np.maximum(count, 1), least_probability)
    points, person = keypoints.reshape(-1, 2), np.repeat(np.arange(n), k)
    on = sample_bilinear(claims.says, person, points, claims.grid) > 0
    on &= sample_bilinear(probability[None], np.zeros_like(person), points, claims.grid) >= least_probability
    share = (keypoint_scores * on.reshape(n, k)).sum(axis=1) / np.maximum(keypoint_scores.sum(axis=1), 1e-9)
    scores: Floats = (mean**2 * (1 + share) / 2).astype(np.float32)
    return scores
