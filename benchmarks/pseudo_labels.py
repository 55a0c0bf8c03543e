"""Measure label files of `poseg label` against ground truth, before a model is trained on them.

    python benchmarks/pseudo_labels.py person_keypoints_train2017.json labels.json.gz [more.json ...]

Only the images that a label file lists count; regions to ignore do not. Prints one row a file: AP of poses and masks
by COCO's evaluator with 95 % intervals over images; then, for labels with a score of `--min-score` or more: their
number, the recall of annotated persons (box IoU over 0.3), the precision (labels that match a person or lie in a
crowd), and the fraction of the v = 2 joints within OKS 0.5 of an annotated joint.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from poseg.geometry.boxes import xywh_to_xyxy
from poseg.geometry.similarity import box_iou_matrix, greedy_match
from poseg.io.files import read_json
from poseg.metrics.average_precision import match
from poseg.metrics.bootstrap import bootstrap_ap, image_counts, percentile_interval
from poseg.skeletons import COCO17

HEAD = "| labels | images | keypoint AP | AP50 | mask AP | AP50 | kept | recall | precision | v = 2 right |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("truth")
    parser.add_argument("labels", nargs="+")
    parser.add_argument("--min-score", type=float, default=0.2)
    options = parser.parse_args()
    truth = read_json(options.truth)
    print(HEAD + "\n|" + " --- |" * (HEAD.count("|") - 1))
    for path in options.labels:
        print(row(path, truth, read_json(path), options.min_score))


def row(path: str, truth: Mapping[str, Any], labels: Mapping[str, Any], min_score: float) -> str:
    """One line of the table."""
    ids = {image["id"] for image in labels["images"]} & {image["id"] for image in truth["images"]}
    subset = {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in ids],
        "annotations": [record for record in truth["annotations"] if record["image_id"] in ids],
    }
    records = [record for record in labels["annotations"] if record["image_id"] in ids and not record.get("ignore")]
    numbers = []
    for kind in ("keypoints", "masks"):
        matching = match(subset, records, kind)
        counts = image_counts(np.random.default_rng(0), len(matching.image_ids))
        interval = percentile_interval(bootstrap_ap(matching, counts)["AP"])
        low, high = interval or (np.nan, np.nan)
        numbers += [f"{matching.official['AP']:.3f} ({low:.2f}-{high:.2f})", f"{matching.official['AP50']:.3f}"]
    kept = [record for record in records if record["score"] >= min_score]
    numbers += precision_recall(subset["annotations"], kept, ids)
    return f"| {path} | {len(ids)} | " + " | ".join(numbers) + " |"


def precision_recall(truth: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]], ids: set[int]) -> list[str]:
    """Number of labels, recall of persons, precision of labels, and fraction of right joints."""
    recalled = persons = precise = right = joints = 0
    for image_id in ids:
        labels = sorted((r for r in kept if r["image_id"] == image_id), key=lambda r: -r["score"])
        true = [r for r in truth if r["image_id"] == image_id and not r["iscrowd"]]
        crowds = [r["bbox"] for r in truth if r["image_id"] == image_id and r["iscrowd"]]
        boxes = xywh_to_xyxy([r["bbox"] for r in labels])
        matched = greedy_match(box_iou_matrix(boxes, xywh_to_xyxy([r["bbox"] for r in true])), 0.3)
        centres = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
        crowd = xywh_to_xyxy(crowds)
        in_crowd = ((crowd[:, :2] <= centres) & (centres <= crowd[:, 2:])).all(axis=2).any(axis=1)
        persons, recalled = persons + len(true), recalled + int((matched >= 0).sum())
        precise += int(((matched >= 0) | in_crowd).sum())
        for record, other in zip(labels, matched, strict=True):
            if other >= 0:
                oks = joint_oks(record, true[other])
                right, joints = right + int((oks > 0.5).sum()), joints + len(oks)
    rates = [f"{100 * a / max(b, 1):.0f} %" for a, b in ((recalled, persons), (precise, len(kept)), (right, joints))]
    return [str(len(kept)), *rates]


def joint_oks(record: Mapping[str, Any], true: Mapping[str, Any]) -> Any:
    """OKS of each joint that is confident in the label and annotated in the ground truth."""
    label, truth = (np.array(person["keypoints"], np.float64).reshape(-1, 3) for person in (record, true))
    both = (label[:, 2] == 2) & (truth[:, 2] > 0)
    squared = ((label[:, :2] - truth[:, :2]) ** 2).sum(axis=1)
    oks = np.exp(-squared / (2 * true["area"] * (2 * np.array(COCO17.sigmas)) ** 2))
    return oks[both]


if __name__ == "__main__":
    main()
