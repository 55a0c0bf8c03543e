"""Figures of heatmaps, the person map, Hough maps and part affinity fields over the network's input.

Each kind has two functions: `..._tiles` gives images by title, `..._figure` a contact sheet of them. They take

    image     (H, W, 3) uint8 RGB, the network's input; never modified
    fields    `Fields` with the field of that name
    skeleton  names of the K joints

and raise ShapeError where the cells do not fit the image. `draw.offsets` has the figures of offsets.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from poseg.draw.antialias import Bytes, Floats
from poseg.draw.field_canvas import FieldCanvas, add_light, darken, draw_level_line, soft_threshold, tint_mask
from poseg.draw.figures import contact_sheet, direction_legend, joint_label, resize_to
from poseg.draw.palette import PAPER, direction_colours, joint_colours
from poseg.errors import ShapeError
from poseg.fields import Fields
from poseg.skeletons import Pair, Skeleton

PERSON_THRESHOLD = 0.5
SMALL_TILE_PX = 320
TILE_PX = 480
PAF_TILE_PX = 400
MAX_LIMB_TILES = 11  # where no limbs are chosen
MIN_PAF_LENGTH = 0.15  # shorter vectors are invisible


def heatmap_tiles(image: Bytes, fields: Fields, skeleton: Skeleton) -> dict[str, Bytes]:
    """All joints in one image, then one image for each joint: K + 1 tiles."""
    canvas = FieldCanvas.of(image, fields, SMALL_TILE_PX)
    probability = canvas.upsample(fields.probability("heatmap"))
    colours = joint_colours(len(skeleton))
    together, best = canvas.darkened(), probability.argmax(axis=0)
    tint_mask(together, 0.8 * probability.max(axis=0), colours[best])
    tiles = {"all joints": together}
    for joint, name in enumerate(skeleton.joints):
        tile = canvas.darkened()
        tint_mask(tile, 0.8 * probability[joint], colours[joint])
        tiles[joint_label(name)] = tile
    return tiles


def heatmap_figure(image: Bytes, fields: Fields, skeleton: Skeleton) -> Bytes:
    """Sheet of `heatmap_tiles`."""
    tiles = heatmap_tiles(image, fields, skeleton)
    note = "Probability of each joint of any person, at every position."
    return contact_sheet(list(tiles.values()), list(tiles), 6, heading="Heatmaps", note=note)


def segmentation_tiles(image: Bytes, fields: Fields) -> dict[str, Bytes]:
    """The image, the probability of a person with its 0.5 contour, and the person pixels alone."""
    canvas = FieldCanvas.of(image, fields, TILE_PX)
    probability = canvas.upsample(fields.probability("segmentation"))
    ramp = np.asarray(cv2.applyColorMap(np.rint(255 * probability).astype(np.uint8), cv2.COLORMAP_PLASMA), np.uint8)
    heat = canvas.darkened()
    tint_mask(heat, 0.1 + 0.55 * probability, ramp[..., ::-1])
    person = canvas.darkened(30)
    tint_mask(person, soft_threshold(probability, PERSON_THRESHOLD), canvas.image)
    for tile in (heat, person):
        draw_level_line(tile, probability, PERSON_THRESHOLD, PAPER)
    return {"image": canvas.image, "probability of a person": heat, "person pixels": person}


def segmentation_figure(image: Bytes, fields: Fields, skeleton: Skeleton) -> Bytes:
    """Sheet of `segmentation_tiles`; the skeleton is unused, but all figures have the same arguments."""
    tiles = segmentation_tiles(image, fields)
    note = "The contour is where the probability is one half."
    return contact_sheet(list(tiles.values()), list(tiles), 3, heading="Person segmentation", note=note)


def hough_tiles(image: Bytes, hough_maps: Floats, skeleton: Skeleton) -> dict[str, Bytes]:
    """Hough maps (K, any H, any W) of the whole image as light: all joints, then each: K + 1 tiles."""
    if hough_maps.ndim != 3 or len(hough_maps) != len(skeleton):
        raise ShapeError("hough_maps", expected=(len(skeleton), "height", "width"), got=hough_maps.shape)
    small, _ = resize_to(image, SMALL_TILE_PX)
    size = small.shape[1::-1]
    # Area averages would dim sharp peaks: the maximum around each pixel is taken first.
    reach = max(int(np.ceil(hough_maps.shape[2] / size[0])), 1)
    kernel = np.ones((reach, reach), np.uint8)
    maps = np.stack([cv2.resize(cv2.dilate(one, kernel), size) for one in np.nan_to_num(hough_maps.astype(np.float32))])
    power = np.clip(maps / max(float(maps.max()), 1e-9), 0, 1) ** np.float32(0.6)
    colours = joint_colours(len(skeleton))
    halos = np.stack([cv2.GaussianBlur(one, (0, 0), 4.5) for one in power])
    energies = np.clip(np.maximum(power, 2.2 * halos), 0, 1).astype(np.float32)
    together = darken(small, 42)
    add_light(together, energies.max(axis=0), colours[energies.argmax(axis=0)])
    tiles = {"all joints": together}
    for name, energy, colour in zip(skeleton.joints, energies, colours, strict=True):
        tile = darken(small, 42)
        add_light(tile, energy, colour)
        tiles[joint_label(name)] = tile
    return tiles


def hough_figure(image: Bytes, hough_maps: Floats, skeleton: Skeleton) -> Bytes:
    """Sheet of `hough_tiles`."""
    tiles = hough_tiles(image, hough_maps, skeleton)
    note = "Every pixel votes through its short-range offset; joints are the peaks."
    return contact_sheet(list(tiles.values()), list(tiles), 6, heading="Hough maps", note=note)


def paf_tiles(image: Bytes, fields: Fields, limbs: Sequence[Pair], chosen: Sequence[Pair] = ()) -> dict[str, Bytes]:
    """All limbs in one image, the strongest on top, then one for each chosen limb: the strongest ones by default.

    Hue is direction, opacity is the length of the vector. `limbs` (L) name the field's channels.
    """
    paf = fields["paf"]
    if len(limbs) != len(paf):
        raise ShapeError("limbs", expected=f"{len(paf)} pairs of joints", got=(len(limbs),))
    canvas = FieldCanvas.of(image, fields, PAF_TILE_PX)
    vectors = canvas.upsample(paf.reshape(-1, *paf.shape[2:])).reshape(len(paf), 2, *canvas.image.shape[:2])
    strength = np.clip(np.hypot(vectors[:, 0], vectors[:, 1]), 0, 1)
    best = strength.argmax(axis=0)
    together = canvas.darkened()
    top = np.take_along_axis(vectors, best[None, None], axis=0)[0]
    tint_mask(together, _opacity(np.asarray(strength.max(axis=0))), direction_colours(top, 1.0))
    tiles = {"all limbs": together}
    strongest = np.sort(np.argsort(-strength.max(axis=(1, 2)), kind="stable")[:MAX_LIMB_TILES])
    for a, b in chosen or [limbs[limb] for limb in strongest]:
        limb = list(limbs).index((a, b))
        tile = canvas.darkened()
        tint_mask(tile, _opacity(strength[limb]), direction_colours(vectors[limb], 1.0))
        tiles[f"{joint_label(a)} to {joint_label(b)}"] = tile
    return tiles


def paf_figure(image: Bytes, fields: Fields, limbs: Sequence[Pair], chosen: Sequence[Pair] = ()) -> Bytes:
    """Sheet of `paf_tiles`, with the legend of directions."""
    tiles = paf_tiles(image, fields, limbs, chosen)
    note = "Along a limb, the direction from its first joint to its second. Hue is direction (see the wheel)."
    heading, legend = "Part affinity fields", direction_legend()
    return contact_sheet(list(tiles.values()), list(tiles), 4, heading=heading, note=note, legend=legend)


def _opacity(strength: np.ndarray) -> np.ndarray:
    """Opacity of vectors of a length in [0, 1]."""
    return np.clip((strength - MIN_PAF_LENGTH) / (1 - MIN_PAF_LENGTH), 0, 1).astype(np.float32) ** np.float32(0.6)
