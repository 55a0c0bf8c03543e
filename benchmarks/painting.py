"""What a painter is worth: a model's masks by its decoder, by its painter, and by a second network over the picture.

run    python benchmarks/painting.py --data ANN.json --images DIR [--model small] [--mask-model pose2seg] [--threads 2]

Every picture goes to everybody before the next one is read. The first look at it, uncounted, is scored; then come the
rounds that are timed, of the whole call. Data without joints is scored by its masks.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import cv2
from asking import ask_for_pictures
from peers import Contestant, race
from rich.progress import track
from tables import Grid, ask_for_outputs, put_out, score

import poseg
from poseg.evaluation import evaluate
from poseg.evaluation.ground_truth import load_ground_truth
from poseg.runtime.pose2seg import Pose2SegSegmenter, SegmentedPredictor


def main() -> None:
    """Race, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for_pictures(parser)
    ask_for_outputs(parser)
    parser.add_argument("--model", default="small")
    parser.add_argument("--mask-model", default="pose2seg")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="times that each picture is timed")
    asked = parser.parse_args()
    cv2.setNumThreads(asked.threads)
    model = poseg.load(asked.model, threads=asked.threads, min_score=0.0)
    segmenter = poseg.load(asked.mask_model, threads=asked.threads)
    if not isinstance(segmenter, Pose2SegSegmenter):
        parser.error(f"{asked.mask_model} is not a Pose2Seg model")
    if model.painter is None:
        parser.error(f"{asked.model} comes without a painter")
    contestants = [
        Contestant("by the decoder", replace(model, mask_refiner="")),
        Contestant("by the painter", model),
        Contestant(
            f"by the decoder, refined by {asked.mask_model}",
            SegmentedPredictor(replace(model, mask_refiner=""), segmenter),
        ),
        Contestant(f"by the painter, refined by {asked.mask_model}", SegmentedPredictor(model, segmenter)),
    ]
    race(contestants, load_ground_truth(asked.data, asked.images, asked.limit).paths, asked.rounds)
    grid = Grid(asked.data.name, ["masks", "keypoint AP", "mask AP", "AP50", "AP75", "person IoU", "ms", "/ first"])
    first_ms, numbers = contestants[0].times_ms()["total"], {}
    for one in track(contestants, description="score", transient=True):
        report = evaluate(one, asked.data, asked.images, limit=asked.limit)
        ms = one.times_ms()["total"]
        numbers[one.name] = {**report.to_dict(), "ms": ms}
        grid.rows.append([
            one.name, score(report.keypoints["AP"], report.intervals.get("keypoints.AP")),
            score(report.masks["AP"], report.intervals.get("masks.AP")),
            score(report.masks["AP50"]), score(report.masks["AP75"]),
            score(report.person_iou, report.intervals.get("person_iou")), f"{ms:.1f}", f"{ms / first_ms:.2f}",
        ])  # fmt: skip
    put_out(asked, [grid], numbers, [])


if __name__ == "__main__":
    main()
