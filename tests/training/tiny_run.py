"""A run small enough to be killed, repeated and shared: python tiny_run.py FOLDER [field=value...]."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from poseg.io.overrides import apply_overrides
from poseg.networks.heads.field_head import FieldHead
from poseg.people import People, Sample
from poseg.skeletons import COCO17
from poseg.systems.personlab import PersonLab
from poseg.training.augment import Augmentation
from poseg.training.journal import Journal
from poseg.training.loader import Mixture, Share, View
from poseg.training.loop import Progress, train
from poseg.training.pictures import training_picture
from poseg.training.schedule import Schedule

SYSTEM = PersonLab(stride=16)
VIEW = View(65, (127.0,) * 3, (128.0,) * 3, Augmentation(picture_px=(60.0, 120.0)))
SCHEDULE = Schedule(steps=12, batch_size=4, save_every=5, warm_up_steps=2, rate=1e-2)


class Stickmen:
    """Four pictures of a bright box with a pose in it."""

    name, complete, known, skeleton = "stickmen", True, np.ones(17, bool), COCO17

    def __len__(self) -> int:
        return 4

    def key(self, index: int) -> str:
        return f"stickmen/{index}"

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        image = rng.integers(0, 60, (120, 100, 3), np.uint8)
        image[20:110, 30:70] = 200
        masks = np.zeros((1, 120, 100), bool)
        masks[0, 20:110, 30:70] = True
        points = rng.uniform((30, 20), (70, 110), (1, 17, 2))
        return Sample(image, People.from_poses(COCO17, points, np.ones((1, 17)), masks=masks), name=str(index))


class Backbone(nn.Sequential):
    """Four convolutions down to stride 16, each with a norm."""

    def __init__(self) -> None:
        stages = [
            nn.Sequential(nn.Conv2d(c, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU6())
            for c in (3, 16, 16, 16)
        ]
        super().__init__(*stages)

    def stem_to_stride4(self) -> tuple[nn.Module, ...]:
        return (self[0], self[1])


class Network(nn.Module):
    """The smallest network with a backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = FieldHead(16, SYSTEM.codec.specs, unit_px=32)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.head(self.backbone(image))


def mixture(schedule: Schedule = SCHEDULE) -> Mixture:
    return Mixture([Share(Stickmen(), 1.0)], SYSTEM.codec, VIEW, length=schedule.steps * schedule.batch_size, seed=3)


def picture(progress: Progress) -> np.ndarray:
    return training_picture(progress.batch, progress.fields, SYSTEM.codec, VIEW)


def run(
    folder: Path, schedule: Schedule = SCHEDULE, report: Callable[[Progress], None] | None = None, data=None, **options
) -> list[float]:
    """Train; the loss of each step."""
    torch.manual_seed(0)
    losses: list[float] = []

    def told(progress: Progress) -> None:
        losses.append(progress.terms["total"])
        if report is not None:
            report(progress)

    data = mixture(schedule) if data is None else data
    train(Network(), SYSTEM.loss(), data, schedule, folder, report=told, seed=3, **options)
    return losses


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    journal = Journal(folder, picture, pictures_every=0)
    run(folder, apply_overrides(SCHEDULE, sys.argv[2:]), journal)
    journal.close()
