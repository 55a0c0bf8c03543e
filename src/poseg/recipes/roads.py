"""What a run needs around each system: its training items, a picture of a step, and the model that is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset as TorchDataset

from poseg.datasets.mocap import Poses
from poseg.datasets.renamed import Renamed
from poseg.errors import PosegError
from poseg.evaluation import EvaluationReport, Model, evaluate, ground_truth_people
from poseg.export.torch_model import TorchModel, make_card
from poseg.runtime.mask_refiner import MaskRefiner
from poseg.runtime.models import build_predictor, load
from poseg.runtime.pose2seg import Pose2SegSegmenter
from poseg.systems.lifter import Lifter
from poseg.systems.multitask import Multitask
from poseg.systems.painter import Painter
from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.training.crop_views import CropView, CropViews
from poseg.training.feed import Item
from poseg.training.lift_views import LiftView, LiftViews
from poseg.training.loader import Mixture, Share, Views
from poseg.training.loop import Progress
from poseg.training.paint_views import FoundShare, PaintView, PaintViews
from poseg.training.pictures import crop_picture, lift_picture, paint_picture, training_picture, window_picture
from poseg.training.poseg_views import PoSegViews
from poseg.training.recipe import Recipe
from poseg.training.window_views import WindowView, WindowViews

Bytes = NDArray[np.uint8]


class Road(Protocol):
    """One system's surroundings."""

    def items(self, recipe: Recipe, data: Path) -> TorchDataset[Item]:
        """What is learned from, by position."""

    def picture(self, recipe: Recipe, progress: Progress) -> Bytes:
        """What a step's network makes of its batch, for the eye: (H, W, 3) uint8 RGB."""

    def measure(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Averaged weights on the recipe's validation pictures."""


@dataclass(frozen=True)
class PersonLabRoad:
    """PersonLab finds people itself."""

    def items(self, recipe: Recipe, data: Path) -> Views:
        """Fields of whole views, with a teacher's lessons where there are any."""
        return Mixture(
            _shares(recipe, data), _system(recipe, PersonLab).codec, recipe.view,
            length=_length(recipe), seed=recipe.seed, lessons=recipe.lessons,
        )  # fmt: skip

    def picture(self, recipe: Recipe, progress: Progress) -> Bytes:
        """The people found, heatmaps wanted, heatmaps found."""
        return training_picture(progress.batch, progress.fields, _system(recipe, PersonLab).codec, recipe.view)

    def measure(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Poses and masks of everybody found."""
        return _evaluated(recipe, build_predictor(_runner(recipe, state), min_score=0.0, mask_refiner=""), data)


@dataclass(frozen=True)
class PoSegRoad:
    """PoSeg finds people itself, on joints of its own."""

    def items(self, recipe: Recipe, data: Path) -> Views:
        """Fields of whole views, with a teacher's doubt where there are lessons."""
        codec = _system(recipe, PoSeg).codec
        shares = [
            share if share.data.skeleton == codec.skeleton else replace(share, data=Renamed(share.data, codec.skeleton))
            for share in _shares(recipe, data)
        ]
        return PoSegViews(
            shares, codec, recipe.view, length=_length(recipe), seed=recipe.seed, lessons=recipe.lessons
        )  # fmt: skip

    def picture(self, recipe: Recipe, progress: Progress) -> Bytes:
        """The people found, heatmaps wanted, heatmaps found."""
        return training_picture(progress.batch, progress.fields, _system(recipe, PoSeg).codec, recipe.view)

    def measure(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Poses and masks of everybody found."""
        return _evaluated(recipe, build_predictor(_runner(recipe, state), min_score=0.0, mask_refiner=""), data)


@dataclass(frozen=True)
class Pose2SegRoad:
    """Pose2Seg is given people."""

    def items(self, recipe: Recipe, data: Path) -> Views:
        """Windows of some people of each view."""
        if not isinstance(recipe.view, WindowView):
            raise PosegError("A Pose2Seg recipe needs a WindowView; make its view one.")
        codec = _system(recipe, Pose2Seg).codec
        return WindowViews(_shares(recipe, data), codec, recipe.view, length=_length(recipe), seed=recipe.seed)

    def picture(self, recipe: Recipe, progress: Progress) -> Bytes:
        """The windows of a picture: pose, mask wanted, mask found."""
        return window_picture(progress.batch, progress.fields, _system(recipe, Pose2Seg).codec, recipe.view)

    def measure(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Masks of everybody annotated, with their true poses given."""
        asked = recipe.validation
        segmenter = Pose2SegSegmenter(_runner(recipe, state))
        return _evaluated(recipe, segmenter, data, ground_truth_people(data / asked.annotations))


@dataclass(frozen=True)
class MultitaskRoad:
    """The multi-task network sees a crop of one person."""

    def items(self, recipe: Recipe, data: Path) -> Views:
        """Crops of people."""
        if not isinstance(recipe.view, CropView):
            raise PosegError("A multi-task recipe needs a CropView; make its view one.")
        codec = _system(recipe, Multitask).codec
        return CropViews(_shares(recipe, data), codec, recipe.view, length=_length(recipe), seed=recipe.seed)

    def picture(self, recipe: Recipe, progress: Progress) -> Bytes:
        """Crops with the joints wanted, and with those found."""
        return crop_picture(progress.batch, progress.fields, _system(recipe, Multitask).codec, recipe.view)

    def measure(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Not during a run: the joints of a crop are measured by `poseg evaluate --metric pck`."""
        raise PosegError("A multi-task run is measured after it, by poseg evaluate --metric pck; leave validation out.")


@dataclass(frozen=True)
class PainterRoad:
    """A painter sees windows of people that another model found."""

    def items(self, recipe: Recipe, data: Path) -> PaintViews:
        """Windows, moved and mirrored."""
        shares = recipe.data(data)
        found = [share for share in shares if isinstance(share, FoundShare)] if isinstance(shares, tuple) else []
        if not found or not isinstance(recipe.view, PaintView):
            raise PosegError("A painter's recipe needs people found and a PaintView; make its data and view such.")
        return PaintViews(
            found, _system(recipe, Painter).codec, recipe.view, length=_length(recipe), seed=recipe.seed
        )  # fmt: skip

    def picture(self, recipe: Recipe, progress: Progress) -> Bytes:
        """Windows with the limbs, what the finder knew, masks wanted and found."""
        return paint_picture(progress.batch, progress.fields, recipe.view)

    def measure(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Masks of the people that our default model finds."""
        return _evaluated(recipe, load(min_score=0.0, mask_refiner=MaskRefiner(_runner(recipe, state))), data)


@dataclass(frozen=True)
class LifterRoad:
    """A lifter sees no pictures but poses of motion capture, before cameras."""

    def items(self, recipe: Recipe, data: Path) -> LiftViews:
        """Poses in a picture with their joints in space."""
        poses = recipe.data(data)
        if not isinstance(poses, Poses) or not isinstance(recipe.view, LiftView):
            raise PosegError("A lifter's recipe needs poses for its data and a LiftView; make its data and view such.")
        codec = _system(recipe, Lifter).codec
        return LiftViews(poses, codec, recipe.view, length=_length(recipe), seed=recipe.seed)

    def picture(self, recipe: Recipe, progress: Progress) -> Bytes:
        """What went in, and joints wanted and found from the front and from the side."""
        return lift_picture(progress.batch, progress.fields, _system(recipe, Lifter).codec)

    def measure(self, recipe: Recipe, state: Mapping[str, Tensor], data: Path) -> EvaluationReport:
        """Not during a run: joints in space are measured by benchmarks/lifting.py."""
        raise PosegError("A lifter is measured after its run, by benchmarks/lifting.py; leave validation out.")


def road_of(recipe: Recipe) -> Road:
    """The surroundings of a recipe's system."""
    return ROADS[type(recipe.system)]


ROADS: dict[type, Road] = {
    Lifter: LifterRoad(),
    Multitask: MultitaskRoad(),
    Painter: PainterRoad(),
    PersonLab: PersonLabRoad(),
    Pose2Seg: Pose2SegRoad(),
    PoSeg: PoSegRoad(),
}


def _system(recipe: Recipe, kind: type[Any]) -> Any:
    assert isinstance(recipe.system, kind)
    return recipe.system


def _shares(recipe: Recipe, data: Path) -> tuple[Share, ...]:
    """The recipe's pictures. Raises PosegError for a recipe of poses."""
    shares = recipe.data(data)
    pictures = () if isinstance(shares, Poses) else tuple(share for share in shares if isinstance(share, Share))
    if not pictures:
        raise PosegError(f"The recipe {recipe.name} has no pictures for its data, but its system learns from them.")
    return pictures


def _length(recipe: Recipe) -> int:
    return recipe.schedule.steps * recipe.schedule.batch_size


def _runner(recipe: Recipe, state: Mapping[str, Tensor]) -> TorchModel[Any]:
    """Averaged weights that are not exported yet, on the best device there is."""
    network = recipe.system.network()
    network.load_state_dict({name: tensor.cpu() for name, tensor in state.items()})
    network.eval()
    if torch.cuda.is_available():
        network.cuda()
    card = make_card(
        recipe.system, name=recipe.name, inference=recipe.facts.inference, mean=recipe.view.mean, std=recipe.view.std
    )
    return TorchModel(network, recipe.system.codec, card)


def _evaluated(recipe: Recipe, model: Model, data: Path, given: Mapping[int, Any] | None = None) -> EvaluationReport:
    asked = recipe.validation
    return evaluate(
        model, data / asked.annotations, data / asked.pictures, limit=asked.limit, resamples=0, people=given
    )
