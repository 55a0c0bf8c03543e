"""Skeletons: names of joints, bones, trees, and the mapping from one skeleton to another."""

from poseg.skeletons.catalog import (
    BODY17_3D,
    COCO17,
    CROWDPOSE14,
    LSP14,
    OCHUMAN19,
    OPENPOSE18,
    SKELETONS,
    UPPER8,
)
from poseg.skeletons.remap import remap, remap_weights
from poseg.skeletons.skeleton import DEFAULT_SIGMA, Pair, Skeleton

__all__ = [
    "BODY17_3D",
    "COCO17",
    "CROWDPOSE14",
    "DEFAULT_SIGMA",
    "LSP14",
    "OCHUMAN19",
    "OPENPOSE18",
    "SKELETONS",
    "UPPER8",
    "Pair",
    "Skeleton",
    "remap",
    "remap_weights",
]
