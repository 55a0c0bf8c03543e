"""A recipe: everything that makes a run what it is, as one value. What only makes it faster is not in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from poseg.datasets.mocap import MocapPoses
from poseg.runtime.inference import InferenceConfig
from poseg.systems.lifter import LifterSystem
from poseg.systems.mask_refiner import MaskRefinerSystem
from poseg.systems.multitask import Multitask
from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.training.dataset import TrainInput, WeightedDataset
from poseg.training.init import Init
from poseg.training.optim import OptimConfig


@dataclass(frozen=True, slots=True)
class Validation:
    """Images that the averaged weights are evaluated on during the run; relative paths lie in the data folder.

    annotations  COCO annotation file
    images       folder of its images
    every        steps between evaluations; 0 for none
    limit        the first images only
    patience     the run ends after so many evaluations without a better score, and the best weights are kept and
                 exported; 0 for none of this. The score is the mean of keypoint AP and mask AP, of those that are
                 annotated, and the first weights have one too
    """

    annotations: Path = Path("annotations.json")
    images: Path = Path("images")
    every: int = 0
    limit: int | None = None
    patience: int = 0


@dataclass(frozen=True, slots=True)
class CardMetadata:
    """What the card of the exported model holds beside what the system knows.

    inference  the views of an image that the model is meant for; of other models the size of their input alone
    licences   of code and weights
    data       training sets: name, images, use, terms
    notes      sentences, such as who the teachers were
    """

    inference: InferenceConfig = field(default_factory=lambda: InferenceConfig(513))
    licences: Mapping[str, str] = field(default_factory=lambda: {"code": "Apache-2.0"})
    data: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Recipe:
    """A run.

    name         of the run and of the model that comes out
    system       network, codec and loss
    input        of the network in training
    optim        how long and how fast it learns
    data         the training sets in a data folder and how often each is drawn: images with people; detected people
                 for the mask refiner; poses of motion capture for the lifter
    init         first weights
    teacher_dir  folder of a teacher's fields (`recipes.write_teacher_fields`), or None
    validation   images to evaluate on during the run
    card         for the model's card
    seed         of the first weights and of every random draw
    """

    name: str
    system: LifterSystem | Multitask | MaskRefinerSystem | PersonLab | Pose2Seg | PoSeg
    input: TrainInput
    optim: OptimConfig
    data: Callable[[Path], tuple[WeightedDataset[Any], ...] | MocapPoses]
    init: Init = field(default_factory=Init)
    teacher_dir: Path | None = None
    validation: Validation = Validation()
    card: CardMetadata = field(default_factory=CardMetadata)
    seed: int = 0
