"""A picture and its mirror image become one set of fields (PersonLab, section 4).

Letters: h x w cells. Fields are told apart by their specs alone: axes such as "joint" and "edge" are mirrored, and
axes named "xy" are vectors to be turned.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.codec import Mirrors
from poseg.errors import FieldError
from poseg.fields import Fields, FieldSpec, sigmoid
from poseg.fields.offsets import sample_bilinear
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]

# Keeps an average where no view is sure of anything, and a logit finite.
LEAST = 1e-6


def mirror_fields(fields: Fields, mirrors: Mirrors) -> Fields:
    """The fields of the picture mirrored left to right; twice is none. `mirrors` are a codec's, by axis."""
    mirrored = {}
    for spec in fields.specs:
        array = fields[spec.name][..., ::-1]
        order, sign = mirrors.get(spec.axes[0] if spec.axes else "", (None, None))
        array = np.array(array if order is None else array[order], np.float32)
        if spec.axes[-1:] == ("xy",):
            array[..., 0, :, :] *= -1
            array *= 1 if sign is None else sign[:, None, None, None]
        mirrored[spec.name] = array
    return Fields(fields.specs, mirrored)


def fuse_fields(views: Sequence[Fields], skeleton: Skeleton) -> Fields:
    """The average of fields over the same input, such as those of a picture and of its mirror image mirrored back.

    Probabilities are averaged, as probabilities, and plain numbers as they are; offsets with the probability that
    they mean anything as weights: short and mid offsets that of their joint, long offsets that of a person. Raises
    FieldError where there is nothing to fuse, or where the inputs had different sizes: people seen at several sizes
    agree as people (`codecs.agreement`).
    """
    if not views or len({view.cells for view in views}) > 1:
        raise FieldError(f"Fields to fuse have one size; these have {[view.cells for view in views]}.")
    specs = views[0].specs
    sure = [
        {spec.name: sigmoid(view[spec.name]) if spec.unit == "logit" else view[spec.name] for spec in specs}
        for view in views
    ]
    fused = {}
    for spec in specs:
        values = np.stack([view[spec.name] for view in sure])
        if spec.unit == "one":
            fused[spec.name] = values.mean(axis=0)
        elif spec.unit == "logit":
            p = np.clip(values.mean(axis=0), LEAST, 1 - LEAST)
            fused[spec.name] = np.log(p / (1 - p)).astype(np.float32)
        else:
            weights = np.stack([_weight(spec, view, skeleton) for view in sure])
            fused[spec.name] = (values * weights).sum(axis=0) / weights.sum(axis=0)
    return Fields(specs, fused)


def averaged(fields: Fields, looks: Sequence[tuple[Fields, Floats]], names: Sequence[str]) -> Fields:
    """Fields where those of `names` (h, w) are the mean over looks at the picture in several sizes.

    looks   the fields of each, and the places (h w, 2) on its input of the h x w cells that are wanted
    """
    means = {}
    for name in names:
        h, w = fields[name].shape
        first = np.zeros(h * w, np.intp)
        seen = [sample_bilinear(view[name][None], first, places, view.grid) for view, places in looks]
        means[name] = np.mean(seen, axis=0, dtype=np.float32).reshape(h, w)
    return Fields(fields.specs, {**fields.arrays, **means})


def _weight(spec: FieldSpec, view: dict[str, Floats], skeleton: Skeleton) -> Floats:
    """How much a view's offsets mean: (joints or edges, 1, h, w)."""
    if spec.name == "long_offsets":
        weight = view["segmentation"][None, None]
    elif spec.axes[0] == "edge":
        weight = view["heatmap"][skeleton.edges[:, 0], None]
    else:
        weight = view["heatmap"][:, None]
    return weight + np.float32(LEAST)
