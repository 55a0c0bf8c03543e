"""A recipe: everything that makes a run what it is, as one value. What only makes it faster is not in it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from poseg.datasets.mocap import Poses
from poseg.runtime.inference import InferenceConfig
from poseg.systems.lifter import Lifter
from poseg.systems.multitask import Multitask
from poseg.systems.painter import Painter
from poseg.systems.personlab import PersonLab
from poseg.systems.pose2seg import Pose2Seg
from poseg.systems.poseg import PoSeg
from poseg.training.loader import Share, View
from poseg.training.paint_views import FoundShare
from poseg.training.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Start:
    """Where the weights come from; random where nothing is said.

    backbone   ImageNet weights: a file (.pth, .safetensors), or "package:NAME" for the one an installed package ships;
               or the backbone of a network of ours: the folder of a run, or a .safetensors file
    published  Google's BodyPix (.npz) or MoveNet MultiPose (.tflite), for a network that contains its trunk
               (`recipes.google_start`)
    weights    a whole network: the folder of a run (its averaged weights) or a .safetensors file. Heads that it lacks
               or whose shape differs, as for another skeleton or task, start afresh
    """

    backbone: str = ""
    published: str = ""
    weights: str = ""


@dataclass(frozen=True, slots=True)
class Validation:
    """Pictures that the averaged weights are measured on during the run; relative paths lie in the data folder.

    annotations   COCO annotation file
    pictures      folder of its pictures
    every         steps between measurements; 0 for none
    limit         the first pictures only
    """

    annotations: Path = Path("annotations.json")
    pictures: Path = Path("pictures")
    every: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True)
class Facts:
    """What the card of the exported model says beside what the system knows.

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

    name        of the run and of the model that comes out
    system      network, codec and loss
    view        what the network is shown
    schedule    how long and how fast
    data        the training sets in a data folder, with the weights of their mixture; for a painter people found in
                them, for a lifter poses
    start       initial weights
    lessons     folder of a teacher's lessons (`recipes.teach`), or None
    validation  pictures to measure on during the run
    facts       for the model's card
    seed        of initial weights and of every random draw
    """

    name: str
    system: Lifter | Multitask | Painter | PersonLab | Pose2Seg | PoSeg
    view: View
    schedule: Schedule
    data: Callable[[Path], tuple[Share, ...] | tuple[FoundShare, ...] | Poses]
    start: Start = Start()
    lessons: Path | None = None
    validation: Validation = Validation()
    facts: Facts = field(default_factory=Facts)
    seed: int = 0
