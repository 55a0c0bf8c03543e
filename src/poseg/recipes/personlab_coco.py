"""PersonLab as it was published: ResNet-101 on COCO 2017 (Papandreou et al., ECCV 2018, section 4).

run     torchrun --nproc_per_node 8 -m poseg train personlab_coco --data COCO --out runs/coco
        (COCO holds `annotations/person_keypoints_train2017.json` and `train2017/`)
or      ... --set system.backbone=resnet152
expect  the paper: keypoint AP 0.655 (0.665 with ResNet-152) and mask AP 0.377 (0.385) on test-dev, one scale of
        1401 px. It has not been run here: one needs COCO and, as the paper did, 8 GPUs for some days
then    poseg export runs/coco -o coco.onnx --set system.stride=8
        trained at stride 16 and used at 8, by dilation, as the paper did
differs from the paper in the average of the weights, which moves, in place of Polyak's
"""

from __future__ import annotations

from pathlib import Path

from poseg.datasets.coco import coco
from poseg.networks.backbones.build import input_normalisation
from poseg.runtime.inference import InferenceConfig
from poseg.systems.personlab import PersonLab
from poseg.training.augment import Augmentation
from poseg.training.loader import Share, View
from poseg.training.recipe import Facts, Recipe, Start, Validation
from poseg.training.schedule import Schedule

SIDE_PX = 801
BACKBONE = "resnet101"
MEAN, STD = input_normalisation(BACKBONE)


def coco_persons(folder: Path) -> tuple[Share, ...]:
    """The 64,115 training pictures with people."""
    return (Share(coco(folder, "train2017"), 1.0),)


RECIPE = Recipe(
    name="personlab_coco",
    system=PersonLab(backbone=BACKBONE, stride=16, neck_channels=0, intermediate="auxiliary"),
    # The paper scales the whole picture's box by U(0.5, 1.5) and moves it at random; nothing turns.
    view=View(
        SIDE_PX, MEAN, STD,
        Augmentation(
            person_px=(40.0, 801.0), picture_px=(0.67 * SIDE_PX, 2.0 * SIDE_PX), enlarge=4.0, rotation_deg=0.0,
            colour=0.0,
        ),
    ),
    schedule=Schedule(
        steps=1_000_000, batch_size=8, optimiser="sgd", momentum=0.9, rate=1e-3, backbone_rate=1.0, weight_decay=1e-4,
        warm_up_steps=1000, curve="constant", clip_norm=0.0, average_decay=0.9999, precision="bf16",
        frozen_norms=True, frozen_stem=False, save_every=2000,
    ),
    data=coco_persons,
    start=Start(backbone="resnet101.safetensors"),
    validation=Validation(Path("annotations/person_keypoints_val2017.json"), Path("val2017"), every=0, limit=500),
    facts=Facts(
        inference=InferenceConfig(1401),
        licences={"code": "Apache-2.0", "weights": "Apache-2.0"},
        data=(
            {
                "name": "COCO 2017 train", "pictures": 64115, "use": "keypoints and masks",
                "terms": "annotations CC BY 4.0; Flickr photographs under their own licences",
            },
            {"name": "ImageNet", "use": "weights at the start", "terms": "research use"},
        ),
    ),
)  # fmt: skip
