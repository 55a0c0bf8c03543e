"""`predict` with a model of crops, with boxes of others, and into space."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import Result

from poseg.cli.predict_options import DetectOptions, PredictOptions
from poseg.codecs.multitask import MultitaskCodec
from poseg.errors import FieldError
from poseg.io.coco_results import read_results
from poseg.io.people_jsonl import read_frames
from poseg.io.video_writer import VideoWriter
from poseg.runtime.card import CARD_KEY, Card
from poseg.runtime.crop_pose import TopDownPose
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import COCO17, LSP14

Poseg = Callable[..., Result]
Spots = Callable[..., NDArray[np.uint8]]
Save = Callable[[str, NDArray[np.uint8]], None]

CODEC = MultitaskCodec()
# Of half the crop's side, about the centre of what is red: a person with all joints in different places.
POSE = np.array(
    [(-0.2, 0.6), (-0.15, 0.4), (-0.1, 0.1), (0.1, 0.1), (0.15, 0.4), (0.2, 0.6), (-0.35, 0.1), (-0.3, -0.1),
     (-0.2, -0.3), (0.2, -0.3), (0.3, -0.1), (0.35, 0.1), (0, -0.35), (0, -0.6)]
)  # fmt: skip
CROPS = ("--model", "../crops.onnx")
BOTH = ((60, 70), (190, 120))
SIZE = (192, 256)  # even, as videos are


def crops_model() -> bytes:
    """Puts `POSE` about the centre of what is red in a crop; windows hold everything where there is any red."""
    from onnx import TensorProto, helper, numpy_helper

    k, side = len(LSP14), CODEC.crop_size_px[0]
    ramp = ((np.arange(side) + 0.5) * 2 / side - 1).astype(np.float32)
    channels = {spec.name: spec.channels for spec in CODEC.specs}
    constants: dict[str, Any] = {
        "red": np.array([0], np.int64), "across": ramp.reshape(1, 1, 1, side), "down": ramp.reshape(1, 1, side, 1),
        "sides": np.array([2, 3], np.int64), "one": np.float32(1), "pose": POSE.reshape(1, 2 * k, 1, 1),
        "steep": np.float32(0.1), "none": np.float32(8), "most": np.float32(16), "zero": np.float32(0),
        "twice": np.array([1, k, 1, 1], np.int64),
        **{f"{name}.ones": np.ones((1, n, 1, 1), np.float32) for name, n in channels.items() if name != "joints"},
    }  # fmt: skip
    nodes = [
        helper.make_node("Gather", ["image", "red"], ["reds"], axis=1),
        helper.make_node("Relu", ["reds"], ["light"]),
        helper.make_node("ReduceSum", ["light", "sides"], ["sum"]),
        helper.make_node("Max", ["sum", "one"], ["total"]),
    ]
    for axis in ("across", "down"):
        nodes += [
            helper.make_node("Mul", ["light", axis], [f"{axis}.light"]),
            helper.make_node("ReduceSum", [f"{axis}.light", "sides"], [f"{axis}.sum"]),
            helper.make_node("Div", [f"{axis}.sum", "total"], [f"{axis}.mean"]),
        ]
    nodes += [
        helper.make_node("Concat", ["across.mean", "down.mean"], ["centre"], axis=1),
        helper.make_node("Tile", ["centre", "twice"], ["centres"]),
        helper.make_node("Add", ["centres", "pose"], ["joints"]),
        helper.make_node("Mul", ["sum", "steep"], ["rising"]),
        helper.make_node("Min", ["rising", "most"], ["risen"]),
        helper.make_node("Sub", ["risen", "none"], ["logit"]),
    ]
    nodes += [helper.make_node("Mul", ["logit", f"{n}.ones"], [n]) for n in channels if n != "joints"]

    def tensor(name: str, shape: list[object]) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    weights = [
        numpy_helper.from_array(np.asarray(v, None if np.asarray(v).dtype == np.int64 else np.float32), n)
        for n, v in constants.items()
    ]
    graph = helper.make_graph(
        nodes, "crops", [tensor("image", ["people", 3, side, side])],
        [tensor(name, ["people", n, 1, 1]) for name, n in channels.items()], weights,
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = Card(
        name="crops", system="multitask", codec=CODEC.to_dict(), skeleton=asdict(LSP14),
        inference=InferenceConfig(side), size_divisor=side, size_offset=0, mean=(127.0,) * 3, std=(128.0,) * 3,
        outputs={name: name for name in channels}, licences={"code": "Apache-2.0"},
    )  # fmt: skip
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    return bytes(model.SerializeToString())


@pytest.fixture
def predict(poseg: Poseg) -> Poseg:
    """Runs `poseg predict` with that model at hand as ../crops.onnx."""
    Path("../crops.onnx").write_bytes(crops_model())
    return lambda *arguments: poseg("predict", *arguments, "--out", "out")


def written() -> set[str]:
    return {path.name for path in Path("out").iterdir()}


def records() -> list[dict[str, Any]]:
    detected: list[dict[str, Any]] = json.loads(Path("out/results.json").read_text())
    return detected


def people_of(image: int = 1):
    return read_results("out/results.json", skeleton=LSP14)[image]


def centres(people) -> NDArray[np.float64]:
    """Where the models put the centre of the pose, whose joints are even about it on both axes but for the last two."""
    return people.keypoints[:, :12].mean(axis=1) - POSE[:12].mean(axis=0) * extent(people)[:, None] / 2


def extent(people) -> NDArray[np.float64]:
    """Sides of the crops."""
    head, foot = people.keypoints[:, 13, 1], people.keypoints[:, 0, 1]
    return (foot - head) * 2 / 1.2


def truth(names: dict[int, str], boxes: dict[int, list[list[float]]]) -> None:
    """A COCO file of images with people who have boxes (x, y, width, height) alone."""
    people = [(image, box) for image, several in boxes.items() for box in several]
    plain = {
        "images": [{"id": n, "file_name": name, "height": 193, "width": 257} for n, name in names.items()],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
        "annotations": [
            {"id": n, "image_id": image, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0,
             "keypoints": [0] * 51, "num_keypoints": 0}
            for n, (image, box) in enumerate(people, 1)
        ],
    }  # fmt: skip
    Path("truth.json").write_text(json.dumps(plain))


# A model of crops.


def test_top_down_takes_the_whole_image_as_one_person(predict: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots((150, 90)))
    result = predict("a.png", *CROPS, "--no-flip")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("1 person in 1 image; ")
    assert written() == {"results.json", "a.overlay.png"}
    (record,) = records()
    assert (record["skeleton"], record["bbox"]) == ("lsp14", [0, 0, 257, 193])
    assert "segmentation" not in record
    assert record["score"] > 0.99
    assert np.abs(centres(people_of()) - (150, 90)).max() < 2
    overlay, image = (np.asarray(Image.open(path)).astype(int) for path in ("out/a.overlay.png", "a.png"))
    assert (overlay != image).any()


def test_top_down_scores_are_near_0_on_background(predict: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots())
    assert predict("a.png", *CROPS).exit_code == 0
    assert records()[0]["score"] < 0.01
    assert max(records()[0]["keypoint_scores"]) < 0.01


def test_top_down_takes_the_boxes_of_a_detector(predict: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots(*BOTH))
    assert predict("a.png", "--model", "../spots.onnx").exit_code == 0
    detected = {tuple(record["bbox"]): record for record in records()}
    result = predict("a.png", *CROPS, "--detector", "../spots.onnx", "--masks", "--max-people", "2")
    assert result.exit_code == 0, result.stderr
    assert written() == {"results.json", "a.overlay.png", "a.masks.png"}
    assert set(np.unique(np.asarray(Image.open("out/a.masks.png")))) == {0, 1, 2}
    assert len(records()) == 2
    for record, centre in zip(records(), centres(people_of()), strict=True):
        first = detected[tuple(record["bbox"])]
        assert (record["score"], record["segmentation"]) == (first["score"], first["segmentation"])
        assert record["skeleton"] == "lsp14"
        x, y, width, height = record["bbox"]
        assert np.abs(centre - (x + width / 2, y + height / 2)).max() < 8
    assert predict("a.png", *CROPS, "--detector", "../spots.onnx", "--max-people", "1").exit_code == 0
    assert len(records()) == 1


@pytest.mark.parametrize("asked", [None, False, True])
def test_the_detector_of_a_top_down_model_refines_poses_only_where_asked(asked: bool | None) -> None:
    options = PredictOptions(DetectOptions(model="multitask", refine_poses=asked), detector="small")
    assert (options.build().detector.pose_refiner is not None) == bool(asked)


def test_top_down_takes_the_boxes_of_results_in_order(predict: Poseg, spots: Spots, save: Save) -> None:
    save("photos/a.png", spots(*BOTH))
    save("photos/b.png", spots())
    assert predict("photos", "--model", "../spots.onnx").exit_code == 0
    boxes = [record["bbox"] for record in records()]
    Path("out/results.json").rename("detected.json")
    result = predict("photos", *CROPS, "--people", "detected.json")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("2 people in 2 images")
    assert "detected.json does not list 1 of 2 images, such as photos/b.png" in result.stderr
    assert [record["bbox"] for record in records()] == boxes
    assert {record["image_id"] for record in records()} == {1}
    again = predict("photos", *CROPS, "--people", "out/results.json")  # its own results, on its own skeleton
    assert again.exit_code == 0, again.stderr
    assert [record["bbox"] for record in records()] == boxes


def test_top_down_matches_ground_truth_by_file_name(predict: Poseg, spots: Spots, save: Save) -> None:
    for name in ("a.png", "b.png", "new.png"):
        save(f"photos/{name}", spots(*BOTH))
    truth({7: "b.png", 9: "a.png"}, {7: [[20, 30, 80, 80]], 9: [[150, 80, 80, 80], [20, 30, 80, 80]]})
    result = predict("photos", *CROPS, "--people", "truth.json", "--no-overlay")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.startswith("3 people in 3 images")
    assert result.stderr == (
        "poseg: truth.json does not list 1 of 3 images, such as photos/new.png; they are taken to show no people.\n"
    )
    assert [(record["image_id"], record["file_name"]) for record in records()] == [
        (9, "a.png"), (9, "a.png"), (7, "b.png"),
    ]  # fmt: skip
    assert np.abs(centres(people_of(9)) - [BOTH[1], BOTH[0]]).max() < 8


def test_top_down_finishes_the_images_after_a_box_outside(predict: Poseg, spots: Spots, save: Save) -> None:
    for name in ("a.png", "b.png", "c.png"):
        save(f"photos/{name}", spots(*BOTH))
    near = [20, 30, 80, 80]
    truth({1: "a.png", 2: "b.png", 3: "c.png"}, {1: [near], 2: [near, [300, 10, 50, 50]], 3: [near]})
    result = predict("photos", *CROPS, "--people", "truth.json")
    assert result.exit_code == 2
    assert result.stderr.startswith("poseg: photos/b.png: Box 1 (300, 10, 350, 60) lies outside the image")
    assert result.stderr.count("\n") == 1
    assert result.stdout.startswith("2 people in 2 images")
    assert written() == {"results.json", "a.overlay.png", "c.overlay.png"}
    truth({1: "a.png", 2: "b.png", 3: "c.png"}, {1: [near], 2: [near, [5, 5, 0, 0]], 3: [near]})
    assert "photos/b.png: Box 1 (5, 5, 5, 5) lies outside" in predict("photos", *CROPS, "--people", "truth.json").stderr


def test_predict_does_not_hide_internal_errors(predict: Poseg, spots: Spots, save: Save, monkeypatch) -> None:
    save("a.png", spots((60, 70)))

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(TopDownPose, "_wide_crops", broken)
    assert isinstance(predict("a.png", *CROPS).exception, ZeroDivisionError)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--detector", "../spots.onnx"], "--detector is for a top-down model; add --model multitask"),
        (["--model", "../spots.onnx", "--people", "truth.json"], "--people is for a top-down model"),
        ([*CROPS, "--detector", "../spots.onnx", "--people", "truth.json"], "--detector and --people both say"),
        ([*CROPS, "--people", "missing.json"], "missing.json"),
        ([*CROPS, "--people", "a.json"], "a.json is neither COCO ground truth"),
        ([*CROPS, "--detector", "missing"], "no model 'missing'"),
        ([*CROPS, "--detector", "lifter"], "'lifter' is of the system 'lifter', which does not detect people"),
        ([*CROPS, "--detector", "../crops.onnx"], "'crops' is of the system 'multitask', which does not detect people"),
        ([*CROPS, "--long-edge", "257", "--mask-model", "../disks.onnx"], "--long-edge, --mask-model would do nothing"),
        ([*CROPS, "--people", "truth.json", "--min-score", "0.2"], "--min-score would do nothing"),
        (["--model", "lifter"], "does not detect people by itself"),
    ],
)
def test_top_down_rejects_options_that_do_not_fit(
    predict: Poseg, spots: Spots, save: Save, options: list[str], complaint: str
) -> None:
    save("a.png", spots((60, 70)))
    truth({1: "a.png"}, {1: [[20, 30, 80, 80]]})
    Path("a.json").write_text("{}")
    result = predict("a.png", *options)
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1
    assert not Path("out").exists()


# Into space.


def test_predict_3d_lifts_the_people_of_an_image(predict: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots(*BOTH))
    assert predict("a.png", "--model", "../spots.onnx", "--3d").exit_code == 0
    assert written() == {"results.json", "a.overlay.png", "a.3d.png", "a.3d.html"}
    for record in records():
        joints = np.reshape(record["keypoints_3d"], (-1, 3))
        assert (record["skeleton_3d"], joints.shape) == ("body17_3d", (17, 3))
        assert not joints[0].any()
        assert 500 < np.ptp(joints[:, 1]) < 2500
    assert np.asarray(Image.open("out/a.3d.png")).shape > (193, 257, 2)
    page = Path("out/a.3d.html").read_text()
    assert page.count('"joints":[[') == 2
    assert "<title>a" in page


def test_predict_3d_lifts_people_of_a_top_down_model(predict: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots(*BOTH))
    assert predict("a.png", *CROPS, "--detector", "../spots.onnx", "--3d", "--no-overlay").exit_code == 0
    assert written() == {"results.json", "a.3d.png", "a.3d.html"}
    truth({1: "a.png"}, {1: [[20, 30, 80, 80]]})
    assert predict("a.png", *CROPS, "--people", "truth.json", "--3d").exit_code == 0
    assert [len(record["keypoints_3d"]) for record in records()] == [51]


def test_predict_3d_takes_no_people(predict: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots())
    result = predict("a.png", "--model", "../spots.onnx", "--3d")
    assert result.exit_code == 0, result.stderr
    assert records() == []
    assert written() == {"results.json", "a.overlay.png", "a.3d.png", "a.3d.html"}
    assert '"frames":[[]]' in Path("out/a.3d.html").read_text()


def test_predict_3d_leaves_out_people_with_too_few_joints(predict: Poseg, spots: Spots, save: Save) -> None:
    save("a.png", spots())
    result = predict("a.png", *CROPS, "--3d")
    assert result.exit_code == 0, result.stderr
    (record,) = records()
    assert "keypoints_3d" not in record
    page = Path("out/a.3d.html").read_text()
    assert "NaN" not in page.split("</script>")[0].split('"frames"')[-1]
    assert np.asarray(Image.open("out/a.3d.png")).shape > (193, 257, 2)


@pytest.fixture
def clip() -> Callable[..., None]:
    """Writes a video whose people stand in the same places in every frame."""

    def write(path: str, image: NDArray[np.uint8], frames: int = 5) -> None:
        with VideoWriter(path, SIZE, rate=20) as writer:
            for _ in range(frames):
                writer.write(image)

    return write


@pytest.mark.parametrize("options", [(), ("--offline",)], ids=["once", "twice"])
@pytest.mark.parametrize(
    "model", [("--model", "../spots.onnx"), (*CROPS, "--detector", "../spots.onnx")], ids=["detected", "crops"]
)
def test_predict_3d_lifts_the_people_of_a_video(predict: Poseg, spots: Spots, clip, model, options) -> None:
    clip("walk.mp4", spots(*BOTH, size=SIZE))
    result = predict("walk.mp4", *model, "--3d", *options)
    assert result.exit_code == 0, result.stderr
    assert written() == {"walk.overlay.mp4", "walk.people.jsonl", "walk.3d.html"}
    frames = [people for _, _, people in read_frames("out/walk.people.jsonl")]
    assert len(frames) == 5
    for people in frames:
        assert people.keypoints_3d.shape == (2, 17, 3)
        assert np.isfinite(people.keypoints_3d).all()
    page = Path("out/walk.3d.html").read_text()
    assert page.count('"joints":[[') == 10
    assert '"times":[0.0,0.05,' in page


@pytest.mark.parametrize("model", [("--model", "../spots.onnx"), CROPS], ids=["missing", "too few joints"])
def test_predict_3d_takes_a_video_without_people(predict: Poseg, spots: Spots, clip, model) -> None:
    clip("empty.mp4", spots(size=SIZE), 3)
    result = predict("empty.mp4", *model, "--3d")
    assert result.exit_code == 0, result.stderr
    assert written() == {"empty.overlay.mp4", "empty.people.jsonl", "empty.3d.html"}
    assert len(list(read_frames("out/empty.people.jsonl"))) == 3
    assert '"frames":[[],[],[]]' in Path("out/empty.3d.html").read_text()


def test_top_down_rejects_a_file_of_people_for_videos(predict: Poseg, spots: Spots, clip) -> None:
    clip("walk.mp4", spots(*BOTH, size=SIZE), 2)
    Path("detected.json").write_text("[]")
    result = predict("walk.mp4", *CROPS, "--people", "detected.json")
    assert result.exit_code == 2
    assert (
        "detected.json holds the people of images; for videos name a model, such as --detector small" in result.stderr
    )
    assert not Path("out").exists()


def test_predict_3d_finishes_the_images_after_an_error(predict: Poseg, spots: Spots, save: Save, monkeypatch) -> None:
    for name in ("a.png", "b.png"):
        save(name, spots((60, 70)))
    lifters, calls = __import__("poseg.runtime.lifter", fromlist=["Lifter"]), []
    call = lifters.Lifter.__call__

    def once(self, people):
        calls.append(1)
        if len(calls) == 1:
            raise FieldError("bones are not finite")
        return call(self, people)

    monkeypatch.setattr(lifters.Lifter, "__call__", once)
    result = predict("a.png", "b.png", "--model", "../spots.onnx", "--3d")
    assert result.exit_code == 2
    assert result.stderr == "poseg: a.png: bones are not finite\n"
    assert {"b.3d.png", "b.3d.html"} <= written()
    assert "a.3d.png" not in written()
