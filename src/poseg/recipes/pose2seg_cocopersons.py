"""Pose2Seg as published, for a GPU machine with COCO 2017 on disk (Zhang et al., CVPR 2019).

DATA holds train2017/, val2017/ and annotations/ as COCO hands them out.

run     poseg train pose2seg_cocopersons --data DATA --out runs/cocopersons --set start.backbone=resnet50.pth
target  mask AP 0.582 on val2017 with true poses, people with joints alone; 0.54 to 0.57 on OCHuman's val part. These
        are the authors' numbers, not ours: nobody has run this recipe to its end yet
time    354,000 steps of 4 pictures; the authors' took about 80 hours on a card of 2016
needs   8 GB of GPU memory

What differs: the stride of a ResNet's stage lies in its 3x3 convolution, as in the ImageNet weights; people come two
from each of four pictures, and not eight from all four together; one logit instead of two.
"""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.coco import coco
from poseg.runtime.inference import InferenceConfig
from poseg.systems.pose2seg import Pose2Seg
from poseg.training.augment import Augmentation
from poseg.training.loader import Share
from poseg.training.recipe import Facts, Recipe, Start, Validation
from poseg.training.schedule import Schedule
from poseg.training.window_views import WindowView

SIDE_PX = 513
EPOCH = 56_599 // 4  # steps; pictures with people that have joints

# The whole picture, as large as it fits: the published training moves windows, not pictures.
WHOLE = Augmentation(picture_px=(float(SIDE_PX), float(SIDE_PX)), enlarge=1e3, rotation_deg=0.0, mirror=0.0, colour=0.0)
SYSTEM = Pose2Seg()
MEAN, STD = SYSTEM.normalisation


def cocopersons(data: Path) -> tuple[Share, ...]:
    """COCO's people with masks."""
    return (Share(coco(data, "train2017"), 1.0),)


RECIPE = Recipe(
    name="pose2seg_cocopersons",
    system=SYSTEM,
    view=WindowView(SIDE_PX, MEAN, STD, WHOLE, people=2),
    schedule=Schedule(
        steps=25 * EPOCH, batch_size=4, optimiser="adamw", rate=2e-4, backbone_rate=1.0, weight_decay=0.0,
        warm_up_steps=1000, curve="drops", drops=(0.6, 0.8), clip_norm=0.0, average_decay=0.0, frozen_norms=False,
        frozen_stem=False, save_every=5000,
    ),
    data=cocopersons,
    start=Start(backbone="resnet50.pth"),
    validation=Validation(Path("annotations/person_keypoints_val2017.json"), Path("val2017"), every=EPOCH),
    facts=Facts(inference=InferenceConfig(SIDE_PX), notes=("Trained with true poses alone, as published.",)),
)  # fmt: skip
