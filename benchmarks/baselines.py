"""Our models beside the baselines that they have to beat, in one run: scores, and interleaved times.

run    python benchmarks/baselines.py --data ANN.json --images DIR --model small --model fast
           [--bodypix bodypix.onnx] [--movenet movenet.tflite] [--top-down detector.onnx,crops.onnx] [--rounds 3]
           [--threads 2]

Every image goes to all models before the next one is read, so that other load on the machine hits all alike. The first
run of a model on an image is not timed: its people are scored, and it allocates buffers for the input's shape. Then
come the timed rounds, each in another order. The time of an image is the median of its rounds, "min" their minimum;
both are averaged over the images, and the ratios are those of the averages. A time is that of the whole call, from the
pixels of the image to its people, with the settings that are scored (all people down to a score of 0). MoveNet
MultiPose, which has no masks, gets an input no larger than the image needs (a multiple of 32), and for comparison a
square one. Its .tflite, or a zip with it, needs `ai-edge-litert`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from args import ModelSpec, add_data_args, add_model_arg
from numpy.typing import NDArray
from rich.progress import track
from tables import Grid, add_output_args, score, write_outputs

import poseg
from poseg.evaluation import EvaluationReport, evaluate
from poseg.evaluation.ground_truth import load_ground_truth
from poseg.io.images import read_image
from poseg.people import People, Timings

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples" / "teachers"))

Image = NDArray[np.uint8]
MOVENET, BODYPIX, TOP_DOWN = "MoveNet 512", "BodyPix 513", "RTMDet-nano, PP-TinyPose"


@dataclass(frozen=True, slots=True)
class Target:
    """What a model has to reach: minimum scores, in no more time than a baseline."""

    name: str
    keypoint_ap: float
    mask_ap: float
    baseline: str


TARGETS = (
    Target("accurate", 0.58, 0.30, TOP_DOWN), Target("small", 0.46, 0.26, MOVENET), Target("fast", 0.40, 0.20, BODYPIX)
)  # fmt: skip


@dataclass(slots=True, eq=False)
class TimedModel:
    """A model with its cached predictions and its times.

    prepare  what is done to an image before the clock starts
    people   by the checksum of their image
    times    for each image, the milliseconds (preprocess, inference, postprocess, total) of each round; NaN where not
             stated
    """

    name: str
    predict: Callable[[Image], People]
    ours: bool = False
    prepare: Callable[[Image], Image] = lambda image: image
    people: dict[int, People] = field(default_factory=dict)
    times: list[list[tuple[float, ...]]] = field(default_factory=list)

    def warm_up(self, image: Image) -> None:
        """Predict the people of an image, untimed, and cache them."""
        self.people[crc32(image)] = self.predict(self.prepare(image))
        self.times.append([])

    def run(self, image: Image) -> None:
        """One timed round of the image of the last `warm_up`."""
        image = self.prepare(image)
        start = perf_counter()
        people = self.predict(image)
        total_ms = 1e3 * (perf_counter() - start)
        stages = people.timings or Timings(np.nan, np.nan, np.nan)
        self.times[-1].append((stages.preprocess_ms, stages.inference_ms, stages.postprocess_ms, total_ms))

    def __call__(self, image: Image) -> People:
        """The cached people, for the evaluation."""
        return self.people[crc32(image)]

    def times_ms(self) -> dict[str, float]:
        """preprocess, inference, postprocess, total and min: averages over the images."""
        times = np.array(self.times)
        medians = np.median(times, axis=1).mean(axis=0)
        named = dict(zip(("preprocess", "inference", "postprocess", "total"), map(float, medians), strict=True))
        return {**named, "min": float(times[..., 3].min(axis=1).mean())}


def pad_to_square(image: Image) -> Image:
    """The image with black to the right or below, so that it is square."""
    side = max(image.shape[:2])
    return np.pad(image, ((0, side - image.shape[0]), (0, side - image.shape[1]), (0, 0)))


def own_models(specs: list[ModelSpec], threads: int) -> list[TimedModel]:
    """Models of ours, or imported ones."""
    models = []
    for spec in specs:
        model = poseg.load(spec.model, threads=threads, long_edge_px=spec.size_px, min_score=0.0)
        card = model.model.card
        models.append(TimedModel(f"{card.name} {spec.size_px or card.inference.long_edge_px}", model, ours=True))
    return models


def baselines(args: argparse.Namespace) -> list[TimedModel]:
    """BodyPix, MoveNet, and the person detector with the crop network, where they are given."""
    models = []
    for size in args.bodypix_sizes if args.bodypix else []:
        model = poseg.load(args.bodypix, threads=args.threads, long_edge_px=size, min_score=0.0)
        models.append(TimedModel(f"BodyPix {size}", model))
    if args.movenet:
        from movenet_multipose import MoveNetMultiPose

        for size in args.movenet_sizes:
            models.append(TimedModel(f"MoveNet {size}", MoveNetMultiPose(args.movenet, size, args.threads)))
        square = MoveNetMultiPose(args.movenet, 512, args.threads)
        models.append(TimedModel("MoveNet 512, square", square, prepare=pad_to_square))
    if args.top_down:
        from top_down import TopDown

        models.append(TimedModel(TOP_DOWN, TopDown(args.top_down, threads=args.threads)))
    return models


def interleave_runs(models: list[TimedModel], paths: Mapping[int, Path], rounds: int) -> None:
    """Run all models on every image, in turn."""
    for path in track(list(paths.values()), description="runs", transient=True):
        image = read_image(path)
        for model in models:
            model.warm_up(image)
        for number in range(rounds):
            first = number % len(models)
            for model in models[first:] + models[:first]:
                model.run(image)


def ap_cells(report: EvaluationReport, kind: str, *names: str) -> list[str]:
    """Cells of COCO's numbers of "keypoints" or "masks" with their intervals."""
    return [score(getattr(report, kind)[name], report.intervals.get(f"{kind}.{name}")) for name in names]


def iou_cell(report: EvaluationReport) -> str:
    """The cell of the person IoU with its interval."""
    return score(report.person_iou, report.intervals.get("person_iou"))


def check_targets(models: list[TimedModel], reports: Mapping[str, EvaluationReport]) -> list[str]:
    """For each of our models, the targets and whether it reaches them."""
    times, lines = {model.name: model.times_ms()["total"] for model in models}, []
    for model in models:
        for target in (target for target in TARGETS if model.ours and model.name.startswith(f"{target.name} ")):
            keypoint_ap, mask_ap = reports[model.name].keypoints["AP"], reports[model.name].masks["AP"]
            checks = [
                (f"keypoint AP {keypoint_ap:.3f} >= {target.keypoint_ap}", keypoint_ap >= target.keypoint_ap),
                (f"mask AP {mask_ap:.3f} >= {target.mask_ap}", mask_ap >= target.mask_ap),
            ]
            if target.baseline in times:
                ratio = times[model.name] / times[target.baseline]
                checks.append((f"{ratio:.2f} x the time of {target.baseline} <= 1", ratio <= 1))
            text = "; ".join(f"{check}: {'yes' if passed else 'NO'}" for check, passed in checks)
            lines.append(f"{model.name}: {text}")
    return lines


def tabulate(
    models: list[TimedModel], reports: Mapping[str, EvaluationReport], title: str
) -> tuple[list[Grid], dict[str, Any]]:
    """Tables of scores and of times, and all their numbers."""
    times = {model.name: model.times_ms() for model in models}
    measured = [name for name in (MOVENET, "MoveNet 512, square", BODYPIX, TOP_DOWN) if name in times]
    scores = Grid(title, ["", "keypoint AP", "AP50", "mask AP", "AP50", "person IoU", "detected"])
    clock = Grid(
        "Milliseconds an image",
        ["", "preprocess", "inference", "postprocess", "total", "min", *(f"/ {name}" for name in measured)],
    )
    numbers: dict[str, Any] = {}
    for name, ms in times.items():
        report = reports[name]
        has_masks = any("segmentation" in record for record in report.results)
        mask_cells = [*ap_cells(report, "masks", "AP", "AP50"), iou_cell(report)] if has_masks else ["-"] * 3
        scores.rows.append([name, *ap_cells(report, "keypoints", "AP", "AP50"), *mask_cells, str(report.num_detected)])
        ratios = {other: {what: ms[what] / times[other][what] for what in ("total", "min")} for other in measured}
        clock.rows.append([
            name,
            *("-" if np.isnan(number) else f"{number:.1f}" for number in ms.values()),
            *(f"{ratio['total']:.2f} ({ratio['min']:.2f})" for ratio in ratios.values()),
        ])  # fmt: skip
        stated = {what: None if np.isnan(number) else number for what, number in ms.items()}
        numbers[name] = {**report.to_dict(), "ms": stated, "ratios": ratios}
    return [scores, clock], numbers


def main() -> None:
    """Run, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_args(parser)
    add_model_arg(parser)
    parser.add_argument("--bodypix", type=Path, help="imported BodyPix (`poseg import-google`)")
    parser.add_argument("--bodypix-sizes", type=int, nargs="+", default=[513, 801])
    parser.add_argument("--movenet", type=Path, help="MoveNet MultiPose as .tflite, or a zip that holds it")
    parser.add_argument("--movenet-sizes", type=int, nargs="+", default=[256, 384, 512])
    parser.add_argument("--top-down", help="the ONNX files of a person detector and a crop network, with a comma")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="timed rounds of each image")
    add_output_args(parser)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    models = own_models(args.model or [ModelSpec("small", None)], args.threads) + baselines(args)
    truth = load_ground_truth(args.data, args.images, args.limit)
    interleave_runs(models, truth.paths, args.rounds)
    reports = {
        model.name: evaluate(model, args.data, args.images, limit=args.limit)
        for model in track(models, description="scores", transient=True)
    }
    title = f"{args.data.name}: {len(truth.paths)} images, {args.threads} threads; in brackets 95 % intervals"
    grids, numbers = tabulate(models, reports, title)
    lines = check_targets(models, reports)
    write_outputs(args, grids, {"threads": args.threads, "rounds": args.rounds, "models": numbers}, lines)


if __name__ == "__main__":
    main()
