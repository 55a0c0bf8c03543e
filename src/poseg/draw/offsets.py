"""Figures of offsets: short-, mid- and long-range, over the picture that went into the network.

K joints; pictures are (H, W, 3) uint8 RGB, vectors x before y in pixels of the network's input. `..._tiles` give
pictures by title, `..._figure` a sheet of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.draw.embedding import embedding_colours, landing_energy
from poseg.draw.figures import legend_wheel, sheet, spoken
from poseg.draw.ink import Bytes, Floats
from poseg.draw.palette import INK, PAPER, direction_colours, joint_colours
from poseg.draw.plate import Plate, dye, glow, solid
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
_WHEEL_NOTE = "Hue is direction, strength is length (see the wheel)."


def short_offset_tiles(
    image: Bytes, fields: Fields, skeleton: Skeleton, joints: Sequence[str] = ()
) -> dict[str, Bytes]:
    """All joints as colours, all joints as arrows, then both for each chosen joint (a few by default)."""
    plate = Plate.of(image, fields, TILE_PX)
    likely, offsets = sigmoid(fields["heatmap"]), fields["short_offsets"]
    longest = _full_px(offsets, likely)
    spread, vectors = plate.spread(likely), plate.spread_within(offsets, likely)
    # Where disks overlap the nearer joint shows: among equally likely ones the shorter vector wins.
    best = (spread - 0.25 * np.hypot(vectors[:, 0], vectors[:, 1]) / longest).argmax(axis=0)
    chosen = np.take_along_axis(vectors, best[None, None], axis=0)[0]
    coloured, arrows = plate.dark(), plate.dark()
    dye(coloured, solid(spread.max(axis=0), DISK_THRESHOLD), direction_colours(chosen, longest))
    shown = (likely > DISK_THRESHOLD) & plate.sparse(11)
    for joint in range(len(skeleton)):
        _draw_vectors(plate, arrows, offsets[joint], shown[joint], longest)
    tiles = {"all joints": coloured, "all joints, cell by cell": arrows}
    for name in joints or _known(skeleton, _JOINTS):
        joint = skeleton.index(name)
        tile = plate.dark()
        dye(tile, solid(spread[joint], DISK_THRESHOLD), direction_colours(vectors[joint], longest))
        _draw_vectors(plate, tile, offsets[joint], shown[joint], longest, PAPER)
        tiles[spoken(name)] = tile
    return tiles


def short_offset_figure(image: Bytes, fields: Fields, skeleton: Skeleton, joints: Sequence[str] = ()) -> Bytes:
    """Sheet of `short_offset_tiles`, with the legend wheel."""
    tiles = short_offset_tiles(image, fields, skeleton, joints)
    note = f"From a pixel in a joint's disk to the joint itself. {_WHEEL_NOTE}"
    return sheet(list(tiles.values()), list(tiles), 4, heading="Short-range offsets", note=note, emblem=legend_wheel())


def mid_offset_tiles(image: Bytes, fields: Fields, skeleton: Skeleton, edges: Sequence[Pair] = ()) -> dict[str, Bytes]:
    """Every forward edge from the middle of its disks, then each chosen directed edge cell by cell."""
    plate = Plate.of(image, fields, TILE_PX)
    likely, offsets = sigmoid(fields["heatmap"]), fields["mid_offsets"]
    colours = joint_colours(len(skeleton))
    place = {(int(a), int(b)): number for number, (a, b) in enumerate(skeleton.edges)}
    together = plate.dark()
    for (source, target), number in list(place.items())[: len(place) // 2]:
        _draw_vectors(plate, together, offsets[number], _summits(likely[source]), 1.0, colours[target])
    tiles = {"all edges, from their sources": together}
    names = [(skeleton.joints[a], skeleton.joints[b]) for a, b in place]
    for a, b in edges or [edge for edge in _EDGES if edge in names] or names[:7]:
        source, target = skeleton.index(a), skeleton.index(b)
        if (source, target) not in place:
            raise ShapeError("edges", expected=f"pairs along the tree of {skeleton.name}", got=(a, b))
        tile = plate.dark()
        dye(tile, 0.55 * solid(plate.spread(likely[source]), DISK_THRESHOLD), colours[source])
        shown = (likely[source] > DISK_THRESHOLD) & plate.sparse(11)
        _draw_vectors(plate, tile, offsets[place[source, target]], shown, 1.0, colours[target])
        tiles[f"{spoken(a)} to {spoken(b)}"] = tile
    return tiles


def mid_offset_figure(image: Bytes, fields: Fields, skeleton: Skeleton, edges: Sequence[Pair] = ()) -> Bytes:
    """Sheet of `mid_offset_tiles`."""
    tiles = mid_offset_tiles(image, fields, skeleton, edges)
    note = "From the disk of one joint to the next joint of the same person."
    return sheet(list(tiles.values()), list(tiles), 4, heading="Mid-range offsets", note=note)


def long_offset_tiles(image: Bytes, fields: Fields, skeleton: Skeleton, joints: Sequence[str] = ()) -> dict[str, Bytes]:
    """Where each person pixel points: the embedding, all landing points, then colours for each chosen joint."""
    plate = Plate.of(image, fields, TILE_PX)
    inside, offsets = sigmoid(fields["segmentation"]), fields["long_offsets"]
    spread = plate.spread(inside)
    share, person = solid(spread, PERSON_THRESHOLD), inside > PERSON_THRESHOLD
    vectors = plate.spread_within(offsets, np.broadcast_to(inside, (len(skeleton), *inside.shape)))
    longest = _full_px(offsets, np.broadcast_to(inside, (len(skeleton), *inside.shape)))
    shared, landing = plate.dark(), plate.dark(36)
    targets = plate.pixel_positions() + vectors
    dye(shared, 0.8 * share, embedding_colours(targets, spread > PERSON_THRESHOLD))
    energies = landing_energy(plate, plate.positions() + offsets, person)
    glow(landing, energies.max(axis=0), joint_colours(len(skeleton))[energies.argmax(axis=0)])
    tiles = {"embedding: alike where pixels agree": shared, "where all person pixels point": landing}
    for name in joints or _known(skeleton, _JOINTS):
        joint = skeleton.index(name)
        tile = plate.dark()
        dye(tile, 0.8 * share, direction_colours(vectors[joint], longest))
        _draw_vectors(plate, tile, offsets[joint], person & plate.sparse(36), longest, INK)
        tiles[f"towards the {spoken(name)}"] = tile
    return tiles


def long_offset_figure(image: Bytes, fields: Fields, skeleton: Skeleton, joints: Sequence[str] = ()) -> Bytes:
    """Sheet of `long_offset_tiles`, with the legend wheel."""
    tiles = long_offset_tiles(image, fields, skeleton, joints)
    note = f"From a person's pixel to that person's joints. {_WHEEL_NOTE}"
    return sheet(list(tiles.values()), list(tiles), 4, heading="Long-range offsets", note=note, emblem=legend_wheel())


def _known(skeleton: Skeleton, wanted: Sequence[str]) -> Sequence[str]:
    """The wanted joints that the skeleton has; its first ones where it has none of them."""
    return [name for name in wanted if name in skeleton.joints] or skeleton.joints[: len(wanted)]


def _full_px(vectors: Floats, weight: Floats) -> float:
    """The length that gets full colour: that of all but the longest twentieth of the vectors that count."""
    lengths = np.hypot(vectors[:, 0], vectors[:, 1])[weight > DISK_THRESHOLD]
    return float(np.quantile(lengths, 0.95)) if lengths.size else 1.0


def _draw_vectors(
    plate: Plate, tile: Bytes, vectors: Floats, shown: NDArray[np.bool_], full_px: float, colour: Bytes | None = None
) -> None:
    """Draw (2, h, w) vectors at the cells shown, in the wheel's colours or in one."""
    starts, steps = plate.positions()[:, shown].T, vectors[:, shown].T
    shades = direction_colours(steps.T, full_px) if colour is None else np.broadcast_to(colour, (len(steps), 3))
    plate.arrows(tile, starts, starts + steps, shades)


def _summits(likely: Floats) -> NDArray[np.bool_]:
    """Cells that no neighbour within two cells tops: the middles of disks, about one for each joint."""
    soft = np.asarray(cv2.GaussianBlur(likely, (0, 0), 1.0), np.float32)
    summits: NDArray[np.bool_] = (soft >= cv2.dilate(soft, np.ones((5, 5), np.uint8))) & (likely > DISK_THRESHOLD)
    return summits
