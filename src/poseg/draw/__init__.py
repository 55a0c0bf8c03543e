"""Pictures of people: pure functions `(image, people) -> image`, RGB uint8 in and out, the input never written into.

`draw.fields` has the pictures of what a network sees, `draw.figures` the sheets they are laid on.
"""

from poseg.draw.mask import colour_label_map, draw_masks, label_map
from poseg.draw.overlay import draw_boxes, draw_scores, overlay
from poseg.draw.palette import PEOPLE_COLOURS, person_colours
from poseg.draw.pose import draw_poses
from poseg.draw.pose3d import views_3d
from poseg.draw.turntable import turntable_html

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
    "turntable_html",
    "views_3d",
]
