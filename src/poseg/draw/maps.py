"""Figures of maps: heatmaps, the person map and Hough maps, over the picture that went into the network.

K joints; pictures are (H, W, 3) uint8 RGB. `..._tiles` give pictures by title, `..._figure` a sheet of them.
"""

from __future__ import annotations

import cv2
import numpy as np

from poseg.draw.figures import fit, sheet, spoken
from poseg.draw.ink import Bytes, Floats
from poseg.draw.palette import PAPER, joint_colours
from poseg.draw.plate import Plate, darkened, dye, glow, level_line, solid
from poseg.errors import ShapeError
from poseg.fields import Fields, sigmoid
from poseg.skeletons import Skeleton

PERSON_THRESHOLD = 0.5
SMALL_TILE_PX = 320
TILE_PX = 480


def heatmap_tiles(image: Bytes, fields: Fields, skeleton: Skeleton) -> dict[str, Bytes]:
    """All joints in one picture, then one picture for each joint: K + 1 tiles."""
    plate = Plate.of(image, fields, SMALL_TILE_PX)
    likely = plate.spread(fields.probability("heatmap"))
    colours = joint_colours(len(skeleton))
    together, best = plate.dark(), likely.argmax(axis=0)
    dye(together, 0.8 * likely.max(axis=0), colours[best])
    tiles = {"all joints": together}
    for joint, name in enumerate(skeleton.joints):
        tile = plate.dark()
        dye(tile, 0.8 * likely[joint], colours[joint])
        tiles[spoken(name)] = tile
    return tiles


def heatmap_figure(image: Bytes, fields: Fields, skeleton: Skeleton) -> Bytes:
    """Sheet of `heatmap_tiles`."""
    tiles = heatmap_tiles(image, fields, skeleton)
    note = "How sure the network is of each joint of anybody, at every place."
    return sheet(list(tiles.values()), list(tiles), 6, heading="Heatmaps", note=note)


def segmentation_tiles(image: Bytes, fields: Fields) -> dict[str, Bytes]:
    """The picture, the probability of a person with its 0.5 contour, and the person pixels alone."""
    plate = Plate.of(image, fields, TILE_PX)
    likely = plate.spread(sigmoid(fields["segmentation"]))
    ramp = np.asarray(cv2.applyColorMap(np.rint(255 * likely).astype(np.uint8), cv2.COLORMAP_PLASMA), np.uint8)
    heat = plate.dark()
    dye(heat, 0.1 + 0.55 * likely, ramp[..., ::-1])
    cut = plate.dark(30)
    dye(cut, solid(likely, PERSON_THRESHOLD), plate.picture)
    for tile in (heat, cut):
        level_line(tile, likely, PERSON_THRESHOLD, PAPER)
    return {"picture": plate.picture, "probability of a person": heat, "person pixels": cut}


def segmentation_figure(image: Bytes, fields: Fields, skeleton: Skeleton) -> Bytes:
    """Sheet of `segmentation_tiles`; the skeleton is taken so that all figures are called alike."""
    tiles = segmentation_tiles(image, fields)
    note = "The line is where the probability crosses one half."
    return sheet(list(tiles.values()), list(tiles), 3, heading="Person segmentation", note=note)


def hough_tiles(image: Bytes, hough_maps: Floats, skeleton: Skeleton) -> dict[str, Bytes]:
    """Glow of Hough maps (K, any H, any W) that lie over the whole picture: all joints, then each: K + 1 tiles."""
    if hough_maps.ndim != 3 or len(hough_maps) != len(skeleton):
        raise ShapeError("hough_maps", expected=(len(skeleton), "height", "width"), got=hough_maps.shape)
    picture, _ = fit(image, SMALL_TILE_PX)
    size = picture.shape[1::-1]
    # Shrinking by area would dim sharp peaks: they are kept by taking the maximum around each pixel first.
    reach = max(int(np.ceil(hough_maps.shape[2] / size[0])), 1)
    kernel = np.ones((reach, reach), np.uint8)
    maps = np.stack([cv2.resize(cv2.dilate(one, kernel), size) for one in np.nan_to_num(hough_maps.astype(np.float32))])
    power = np.clip(maps / max(float(maps.max()), 1e-9), 0, 1) ** np.float32(0.6)
    colours = joint_colours(len(skeleton))
    halos = np.stack([cv2.GaussianBlur(one, (0, 0), 4.5) for one in power])
    energies = np.clip(np.maximum(power, 2.2 * halos), 0, 1).astype(np.float32)
    together = darkened(picture, 42)
    glow(together, energies.max(axis=0), colours[energies.argmax(axis=0)])
    tiles = {"all joints": together}
    for name, energy, colour in zip(skeleton.joints, energies, colours, strict=True):
        tile = darkened(picture, 42)
        glow(tile, energy, colour)
        tiles[spoken(name)] = tile
    return tiles


def hough_figure(image: Bytes, hough_maps: Floats, skeleton: Skeleton) -> Bytes:
    """Sheet of `hough_tiles`."""
    tiles = hough_tiles(image, hough_maps, skeleton)
    note = "Every pixel votes through its short-range offset; joints are the peaks."
    return sheet(list(tiles.values()), list(tiles), 6, heading="Hough maps", note=note)
