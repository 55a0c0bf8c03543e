"""Masks by PersonLab and by Pose2Seg, of detected people and of people with ground truth poses.

run    python benchmarks/pose2seg.py --data ANN.json --images DIR [--model small] [--mask-model pose2seg]
           [--threads 2]

"all people": those without annotated joints are provided by their box, which PersonLab cannot use. "with joints":
people without annotated joints are regions to ignore, as in COCOPersons; APm and APl are of these. PersonLab segments
provided people by assigning the pixels whose long offsets point at their joints (`codecs.instances.segment_people`).
Times are those of the whole call.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
from args import add_data_args
from baselines import ap_cells
from numpy.typing import NDArray
from tables import Grid, add_output_args, score, write_outputs

import poseg
from poseg.codecs.instances import segment_people
from poseg.evaluation import EvaluationReport, evaluate
from poseg.evaluation.ground_truth import match_people
from poseg.geometry.masks import Masks
from poseg.io.people_file import read_people
from poseg.people import People
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.pose2seg import Pose2SegSegmenter, SegmentedPredictor
from poseg.runtime.predictor import Predictor


def segment(predictor: Predictor, image: NDArray[np.uint8], people: People) -> People:
    """Provided people with the masks of PersonLab's fields of the image at the finest scale."""
    (view,) = replace(predictor, inference=InferenceConfig(predictor.inference.long_edge_px)).views(image)
    if not len(people):
        return replace(people, masks=Masks.empty(0, (image.shape[0], image.shape[1])))
    return view.letterbox.people_to_image(segment_people(view.fields, view.letterbox.people_to_input(people)))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_args(parser)
    add_output_args(parser)
    parser.add_argument("--model", default="small")
    parser.add_argument("--mask-model", default="pose2seg")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    predictor = poseg.load(args.model, threads=args.threads, min_score=0.0)
    segmenter = poseg.load(args.mask_model, threads=args.threads)
    if not isinstance(segmenter, Pose2SegSegmenter):
        parser.error(f"{args.mask_model} is not a Pose2Seg model")
    file = read_people(args.data)
    models: dict[str, tuple[Callable[..., People], bool]] = {
        f"detected and segmented by {args.model}": (predictor, False),
        f"detected by {args.model}, segmented by {args.mask_model}": (SegmentedPredictor(predictor, segmenter), False),
        f"ground truth poses, segmented by {args.model}": (
            lambda image, people: segment(predictor, image, people),
            True,
        ),
        f"ground truth poses, segmented by {args.mask_model}": (segmenter, True),
    }
    columns = ["", "keypoint AP", "mask AP, all people", "mask AP, with joints", "APm", "APl", "person IoU", "ms"]
    grid = Grid(args.data.name, columns)
    numbers = {}
    for name, (model, provided) in models.items():

        def measure(
            keypoints_only: bool, model: Callable[..., People] = model, provided: bool = provided
        ) -> EvaluationReport:
            people = match_people(file, args.data, keypoints_only=keypoints_only) if provided else None
            return evaluate(
                model, args.data, args.images, limit=args.limit, people=people, keypoints_only=keypoints_only
            )

        all_people, with_joints = measure(False), measure(True)
        numbers[name] = {"all people": all_people.to_dict(), "with joints": with_joints.to_dict()}
        grid.rows.append([
            name,
            *(["-"] if provided else ap_cells(all_people, "keypoints", "AP")),
            *ap_cells(all_people, "masks", "AP"),
            *ap_cells(with_joints, "masks", "AP"),
            score(with_joints.masks["APm"]), score(with_joints.masks["APl"]), score(all_people.person_iou),
            f"{all_people.ms['total']:.0f}",
        ])  # fmt: skip
    write_outputs(args, [grid], numbers)


if __name__ == "__main__":
    main()
