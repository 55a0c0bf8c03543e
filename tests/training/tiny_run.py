"""A run small enough to be killed, repeated and shared: python tiny_run.py FOLDER [field=value...]."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from poseg.io.overrides import apply_overrides
from poseg.networks.heads.field_heads import FieldHead
from poseg.people import People, Sample
from poseg.skeletons import COCO17
from poseg.systems.personlab import PersonLab
from poseg.training.dataset import AugmentConfig, Mixture, TrainDataset, TrainInput, WeightedDataset
from poseg.training.field_targets import PersonLabTargets
from poseg.training.logger import TensorBoardLogger
from poseg.training.loop import Progress, train
from poseg.training.optim import OptimConfig
from poseg.training.visualise import draw_batch_fields

SYSTEM = PersonLab(stride=16)
INPUT = TrainInput(65, (127.0,) * 3, (128.0,) * 3, AugmentConfig(image_px=(60.0, 120.0)))
OPTIM = OptimConfig(steps=12, batch_size=4, checkpoint_every=5, warmup_steps=2, lr=1e-2)


class Stickmen:
    """Four images of a bright box with a pose in it."""

    name, exhaustive, annotated_joints, skeleton = "stickmen", True, np.ones(17, bool), COCO17

    def __len__(self) -> int:
        return 4

    def sample_id(self, index: int) -> str:
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

    def stem_modules(self) -> tuple[nn.Module, ...]:
        return (self[0], self[1])


class Network(nn.Module):
    """The smallest network with a backbone."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.head = FieldHead(16, SYSTEM.codec.specs, unit_px=32)

    def forward(self, image: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.head(self.backbone(image))


def dataset(optim: OptimConfig = OPTIM, data: object = None) -> TrainDataset:
    parts = [WeightedDataset(Stickmen() if data is None else data, 1.0)]
    encoder = PersonLabTargets(Mixture(parts, COCO17), SYSTEM.codec, INPUT)
    return TrainDataset(encoder, length=optim.steps * optim.batch_size, seed=3)


def draw(progress: Progress) -> np.ndarray:
    return draw_batch_fields(progress.batch, progress.fields, SYSTEM.codec, INPUT)


def run(
    folder: Path, optim: OptimConfig = OPTIM, report: Callable[[Progress], None] | None = None, data=None, **options
) -> list[float]:
    """Train; the loss of each step."""
    torch.manual_seed(0)
    losses: list[float] = []

    def on_step(progress: Progress) -> None:
        losses.append(progress.losses["total"])
        if report is not None:
            report(progress)

    data = dataset(optim) if data is None else data
    train(Network(), SYSTEM.loss(), data, optim, folder, report=on_step, seed=3, **options)
    return losses


if __name__ == "__main__":
    torch.set_num_threads(1)
    folder = Path(sys.argv[1])
    logger = TensorBoardLogger(folder, draw, log_images_every=0)
    run(folder, apply_overrides(OPTIM, sys.argv[2:]), logger)
    logger.close()
