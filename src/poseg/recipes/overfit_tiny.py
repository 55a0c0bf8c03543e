"""Learn eight drawn pictures by heart: what any training code must be able to do, in about a minute on a CPU.

run     poseg train overfit_tiny --data drawn --out runs/tiny
expect  keypoint AP above 0.95 and mask AP above 0.9 on these very pictures, which the run draws into its data folder
"""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.coco_format import CocoFormat
from poseg.datasets.drawn_people import write_drawn_people
from poseg.io.coco_json import read_coco
from poseg.networks.backbones.build import input_normalisation
from poseg.runtime.inference import InferenceConfig
from poseg.systems.personlab import LossWeights, PersonLab
from poseg.training.augment import Augmentation
from poseg.training.loader import Share, View
from poseg.training.recipe import Facts, Recipe, Validation
from poseg.training.schedule import Schedule

PICTURES, SIDE_PX, SEED = 8, 161, 7
BACKBONE = "mobilenet_v3_small"


def drawn(folder: Path) -> tuple[Share, ...]:
    """The drawn pictures, written into the data folder first."""
    write_drawn_people(folder, pictures=PICTURES, size=(SIDE_PX, SIDE_PX), seed=SEED)
    return (Share(CocoFormat("drawn", read_coco(folder / "annotations.json"), folder / "pictures"), 1.0),)


# The picture as it is: nothing turned, mirrored, enlarged or dyed.
PLAIN = Augmentation(picture_px=(SIDE_PX, SIDE_PX), enlarge=1.0, rotation_deg=0.0, mirror=0.0, colour=0.0)
MEAN, STD = input_normalisation(BACKBONE)

RECIPE = Recipe(
    name="overfit_tiny",
    system=PersonLab(
        backbone=BACKBONE, stride=4, neck_channels=64, disk_radius_px=12.0,
        weights=LossWeights(segmentation=4.0, long_offsets=0.5),
    ),
    view=View(SIDE_PX, MEAN, STD, PLAIN),
    schedule=Schedule(
        steps=240, batch_size=8, rate=4e-3, backbone_rate=1.0, weight_decay=0.0, warm_up_steps=20, average_decay=0.9,
        frozen_norms=False, frozen_stem=False, norm_momentum=0.1, save_every=100,
    ),
    data=drawn,
    validation=Validation(every=0),
    facts=Facts(inference=InferenceConfig(SIDE_PX), notes=("Learned eight drawn pictures by heart; of no other use.",)),
)  # fmt: skip
