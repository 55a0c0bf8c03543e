"""Masks by a model's decoder, by its mask refiner, and by Pose2Seg on the image: scores and interleaved times.

run    python benchmarks/mask_refiner.py --data ANN.json --images DIR [--model small] [--mask-model pose2seg]
           [--threads 2]

Every image goes to all of them before the next one is read. The first run on an image is scored and not timed; then
come the timed rounds, of the whole call. Data without joints is scored by its masks.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import cv2
from args import add_data_args
from baselines import TimedModel, ap_cells, interleave_runs, iou_cell
from rich.progress import track
from tables import Grid, add_output_args, write_outputs

import poseg
from poseg.evaluation import evaluate
from poseg.evaluation.ground_truth import load_ground_truth
from poseg.runtime.pose2seg import Pose2SegSegmenter, SegmentedPredictor


def main() -> None:
    """Run, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_args(parser)
    add_output_args(parser)
    parser.add_argument("--model", default="small")
    parser.add_argument("--mask-model", default="pose2seg")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="timed rounds of each image")
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    model = poseg.load(args.model, threads=args.threads, min_score=0.0)
    segmenter = poseg.load(args.mask_model, threads=args.threads)
    if not isinstance(segmenter, Pose2SegSegmenter):
        parser.error(f"{args.mask_model} is not a Pose2Seg model")
    if model.mask_refiner is None:
        parser.error(f"{args.model} has no mask refiner")
    without = replace(model, mask_refiner=None)
    models = [
        TimedModel("decoder", without),
        TimedModel("mask refiner", model),
        TimedModel(f"decoder, then {args.mask_model}", SegmentedPredictor(without, segmenter)),
        TimedModel(f"mask refiner, then {args.mask_model}", SegmentedPredictor(model, segmenter)),
    ]
    interleave_runs(models, load_ground_truth(args.data, args.images, args.limit).paths, args.rounds)
    grid = Grid(args.data.name, ["masks", "keypoint AP", "mask AP", "AP50", "AP75", "person IoU", "ms", "/ first"])
    first_ms, numbers = models[0].times_ms()["total"], {}
    for timed in track(models, description="scores", transient=True):
        report, ms = evaluate(timed, args.data, args.images, limit=args.limit), timed.times_ms()["total"]
        numbers[timed.name] = {**report.to_dict(), "ms": ms}
        cells = [*ap_cells(report, "keypoints", "AP"), *ap_cells(report, "masks", "AP", "AP50", "AP75")]
        grid.rows.append([timed.name, *cells, iou_cell(report), f"{ms:.1f}", f"{ms / first_ms:.2f}"])
    write_outputs(args, [grid], numbers)


if __name__ == "__main__":
    main()
