"""What INT8 costs and gains: each model as it is, and with its activations in FP32, on the same images in turn.

run    python benchmarks/precision.py --data ANN.json --images DIR --model small --model fast [--threads 2]

A model that detects people is scored with its refiners as they are. Every image goes to all before the next is read.
The kind of processor stands above the table, with the extensions that INT8 depends on.
"""

from __future__ import annotations

import argparse
import platform
from dataclasses import replace
from pathlib import Path

import cv2
from args import ModelSpec, add_data_args, add_model_arg
from baselines import TimedModel, ap_cells, interleave_runs, iou_cell
from rich.progress import track
from tables import Grid, add_output_args, write_outputs

import poseg
from poseg.evaluation import evaluate
from poseg.evaluation.ground_truth import load_ground_truth
from poseg.export.quantize import without_rounding
from poseg.runtime.models import model_bytes
from poseg.runtime.onnx_model import OnnxModel


def processor() -> str:
    """Its architecture, and which of the instructions for bytes it has."""
    try:
        flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.machine()
    kinds = ("avx2", "avx512bw", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp")
    return f"{platform.machine()} with {', '.join(kind for kind in kinds if kind in flags.split()) or 'none of them'}"


def main() -> None:
    """Run, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_args(parser)
    add_model_arg(parser)
    add_output_args(parser)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="timed rounds of each image")
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    models: list[TimedModel] = []
    for spec in args.model or [ModelSpec("small", None)]:
        as_it_is = poseg.load(spec.model, threads=args.threads, long_edge_px=spec.size_px, min_score=0.0)
        exact = OnnxModel(without_rounding(model_bytes(spec.model)), threads=args.threads, name=spec.model)
        models += [
            TimedModel(f"{spec.model}, {as_it_is.model.card.precision}", as_it_is),
            TimedModel(f"{spec.model}, FP32", replace(as_it_is, model=exact)),
        ]
    interleave_runs(models, load_ground_truth(args.data, args.images, args.limit).paths, args.rounds)
    columns = ["model", "keypoint AP", "mask AP", "person IoU", "ms, network", "ms, all"]
    grid, numbers = Grid(f"{args.data.name}; {processor()}, {args.threads} threads", columns), {}
    for timed in track(models, description="scores", transient=True):
        report, ms = evaluate(timed, args.data, args.images, limit=args.limit), timed.times_ms()
        numbers[timed.name] = {**report.to_dict(), "ms": ms}
        cells = [*ap_cells(report, "keypoints", "AP"), *ap_cells(report, "masks", "AP"), iou_cell(report)]
        grid.rows.append([timed.name, *cells, f"{ms['inference']:.1f}", f"{ms['total']:.1f}"])
    write_outputs(args, [grid], numbers)


if __name__ == "__main__":
    main()
