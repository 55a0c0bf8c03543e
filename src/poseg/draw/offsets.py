"""Figures of short-, mid- and long-range offsets over the network's input, as in `draw.fields`.

K joints; images are (H, W, 3) uint8 RGB, vectors x before y in pixels of the network's input. `..._tiles` give
images by title, `..._figure` a contact sheet of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.antialias import Bytes, Floats
from poseg.draw.field_canvas import FieldCanvas, add_light, soft_threshold, tint_mask
from poseg.draw.figures import contact_sheet, direction_legend, joint_label
from poseg.draw.palette import INK, PAPER, direction_colours, joint_colours, oklch
from poseg.errors import ShapeError
from poseg.fields import Fields, sigmoid
from poseg.skeletons import Pair, Skeleton

DISK_THRESHOLD = 0.3
PERSON_THRESHOLD = 0.5
TILE_PX = 480

_JOINTS = ("nose", "left_shoulder", "right_wrist", "left_hip", "right_knee", "left_ankle")
_EDGES: tuple[Pair, ...] = (
    ("nose", "left_eye"), ("nose", "right_shoulder"), ("left_shoulder", "left_elbow"), ("left_elbow", "left_wrist"),
    ("right_shoulder", "right_hip"), ("left_hip", "left_knee"), ("right_ankle", "right_knee"),
)  # fmt: skip
_LEGEND_NOTE = "Hue is direction, saturation is length (see the wheel)."
_PCA_SAMPLES = 4096  # pixels that the axes are computed from; plenty for three directions
_MIN_EXTENT_PX = 24.0  # less than this, root mean square over joints, is noise within one person


def short_offset_tiles(
    image: Bytes, fields: Fields, skeleton: Skeleton, joints: Sequence[str] = ()
) -> dict[str, Bytes]:
    """All joints as colours, all joints as arrows, then both for each chosen joint (a few by default)."""
    canvas = FieldCanvas.of(image, fields, TILE_PX)
    probability, offsets = sigmoid(fields["heatmap"]), fields["short_offsets"]
    max_px = _full_colour_px(offsets, probability)
    upsampled, vectors = canvas.upsample(probability), canvas.upsample_weighted(offsets, probability)
    # Where disks overlap the nearer joint is shown: among equal probabilities the shorter vector wins.
    best = (upsampled - 0.25 * np.hypot(vectors[:, 0], vectors[:, 1]) / max_px).argmax(axis=0)
    chosen = np.take_along_axis(vectors, best[None, None], axis=0)[0]
    coloured, arrows = canvas.darkened(), canvas.darkened()
    tint_mask(coloured, soft_threshold(upsampled.max(axis=0), DISK_THRESHOLD), direction_colours(chosen, max_px))
    shown = (probability > DISK_THRESHOLD) & canvas.grid_points(11)
    for joint in range(len(skeleton)):
        _draw_vectors(canvas, arrows, offsets[joint], shown[joint], max_px)
    tiles = {"all joints": coloured, "all joints, cell by cell": arrows}
    for name in joints or _default_joints(skeleton):
        joint = skeleton.index(name)
        tile = canvas.darkened()
        tint_mask(tile, soft_threshold(upsampled[joint], DISK_THRESHOLD), direction_colours(vectors[joint], max_px))
        _draw_vectors(canvas, tile, offsets[joint], shown[joint], max_px, PAPER)
        tiles[joint_label(name)] = tile
    return tiles


def short_offset_figure(image: Bytes, fields: Fields, skeleton: Skeleton, joints: Sequence[str] = ()) -> Bytes:
    """Sheet of `short_offset_tiles`, with the legend of directions."""
    tiles = short_offset_tiles(image, fields, skeleton, joints)
    note = f"From a pixel in a joint's disk to the joint itself. {_LEGEND_NOTE}"
    return _sheet(tiles, "Short-range offsets", note, direction_legend())


def mid_offset_tiles(image: Bytes, fields: Fields, skeleton: Skeleton, edges: Sequence[Pair] = ()) -> dict[str, Bytes]:
    """Every forward edge from the centre of its disks, then each chosen directed edge cell by cell."""
    canvas = FieldCanvas.of(image, fields, TILE_PX)
    probability, offsets = sigmoid(fields["heatmap"]), fields["mid_offsets"]
    colours = joint_colours(len(skeleton))
    index = {(int(a), int(b)): number for number, (a, b) in enumerate(skeleton.edges)}
    together = canvas.darkened()
    for (source, target), number in list(index.items())[: len(index) // 2]:
        _draw_vectors(canvas, together, offsets[number], _local_maxima(probability[source]), 1.0, colours[target])
    tiles = {"all edges, from their sources": together}
    names = [(skeleton.joints[a], skeleton.joints[b]) for a, b in index]
    for a, b in edges or [edge for edge in _EDGES if edge in names] or names[:7]:
        source, target = skeleton.index(a), skeleton.index(b)
        if (source, target) not in index:
            raise ShapeError("edges", expected=f"pairs along the tree of {skeleton.name}", got=(a, b))
        tile = canvas.darkened()
        disks = soft_threshold(canvas.upsample(probability[source]), DISK_THRESHOLD)
        tint_mask(tile, 0.55 * disks, colours[source])
        shown = (probability[source] > DISK_THRESHOLD) & canvas.grid_points(11)
        _draw_vectors(canvas, tile, offsets[index[source, target]], shown, 1.0, colours[target])
        tiles[f"{joint_label(a)} to {joint_label(b)}"] = tile
    return tiles


def mid_offset_figure(image: Bytes, fields: Fields, skeleton: Skeleton, edges: Sequence[Pair] = ()) -> Bytes:
    """Sheet of `mid_offset_tiles`."""
    tiles = mid_offset_tiles(image, fields, skeleton, edges)
    return _sheet(tiles, "Mid-range offsets", "From the disk of one joint to the next joint of the same person.", None)


def long_offset_tiles(image: Bytes, fields: Fields, skeleton: Skeleton, joints: Sequence[str] = ()) -> dict[str, Bytes]:
    """Targets of the person pixels: the embedding, all target points, then colours for each chosen joint."""
    canvas = FieldCanvas.of(image, fields, TILE_PX)
    inside, offsets = sigmoid(fields["segmentation"]), fields["long_offsets"]
    upsampled, weights = canvas.upsample(inside), np.broadcast_to(inside, (len(skeleton), *inside.shape))
    opacity, person = soft_threshold(upsampled, PERSON_THRESHOLD), inside > PERSON_THRESHOLD
    vectors, max_px = canvas.upsample_weighted(offsets, weights), _full_colour_px(offsets, weights)
    embedding, density = canvas.darkened(), canvas.darkened(36)
    targets = canvas.pixel_positions() + vectors
    tint_mask(embedding, 0.8 * opacity, embedding_colours(targets, upsampled > PERSON_THRESHOLD))
    votes = vote_density(canvas, canvas.positions() + offsets, person)
    add_light(density, votes.max(axis=0), joint_colours(len(skeleton))[votes.argmax(axis=0)])
    tiles = {"embedding: similar where pixels agree": embedding, "where all person pixels point": density}
    for name in joints or _default_joints(skeleton):
        joint = skeleton.index(name)
        tile = canvas.darkened()
        tint_mask(tile, 0.8 * opacity, direction_colours(vectors[joint], max_px))
        _draw_vectors(canvas, tile, offsets[joint], person & canvas.grid_points(36), max_px, INK)
        tiles[f"towards the {joint_label(name)}"] = tile
    return tiles


def long_offset_figure(image: Bytes, fields: Fields, skeleton: Skeleton, joints: Sequence[str] = ()) -> Bytes:
    """Sheet of `long_offset_tiles`, with the legend of directions."""
    tiles = long_offset_tiles(image, fields, skeleton, joints)
    note = f"From a person's pixel to that person's joints. {_LEGEND_NOTE}"
    return _sheet(tiles, "Long-range offsets", note, direction_legend())


def embedding_colours(targets: Floats, person: NDArray[np.bool_]) -> Bytes:
    """PersonLab's geometric embedding (section 3.2) as colours (H, W, 3); grey outside `person` (H, W).

    targets (K, 2, H, W) are the points that pixels point at through their long-range offsets: those of one person
    point at the same joints, and similar embeddings get similar colours. The three principal axes of the embeddings
    of person pixels become yellow to blue, red to green and light to dark.
    """
    image = np.full((*person.shape, 3), 127, np.uint8)
    points = targets[:, :, person].reshape(2 * len(targets), -1).T
    if len(points) == 0:
        return image
    sample = points[:: max(len(points) // _PCA_SAMPLES, 1)].astype(np.float64)
    mean = sample.mean(axis=0)
    covariance = (sample - mean).T @ (sample - mean)
    axes = np.linalg.eigh(covariance)[1][:, :-4:-1]  # eigenvalues are in ascending order
    axes *= np.where(axes.sum(axis=0) < 0, -1, 1)  # the sign of an axis is arbitrary: fixed, so that images repeat
    coordinates = (points - mean) @ axes / np.sqrt(targets.shape[0])
    extent = max(float(np.quantile(np.abs(coordinates), 0.98)), _MIN_EXTENT_PX)
    unit = np.zeros((len(points), 3))
    unit[:, : axes.shape[1]] = np.clip(coordinates / extent, -1, 1)
    chroma = 0.045 + 0.15 * np.hypot(unit[:, 0], unit[:, 1])
    image[person] = oklch(0.72 + 0.13 * unit[:, 2], chroma, np.arctan2(unit[:, 0], unit[:, 1]))
    return image


def vote_density(canvas: FieldCanvas, targets: Floats, person: NDArray[np.bool_]) -> Floats:
    """Density of the points that person cells point at: (K, H, W) in [0, 1] over the canvas.

    targets (K, 2, h, w) in pixels of the network's input, person (h, w). The maximum of each joint is 1, so that
    small people and large crowds both show.
    """
    height, width = canvas.image.shape[:2]
    density = np.zeros((len(targets), height, width), np.float32)
    for joint, points in enumerate(targets[:, :, person]):
        x, y = np.floor(points * canvas.scale[:, None]).astype(np.int64)
        inside = (x >= 0) & (y >= 0) & (x < width) & (y < height)
        votes = np.bincount(y[inside] * width + x[inside], minlength=height * width).astype(np.float32)
        blurred = np.asarray(cv2.GaussianBlur(votes.reshape(height, width), (0, 0), 2.5), np.float32)
        density[joint] = np.sqrt(blurred / max(float(blurred.max()), 1e-9))
    return density


def _sheet(tiles: dict[str, Bytes], heading: str, note: str, legend: Bytes | None) -> Bytes:
    return contact_sheet(list(tiles.values()), list(tiles), 4, heading=heading, note=note, legend=legend)


def _default_joints(skeleton: Skeleton) -> Sequence[str]:
    """A few joints all over the body; the skeleton's first ones if it has none of them."""
    return [name for name in _JOINTS if name in skeleton.joints] or skeleton.joints[: len(_JOINTS)]


def _full_colour_px(vectors: Floats, weight: Floats) -> float:
    """The length that gets full colour: the 95th percentile of the vectors that count."""
    lengths = np.hypot(vectors[:, 0], vectors[:, 1])[weight > DISK_THRESHOLD]
    return float(np.quantile(lengths, 0.95)) if lengths.size else 1.0


def _draw_vectors(
    canvas: FieldCanvas, tile: Bytes, vectors: Floats, shown: NDArray[np.bool_], max_px: float,
    colour: Bytes | None = None,
) -> None:  # fmt: skip
    """Draw (2, h, w) vectors at the cells shown, in the colours of their directions or in one colour."""
    starts, steps = canvas.positions()[:, shown].T, vectors[:, shown].T
    shades = direction_colours(steps.T, max_px) if colour is None else np.broadcast_to(colour, (len(steps), 3))
    canvas.draw_arrows(tile, starts, starts + steps, shades)


def _local_maxima(probability: Floats) -> NDArray[np.bool_]:
    """Cells with the maximum of their 5 x 5 neighbourhood: the centres of disks, about one for each joint."""
    soft = np.asarray(cv2.GaussianBlur(probability, (0, 0), 1.0), np.float32)
    maxima: NDArray[np.bool_] = (soft >= cv2.dilate(soft, np.ones((5, 5), np.uint8))) & (probability > DISK_THRESHOLD)
    return maxima
