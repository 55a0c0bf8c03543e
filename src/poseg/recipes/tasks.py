"""What a run needs around each system: its training examples, an image of a step, and how it is validated."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseg.codecs.lifting import LiftingCodec
from poseg.codecs.mask_refiner import MaskRefinerCodec
from poseg.codecs.multitask import HEATMAP, MultitaskCodec
from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.codecs.poseg import PoSegCodec
from poseg.datasets.dataset import RemappedDataset
from poseg.datasets.mocap import MocapPoses
from poseg.datasets.refiner_samples import RefinerSamples
from poseg.errors import PosegError
from poseg.evaluation import EvaluationReport, Model, evaluate, ground_truth_people
from poseg.export.torch_model import TorchModel, make_card
from poseg.recipes.first_weights import first_network
from poseg.runtime.crop_pose import TopDownPose
from poseg.runtime.mask_refiner import MaskRefiner
from poseg.runtime.models import build_predictor, load
from poseg.runtime.pose2seg import Pose2SegSegmenter
from poseg.skeletons import Skeleton
from poseg.systems.lifter import LifterSystem
from poseg.systems.mask_refiner import MaskRefinerSystem
from poseg.systems.multitask import Multitask
from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.training.crop_targets import CropInput, CropTargets
from poseg.training.dataset import Mixture, TargetEncoder, TrainDataset, TrainInput, WeightedDataset
from poseg.training.field_targets import PersonLabTargets, PoSegTargets
from poseg.training.init import Init
from poseg.training.lifter_targets import LifterTargets, LiftInput
from poseg.training.loop import Progress
from poseg.training.pose2seg_targets import Pose2SegInput, Pose2SegTargets
from poseg.training.recipe import Recipe
from poseg.training.refiner_targets import RefinerInput, RefinerTargets
from poseg.training.visualise import (
    draw_batch_crops,
    draw_batch_fields,
    draw_batch_lifter,
    draw_batch_pose2seg,
    draw_batch_refiner,
)

Image = NDArray[np.uint8]
Config = TypeVar("Config", bound=TrainInput)


@dataclass(frozen=True, slots=True)
class Task:
    """How one system is trained and validated.

    encoder         makes training examples of the data in a folder
    draw            what a step's network predicts, from its batch, its fields, the codec and the recipe's input
    model           what is evaluated on the recipe's validation images, built from the network; None for systems that
                    are evaluated after their run, by `evaluated_by`
    provided_poses  whether the model takes the ground-truth poses of the images
    """

    encoder: Callable[[Recipe, Path], TargetEncoder]
    draw: Callable[[Any, Mapping[str, Tensor], Any, TrainInput], Image]
    model: Callable[[TorchModel[Any]], Model] | None = None
    provided_poses: bool = False
    evaluated_by: str = ""


def train_dataset(recipe: Recipe, data: Path) -> TrainDataset:
    """The training items of a run by position. Raises PosegError where data or input are not for the system."""
    length = recipe.optim.steps * recipe.optim.batch_size
    return TrainDataset(_task(recipe).encoder(recipe, data), length=length, seed=recipe.seed)


def visualise(recipe: Recipe, progress: Progress) -> Image:
    """What a step's network predicts for its batch: (H, W, 3) uint8 RGB."""
    return _task(recipe).draw(progress.batch, progress.fields, recipe.system.codec, recipe.input)


def validate(recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
    """Scores of averaged weights on the recipe's validation images. Raises PosegError for systems without any."""
    task, config = _task(recipe), recipe.validation
    if task.model is None:
        raise PosegError(f"{recipe.name} is evaluated after its run, by {task.evaluated_by}; leave validation out.")
    annotations = data / config.annotations
    return evaluate(
        task.model(_eval_model(recipe, state)), annotations, data / config.images, limit=config.limit, resamples=0,
        people=ground_truth_people(annotations) if task.provided_poses else None,
    )  # fmt: skip


def _task(recipe: Recipe) -> Task:
    return TASKS[type(recipe.system)]


def _personlab(recipe: Recipe, data: Path) -> TargetEncoder:
    codec = recipe.system.codec
    assert isinstance(codec, PersonLabCodec)
    return PersonLabTargets(Mixture(_datasets(recipe, data), codec.skeleton), codec, recipe.input, recipe.teacher_dir)


def _poseg(recipe: Recipe, data: Path) -> TargetEncoder:
    codec = recipe.system.codec
    assert isinstance(codec, PoSegCodec)
    parts = _on_skeleton(_datasets(recipe, data), codec.skeleton)
    return PoSegTargets(Mixture(parts, codec.skeleton), codec, recipe.input, recipe.teacher_dir)


def _on_skeleton(parts: Sequence[WeightedDataset[Any]], skeleton: Skeleton) -> list[WeightedDataset[Any]]:
    """Data sets with their people remapped by the names of joints, where they have another skeleton."""
    return [
        part if part.data.skeleton == skeleton else replace(part, data=RemappedDataset(part.data, skeleton))
        for part in parts
    ]


def _pose2seg(recipe: Recipe, data: Path) -> TargetEncoder:
    codec = recipe.system.codec
    assert isinstance(codec, Pose2SegCodec)
    parts = _on_skeleton(_datasets(recipe, data), codec.skeleton)
    return Pose2SegTargets(Mixture(parts, codec.skeleton), codec, _input(recipe, Pose2SegInput))


def _multitask(recipe: Recipe, data: Path) -> TargetEncoder:
    codec = recipe.system.codec
    assert isinstance(codec, MultitaskCodec)
    config = _input(recipe, CropInput)
    teacher = _first_weights(recipe) if config.distilled else None
    return CropTargets(Mixture(_datasets(recipe, data), codec.skeleton), codec, config, teacher)


def _first_weights(recipe: Recipe) -> TorchModel[Any]:
    """The first weights of a multi-task run, as the teacher of its heatmaps."""
    if recipe.init == Init() or not isinstance(recipe.system, Multitask):
        raise PosegError("input.distilled takes heatmaps of the first weights; give init.tinypose or init.checkpoint.")
    recipe = replace(recipe, system=replace(recipe.system, tasks=(HEATMAP,)))
    return _torch_model(recipe, first_network(recipe))


def _mask_refiner(recipe: Recipe, data: Path) -> TargetEncoder:
    codec, parts = recipe.system.codec, recipe.data(data)
    assert isinstance(codec, MaskRefinerCodec)
    if not isinstance(parts, tuple) or not parts or not all(isinstance(p.data, RefinerSamples) for p in parts):
        raise PosegError("A mask refiner learns from detected people; make the recipe's data such.")
    return RefinerTargets(Mixture(parts, codec.skeleton), codec, _input(recipe, RefinerInput))


def _lifter(recipe: Recipe, data: Path) -> TargetEncoder:
    codec, poses = recipe.system.codec, recipe.data(data)
    assert isinstance(codec, LiftingCodec)
    if not isinstance(poses, MocapPoses):
        raise PosegError("A lifter learns from poses of motion capture; make the recipe's data such.")
    return LifterTargets(poses, codec, _input(recipe, LiftInput))


def _input(recipe: Recipe, kind: type[Config]) -> Config:
    if not isinstance(recipe.input, kind):
        raise PosegError(f"A recipe of {type(recipe.system).__name__} needs a {kind.__name__}; make its input one.")
    return recipe.input


def _datasets(recipe: Recipe, data: Path) -> tuple[WeightedDataset[Any], ...]:
    """The recipe's images. Raises PosegError for a recipe of poses."""
    parts = recipe.data(data)
    if isinstance(parts, MocapPoses) or not parts or any(isinstance(part.data, RefinerSamples) for part in parts):
        raise PosegError(f"The recipe {recipe.name} has no images for its data, but its system learns from them.")
    return parts


# A network is validated by its own poses and masks.
_detector = partial(build_predictor, min_score=0.0, pose_refiner="", mask_refiner="")


def _in_boxes(model: TorchModel[Any]) -> Model:
    """A top-down model in the boxes of the people."""
    pose_model = TopDownPose(model, min_score=0.0)
    return lambda image, people: pose_model(image, people.boxes_xyxy)


def _default_with(model: TorchModel[Any]) -> Model:
    """Our default model with another mask refiner."""
    return load(min_score=0.0, mask_refiner=MaskRefiner(model))


TASKS: dict[type, Task] = {
    LifterSystem: Task(_lifter, draw_batch_lifter, evaluated_by="benchmarks/lifting.py"),
    Multitask: Task(_multitask, draw_batch_crops, _in_boxes, provided_poses=True),
    MaskRefinerSystem: Task(_mask_refiner, draw_batch_refiner, _default_with),
    PersonLab: Task(_personlab, draw_batch_fields, _detector),
    Pose2Seg: Task(_pose2seg, draw_batch_pose2seg, Pose2SegSegmenter, provided_poses=True),
    PoSeg: Task(_poseg, draw_batch_fields, _detector),
}


def _eval_model(recipe: Recipe, state: Mapping[str, Tensor]) -> TorchModel[Any]:
    """Averaged weights that are not exported yet, on a GPU where there is one."""
    network = recipe.system.network()
    network.load_state_dict({name: tensor.cpu() for name, tensor in state.items()})
    return _torch_model(recipe, network.cuda() if torch.cuda.is_available() else network)


def _torch_model(recipe: Recipe, network: nn.Module) -> TorchModel[Any]:
    card = make_card(
        recipe.system, name=recipe.name, inference=recipe.card.inference, mean=recipe.input.mean, std=recipe.input.std
    )
    return TorchModel(network.eval(), recipe.system.codec, card)
