"""A real Pose2Seg model file without training: it answers every crop with a disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner, Result

from poseg.cli.main import app
from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.runtime.card import CARD_KEY, Card
from poseg.runtime.inference import InferenceConfig

Poseg = Callable[..., Result]

RADIUS_PX = 20.0  # of the disk in the window of 64
SURER = 0.2  # logits that every joint adds


def disks_model() -> bytes:
    """Logits fall by one a pixel from the centre of the crop, are 0 at `RADIUS_PX`, and rise with the joints."""
    from onnx import TensorProto, helper, numpy_helper

    codec = Pose2SegCodec()
    side = codec.crop_px
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    constants = {
        "disk": (RADIUS_PX - np.hypot(x, y)).astype(np.float32)[None, None],
        "surer": np.float32(SURER).reshape(1),
        "flags": np.array([2], np.int64),
        "axes": np.array([2, 3], np.int64),
        "shape": np.array([-1, 1, 1, 1], np.int64),
    }
    nodes = [
        helper.make_node("Gather", ["joints", "flags"], ["there"], axis=3),
        helper.make_node("ReduceSum", ["there", "axes"], ["count"], keepdims=0),
        helper.make_node("Mul", ["count", "surer"], ["bias"]),
        helper.make_node("Reshape", ["bias", "shape"], ["bias_map"]),
        helper.make_node("Add", ["disk", "bias_map"], ["mask"]),
    ]

    def tensor(name: str, shape: list[object]) -> object:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes, "disks",
        [tensor("image", [1, 3, "height", "width"]), tensor("windows", [1, "people", 2, 3]),
         tensor("joints", [1, "people", 17, 3])],
        [tensor("mask", ["people", 1, side, side])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    card = Card(
        name="disks", system="pose2seg", codec=codec.to_dict(), skeleton=asdict(codec.skeleton),
        inference=InferenceConfig(257), size_divisor=32, size_offset=1, mean=(127.0,) * 3, std=(128.0,) * 3,
        outputs={"mask": "mask"}, licences={"code": "Apache-2.0"},
    )  # fmt: skip
    helper.set_model_props(model, {CARD_KEY: card.to_json()})
    return bytes(model.SerializeToString())


@pytest.fixture
def poseg(model_path: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Poseg:
    """Runs the command line in a fresh folder, with the models of red spots and of disks at hand."""
    monkeypatch.delenv("POSEG_DEBUG", raising=False)
    monkeypatch.setenv("COLUMNS", "150")
    (tmp_path / "disks.onnx").write_bytes(disks_model())
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def save() -> Callable[[str, NDArray[np.uint8]], None]:
    """Writes an image, in folders that are made for it."""

    def write(path: str, image: NDArray[np.uint8]) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(path)

    return write
