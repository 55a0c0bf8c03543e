from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseg.codecs import PersonLabCodec
from poseg.errors import CardError, WeightsError
from poseg.runtime.card import CARD_VERSION
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.onnx_model import OnnxModel, read_card
from poseg.skeletons import COCO17

ModelBytes = Callable[..., bytes]


def test_model_reads_card_and_codec_from_the_file(model_path: Path) -> None:
    model = OnnxModel(model_path)
    assert model.codec == PersonLabCodec(COCO17)
    assert model.card.inference == InferenceConfig(257)
    assert read_card(model_path) == model.card


@pytest.mark.parametrize("threads", [None, 1, 2])
def test_run_returns_the_fields_of_the_codec(model_path: Path, threads: int | None) -> None:
    model = OnnxModel(model_path.read_bytes(), threads=threads)
    tensor = np.zeros((1, 3, 65, 97), np.float32)
    tensor[0, 0, 16, 48] = 1  # a red pixel on the cell in row 1, column 3
    tensor[0, 1] = 0.5
    fields = model.run(tensor)
    assert fields.specs == model.codec.specs
    assert fields.shape_hw == (5, 7)
    expected = np.zeros((17, 5, 7), np.float32)
    expected[:, 1, 3] = 8
    np.testing.assert_allclose(fields["heatmap"], expected, atol=1e-5)
    assert fields["segmentation"].shape == (5, 7)
    long = fields["long_offsets"]
    assert long.shape == (17, 2, 5, 7)
    # Green moves x alone, and by the same for all joints.
    assert np.ptp(long[:, 0] - long[:1, 0], axis=(1, 2)).max() < 1e-4
    assert (long[:, 0, 0, 0] - fields["short_offsets"][:, 0, 0, 0] == 0).all()
    assert fields["mid_offsets"].shape == (32, 2, 5, 7)


@pytest.mark.parametrize("threads", [None, 1, 2, 3])
def test_run_each_is_run_of_each(model_path: Path, threads: int | None) -> None:
    model = OnnxModel(model_path, threads=threads)
    rng = np.random.default_rng(0)
    tensors = [rng.random((1, 3, 65, width), dtype=np.float32) for width in (97, 33, 65)]
    for fields, tensor in zip(model.run_each(tensors), tensors, strict=True):
        alone = model.run(tensor)
        assert fields.specs == alone.specs
        for name in alone:
            np.testing.assert_allclose(fields[name], alone[name], atol=1e-4)


def test_run_each_reports_an_input_that_does_not_fit(model_path: Path) -> None:
    model, good = OnnxModel(model_path, threads=2), np.zeros((1, 3, 65, 97), np.float32)
    for pair in ((good, good[:, :2]), (good[:, :2], good)):
        with pytest.raises(WeightsError, match="97 x 65 pixels"):
            model.run_each(pair)


def test_run_reports_an_input_that_does_not_fit(model_path: Path) -> None:
    with pytest.raises(WeightsError, match="97 x 65 pixels"):
        OnnxModel(model_path).run(np.zeros((1, 4, 65, 97), np.float32))


@pytest.mark.parametrize("kept", [0, 1, 100, 0.5])
def test_model_rejects_a_damaged_file(model_path: Path, kept: float, capfd: pytest.CaptureFixture[str]) -> None:
    data = model_path.read_bytes()
    model_path.write_bytes(data[: int(kept * len(data)) if kept == 0.5 else int(kept)])
    with pytest.raises(WeightsError, match=r"spots\.onnx is not an ONNX model"):
        OnnxModel(model_path)
    assert capfd.readouterr().err == ""


def test_model_rejects_a_missing_file(tmp_path: Path) -> None:
    for path in (tmp_path / "nothing.onnx", tmp_path):
        with pytest.raises(WeightsError, match="no file"):
            OnnxModel(path)


def test_model_rejects_a_file_without_a_card(model_bytes: ModelBytes) -> None:
    with pytest.raises(CardError, match="carries no poseg card"):
        OnnxModel(model_bytes(card=None), name="theirs.onnx")


def test_model_rejects_a_card_of_a_newer_version(model_bytes: ModelBytes) -> None:
    with pytest.raises(CardError, match="upgrade poseg"):
        OnnxModel(model_bytes(version=CARD_VERSION + 1))


@pytest.mark.parametrize("text", ["", "[]", "{", '"card"', json.dumps({"version": 1, "name": "half"})])
def test_model_rejects_an_unreadable_card(model_bytes: ModelBytes, text: str) -> None:
    data = model_bytes(card=text or " ")
    with pytest.raises(CardError):
        OnnxModel(data)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"system": "telepathy"}, "telepathy"),
        ({"codec": {}}, "stride"),
        ({"outputs": {"heatmap": "heatmap"}}, "short_offsets"),
        ({"outputs": {"heatmap": "warmth"}}, "heatmap"),
        ({"skeleton": {}}, "skeleton"),
        ({"skeleton": {"name": "odd", "joints": ["a", "b"], "bones": [["a", "c"]]}}, "'c'"),
        ({"skeleton": {"name": "odd", "joints": ["a", "b"], "bones": ["ab", "a"]}}, "skeleton"),
        ({"channels": {"mid_offsets": 32}}, "mid_offsets"),
    ],
    ids=str,
)
def test_model_rejects_a_card_that_does_not_fit(model_bytes: ModelBytes, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(CardError, match=message):
        OnnxModel(model_bytes(**changes), name="odd.onnx")
