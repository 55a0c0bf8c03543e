"""Assign pixels to people: which person do the long offsets of a pixel point at (PersonLab, section 3.2).

Cells are assigned on the grid of the fields; mask edges between cells are interpolated when masks are rendered
(`mask_rendering`).

Letters: M cells that may be person, N people, K joints, h x w cells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.decoder_config import PersonLabDecoder
from poseg.codecs.pose_scoring import person_scales
from poseg.fields import Fields, sigmoid
from poseg.fields.offsets import clamp, follow, refine
from poseg.geometry.grid import Grid
from poseg.people import People

Floats = NDArray[np.float32]

# Cells less probable than this, or than half of the mask threshold, have too little weight to change a pixel.
MIN_PROBABILITY = 0.2
MIN_SCORE = 1e-3
# Matrix products below this size run on one thread; threads that wait for each other cost a hundred times as much on a
# busy processor.
MAX_PRODUCT = 200_000
FACE_JOINTS = 5
MIN_JOINT_SCORE = 0.3


def geometric_embedding(fields: Fields, points: Floats, config: PersonLabDecoder) -> Floats:
    """The joints that the long offsets at points (M, 2) point at: (M, K, 2) input pixels."""
    long = fields["long_offsets"]
    joint = np.repeat(np.arange(len(long)), len(points))
    position = refine(np.tile(points, (len(long), 1)), long, joint, fields.grid, 1, config.sampling)
    return _refine_embedding(fields, position, config)


def cell_embeddings(fields: Fields, cells: NDArray[np.intp], configs: Sequence[PersonLabDecoder]) -> list[Floats]:
    """`geometric_embedding` at cells (M,), raster indices, by several settings; at a cell nothing is interpolated."""
    long = fields["long_offsets"]
    row, column = np.divmod(cells, long.shape[-1])
    points = fields.grid.to_image(np.stack([column, row]))
    # Joint after joint and all x before all y, so that what is read together lies together.
    position = long.reshape(len(long), 2, -1).take(cells, axis=2).swapaxes(0, 1) + points[:, None]
    return [_refine_embedding(fields, position.reshape(2, -1).T, config) for config in configs]


def _refine_embedding(fields: Fields, position: Floats, config: PersonLabDecoder) -> Floats:
    """Positions (K M, 2) reached by long offsets, refined by more of them and by short offsets: (M, K, 2)."""
    grid, k = fields.grid, len(fields["long_offsets"])
    joint = np.repeat(np.arange(k), len(position) // k)
    steps = {"long_offsets": config.long_refine_steps, "short_offsets": config.long_short_refine_steps}
    if config.sampling == "nearest":
        for name, count in steps.items():
            position = refine(position, fields[name], joint, grid, count, config.sampling)
    elif any(steps.values()):
        position = follow(position, [(fields.vectors(name), joint, count) for name, count in steps.items()], grid)
    if config.clamp_to_grid:
        position = clamp(position, grid, fields.shape_hw)
    return position.reshape(k, -1, 2).transpose(1, 0, 2)


def paper_distance(embedding: Floats, keypoints: Floats, weights: Floats, scales: Floats, cutoff: float) -> Floats:
    """Mean distance between the joints pointed at and a person's, in units of the person's scale: (M, N).

    D = sum_k p_k |G_k - y_k| / (lambda sum_k p_k), from embedding (M, K, 2), keypoints (N, K, 2), weights p (N, K)
    and scales lambda (N,). The distance between the weighted means of the joints is a lower bound; where it is
    above `cutoff` it is returned instead of D, which saves the work for nearly all people who are not near.
    """
    weight = weights / np.maximum(weights.sum(axis=1, keepdims=True), 1e-9) / scales[:, None]
    joints = np.ascontiguousarray(embedding.transpose(2, 1, 0))  # (2, K, M)
    means = np.einsum("nk,nkx->xn", weight, keypoints)
    dx, dy = (_product(weight, plane) - mean[:, None] for plane, mean in zip(joints, means, strict=True))
    distance: Floats = np.sqrt(np.add(np.square(dx, out=dx), np.square(dy, out=dy), out=dx), out=dx)
    person, cell = np.nonzero(distance <= cutoff)
    length = np.zeros((joints.shape[1], len(cell)), np.float32)
    for plane, own in zip(joints, keypoints.transpose(2, 1, 0), strict=True):
        along = plane.take(cell, axis=1)
        along -= own.take(person, axis=1)
        length += np.square(along, out=along)
    np.sqrt(length, out=length)
    length *= weight.T.take(person, axis=1)
    distance[person, cell] = length.sum(axis=0)
    distance[weights.sum(axis=1) <= 0] = np.inf
    return distance.T


def _product(left: Floats, right: Floats) -> Floats:
    """Left @ right, (N, K) by (K, M), on the calling thread."""
    step, product = max(1, MAX_PRODUCT // max(left.size, 1)), np.empty((len(left), right.shape[1]), np.float32)
    for first in range(0, right.shape[1], step):
        product[:, first : first + step] = left @ right[:, first : first + step]
    return product


def _mean_square(embedding: Floats, keypoints: Floats, counts: NDArray[np.bool_]) -> Floats:
    """Mean squared distance (M, N) over the joints flagged in `counts` (N, K), infinite without any."""
    squared = ((embedding[:, None] - keypoints[None]) ** 2).sum(axis=3)
    with np.errstate(divide="ignore", invalid="ignore"):
        mean = (squared * counts).sum(axis=2) / counts.sum(axis=1)
    distance: Floats = np.where(counts.any(axis=1), mean, np.inf).astype(np.float32)
    return distance


def tfjs_distance(embedding: Floats, keypoints: Floats, weights: Floats, scales: Floats, cutoff: float) -> Floats:
    """As TensorFlow.js does on the CPU: mean square over the confident ones of the first five joints (COCO's face)."""
    return webgl_distance(
        embedding[:, :FACE_JOINTS], keypoints[:, :FACE_JOINTS], weights[:, :FACE_JOINTS], scales, cutoff
    )


def webgl_distance(embedding: Floats, keypoints: Floats, weights: Floats, scales: Floats, cutoff: float) -> Floats:
    """As TensorFlow.js does on WebGL: mean square over all confident joints."""
    return _mean_square(embedding, keypoints, weights > MIN_JOINT_SCORE)


def coral_distance(embedding: Floats, keypoints: Floats, weights: Floats, scales: Floats, cutoff: float) -> Floats:
    """As Coral does: sum of squares over all joints, confident or not."""
    return _mean_square(embedding, keypoints, np.ones(weights.shape, bool)) * np.float32(keypoints.shape[1])


DISTANCES: dict[str, Callable[[Floats, Floats, Floats, Floats, float], Floats]] = {
    "paper": paper_distance,
    "tfjs": tfjs_distance,
    "tfjs_webgl": webgl_distance,
    "coral": coral_distance,
}


def assignment_margins(distances: Floats, scores: Floats, threshold: float, exclusive: bool) -> Floats:
    """How much closer cells are to each person than to another or to background: (M, N) in [-1, 1].

    From distances (M, N) and scores (N,): (b - a) / (b + a), where a is the distance from the person and b the
    threshold, or the distance from another person where that is less. When `exclusive`, people within the threshold
    compete by distance over score, so that an uncertain second pose of a body does not take the pixels of the first;
    two people never both have a positive margin.
    """
    near = distances.T  # as they lie in memory, person by person
    rival: Floats = np.full(near.shape, threshold, np.float32)
    if exclusive and len(near) > 1:
        weight = np.maximum(scores, MIN_SCORE)[:, None]
        cost = np.where(near <= threshold, near / weight, np.float32(np.inf))
        lowest = cost.min(axis=0)
        first = cost == lowest
        second = np.where(first, np.float32(np.inf), cost).min(axis=0)
        second = np.where(np.count_nonzero(first, axis=0) > 1, lowest, second)
        np.minimum(rival, np.where(first, second, lowest) * weight, out=rival)
    with np.errstate(invalid="ignore"):
        margin: Floats = (rival - near) / np.maximum(rival + near, 1e-9)
    margin[np.isinf(rival)] = 1
    margin[np.isinf(near)] = -1
    return margin.T


@dataclass(frozen=True, slots=True, eq=False)
class PixelAssignment:
    """Which person each cell belongs to, before masks are rendered.

    probability  (h, w) that a cell is person
    cells        (M,) raster indices of the cells that may be person
    margins      (M, N) in [-1, 1], how much closer each of them is to a person than to any other or to background
    grid         where the cells lie
    """

    probability: Floats
    cells: NDArray[np.intp]
    margins: Floats
    grid: Grid

    @property
    def margin_maps(self) -> Floats:
        """(N, h, w) the margins times the probability, since offsets of background cells are meaningless."""
        maps = np.zeros((self.margins.shape[1], *self.probability.shape), np.float32)
        weight = self.probability.reshape(-1)[self.cells]
        maps.reshape(len(maps), self.probability.size)[:, self.cells] = self.margins.T * weight
        return maps

    def select(self, people: NDArray[np.bool_] | NDArray[np.intp]) -> PixelAssignment:
        """The assignment to some of the people, by flags or indices."""
        return replace(self, margins=self.margins.T[people].T)


def candidate_cells(person: Floats, threshold: float) -> NDArray[np.intp]:
    """Raster indices of the cells that can matter for a mask with this threshold."""
    return np.flatnonzero(person >= min(MIN_PROBABILITY, threshold / 2))


def assign_by_offsets(fields: Fields, people: People, config: PersonLabDecoder) -> PixelAssignment:
    """Assign cells to people (N) on the network's input by the long offsets.

    `keypoint_scores` weight the joints; with the paper's distance people also compete by `scores`. Refinement can lead
    astray: a joint hidden behind another person lies on pixels that point at that person's joints. So the paper's
    distance is the smaller one of before and after refinement. The published decoders have neither.
    """
    person = sigmoid(fields["segmentation"])
    cells = candidate_cells(person, config.mask_threshold) if len(people) else np.zeros(0, np.intp)
    cutoff, configs, scores = config.max_assignment_distance, [config], np.ones_like(people.scores)
    if config.assignment_distance == "paper":
        configs.append(replace(config, long_refine_steps=0, long_short_refine_steps=0))
        scores = people.scores
    measure, weights = DISTANCES[config.assignment_distance], people.keypoint_scores
    scales = person_scales(people.keypoints, weights)
    embeddings = cell_embeddings(fields, cells, configs)
    distances = measure(embeddings[0], people.keypoints, weights, scales, cutoff)
    for embedding in embeddings[1:]:
        distances = np.minimum(distances, measure(embedding, people.keypoints, weights, scales, cutoff))
    margins = assignment_margins(distances, scores, cutoff, config.exclusive_masks)
    return PixelAssignment(person, cells, margins, fields.grid)
