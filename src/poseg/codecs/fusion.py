"""Several views of one picture, smaller or mirrored, become one set of fields (PersonLab, section 4).

Letters: h x w cells. Fields are told apart by their specs alone: axes named "joint" and "edge" are mirrored, unit
"px" is a vector to be turned and rescaled.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import FieldError
from poseg.fields import Fields, FieldSpec, sigmoid
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]

# Keeps an average where no view is sure of anything, and a logit finite.
LEAST = 1e-6


def mirror_fields(fields: Fields, skeleton: Skeleton) -> Fields:
    """The fields of the picture mirrored left to right; twice is none. Raises SkeletonError for a lopsided tree."""
    order = {"joint": skeleton.mirror, "edge": skeleton.edge_mirror if "mid_offsets" in fields else None}
    mirrored = {}
    for spec in fields.specs:
        array = fields[spec.name][..., ::-1]
        if spec.axes and spec.axes[0] in order:
            array = array[order[spec.axes[0]]]
        array = np.array(array, np.float32)
        if spec.axes[-1:] == ("xy",):
            array[..., 0, :, :] *= -1
        mirrored[spec.name] = array
    return Fields(fields.specs, mirrored)


def fuse_fields(views: Sequence[Fields], scales: Sequence[float], skeleton: Skeleton) -> Fields:
    """The average of fields of the same picture at several scales, on the grid of the largest.

    `scales` are the sizes of the views' inputs relative to one another; where an input shows the picture at half
    the size its scale is half. Probabilities are averaged, as probabilities. Offsets are rescaled with their view
    and averaged with the probability that they mean anything as weights: short and mid offsets that of their
    joint, long offsets that of a person. Raises FieldError where there is nothing to fuse.
    """
    if not views or len(views) != len(scales) or min(scales) <= 0:
        raise FieldError(f"Fusing needs a scale above 0 for every view; there are {len(views)} and {list(scales)}.")
    largest = int(np.argmax([np.prod(view.cells) for view in views]))
    finest = views[largest]
    ratios = [scales[largest] / scale for scale in scales]
    aligned = [
        {spec.name: _resample(view[spec.name], spec, ratio, finest) for spec in finest.specs}
        for view, ratio in zip(views, ratios, strict=True)
    ]
    fused = {}
    for spec in finest.specs:
        values = np.stack([view[spec.name] for view in aligned])
        if spec.unit == "logit":
            p = np.clip(values.mean(axis=0), LEAST, 1 - LEAST)
            fused[spec.name] = np.log(p / (1 - p)).astype(np.float32)
        else:
            weights = np.stack([_weight(spec, view, skeleton) for view in aligned])
            fused[spec.name] = (values * weights).sum(axis=0) / weights.sum(axis=0)
    return Fields(finest.specs, fused)


def _resample(array: Floats, spec: FieldSpec, ratio: float, finest: Fields) -> Floats:
    """A view's field (..., h, w) on the cells of the finest: probabilities, or offsets in the finest view's pixels."""
    grid, (rows, columns) = finest.grid, finest.cells
    values = sigmoid(array) if spec.unit == "logit" else array * np.float32(ratio)
    if ratio == 1 and values.shape[-2:] == (rows, columns):
        return values
    # A point of the finest input lies at 1 / ratio times its coordinates in the view's input.
    x = spec.grid.to_cells(grid.to_image(np.arange(columns)) / ratio)
    y = spec.grid.to_cells(grid.to_image(np.arange(rows)) / ratio)
    map_x, map_y = np.broadcast_to(x, (rows, columns)).copy(), np.broadcast_to(y[:, None], (rows, columns)).copy()
    planes = values.reshape(-1, *values.shape[-2:])
    moved = [cv2.remap(plane, map_x, map_y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) for plane in planes]
    resampled: Floats = np.stack(moved).astype(np.float32).reshape(*values.shape[:-2], rows, columns)
    return resampled


def _weight(spec: FieldSpec, view: dict[str, Floats], skeleton: Skeleton) -> Floats:
    """How much a view's offsets mean: (joints or edges, 1, h, w)."""
    if spec.name == "long_offsets":
        weight = view["segmentation"][None, None]
    elif spec.axes[0] == "edge":
        weight = view["heatmap"][skeleton.edges[:, 0], None]
    else:
        weight = view["heatmap"][:, None]
    return weight + np.float32(LEAST)
