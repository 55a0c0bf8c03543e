"""Learn the masks of eight drawn pictures by heart, their poses given: does Pose2Seg's training code work?

run     poseg train pose2seg_overfit_tiny --data drawn --out runs/tiny
expect  mask AP above 0.9 on these very pictures with their true poses, which the run draws into its data folder
time    about a minute on two cores
"""

from __future__ import annotations

from dataclasses import replace

from poseg.recipes.overfit_tiny import BACKBONE, PLAIN, SIDE_PX
from poseg.recipes.overfit_tiny import RECIPE as TINY
from poseg.systems.pose2seg import Pose2Seg
from poseg.training.recipe import Recipe
from poseg.training.window_views import WindowView

RECIPE: Recipe = replace(
    TINY,
    name="pose2seg_overfit_tiny",
    system=Pose2Seg(
        backbone=BACKBONE, neck="separable", neck_channels=32, padding=0.15, stem=32, planes=16, units=4, last_planes=8
    ),
    view=WindowView(
        SIDE_PX, TINY.view.mean, TINY.view.std, PLAIN, people=4, rotation_deg=0.0, zoom=(1.0, 1.0), shift=0.0
    ),
    schedule=replace(TINY.schedule, steps=140),
)
