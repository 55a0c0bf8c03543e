"""Joints by name, from one skeleton to another."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.skeletons import COCO17, LSP14
from poseg.skeletons.remap import remap


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_nan_joints_are_missing_and_affect_no_other(value):
    points = np.random.default_rng(0).uniform(0, 100, (2, 17, 2)).astype(np.float32)
    scores = np.ones((2, 17), np.float32)
    ankle = COCO17.index("left_ankle")
    broken, less = points.copy(), scores.copy()
    broken[0, ankle, 1] = value
    less[0, ankle] = 0
    for target in (COCO17, LSP14):
        for result, expected in zip(
            remap(broken, scores, COCO17, target), remap(points, less, COCO17, target), strict=True
        ):
            np.testing.assert_array_equal(result, expected)
