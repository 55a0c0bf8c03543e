"""Figures of part affinity fields: along each limb the direction from one joint to the other.

Pictures are (H, W, 3) uint8 RGB, L limbs. `paf_tiles` gives pictures by title, `paf_figure` a sheet of them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from poseg.draw.figures import legend_wheel, sheet, spoken
from poseg.draw.ink import Bytes
from poseg.draw.palette import direction_colours
from poseg.draw.plate import Plate, dye
from poseg.errors import ShapeError
from poseg.fields import Fields
from poseg.skeletons import Pair

TILE_PX = 400
SHOWN = 11  # limbs that have a tile of their own where none are chosen
FAINT = 0.15  # a field weaker than this says nothing


def paf_tiles(image: Bytes, fields: Fields, limbs: Sequence[Pair], chosen: Sequence[Pair] = ()) -> dict[str, Bytes]:
    """All limbs in one picture, the strongest on top, then one for each chosen limb: by default those seen best.

    Hue is direction, strength is the length of the vector. `limbs` (L) name the field's channels.
    """
    paf = fields["paf"]
    if len(limbs) != len(paf):
        raise ShapeError("limbs", expected=f"{len(paf)} pairs of joints", got=(len(limbs),))
    plate = Plate.of(image, fields, TILE_PX)
    vectors = plate.spread(paf.reshape(-1, *paf.shape[2:])).reshape(len(paf), 2, *plate.picture.shape[:2])
    strength = np.clip(np.hypot(vectors[:, 0], vectors[:, 1]), 0, 1)
    best = strength.argmax(axis=0)
    together = plate.dark()
    top = np.take_along_axis(vectors, best[None, None], axis=0)[0]
    dye(together, _visible(np.asarray(strength.max(axis=0))), direction_colours(top, 1.0))
    tiles = {"all limbs": together}
    seen_best = np.sort(np.argsort(-strength.max(axis=(1, 2)), kind="stable")[:SHOWN])
    for a, b in chosen or [limbs[limb] for limb in seen_best]:
        place = list(limbs).index((a, b))
        tile = plate.dark()
        dye(tile, _visible(strength[place]), direction_colours(vectors[place], 1.0))
        tiles[f"{spoken(a)} to {spoken(b)}"] = tile
    return tiles


def paf_figure(image: Bytes, fields: Fields, limbs: Sequence[Pair], chosen: Sequence[Pair] = ()) -> Bytes:
    """Sheet of `paf_tiles`, with the legend wheel."""
    tiles = paf_tiles(image, fields, limbs, chosen)
    note = "Along a limb, the direction from its first joint to its second. Hue is direction (see the wheel)."
    return sheet(list(tiles.values()), list(tiles), 4, heading="Part affinity fields", note=note, emblem=legend_wheel())


def _visible(strength: np.ndarray) -> np.ndarray:
    """Opacity of vectors of a length in [0, 1]."""
    return np.clip((strength - FAINT) / (1 - FAINT), 0, 1).astype(np.float32) ** np.float32(0.6)
