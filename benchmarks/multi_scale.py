"""Multi-scale inference, full and adaptive, with and without flip: scores, network pixels and interleaved times.

run    python benchmarks/multi_scale.py --data ANN.json --images DIR [--model small] [--sizes 321,577,1025]
           [--threads 2]

Every image goes to all of them before the next one is read. The first run on an image is scored and not timed; then
come the timed rounds, of the whole call. "Mpx" are the millions of input pixels of an image, and "runs" the runs of
the network, both on average. "adaptive" runs a scale only where it helps, and flips the largest one only; "full" runs
and flips all. Data without joints is scored by its masks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from args import add_data_args
from baselines import TimedModel, ap_cells, interleave_runs, iou_cell
from numpy.typing import NDArray
from rich.progress import track
from tables import Grid, add_output_args, write_outputs

import poseg
from poseg.evaluation import evaluate
from poseg.evaluation.ground_truth import load_ground_truth
from poseg.fields import Fields
from poseg.runtime.models import build_predictor
from poseg.runtime.onnx_model import OnnxModel

Floats = NDArray[np.float32]

MODES: dict[str, dict[str, Any]] = {
    "full": {"adaptive": False, "flip": False},
    "full, flip": {"adaptive": False, "flip": True},
    "adaptive": {"adaptive": True, "flip": False},
    "adaptive, flip": {"adaptive": True, "flip": True},
}


@dataclass(slots=True, eq=False)
class PixelCounter:
    """A model that counts the pixels of its inputs."""

    model: OnnxModel
    input_px: list[int] = field(default_factory=list)

    @property
    def card(self) -> Any:
        """The model's."""
        return self.model.card

    @property
    def codec(self) -> Any:
        """The model's."""
        return self.model.codec

    def prepare(self, image: Any, long_edge_px: int, crop_xyxy: Any = None) -> Any:
        """As the model does."""
        return self.model.prepare(image, long_edge_px, crop_xyxy)

    def run(self, tensor: Floats) -> Fields:
        """As the model does."""
        self.input_px.append(tensor.shape[2] * tensor.shape[3])
        return self.model.run(tensor)

    def run_each(self, tensors: Sequence[Floats]) -> list[Fields]:
        """As the model does."""
        self.input_px += [tensor.shape[2] * tensor.shape[3] for tensor in tensors]
        return self.model.run_each(tensors)


def parse_sizes(text: str) -> tuple[int, ...]:
    """Whole numbers between commas."""
    return tuple(sorted(int(part) for part in text.split(",")))


def main() -> None:
    """Run, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_args(parser)
    add_output_args(parser)
    parser.add_argument("--model", default="small")
    parser.add_argument("--sizes", type=parse_sizes, action="append", help="long edges in pixels, such as 321,577,1025")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="timed rounds of each image")
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    model = poseg.load(args.model, threads=args.threads)
    card = model.model.card
    own = tuple(round(scale * card.inference.long_edge_px) for scale in card.inference.scales)
    truth = load_ground_truth(args.data, args.images, args.limit)
    models, counters = [], []
    for sizes in args.sizes or [own]:
        for mode, options in MODES.items():
            counter = PixelCounter(model.model)
            scales = tuple(size / max(sizes) for size in sizes)
            predictor = build_predictor(
                counter, long_edge_px=max(sizes), scales=scales, min_score=0.0, pose_refiner="", mask_refiner="",
                **options,
            )  # fmt: skip
            models.append(TimedModel(f"{', '.join(map(str, sizes))}: {mode}", predictor))
            counters.append(counter)
    interleave_runs(models, truth.paths, args.rounds)
    columns = ["", "keypoint AP", "mask AP", "person IoU", "Mpx", "runs", "ms", "/ first"]
    grid, numbers = Grid(args.data.name, columns), {}
    first_ms = models[0].times_ms()["total"]
    for timed, counter in zip(track(models, description="scores", transient=True), counters, strict=True):
        report, ms = evaluate(timed, args.data, args.images, limit=args.limit), timed.times_ms()["total"]
        calls = len(truth.paths) * (args.rounds + 1)
        mpx, runs = sum(counter.input_px) / 1e6 / calls, len(counter.input_px) / calls
        numbers[timed.name] = {**report.to_dict(), "Mpx": mpx, "runs": runs, "ms": ms}
        cells = [*ap_cells(report, "keypoints", "AP"), *ap_cells(report, "masks", "AP"), iou_cell(report)]
        grid.rows.append([timed.name, *cells, f"{mpx:.2f}", f"{runs:.1f}", f"{ms:.1f}", f"{ms / first_ms:.2f}"])
    write_outputs(args, [grid], numbers)


if __name__ == "__main__":
    main()
