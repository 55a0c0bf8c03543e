"""Joints by name, from one skeleton to another."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.skeletons import COCO17, LSP14
from poseg.skeletons.remap import remap


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_joint_that_lies_nowhere_is_not_there_and_spoils_no_other(value):
    points = np.random.default_rng(0).uniform(0, 100, (2, 17, 2)).astype(np.float32)
    sure = np.ones((2, 17), np.float32)
    ankle = COCO17.index("left_ankle")
    broken, less = points.copy(), sure.copy()
    broken[0, ankle, 1] = value
    less[0, ankle] = 0
    for target in (COCO17, LSP14):
        for found, wanted in zip(remap(broken, sure, COCO17, target), remap(points, less, COCO17, target), strict=True):
            np.testing.assert_array_equal(found, wanted)
