"""Drawings of people: pure functions `(image, people) -> image`, RGB uint8 in and out, the input is never modified.

`draw.fields` and `draw.offsets` have the figures of fields, `draw.figures` the sheets they are put on.

The folder may be called itself: `poseg.draw(image, people)` is `overlay` as a `Drawing`, which notebooks display.
"""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any

from poseg.draw.drawing import Drawing
from poseg.draw.mask import colour_label_map, draw_masks, label_map
from poseg.draw.overlay import draw_boxes, draw_joint_names, draw_labels, overlay
from poseg.draw.palette import PEOPLE_COLOURS, person_colours
from poseg.draw.pose import draw_poses
from poseg.draw.pose3d import views_3d
from poseg.draw.viewer3d import viewer3d_html

__all__ = [
    "PEOPLE_COLOURS",
    "Drawing",
    "colour_label_map",
    "draw_boxes",
    "draw_joint_names",
    "draw_labels",
    "draw_masks",
    "draw_poses",
    "label_map",
    "overlay",
    "person_colours",
    "viewer3d_html",
    "views_3d",
]


class _CallableFolder(ModuleType):
    """What makes `poseg.draw` both the folder and the function: Python allows one attribute of that name."""

    def __call__(self, image: Any, people: Any, **options: Any) -> Drawing:
        """Draw people on an image (H, W, 3) uint8 RGB; options such as ids, scores, names, boxes as `overlay`."""
        return overlay(image, people, **options).view(Drawing)


sys.modules[__name__].__class__ = _CallableFolder
