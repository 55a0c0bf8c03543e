"""Measure label files against the truth: what `poseg label` would teach, before anybody learns from it.

    python benchmarks/labels.py person_keypoints_train2017.json labels.json.gz [more.json ...]

Only the pictures that a label file lists count; regions to ignore do not. Prints one row a file: AP of poses and
masks by COCO's evaluator with 95 % intervals over pictures; then, for labels scored at least `--min-score`, how many
there are, the share of true persons whose box one of them meets (IoU over 0.3), the share of them that meet one or
lie in a crowd, and of the v = 2 joints those within OKS 0.5 of the truth where the truth has the joint.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from poseg.geometry.boxes import xywh_to_xyxy
from poseg.geometry.similarity import box_iou_matrix, greedy_match
from poseg.io.plain_json import read_json
from poseg.metrics.average_precision import match
from poseg.metrics.bootstrap import image_counts, percentile_interval
from poseg.metrics.resampled_precision import resampled
from poseg.skeletons import COCO17

HEAD = "| labels | pictures | keypoint AP | AP50 | mask AP | AP50 | kept | persons met | on a person | v = 2 right |"


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
    known = {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in ids],
        "annotations": [record for record in truth["annotations"] if record["image_id"] in ids],
    }
    records = [record for record in labels["annotations"] if record["image_id"] in ids]
    numbers = []
    for kind in ("keypoints", "masks"):
        matching = match(known, records, kind)
        counts = image_counts(np.random.default_rng(0), len(matching.image_ids))
        interval = percentile_interval(resampled(matching, counts)["AP"])
        low, high = interval or (np.nan, np.nan)
        numbers += [f"{matching.official['AP']:.3f} ({low:.2f}-{high:.2f})", f"{matching.official['AP50']:.3f}"]
    kept = [record for record in records if record["score"] >= min_score and not record.get("ignore")]
    numbers += counted(known["annotations"], kept, ids)
    return f"| {path} | {len(ids)} | " + " | ".join(numbers) + " |"


def counted(truth: Sequence[Mapping[str, Any]], kept: Sequence[Mapping[str, Any]], ids: set[int]) -> list[str]:
    """How many labels, the share of persons met, of labels on a person, and of right joints."""
    met = persons = good = right = joints = 0
    for image_id in ids:
        found = sorted((r for r in kept if r["image_id"] == image_id), key=lambda r: -r["score"])
        true = [r for r in truth if r["image_id"] == image_id and not r["iscrowd"]]
        crowds = [r["bbox"] for r in truth if r["image_id"] == image_id and r["iscrowd"]]
        boxes = xywh_to_xyxy([r["bbox"] for r in found])
        matched = greedy_match(box_iou_matrix(boxes, xywh_to_xyxy([r["bbox"] for r in true])), 0.3)
        middles = (boxes[:, None, :2] + boxes[:, None, 2:]) / 2
        crowd = xywh_to_xyxy(crowds)
        excused = ((crowd[:, :2] <= middles) & (middles <= crowd[:, 2:])).all(axis=2).any(axis=1)
        persons, met = persons + len(true), met + int((matched >= 0).sum())
        good += int(((matched >= 0) | excused).sum())
        for record, other in zip(found, matched, strict=True):
            if other >= 0:
                near = joint_oks(record, true[other])
                right, joints = right + int((near > 0.5).sum()), joints + len(near)
    share = [f"{100 * a / max(b, 1):.0f} %" for a, b in ((met, persons), (good, len(kept)), (right, joints))]
    return [str(len(kept)), *share]


def joint_oks(record: Mapping[str, Any], true: Mapping[str, Any]) -> Any:
    """OKS of each joint that the label is sure of and the truth has."""
    label, real = (np.array(one["keypoints"], np.float64).reshape(-1, 3) for one in (record, true))
    both = (label[:, 2] == 2) & (real[:, 2] > 0)
    squared = ((label[:, :2] - real[:, :2]) ** 2).sum(axis=1)
    near = np.exp(-squared / (2 * true["area"] * (2 * np.array(COCO17.sigmas)) ** 2))
    return near[both]


if __name__ == "__main__":
    main()
