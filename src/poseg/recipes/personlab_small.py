"""PersonLab small: EfficientNet-Lite0, five heads at stride 8, from photographs, pseudo-labels and a teacher.

run    python -m poseg.recipes.personlab_small --data DATA --backbone lite0.pth --lessons LESSONS --out runs/small
then   python -m poseg.recipes.personlab_small --data DATA --out runs/small --export small.onnx
expect what the card of the model says that comes along (`poseg models`)
time   115 minutes and about 6,200 steps of 12 pictures on two busy cores; 13 pictures a second on quiet ones
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from poseg.errors import WeightsError
from poseg.export.torch_onnx import export_onnx, personlab_card
from poseg.io.plain_json import read_json
from poseg.recipes.data_at_hand import photographs
from poseg.systems.personlab import MEAN, STD, PersonLab
from poseg.training.loader import Mixture, View
from poseg.training.loop import Progress, Schedule, checkpoint, train

SYSTEM = PersonLab(backbone="lite0", stride=8)
SIDE_PX = 321


NAME, SIZE_PX = "small", 577
DATA = (
    {
        "name": "people_unlabelled",
        "pictures": 2885,
        "use": "keypoints and masks made by networks (see teachers)",
        "terms": "Flickr8k, INRIA, BSDS and COCO photographs; research use, not shipped",
    },
    {
        "name": "coco_person_masks train",
        "pictures": 91,
        "use": "COCO instance masks; keypoints made by networks",
        "terms": "annotations CC BY 4.0; Flickr photographs under mixed Creative Commons licences",
    },
    {
        "name": "clothing_coparsing 0001-0900",
        "pictures": 899,
        "use": "person masks; keypoints made by networks",
        "terms": "labels Apache-2.0; photographs for research use",
    },
    {"name": "lsp 0001-1000", "pictures": 1000, "use": "12 of 14 joints", "terms": "research use"},
    {"name": "lspet", "pictures": 10000, "use": "12 of 14 joints", "terms": "research use"},
    {"name": "backgrounds_inria", "pictures": 204, "use": "person-free pictures", "terms": "research use"},
    {"name": "EfficientNet-Lite0 ImageNet weights", "use": "backbone at the start", "terms": "Apache-2.0"},
)
TEACHERS = (
    "Keypoint labels of networks: MoveNet MultiPose and Thunder (Google, Apache-2.0); "
    "masks: BlazePose heavy and BodyPix (Google, Apache-2.0).",
    "Dense teacher: BodyPix MobileNetV1 0.75 (Google, Apache-2.0) at 801 px: person map, long offsets, doubt about "
    "heatmap negatives.",
)


def measured(reports: Sequence[Path]) -> tuple[dict[str, Any], ...]:
    """The card's scores from what `poseg evaluate --json` wrote."""
    scores = []
    for path in reports:
        report = read_json(path)
        for metric in ("keypoints.AP", "masks.AP", "person_iou"):
            kind, _, number = metric.partition(".")
            scores.append(
                {
                    "data": Path(report["data"]).name,
                    "pictures": report["images"],
                    "size_px": report["options"]["size"] or SIZE_PX,
                    "metric": metric,
                    "value": round(report[kind][number] if number else report[kind], 4),
                    "interval": [round(bound, 4) for bound in report["intervals"][metric]],
                }
            )
    return tuple(scores)


def export(folder: Path, destination: Path, reports: Sequence[Path]) -> None:
    """Write the averaged weights of a run as ONNX with a card."""
    network = SYSTEM.network()
    found = checkpoint(folder)
    if found is None:
        raise WeightsError(f"There is no checkpoint in {folder}; train first, or give the folder of a run.")
    network.load_state_dict(load_file(found[1]["average"]))
    card = personlab_card(
        SYSTEM, name=NAME, size_px=SIZE_PX, licences={"code": "Apache-2.0", "weights": "Apache-2.0"},
        data=DATA, scores=measured(reports), notes=TEACHERS,
    )  # fmt: skip
    written = export_onnx(network, SYSTEM, card, destination)
    print(f"{destination}: {destination.stat().st_size / 1e6:.1f} MB, sha256 {written.sha256[:12]}")


def main() -> None:
    """Train on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds one folder for each data set")
    parser.add_argument("--lessons", type=Path, help="folder of a teacher's lessons (poseg.recipes.teach)")
    parser.add_argument("--backbone", type=Path, help="ImageNet weights of EfficientNet-Lite0 (.pth)")
    parser.add_argument("--out", type=Path, required=True, help="folder of the run; a run found there is resumed")
    parser.add_argument("--minutes", type=float, default=115.0)
    parser.add_argument("--steps", type=int, default=7000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--export", type=Path, metavar="FILE", help="write the run's averaged weights as ONNX instead")
    parser.add_argument(
        "--scores", type=Path, nargs="*", default=(), help="for its card: `poseg evaluate --json` files"
    )
    asked = parser.parse_args()
    if asked.export is not None:
        export(asked.out, asked.export, asked.scores)
        return

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
