"""What the bundled models answer on fixed images, so that each change of the code shows what it changes.

write   python tests/models/goldens.py [MODEL ...], from the root of the repository, with ../shared beside it
        records of models that are not named stay

A record holds numbers alone, no image: keypoints, scores and masks (RLE) of each person, for 19 images of `coco_mini`
train and scikit-image's astronaut, and the average precision on `coco_mini` train. INT8 networks answer differently on
processors without VNNI, so it also holds a fingerprint of a network's answer: where it differs, nothing is compared.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Collection, Iterator
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
MODELS = (*FINDERS, "pose2seg", "multitask", "lifter")
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


def answers(models: Collection[str] = MODELS) -> dict[str, dict[str, Any]]:
    """The record of some bundled models, by model and image."""
    options = {name: {"min_score": RECORD_SCORE, "max_people": 40} for name in FINDERS}
    loaded = {name: poseg.load(name, **options.get(name, {})) for name in models}
    results: dict[str, dict[str, Any]] = {name: {} for name in models}
    for name, image, truth in images():
        points = np.array(truth["keypoints"], np.float32).reshape(-1, 17, 3)
        annotated = poseg.People.from_poses(poseg.COCO17, points[..., :2], points[..., 2] > 0)
        inputs = {"pose2seg": (image, annotated), "multitask": (image, truth["boxes"]), "lifter": (annotated,)}
        for model, predict in loaded.items():
            if model in FINDERS or truth["boxes"]:
                results[model][name] = record(predict(*inputs.get(model, (image,))))
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
    chosen = sys.argv[1:] or list(MODELS)
    before = read() if sys.argv[1:] else {"people": {}, "precision": {}}
    if sys.argv[1:] and not np.allclose(before["fingerprint"], fingerprint(), rtol=1e-3):
        sys.exit("Networks answer differently here than where the records were written; write those of all models.")
    everything = {
        "fingerprint": fingerprint(),
        "precision": {**before["precision"], **{m: precision(m) for m in FINDERS if m in chosen}},
        "people": {**before["people"], **answers(chosen)},
    }
    text = json.dumps(everything, separators=(",", ":"))
    FILE.write_bytes(gzip.compress(text.encode(), mtime=0))
    sys.stdout.write(f"{FILE}: {FILE.stat().st_size} bytes\n")
