"""Skeletons: names of joints, bones, trees, and how one becomes another."""

from poseg.skeletons.coco17 import COCO17
from poseg.skeletons.crowdpose14 import CROWDPOSE14
from poseg.skeletons.lsp14 import LSP14
from poseg.skeletons.ochuman19 import OCHUMAN19
from poseg.skeletons.openpose18 import OPENPOSE18
from poseg.skeletons.remap import remap, remap_weights
from poseg.skeletons.skeleton import Pair, Skeleton

SKELETONS = {skeleton.name: skeleton for skeleton in (COCO17, LSP14, CROWDPOSE14, OPENPOSE18, OCHUMAN19)}

__all__ = [
    "COCO17",
    "CROWDPOSE14",
    "LSP14",
    "OCHUMAN19",
    "OPENPOSE18",
    "SKELETONS",
    "Pair",
    "Skeleton",
    "remap",
    "remap_weights",
]
