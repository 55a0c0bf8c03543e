"""What a run needs around each system: its training items, an image of a step, and how it is validated."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from poseg.datasets.dataset import RemappedDataset
from poseg.datasets.mocap import MocapPoses
from poseg.datasets.refiner_samples import RefinerSamples
from poseg.errors import PosegError
from poseg.evaluation import EvaluationReport, Model, evaluate, ground_truth_people
from poseg.export.torch_model import TorchModel, make_card
from poseg.runtime.mask_refiner import MaskRefiner
from poseg.runtime.models import build_predictor, load
from poseg.runtime.pose2seg import Pose2SegSegmenter
from poseg.systems.lifter import LifterSystem
from poseg.systems.mask_refiner import MaskRefinerSystem
from poseg.systems.multitask import Multitask
from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.training.crop_targets import CropInput, CropTargets
from poseg.training.dataset import Mixture, TargetEncoder, TrainDataset, TrainInput, WeightedDataset
from poseg.training.field_targets import PersonLabTargets, PoSegTargets
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


class Task(Protocol):
    """How one system is trained and validated."""

    def encoder(self, recipe: Recipe, data: Path) -> TargetEncoder:
        """What makes training examples of the data in a folder."""

    def visualise(self, recipe: Recipe, progress: Progress) -> Image:
        """What a step's network predicts for its batch: (H, W, 3) uint8 RGB."""

    def validate(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Scores of averaged weights on the recipe's validation images."""


class _BottomUpTask:
    """What PersonLab and PoSeg have in common: they detect people themselves."""

    def visualise(self, recipe: Recipe, progress: Progress) -> Image:
        """The decoded people, target heatmaps, predicted heatmaps."""
        codec = _system(recipe, (PersonLab, PoSeg)).codec
        return draw_batch_fields(progress.batch, progress.fields, codec, recipe.input)

    def validate(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Poses and masks of all detected people."""
        predictor = build_predictor(_eval_model(recipe, state), min_score=0.0, mask_refiner="")
        return _evaluate(recipe, predictor, data)


class PersonLabTask(_BottomUpTask):
    """PersonLab."""

    def encoder(self, recipe: Recipe, data: Path) -> TargetEncoder:
        """Fields of whole views, with a teacher's fields where there are any."""
        codec = _system(recipe, PersonLab).codec
        return PersonLabTargets(
            Mixture(_datasets(recipe, data), codec.skeleton), codec, recipe.input, recipe.teacher_dir
        )


class PoSegTask(_BottomUpTask):
    """PoSeg, on joints of its own."""

    def encoder(self, recipe: Recipe, data: Path) -> TargetEncoder:
        """Fields of whole views, with a teacher's negatives where labels are not exhaustive."""
        codec = _system(recipe, PoSeg).codec
        parts = [
            part
            if part.data.skeleton == codec.skeleton
            else replace(part, data=RemappedDataset(part.data, codec.skeleton))
            for part in _datasets(recipe, data)
        ]
        return PoSegTargets(Mixture(parts, codec.skeleton), codec, recipe.input, recipe.teacher_dir)


class Pose2SegTask:
    """Pose2Seg, for which people are provided."""

    def encoder(self, recipe: Recipe, data: Path) -> TargetEncoder:
        """Aligned crops of some people of each view."""
        codec = _system(recipe, Pose2Seg).codec
        return Pose2SegTargets(
            Mixture(_datasets(recipe, data), codec.skeleton), codec, _input(recipe, Pose2SegInput)
        )  # fmt: skip

    def visualise(self, recipe: Recipe, progress: Progress) -> Image:
        """The crops of an image: pose, target mask, predicted mask."""
        return draw_batch_pose2seg(progress.batch, progress.fields, _system(recipe, Pose2Seg).codec, recipe.input)

    def validate(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Masks of all annotated people, with their ground-truth poses provided."""
        poses = ground_truth_people(data / recipe.validation.annotations)
        return _evaluate(recipe, Pose2SegSegmenter(_eval_model(recipe, state)), data, poses)


class MultitaskTask:
    """The multi-task network."""

    def encoder(self, recipe: Recipe, data: Path) -> TargetEncoder:
        """Crops of one person."""
        codec = _system(recipe, Multitask).codec
        return CropTargets(Mixture(_datasets(recipe, data), codec.skeleton), codec, _input(recipe, CropInput))

    def visualise(self, recipe: Recipe, progress: Progress) -> Image:
        """Crops with the target joints, and with the predicted ones."""
        return draw_batch_crops(progress.batch, progress.fields, _system(recipe, Multitask).codec, recipe.input)

    def validate(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Not during a run: the joints of a crop are evaluated by `poseg evaluate --metric pck`."""
        raise PosegError(
            "A multi-task run is evaluated after it, by poseg evaluate --metric pck; leave validation out."
        )  # fmt: skip


class MaskRefinerTask:
    """The mask refiner."""

    def encoder(self, recipe: Recipe, data: Path) -> TargetEncoder:
        """Crops of people that another model detected."""
        parts = recipe.data(data)
        if not isinstance(parts, tuple) or not parts or not all(isinstance(p.data, RefinerSamples) for p in parts):
            raise PosegError("A mask refiner learns from detected people; make the recipe's data such.")
        codec = _system(recipe, MaskRefinerSystem).codec
        return RefinerTargets(Mixture(parts, codec.skeleton), codec, _input(recipe, RefinerInput))

    def visualise(self, recipe: Recipe, progress: Progress) -> Image:
        """Crops with limbs, cues, target and predicted masks."""
        return draw_batch_refiner(progress.batch, progress.fields, recipe.input)

    def validate(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Masks of the people that our default model detects."""
        refiner = MaskRefiner(_eval_model(recipe, state))
        return _evaluate(recipe, load(min_score=0.0, mask_refiner=refiner), data)


class LifterTask:
    """The lifter."""

    def encoder(self, recipe: Recipe, data: Path) -> TargetEncoder:
        """Projected poses of motion capture, without images."""
        poses = recipe.data(data)
        if not isinstance(poses, MocapPoses):
            raise PosegError("A lifter learns from poses of motion capture; make the recipe's data such.")
        return LifterTargets(poses, _system(recipe, LifterSystem).codec, _input(recipe, LiftInput))

    def visualise(self, recipe: Recipe, progress: Progress) -> Image:
        """Input joints, and target and predicted joints from the front and from the side."""
        return draw_batch_lifter(progress.batch, progress.fields, _system(recipe, LifterSystem).codec)

    def validate(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Not during a run: 3D joints are evaluated by benchmarks/lifting.py."""
        raise PosegError("A lifter is evaluated after its run, by benchmarks/lifting.py; leave validation out.")


TASKS: dict[type, Task] = {
    LifterSystem: LifterTask(),
    Multitask: MultitaskTask(),
    MaskRefinerSystem: MaskRefinerTask(),
    PersonLab: PersonLabTask(),
    Pose2Seg: Pose2SegTask(),
    PoSeg: PoSegTask(),
}


def task_for(recipe: Recipe) -> Task:
    """The task of a recipe's system."""
    return TASKS[type(recipe.system)]


def train_dataset(recipe: Recipe, data: Path) -> TrainDataset:
    """The training items of a run by position. Raises PosegError where data or input are not for the system."""
    length = recipe.optim.steps * recipe.optim.batch_size
    return TrainDataset(task_for(recipe).encoder(recipe, data), length=length, seed=recipe.seed)


def _system(recipe: Recipe, kind: type[Any] | tuple[type[Any], ...]) -> Any:
    assert isinstance(recipe.system, kind)
    return recipe.system


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


def _eval_model(recipe: Recipe, state: Mapping[str, Tensor]) -> TorchModel[Any]:
    """Averaged weights that are not exported yet, on a GPU where there is one."""
    network = recipe.system.network()
    network.load_state_dict({name: tensor.cpu() for name, tensor in state.items()})
    network.eval()
    if torch.cuda.is_available():
        network.cuda()
    card = make_card(
        recipe.system, name=recipe.name, inference=recipe.card.inference, mean=recipe.input.mean, std=recipe.input.std
    )
    return TorchModel(network, recipe.system.codec, card)


def _evaluate(recipe: Recipe, model: Model, data: Path, poses: Mapping[int, Any] | None = None) -> EvaluationReport:
    config = recipe.validation
    return evaluate(
        model, data / config.annotations, data / config.images, limit=config.limit, resamples=0, people=poses
    )
