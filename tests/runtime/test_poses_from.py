"""Networks of other houses: each layout by a small graph with constant outputs; the published ones where they are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner

import poseg
from poseg.cli.main import app
from poseg.errors import FieldError, PosegError, WeightsError
from poseg.io.people_file import read_people
from poseg.runtime.pose2seg import Pose2SegSegmenter, SegmentedPredictor
from poseg.runtime.poses_from import LAYOUTS, PosesFrom

WEIGHTS = Path(__file__).resolve().parents[3] / "shared" / "data" / "weights_teachers"
WIDTH, HEIGHT = 320, 160  # the network's input of 640 shows the image twice as large, at the top left
BOXES = np.array([[20, 30, 120, 150], [200, 10, 300, 140]], np.float32)
SCORES = np.array([0.9, 0.6], np.float32)
STEPS = np.linspace(0.1, 0.9, 17, dtype=np.float32)[:, None]
POINTS = BOXES[:, None, :2] + STEPS * (BOXES[:, None, 2:] - BOXES[:, None, :2])  # on the diagonals of the boxes
JOINTS = np.concatenate([POINTS, np.full((2, 17, 1), 0.8, np.float32)], axis=2)
ON_INPUT = np.concatenate([2 * POINTS, JOINTS[..., 2:]], axis=2)

Network = Callable[..., Path]


@pytest.fixture
def network(tmp_path: Path) -> Network:
    """Writes a graph that gives the same arrays whatever its input."""

    def build(name: str, shape: tuple[int | str, ...], *arrays: NDArray[np.float32], integers: bool = False) -> Path:
        from onnx import TensorProto, helper, numpy_helper, save

        kind = TensorProto.INT32 if integers else TensorProto.FLOAT
        names = [f"output{number}" for number in range(len(arrays))]
        nodes = [
            helper.make_node("Constant", [], [output], value=numpy_helper.from_array(np.float32(array)))
            for output, array in zip(names, arrays, strict=True)
        ]
        outputs = [
            helper.make_tensor_value_info(output, TensorProto.FLOAT, array.shape)
            for output, array in zip(names, arrays, strict=True)
        ]
        graph = helper.make_graph(nodes, name, [helper.make_tensor_value_info("image", kind, shape)], outputs)
        path = tmp_path / f"{name}.onnx"
        save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
        return path

    return build


def image() -> NDArray[np.uint8]:
    return np.full((HEIGHT, WIDTH, 3), 90, np.uint8)


def rtmo(network: Network) -> str:
    dets = np.concatenate([2 * BOXES, SCORES[:, None]], axis=1)
    return str(network("rtmo", (1, 3, 640, 640), dets[None], ON_INPUT[None]))


def yolo_rows() -> NDArray[np.float32]:
    low, high = 2 * BOXES[:, :2], 2 * BOXES[:, 2:]
    return np.concatenate([(low + high) / 2, high - low, SCORES[:, None], ON_INPUT.reshape(2, -1)], axis=1)


def yolo(network: Network) -> str:
    rows = yolo_rows()
    again = rows[:1] + np.float32(0.01)  # suppressed
    again[:, 4] = 0.5
    return str(network("yolo", (1, 3, "height", "width"), np.concatenate([rows, again]).T[None]))


def yolo_without_nms(network: Network) -> str:
    rows = np.concatenate([2 * BOXES, SCORES[:, None], np.zeros((2, 1)), ON_INPUT.reshape(2, -1)], axis=1)
    return str(network("yolo26", (1, 3, 640, 640), rows[None]))


def movenet(network: Network) -> str:
    size = np.array([WIDTH, HEIGHT], np.float32)
    joints = np.concatenate([(POINTS / size)[..., ::-1], JOINTS[..., 2:]], axis=2).reshape(2, -1)
    corners = (BOXES / np.tile(size, 2))[:, [1, 0, 3, 2]]
    rows = np.zeros((1, 6, 56), np.float32)
    rows[0, :2] = np.concatenate([joints, corners, SCORES[:, None]], axis=1)
    return str(network("movenet", (1, "height", "width", 3), rows, integers=True))


def top_down(network: Network) -> str:
    """A detector with a person and a chair, as MMDeploy exports it, and SimCC outputs with all joints in the middle."""
    dets = np.concatenate([2 * BOXES, SCORES[:, None]], axis=1)
    labels = np.array([[0, 56]], np.float32)
    x, y = np.zeros((1, 17, 384), np.float32), np.zeros((1, 17, 512), np.float32)
    x[:, :, 192], y[:, :, 256] = 0.9, 0.8
    detector = network("detector", (1, 3, 640, 640), dets[None], labels)
    return f"{detector},{network('crops', (1, 3, 256, 192), x, y)}"


@pytest.mark.parametrize(
    ("layout", "files"),
    [("rtmo", rtmo), ("yolo-pose", yolo), ("yolo-pose", yolo_without_nms), ("movenet-multipose", movenet)],
)  # fmt: skip
def test_people_stand_where_the_network_says(layout: str, files: Callable[[Network], str], network: Network) -> None:
    people = PosesFrom.load(files(network), layout, threads=1)(image())
    assert len(people) == 2
    np.testing.assert_allclose(people.keypoints, POINTS, atol=1e-3)
    np.testing.assert_allclose(people.keypoint_scores, 0.8, atol=1e-6)
    np.testing.assert_allclose(people.boxes_xyxy, BOXES, atol=1e-3)
    np.testing.assert_allclose(people.scores, SCORES, atol=1e-6)


def test_two_networks_pose_the_persons_of_the_detector(network: Network) -> None:
    people = PosesFrom.load(top_down(network), "rtmdet+rtmpose", threads=1)(image())
    assert len(people) == 1
    np.testing.assert_allclose(people.keypoints[0], np.tile((BOXES[0, :2] + BOXES[0, 2:]) / 2, (17, 1)), atol=1e-3)
    np.testing.assert_allclose(people.scores, [0.9 * 0.8], atol=1e-6)


def test_our_masks_follow_the_poses(network: Network) -> None:
    segmenter = poseg.load("pose2seg", threads=1)
    assert isinstance(segmenter, Pose2SegSegmenter)
    people = SegmentedPredictor(PosesFrom.load(rtmo(network), "rtmo", threads=1), segmenter)(image())
    assert people.masks is not None
    assert len(people) == len(people.masks) == 2


def test_the_command_line_takes_them(network: Network, tmp_path: Path) -> None:
    poseg.write_png(tmp_path / "image.png", image())
    arguments = ["predict", str(tmp_path / "image.png"), "--out", str(tmp_path), "--layout", "rtmo", "--no-overlay"]
    done = CliRunner().invoke(app, [*arguments, "--poses-from", rtmo(network)])
    assert done.exit_code == 0, done.output
    assert len(read_people(tmp_path / "results.json").people(1)) == 2


def test_thresholds_cut_people(network: Network) -> None:
    files = rtmo(network)
    assert len(PosesFrom.load(files, "rtmo", min_score=0.7)(image())) == 1
    assert len(PosesFrom.load(files, "rtmo", max_people=1)(image())) == 1
    assert len(PosesFrom.load(files, "rtmo", min_score=0.95)(image())) == 0


@pytest.mark.parametrize("layout", LAYOUTS)
def test_networks_of_another_layout_are_refused(layout: str, network: Network) -> None:
    shape = (1, "height", "width", 3) if layout == "movenet-multipose" else (1, 3, 640, 640)
    path = network("other", shape, np.zeros((1, 4, 7), np.float32), integers=layout == "movenet-multipose")
    with pytest.raises(WeightsError):
        PosesFrom.load(",".join([str(path)] * (layout.count("+") + 1)), layout)(image())


def test_bad_numbers_names_and_files_are_one_sentence(network: Network, tmp_path: Path) -> None:
    dets = np.concatenate([2 * BOXES, SCORES[:, None]], axis=1)
    broken = network("nan", (1, 3, 640, 640), dets[None], ON_INPUT[None] * np.nan)
    with pytest.raises(FieldError):
        PosesFrom.load(str(broken), "rtmo")(image())
    (tmp_path / "text.onnx").write_text("no network")
    for files, layout in ((rtmo(network), "rtm"), (rtmo(network), "rtmdet+rtmpose"), ("missing.onnx", "rtmo"),
                          (str(tmp_path / "text.onnx"), "rtmo")):  # fmt: skip
        with pytest.raises(WeightsError):
            PosesFrom.load(files, layout)


def test_options_that_would_do_nothing_are_refused() -> None:
    from poseg.cli.predict_options import DetectOptions

    for options in ({"poses_from": "x.onnx"}, {"layout": "rtmo"},
                    {"poses_from": "x.onnx", "layout": "rtmo", "model": "small"},
                    {"poses_from": "x.onnx", "layout": "rtmo", "flip": True}):  # fmt: skip
        with pytest.raises(PosegError):
            DetectOptions(**options)


@pytest.mark.slow
def test_published_networks_pose_the_astronaut() -> None:
    paths = [WEIGHTS / name for name in ("rtmdet_nano_person_640.onnx", "tinypose_256x192.onnx")]
    if not all(path.is_file() for path in paths):
        pytest.skip("the published networks are not beside the checkout")
    people = PosesFrom.load(",".join(map(str, paths)), "rtmdet+rtmpose", threads=1, min_score=0.1)(
        poseg.examples.astronaut()
    )
    assert np.hypot(*(people[0]["nose"][:2] - (222, 122))) < 12
