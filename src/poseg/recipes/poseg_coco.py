"""PoSeg as it was published: VGG-19, six stages, pyramid pooling, on COCO 2017 (Cao et al., CVPR 2017, section 3).

run     torchrun --nproc_per_node 2 -m poseg train poseg_coco --data COCO --out runs/poseg_coco
        (COCO holds `annotations/person_keypoints_train2017.json` and `train2017/`)
or      ... --set system.branch=dense --set system.refining=1 --set system.backbone=mobilenet_v3_large
        --set system.widths=32,64,128,128 --set view.side_px=385
expect  part affinity fields alone are published with keypoint AP 0.584 on 1,160 pictures of COCO val (six stages) and,
        in the light form, 0.40 on val2017, each at one scale. This joint network has not been run on COCO: one needs
        its pictures and, as for the published one, two GPUs for six days
differs from the published training in AdamW with half a cosine in place of SGD with drops, and in terms that are means
"""

from __future__ import annotations

from poseg.networks.backbones.build import input_normalisation
from poseg.recipes.personlab_coco import RECIPE as PERSONLAB
from poseg.recipes.personlab_coco import coco_persons
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import OPENPOSE18
from poseg.systems.poseg import PoSeg
from poseg.training.augment import Augmentation
from poseg.training.loader import View
from poseg.training.recipe import Facts, Recipe, Start
from poseg.training.schedule import Schedule

SIDE_PX = 368
BACKBONE = "vgg19"
MEAN, STD = input_normalisation(BACKBONE)

RECIPE = Recipe(
    name="poseg_coco",
    system=PoSeg(
        skeleton=OPENPOSE18, backbone=BACKBONE, widths=(64, 256), channels=128, branch="published", refining=5
    ),
    # Persons of 0.3 to 0.66 of the side, turned by up to 40 degrees.
    view=View(
        SIDE_PX, MEAN, STD,
        Augmentation(
            person_px=(0.3 * SIDE_PX, 0.66 * SIDE_PX), picture_px=(100.0, 4.0 * SIDE_PX), enlarge=4.0,
            rotation_deg=13.3, colour=0.0,
        ),
    ),
    schedule=Schedule(
        steps=440_000, batch_size=10, rate=2e-4, backbone_rate=0.1, weight_decay=1e-4, warm_up_steps=2000,
        clip_norm=1.0, average_decay=0.9999, precision="bf16", frozen_norms=False, frozen_stem=False, save_every=2000,
    ),
    data=coco_persons,
    start=Start(backbone="vgg19.safetensors"),
    validation=PERSONLAB.validation,
    facts=Facts(inference=InferenceConfig(SIDE_PX), licences=PERSONLAB.facts.licences, data=PERSONLAB.facts.data),
)  # fmt: skip
