"""Models of single people as files: top-down from crops, and lifters from 2D joints to 3D."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

import poseg  # noqa: E402
from poseg.cli.main import app  # noqa: E402
from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.export.quantize import LAYERS, quantize  # noqa: E402
from poseg.export.torch_model import TorchModel, make_card  # noqa: E402
from poseg.export.torch_onnx import export_onnx, per_person_input_shape  # noqa: E402
from poseg.geometry import affine  # noqa: E402
from poseg.people import People  # noqa: E402
from poseg.runtime.crop_pose import TopDownPose  # noqa: E402
from poseg.runtime.inference import InferenceConfig  # noqa: E402
from poseg.runtime.lifter import Lifter as Lifting  # noqa: E402
from poseg.runtime.models import build_predictor  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.runtime.pose2seg import Pose2SegSegmenter  # noqa: E402
from poseg.skeletons import BODY17_3D, COCO17, LSP14  # noqa: E402
from poseg.systems.lifter import LifterSystem  # noqa: E402
from poseg.systems.multitask import Multitask  # noqa: E402

pytestmark = pytest.mark.slow  # exports networks

SYSTEMS = {
    "published": Multitask(regression_hidden=(16, 24), detection_hidden=(24, 16)),
    "maps": Multitask(
        tasks=("heatmap", "joint_windows", "part_windows"), backbone="lite_hrnet", crop_size_px=(96, 64), window_px=20,
        window_stride_px=10, blocks=1, detection_hidden=(16, 16),
    ),
    "bones": Multitask(
        tasks=("bones", "joint_windows"), skeleton=BODY17_3D, regression_hidden=(16, 16), detection_hidden=(16, 16)
    ),
    "lifter": LifterSystem(width=32, blocks=1),
}  # fmt: skip
CROPPED = [name for name, system in SYSTEMS.items() if isinstance(system, Multitask)]
BOXES = np.array([[10, 20, 90, 100], [-20, -30, 60, 150], [100, 0, 200, 120], [0, 0, 200, 120], [150, 60, 260, 200]])
LICENCES = {"code": "Apache-2.0", "weights": "Apache-2.0"}


def long_edge(system) -> int:
    return max(per_person_input_shape(system)[1:])


def with_distinct_outputs(network):
    """A network whose outputs differ between people, which those of a fresh network hardly do."""
    for name, module in network.named_modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        if ".outputs." in name or name.endswith(".heatmap"):
            torch.nn.init.normal_(module.weight, std=0.2)
    return network.eval()


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Network, path, card and export of each system."""
    made = {}
    for name, system in SYSTEMS.items():
        torch.manual_seed(1)
        network, path = with_distinct_outputs(system.network()), tmp_path_factory.mktemp("models") / f"{name}.onnx"
        mean, std = system.normalisation
        card = make_card(
            system, name=name, inference=InferenceConfig(long_edge(system)), mean=mean, std=std,
            licences=LICENCES, data=({"name": "drawn", "images": 8},), notes=("Random weights.",),
        )  # fmt: skip
        images = [photo(seed) for seed in range(2)]
        made[name] = SimpleNamespace(
            system=system, network=network, path=path, exported=export_onnx(network, system, card, path, images)
        )
    return made


def photo(seed: int = 0) -> np.ndarray:
    rough = np.random.default_rng(seed).integers(0, 255, (6, 10, 3), np.uint8)
    return np.asarray(Image.fromarray(rough).resize((200, 120), Image.Resampling.BICUBIC))


def crowd(count: int, seed: int = 0) -> People:
    rng = np.random.default_rng(seed)
    return People.from_poses(COCO17, rng.uniform(0, 300, (count, 17, 2)), np.ones((count, 17)))


def inputs(system, count: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, *per_person_input_shape(system))).astype(np.float32)


# The file is the network.


@pytest.mark.parametrize("name", SYSTEMS)
@pytest.mark.parametrize("count", [1, 5])
def test_file_and_network_agree_for_any_number_of_people(models, name, count):
    model = models[name]
    session = OnnxModel(model.path)
    given = inputs(model.system, count, seed=7)
    got, expected = session.run(given), TorchModel(model.network, session.codec, session.card).run(given)
    for spec in session.codec.specs:
        assert got[spec.name].shape == (*spec.shape, count, 1)
        gap = np.abs(got[spec.name] - expected[spec.name]).max()
        assert gap < 0.03 * np.abs(expected[spec.name]).max()  # weights are stored in half precision
    assert model.exported.difference < 1e-4
    assert model.exported.num_images == 2


@pytest.mark.parametrize("name", SYSTEMS)
def test_people_of_one_batch_are_independent(models, name):
    session, given = OnnxModel(models[name].path), inputs(models[name].system, 5)
    together = session.run(given)
    for spec in session.codec.specs:
        field = together[spec.name]
        alone = np.concatenate([session.run(given[[row]])[spec.name] for row in range(5)], axis=-2)
        np.testing.assert_allclose(field, alone, atol=1e-4)
        assert field.std(axis=-2).max() > 0.01, "outputs differ between people"


@pytest.mark.parametrize("name", SYSTEMS)
def test_card_is_complete(models, name):
    system, session = models[name].system, OnnxModel(models[name].path)
    card = session.card
    assert card.to_json() == models[name].exported.card.to_json()
    assert session.codec == system.codec
    assert (card.name, card.system) == (name, "lifter" if name == "lifter" else "multitask")
    assert (card.mean, card.std) == system.normalisation
    assert card.inference.long_edge_px == long_edge(system)
    assert all(side % card.size_divisor == 0 for side in per_person_input_shape(system)[1:])
    assert set(card.outputs) == {spec.name for spec in system.codec.specs}
    assert card.licences == LICENCES
    assert card.data[0]["images"] == 8
    assert card.notes == ("Random weights.",)
    assert len(card.sha256) == 64
    printed = CliRunner(env={"COLUMNS": "120"}).invoke(app, ["models", str(models[name].path)])
    assert printed.exit_code == 0, printed.output
    assert card.system in printed.stdout


# Examples.


@pytest.mark.parametrize("name", CROPPED)
def test_crops_become_people(models, name):
    if name == "bones":
        pytest.skip("has a test of its own")
    poser = poseg.load(models[name].path)
    assert isinstance(poser, TopDownPose)
    people = poser(photo(), BOXES)
    assert people.skeleton == LSP14
    assert people.keypoints.shape == (5, 14, 2)
    one = poser(photo(), BOXES[2:3])
    np.testing.assert_allclose(one.keypoints[0], people.keypoints[2], atol=0.01)
    np.testing.assert_allclose(one.keypoint_scores[0], people.keypoint_scores[2], atol=1e-3)
    codec = models[name].system.codec
    for crop, joints in zip(codec.crops_from_body_boxes(BOXES), people.keypoints, strict=True):
        in_crop = affine.apply(crop, joints)
        assert ((in_crop >= 0) & (in_crop <= codec.crop_size_px[::-1])).all()
    assert len(poser(photo())) == 1


def test_crops_become_3d_people(models):
    people = poseg.load(models["bones"].path)(photo(), BOXES)
    assert people.skeleton_3d == BODY17_3D
    assert people.keypoints_3d.shape == (5, 17, 3)
    assert not people.keypoints_3d[:, 0].any(), "about the pelvis"
    assert np.isfinite(people.keypoints_3d).all()


def test_lifter_returns_3d_joints(models):
    lifter = poseg.load(models["lifter"].path)
    assert isinstance(lifter, Lifting)
    lifted = lifter(crowd(5))
    assert lifted.keypoints_3d.shape == (5, 17, 3)
    np.testing.assert_allclose(lifter(crowd(5)[[3]]).keypoints_3d[0], lifted.keypoints_3d[3], atol=0.1)


# INT8.


def from_fields(path) -> set[str]:
    """Kinds of the nodes that lead from the last layers to the outputs."""
    graph = onnx.load(path).graph
    producers = {output: node for node in graph.node for output in node.output}
    waiting, kinds = [output.name for output in graph.output], set()
    while waiting:
        node = producers.get(waiting.pop())
        if node is not None and node.op_type not in LAYERS:
            kinds.add(node.op_type)
            waiting += node.input
    return kinds


@pytest.mark.parametrize("name", ["published", "maps"])
def test_int8_joints_are_nearly_the_same(models, name, tmp_path):
    system, small = models[name].system, tmp_path / "int8.onnx"
    fp32 = TopDownPose(OnnxModel(models[name].path))
    calibration = [{"image": fp32.crops(photo(seed), system.codec.crops(BOXES))} for seed in range(8)]
    card = quantize(models[name].path, calibration, small)
    assert (card.system, OnnxModel(small).codec) == ("multitask", system.codec)
    kinds = [node.op_type for node in onnx.load(small).graph.node]
    assert kinds.count("QuantizeLinear") > 4
    assert not {"QuantizeLinear", "DequantizeLinear"} & from_fields(small)
    int8 = poseg.load(small)
    ours, theirs = (poser(photo(99), BOXES).keypoints for poser in (fp32, int8))
    crops = (BOXES[:, 2:] - BOXES[:, :2]).max(axis=1)[:, None, None] * 1.3
    assert 0 < np.median(np.abs((ours - theirs) / crops)) < 0.04  # a flat random heatmap may have another maximum
    np.testing.assert_allclose(int8(photo(99), BOXES[:1]).keypoints, theirs[:1], atol=0.01)


def test_quantize_command_calibrates_by_detected_people(models, tmp_path, monkeypatch):
    (tmp_path / "images").mkdir()
    for seed in range(10):
        Image.fromarray(photo(seed)).save(tmp_path / "images" / f"{seed}.png")
    empty = People.empty(COCO17)
    detected = People(COCO17, np.zeros((5, 17, 2)), np.zeros((5, 17)), np.ones(5), BOXES.astype(np.float32))
    zoo, exporting, shapes = import_module("poseg.runtime.models"), import_module("poseg.export.quantize"), []
    # The first image without people is left out; nine are left.
    answers = iter([empty] + [detected] * 9)
    monkeypatch.setattr(zoo, "load", lambda **_: lambda image: next(answers))

    def record_shapes(source, calibration, *rest):
        inputs = list(calibration)
        shapes.extend(batch["image"].shape for batch in inputs)
        return quantize(source, inputs, *rest)

    monkeypatch.setattr(exporting, "quantize", record_shapes)
    out = tmp_path / "int8.onnx"
    command = ["quantize", str(models["maps"].path), "--images", str(tmp_path / "images"), "-o", str(out)]
    done = CliRunner().invoke(app, command)
    assert done.exit_code == 0, done.output
    assert shapes == [(5, 3, 96, 64)] * 9
    assert isinstance(poseg.load(out), TopDownPose)


def test_int8_lifter_is_refused(models, tmp_path):
    Image.fromarray(photo()).save(tmp_path / "a.png")
    command = ["quantize", str(models["lifter"].path), "--images", str(tmp_path), "-o", str(tmp_path / "b.onnx")]
    done = CliRunner(env={"POSEG_DEBUG": ""}).invoke(app, command)
    assert done.exit_code == 2
    assert "is a lifter: its input is joints" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "b.onnx").exists()
    with pytest.raises(WeightsError, match="is a lifter"):
        quantize(models["lifter"].path, [], tmp_path / "b.onnx")


# Bad input.


def test_models_that_take_people_do_not_detect_them(models):
    for name in ("published", "lifter"):
        session = OnnxModel(models[name].path)
        with pytest.raises(PosegError, match=f"{name!r} is of the system .* does not detect people by itself"):
            build_predictor(session)
        with pytest.raises(PosegError, match=f"{name!r} is of the system"):
            Pose2SegSegmenter(session)
    with pytest.raises(PosegError, match="'lifter' is of the system 'lifter'; poses in crops"):
        TopDownPose(OnnxModel(models["lifter"].path))
    with pytest.raises(PosegError, match="'maps' is of the system 'multitask'; people are lifted"):
        Lifting(OnnxModel(models["maps"].path))


def test_crop_of_another_size_is_refused(models):
    with pytest.raises(WeightsError, match="does not run on an input of 64 x 64 pixels"):
        OnnxModel(models["published"].path).run(np.zeros((1, 3, 64, 64), np.float32))
