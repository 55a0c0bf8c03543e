"""Drawings of people: pure functions `(image, people) -> image`, RGB uint8 in and out, the input is never modified.

`draw.fields` and `draw.offsets` have the figures of fields, `draw.figures` the sheets they are put on.
"""

from poseg.draw.mask import colour_label_map, draw_masks, label_map
from poseg.draw.overlay import draw_boxes, draw_scores, overlay
from poseg.draw.palette import PEOPLE_COLOURS, person_colours
from poseg.draw.pose import draw_poses
from poseg.draw.pose3d import views_3d
from poseg.draw.viewer3d import viewer3d_html

__all__ = [
    "PEOPLE_COLOURS",
    "colour_label_map",
    "draw_boxes",
    "draw_masks",
    "draw_poses",
    "draw_scores",
    "label_map",
    "overlay",
    "person_colours",
    "viewer3d_html",
    "views_3d",
]
