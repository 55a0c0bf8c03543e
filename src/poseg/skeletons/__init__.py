"""Skeletons: names of joints, bones, trees, and how one becomes another."""

from poseg.skeletons.body17_3d import BODY17_3D
from poseg.skeletons.coco17 import COCO17
from poseg.skeletons.crowdpose14 import CROWDPOSE14
from poseg.skeletons.lsp14 import LSP14
from poseg.skeletons.ochuman19 import OCHUMAN19
from poseg.skeletons.openpose18 import OPENPOSE18
from poseg.skeletons.remap import remap, remap_weights
from poseg.skeletons.skeleton import Pair, Skeleton
from poseg.skeletons.upper8 import UPPER8

SKELETONS = {
    skeleton.name: skeleton for skeleton in (COCO17, LSP14, CROWDPOSE14, OPENPOSE18, OCHUMAN19, UPPER8, BODY17_3D)
}

__all__ = [
    "BODY17_3D",
    "COCO17",
    "CROWDPOSE14",
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
