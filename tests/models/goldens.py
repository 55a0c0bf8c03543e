"""What the bundled models answer on fixed images, so that each change of the code shows what it changes.

write   python tests/models/goldens.py, from the root of the repository, with ../shared beside it

A record holds numbers alone, no image: keypoints, scores and masks (RLE) of each person, for 19 images of `coco_mini`
train and scikit-image's astronaut, and the average precision on `coco_mini` train. INT8 networks answer differently on
processors without VNNI, so it also holds a fingerprint of a network's answer: where it differs, nothing is compared.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnxruntime as ort
from typer.testing import CliRunner

import poseg
from poseg.cli.main import app
from poseg.geometry.rle import encode_rle

FILE = Path(__file__).with_name("goldens.json.gz")
COCO = Path(__file__).parents[2] / ".." / "shared" / "data" / "coco_mini"
IMAGES = 19
FINDERS = ("fast", "small", "poseg")
RECORD_SCORE = 0.1


def images() -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """Name, image as `poseg` reads it, and annotated people (keypoints (N, 17, 3), boxes xyxy) of each image."""
    import skimage.data

    yield "astronaut", skimage.data.astronaut(), {"keypoints": [], "boxes": []}
    data = json.loads((COCO / "person_keypoints_train2017.json").read_text())
    by_image: dict[int, list[Any]] = {}
    for annotation in data["annotations"]:
        if not annotation["iscrowd"] and annotation["num_keypoints"]:
            by_image.setdefault(annotation["image_id"], []).append(annotation)
    entries = sorted((entry for entry in data["images"] if entry["id"] in by_image), key=lambda entry: entry["id"])
    for entry in entries[:IMAGES]:
        people = by_image[entry["id"]]
        truth = {
            "keypoints": [np.reshape(a["keypoints"], (17, 3)).tolist() for a in people],
            "boxes": [[x, y, x + w, y + h] for x, y, w, h in (a["bbox"] for a in people)],
        }
        yield entry["file_name"], str(COCO / "train2017" / entry["file_name"]), truth


def record(people: poseg.People) -> dict[str, Any]:
    """The numbers of some people as plain data."""
    plain: dict[str, Any] = {
        "keypoints": np.round(people.keypoints.astype(float), 3).tolist(),
        "scores": np.round(people.scores.astype(float), 4).tolist(),
    }
    if people.masks is not None:
        plain["masks"] = [encode_rle(mask)["counts"] for mask in np.asarray(people.masks)]
        plain["size"] = list(np.asarray(people.masks).shape[1:])
    if people.keypoints_3d is not None:
        plain["keypoints_3d"] = np.round(people.keypoints_3d.astype(float), 2).tolist()
    return plain


def answers() -> dict[str, dict[str, Any]]:
    """The record of each bundled model, by model and image."""
    finders = {name: poseg.load(name, min_score=RECORD_SCORE, max_people=40) for name in FINDERS}
    segmenter, crop_pose, lifter = poseg.load("pose2seg"), poseg.load("multitask"), poseg.load("lifter")
    results: dict[str, dict[str, Any]] = {name: {} for name in (*FINDERS, "pose2seg", "multitask", "lifter")}
    for name, image, truth in images():
        for model, finder in finders.items():
            results[model][name] = record(finder(image))
        if truth["boxes"]:
            points = np.array(truth["keypoints"], np.float32)
            annotated = poseg.People.from_poses(poseg.COCO17, points[..., :2], points[..., 2] > 0)
            results["pose2seg"][name] = record(segmenter(image, annotated))
            results["multitask"][name] = record(crop_pose(image, truth["boxes"]))
            results["lifter"][name] = record(lifter(annotated))
    return results


def precision(model: str) -> dict[str, float]:
    """Average precision of keypoints and masks on `coco_mini` train, by the command that users have."""
    with TemporaryDirectory() as folder:
        report = Path(folder) / "report.json"
        data = ["--data", str(COCO / "person_keypoints_train2017.json"), "--images", str(COCO / "train2017")]
        result = CliRunner().invoke(app, ["evaluate", "--model", model, *data, "--json", str(report)])
        assert result.exit_code == 0, result.output
        scores = json.loads(report.read_text())
    return {kind: scores[kind]["AP"] for kind in ("keypoints", "masks")}


def fingerprint() -> list[float]:
    """The spread of each output of `fast` for a fixed input: other processors and other weights give other numbers."""
    session = ort.InferenceSession((Path(poseg.__file__).parent / "models" / "fast.onnx").read_bytes())
    tensor = np.random.default_rng(0).normal(0, 0.5, (1, 3, 129, 129)).astype(np.float32)
    return [float(output.std()) for output in session.run(None, {session.get_inputs()[0].name: tensor})]


def read() -> dict[str, Any]:
    """The records as they were written."""
    plain: dict[str, Any] = json.loads(gzip.decompress(FILE.read_bytes()))
    return plain


if __name__ == "__main__":
    everything = {"fingerprint": fingerprint(), "precision": {m: precision(m) for m in FINDERS}, "people": answers()}
    text = json.dumps(everything, separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))
    sys.stdout.write(f"{FILE}: {FILE.stat().st_size} bytes\n")
