"""Masks of the same people by PersonLab and by Pose2Seg: of people found, and of people whose true poses are given.

run    python benchmarks/masks_from_poses.py --data ANN.json --images DIR [--model small] [--mask-model pose2seg]
           [--threads 2]

"everybody": all annotated persons count; those without joints are given by their box, which PersonLab has no use for.
"with joints": persons without annotated joints are regions to ignore, as in COCOPersons; APm and APl are of these.
PersonLab gives masks to true poses by claiming the pixels whose long offsets point at their joints
(`codecs.outlines.outline`). Times are those of the whole call.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from asking import ask_for_pictures
from numpy.typing import NDArray
from tables import Grid, ask_for_outputs, put_out, score

import poseg
from poseg.codecs.instances import segment_people
from poseg.evaluation import EvaluationReport, evaluate
from poseg.evaluation.ground_truth import match_people
from poseg.io.people_file import read_people
from poseg.people import People
from poseg.runtime.pose2seg import Pose2SegSegmenter, SegmentedPredictor
from poseg.runtime.predictor import Predictor


def claimed(predictor: Predictor, image: NDArray[np.uint8], people: People) -> People:
    """Given people with the masks that PersonLab's fields of the finest look, at all of the picture, claim for them."""
    seen = replace(predictor, scales=(1.0,), everywhere=True).see(image)
    if not len(people):
        return replace(people, masks=np.zeros((0, *image.shape[:2]), np.bool_))
    return seen.box.people_to_image(segment_people(seen.fields, seen.box.people_to_input(people)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for_pictures(parser)
    ask_for_outputs(parser)
    parser.add_argument("--model", default="small")
    parser.add_argument("--mask-model", default="pose2seg")
    parser.add_argument("--threads", type=int, default=2)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    predictor = poseg.load(asked.model, threads=asked.threads, min_score=0.0)
    segmenter = poseg.load(asked.mask_model, threads=asked.threads)
    if not isinstance(segmenter, Pose2SegSegmenter):
        parser.error(f"{asked.mask_model} is not a Pose2Seg model")
    given = read_people(asked.data)
    ways: dict[str, tuple[Callable[..., People], bool]] = {
        f"found by {asked.model}, its own masks": (predictor, False),
        f"found by {asked.model}, refined by {asked.mask_model}": (SegmentedPredictor(predictor, segmenter), False),
        f"true poses, masks by the decoder of {asked.model}": (
            lambda image, people: claimed(predictor, image, people),
            True,
        ),
        f"true poses, masks by {asked.mask_model}": (segmenter, True),
    }
    columns = ["", "keypoint AP", "mask AP, everybody", "mask AP, with joints", "APm", "APl", "person IoU", "ms"]
    grid = Grid(asked.data.name, columns)
    numbers = {}
    for name, (model, told) in ways.items():

        def measured(posed: bool, model: Callable[..., People] = model, told: bool = told) -> EvaluationReport:
            people = match_people(given, asked.data, keypoints_only=posed) if told else None
            return evaluate(model, asked.data, asked.images, limit=asked.limit, people=people, keypoints_only=posed)

        everybody, posed = measured(False), measured(True)
        numbers[name] = {"everybody": everybody.to_dict(), "with joints": posed.to_dict()}
        grid.rows.append(
            [
                name,
                "-" if told else score(everybody.keypoints["AP"], everybody.intervals.get("keypoints.AP")),
                score(everybody.masks["AP"], everybody.intervals.get("masks.AP")),
                score(posed.masks["AP"], posed.intervals.get("masks.AP")),
                score(posed.masks["APm"]), score(posed.masks["APl"]), score(everybody.person_iou),
                f"{everybody.ms['total']:.0f}",
            ]
        )  # fmt: skip
    put_out(asked, [grid], numbers, [])


if __name__ == "__main__":
    main()
