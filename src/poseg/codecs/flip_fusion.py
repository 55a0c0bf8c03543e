"""Test-time augmentation: fields averaged over an image and its flip, or over scales (PersonLab, section 4).

Letters: h x w cells. The specs of the fields say how they flip: axes such as "joint" and "edge" are permuted, and the
x component of axes named "xy" changes its sign.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.codecs.codec import FlipRules
from poseg.errors import FieldError
from poseg.fields import Fields, FieldSpec, sigmoid
from poseg.fields.offsets import sample_bilinear
from poseg.skeletons import Skeleton

Floats = NDArray[np.float32]

# Keeps weights defined where all probabilities are 0, and logits finite.
EPSILON = 1e-6


def flip_lr(array: Floats) -> Floats:
    """An array (..., w) with its last axis reversed."""
    if not array.size:
        return array.copy()
    # All maps as one tall image in OpenCV: several times as fast as a NumPy view with a negative stride.
    return np.asarray(cv2.flip(array.reshape(-1, array.shape[-1]), 1), np.float32).reshape(array.shape)


def flip_fields(fields: Fields, flip_rules: FlipRules) -> Fields:
    """The fields of the image flipped left to right; twice is the identity. `flip_rules` are those of the codec."""
    flipped = {}
    for spec in fields.specs:
        order, sign = flip_rules.get(spec.axes[0] if spec.axes else "", (None, None))
        array = fields[spec.name] if order is None else fields[spec.name][order]
        array = flip_lr(array)
        if spec.axes[-1:] == ("xy",):
            array[..., 0, :, :] *= -1
            if sign is not None and (sign != 1).any():
                array *= sign[:, None, None, None]
        flipped[spec.name] = array
    return Fields(fields.specs, flipped)


def fuse_fields(views: Sequence[Fields], skeleton: Skeleton) -> Fields:
    """The average of fields over the same input, such as those of an image and of its flip, flipped back.

    Logits are averaged as probabilities, scalars as they are. Offsets are averaged with weights: short and mid offsets
    with the probability of their joint, long offsets with that of a person. Raises FieldError for no fields, and for
    fields of different sizes: views at several scales are fused as poses instead (`codecs.pose_fusion`).
    """
    if not views or len({view.shape_hw for view in views}) > 1:
        raise FieldError(f"Fields to fuse have one size; these have {[view.shape_hw for view in views]}.")
    specs = views[0].specs
    values_of = [
        {spec.name: sigmoid(view[spec.name]) if spec.unit == "logit" else view[spec.name] for spec in specs}
        for view in views
    ]
    weights = {
        name: _normalised_weights([view[name] for view in values_of if name in view])
        for name in ("heatmap", "segmentation")
    }
    fused: dict[str, Floats] = {}
    for spec in specs:
        values = [view[spec.name] for view in values_of]
        if spec.unit in ("scalar", "logit"):
            mean: Floats = np.mean(values, axis=0, dtype=np.float32)
            fused[spec.name] = mean if spec.unit == "scalar" else _logit(np.clip(mean, EPSILON, 1 - EPSILON))
        else:
            parts = (value * _offset_weight(spec, weights, view, skeleton) for view, value in enumerate(values))
            fused[spec.name] = np.asarray(sum(parts), np.float32)
    return Fields(specs, fused)


def average_over_scales(fields: Fields, views: Sequence[tuple[Fields, Floats]], names: Sequence[str]) -> Fields:
    """The fields, with those of `names` (h, w) replaced by their mean over views at several scales.

    views  for each its fields, and the points (h w, 2) on its input where the h x w cells of `fields` lie
    """
    means = {}
    for name in names:
        h, w = fields[name].shape
        channel = np.zeros(h * w, np.intp)
        sampled = [sample_bilinear(view[name][None], channel, points, view.grid) for view, points in views]
        means[name] = np.mean(sampled, axis=0, dtype=np.float32).reshape(h, w)
    return Fields(fields.specs, {**fields.arrays, **means})


def _logit(p: Floats) -> Floats:
    return np.log(p) - np.log1p(-p)


def _normalised_weights(probabilities: Sequence[Floats]) -> list[Floats]:
    """The probabilities (..., h, w) of each view over their sum, so that they add up to 1."""
    total = np.sum(probabilities, axis=0, dtype=np.float32) + np.float32(len(probabilities) * EPSILON)
    return [(one + np.float32(EPSILON)) / total for one in probabilities]


def _offset_weight(spec: FieldSpec, weights: dict[str, list[Floats]], view: int, skeleton: Skeleton) -> Floats:
    """The weight of a view's offsets: (joints or edges, 1, h, w)."""
    if spec.name == "long_offsets":
        return weights["segmentation"][view][None, None]
    joints = weights["heatmap"][view][:, None]
    return joints[skeleton.edges[:, 0]] if spec.axes[0] == "edge" else joints
