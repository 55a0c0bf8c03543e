"""`poseg predict --format`, `--labels` and `--recursive`, and `poseg convert` there and back."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest

import poseg as toolkit
from poseg.cli.completion import complete_effect, complete_model, complete_recipe
from poseg.cli.convert import OUTPUTS, Format
from poseg.interop import from_coco, from_cvat, from_labelme


@pytest.fixture
def predicted(poseg, tmp_path, monkeypatch):
    """A folder with the bundled image one level down, predicted into `out` in all formats."""
    monkeypatch.chdir(tmp_path)
    Path("photos/below").mkdir(parents=True)
    toolkit.write_png("photos/below/astronaut.png", toolkit.examples.astronaut())
    formats = ",".join(form.value for form in Format)
    return poseg("predict", "photos", "-r", "--model", "fast", "--labels", "ids,scores", "--format", formats)


def test_predict_writes_all_formats_to_the_default_folder(predicted) -> None:
    assert predicted.exit_code == 0, predicted.output
    for name in (*OUTPUTS.values(), "results.json", "astronaut.overlay.png"):
        assert Path("out", name).exists()
    records = json.loads(Path("out/results.json").read_bytes())
    with Path("out/people.csv").open() as stream:
        assert len(list(csv.DictReader(stream))) == len(records) > 0


def test_convert_goes_there_and_back(poseg, predicted) -> None:
    (first,) = from_coco("out/coco.json")
    for source, form in (("out/results.json", "coco"), ("out/coco.json", "labelme"), ("labelme/labelme", "cvat")):
        done = poseg("convert", source, form, "--to", form)
        assert done.exit_code == 0, done.output
    assert poseg("convert", "cvat/cvat.xml", "back.json", "--to", "coco").exit_code == 0
    for (back,) in (from_coco("coco/coco.json"), from_labelme("labelme/labelme"), from_cvat("cvat/cvat.xml"),
                    from_coco("back.json")):  # fmt: skip
        seen = back.people.keypoint_scores > 0
        np.testing.assert_allclose(back.people.keypoints[seen], first.people.keypoints[seen], atol=0.03)
        assert back.people.masks is not None
        assert first.people.masks is not None
        assert np.diag(back.people.masks.iou(first.people.masks)).min() > 0.97


def test_yolo_labels_come_back_with_their_images(poseg, predicted) -> None:
    for option, name in (("--pose", "yolo"), ("--seg", "yolo-seg")):
        done = poseg("convert", f"out/{name}/labels", "x.json", "--to", "coco", "--images", "photos/below", option)
        assert done.exit_code == 0, done.output
        assert len(from_coco("x.json")[0].people) == len(from_coco("out/coco.json")[0].people)
    assert poseg("convert", "out/yolo/labels", "x.json", "--to", "coco").exit_code == 2


@pytest.mark.parametrize(
    "arguments",
    [("convert", "photos", "x", "--to", "coco"), ("convert", "missing.json", "x", "--to", "coco"),
     ("convert", "out/coco.json", "x", "--to", "what"), ("convert", "out/coco.json", "x", "--to", ","),
     ("predict", "photos", "--labels", "hats"), ("predict", "photos", "--format", "hats")],
)  # fmt: skip
def test_faults_are_one_sentence(poseg, tmp_path, monkeypatch, arguments) -> None:
    monkeypatch.chdir(tmp_path)
    Path("photos").mkdir()
    result = poseg(*arguments)
    assert result.exit_code == 2
    assert len(result.stderr.strip().splitlines()) == 1


def test_shells_complete_names() -> None:
    assert "winged+blur" in complete_effect("winged+b")
    assert {"small", "fast"} <= set(complete_model(""))
    assert complete_recipe("poseg_s") == ["poseg_small"]
