"""PersonLab small: EfficientNet-Lite0, five heads at stride 8, from photographs, pseudo-labels and a teacher.

run    python -m poseg.recipes.personlab_small --data DATA --backbone lite0.pth --lessons LESSONS --out runs/small
then   python -m poseg.recipes.personlab_small --data DATA --out runs/small --export small.onnx
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from poseg.recipes.data_at_hand import photographs
from poseg.systems.personlab import MEAN, STD, PersonLab
from poseg.training.loader import Mixture, View
from poseg.training.loop import Progress, Schedule, train

SYSTEM = PersonLab(backbone="lite0", stride=8)
SIDE_PX = 321


def main() -> None:
    """Train on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds one folder for each data set")
    parser.add_argument("--lessons", type=Path, help="folder of a teacher's lessons (poseg.recipes.teach)")
    parser.add_argument("--backbone", type=Path, help="ImageNet weights of EfficientNet-Lite0 (.pth)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; a run found there is resumed")
    parser.add_argument("--minutes", type=float, default=90.0)
    parser.add_argument("--steps", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()

    torch.manual_seed(asked.seed)
    network = SYSTEM.network()
    if asked.backbone is not None:
        network.backbone.load_imagenet(torch.load(asked.backbone, weights_only=True, map_location="cpu"))
    schedule = Schedule(steps=asked.steps, minutes=asked.minutes)
    mixture = Mixture(
        photographs(asked.data), SYSTEM.codec, View(SIDE_PX, MEAN, STD),
        length=schedule.steps * schedule.batch_size, seed=asked.seed, lessons=asked.lessons,
    )  # fmt: skip
    began = time.monotonic()

    def report(progress: Progress) -> None:
        if progress.step % 25 == 0:
            terms = "  ".join(f"{name} {value:.3f}" for name, value in progress.terms.items())
            print(
                f"step {progress.step:6d}  {(time.monotonic() - began) / 60:6.1f} min  "
                f"{progress.images_per_s:5.1f} img/s  rate {progress.rate:.1e}  {terms}",
                flush=True,
            )

    train(network, SYSTEM.loss(), mixture, schedule, asked.out, workers=1, report=report)


if __name__ == "__main__":
    main()
