"""What the network sees: the figures of PersonLab's and PoSeg's fields over the picture that went into it.

Each kind has two functions: `..._tiles` gives pictures by title, `..._figure` lays them on one sheet. They take

    image     (H, W, 3) uint8 RGB, the network's input; never written into
    fields    `Fields` with heatmap, short_offsets, mid_offsets, segmentation, long_offsets (as needed)
    skeleton  names the K joints and the directed edges

and raise ShapeError where the cells do not lie over the picture.
"""

from poseg.draw.maps import (
    heatmap_figure,
    heatmap_tiles,
    hough_figure,
    hough_tiles,
    segmentation_figure,
    segmentation_tiles,
)
from poseg.draw.offsets import (
    long_offset_figure,
    long_offset_tiles,
    mid_offset_figure,
    mid_offset_tiles,
    short_offset_figure,
    short_offset_tiles,
)
from poseg.draw.pafs import paf_figure, paf_tiles

__all__ = [
    "heatmap_figure",
    "heatmap_tiles",
    "hough_figure",
    "hough_tiles",
    "long_offset_figure",
    "long_offset_tiles",
    "mid_offset_figure",
    "mid_offset_tiles",
    "paf_figure",
    "paf_tiles",
    "segmentation_figure",
    "segmentation_tiles",
    "short_offset_figure",
    "short_offset_tiles",
]
