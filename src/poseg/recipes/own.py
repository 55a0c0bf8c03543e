"""Fine-tuning on a user's own annotation file: the recipe follows from the model to start with and from the data."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from poseg.errors import PosegError
from poseg.io.files import read_json
from poseg.recipes import find_recipe
from poseg.recipes.first_weights import RECIPE_FILE, source_skeleton
from poseg.recipes.own_data import VALIDATION, OwnData, own_people, own_skeleton
from poseg.runtime.models import card_of, is_model
from poseg.skeletons import Skeleton
from poseg.systems.multitask import Multitask
from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.training.crop_targets import CropInput
from poseg.training.init import Init
from poseg.training.kept_channels import kept_joints
from poseg.training.optim import OptimConfig
from poseg.training.recipe import Recipe, Validation

DATA = "data"  # folder of the prepared data, in that of the run
# Recipes of the bundled models; a file is trained by that of its system, PersonLab's by the stride.
RECIPES = {
    "small": "personlab_small", "accurate": "personlab_small", "fast": "personlab_fast", "poseg": "poseg_small",
    "pose2seg": "pose2seg_small", "multitask": "multitask",
}  # fmt: skip
SYSTEMS = {
    "personlab8": "small",
    "personlab16": "fast",
    "poseg": "poseg",
    "pose2seg": "pose2seg",
    "multitask": "multitask",
}

BATCH = 8
VIEWS_PER_IMAGE, MIN_VIEWS, MAX_VIEWS = 40, 2400, 6000  # images that a run takes, all steps together
EVALUATIONS, PATIENCE = 10, 4
LR, NEW_JOINTS_LR = 2e-4, 6e-4  # where all joints are known, and where some are new
BACKBONE_LR_SCALE, NEW_JOINTS_BACKBONE_LR_SCALE = 0.1, 0.3


def base_recipe(init: str) -> str:
    """The name of the recipe that trains a bundled model, a file or a run further. Raises PosegError."""
    if init in RECIPES:
        return RECIPES[init]
    settings = Path(init) / RECIPE_FILE
    if settings.is_file():
        return str(read_json(settings)["recipe"])
    if is_model(init):
        card = card_of(init)
        stride = card.codec.get("stride", "") if card.system == "personlab" else ""
        if f"{card.system}{stride}" in SYSTEMS:
            return RECIPES[SYSTEMS[f"{card.system}{stride}"]]
    raise PosegError(
        f"--init {init} cannot be trained on own data; give {', '.join(RECIPES)}, a file exported from one, or a run."
    )


def own_recipe(init: str, about: OwnData, folder: Path) -> Recipe:
    """The recipe that fine-tunes a model on data prepared in a folder (`own_data`). Raises PosegError.

    Length and learning rate follow from the number of images and from whether the model knows all joints.
    """
    base = find_recipe(base_recipe(init))
    skeleton = own_skeleton(folder)
    system = _system(base.system, skeleton, about)
    source = source_skeleton(init)
    new = source is not None and len(kept_joints(skeleton, source)) < len(skeleton)
    card = base.card
    own = () if set(about.joints) == set(skeleton.joints) else about.joints
    inference = replace(
        card.inference, joints=own, pose_refiner="" if about.has_joints else card.inference.pose_refiner
    )
    data = {
        "name": about.source, "images": about.train,
        "use": " and ".join(n for n, has in (("keypoints", about.has_joints), ("masks", about.has_masks)) if has),
        "terms": "not stated: a data set of the user's",
    }  # fmt: skip
    optim = own_optim(base.optim, about.train, new_joints=new)
    validation = Validation(Path(VALIDATION), Path(about.images), every=optim.checkpoint_every, patience=PATIENCE)
    own_input = replace(base.input, distilled=()) if isinstance(base.input, CropInput) else base.input
    return replace(
        base, name="own", system=system, input=own_input, optim=optim, data=own_people, init=Init(checkpoint=init),
        teacher_dir=None, validation=validation,
        card=replace(
            card, inference=inference, data=(data, {"name": init, "use": "initial weights", "terms": "see its card"}),
            notes=(f"Fine-tuned from `{Path(init).name}`.", *about.notes),
        ),
    )  # fmt: skip


def own_optim(base: OptimConfig, images: int, *, new_joints: bool) -> OptimConfig:
    """A schedule for so many images: each about 40 times, 300 to 750 steps of 8."""
    steps = math.ceil(min(max(VIEWS_PER_IMAGE * images, MIN_VIEWS), MAX_VIEWS) / BATCH)
    every = max(steps // EVALUATIONS, 1)
    return replace(
        base, steps=steps, batch_size=BATCH, lr=NEW_JOINTS_LR if new_joints else LR,
        backbone_lr_scale=NEW_JOINTS_BACKBONE_LR_SCALE if new_joints else BACKBONE_LR_SCALE,
        warmup_steps=max(steps // 10, 1), ema_decay=0.98, freeze_pretrained=False, freeze_stem=True,
        checkpoint_every=every,
    )  # fmt: skip


def joints_to_keep(init: str) -> Skeleton | None:
    """The skeleton of a bottom-up network, whose tree its people are assembled along; None of those that take boxes."""
    bottom_up = isinstance(find_recipe(base_recipe(init)).system, PersonLab | PoSeg)
    return source_skeleton(init) if bottom_up else None


def kept_and_new(init: str, joints: tuple[str, ...]) -> str:
    """A sentence about which joints of a file the network to start with has."""
    source = source_skeleton(init)
    if source is None:
        return f"The weights of {init} do not name their joints: heads of the same shape are kept."
    new = [joint for joint in joints if joint not in source.joints]
    kept = f"{len(joints) - len(new)} of {len(joints)} joints are kept from {init}"
    return f"{kept}; new: {', '.join(new)}." if new else f"{kept}."


def _system(system: Any, skeleton: Skeleton, about: OwnData) -> Any:
    """The base's system on the skeleton of the data. Raises PosegError where the data lacks what it learns from."""
    if isinstance(system, Pose2Seg):
        if not (about.has_masks and about.has_joints):
            raise PosegError(
                f"pose2seg learns masks of given poses; {about.source} lacks one; start from small or fast."
            )
        return system  # people are remapped to its joints by name
    if isinstance(system, Multitask):
        if not about.has_joints:
            raise PosegError(f"multitask learns joints, and {about.source} has none; start from small or fast.")
        return replace(system, skeleton=skeleton, tasks=("heatmap",), parts=())
    return replace(system, skeleton=skeleton)
