from __future__ import annotations

import os
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import poseg
from poseg.errors import CardError, WeightsError

# `poseg.runtime.models` as an attribute is the function of that name.
models = import_module("poseg.runtime.models")


def test_load_takes_a_path_and_options(model_path: Path, spots: Callable[..., NDArray[np.uint8]]) -> None:
    image = spots((60, 70), (190, 120))
    assert len(poseg.load(model_path, threads=1)(image)) == 2
    assert len(poseg.load(str(model_path), max_people=1)(image)) == 1


def test_load_finds_a_file_without_suffix(model_path: Path) -> None:
    bare = model_path.with_suffix("")
    os.rename(model_path, bare)
    assert poseg.load(str(bare)).model.card.name == "test"


def test_load_lists_the_bundled_models_for_an_unknown_name() -> None:
    with pytest.raises(WeightsError, match="no model 'gigantic'") as raised:
        poseg.load("gigantic")
    assert all(name in str(raised.value) for name in poseg.models())


def test_bundled_models_have_complete_cards() -> None:
    """What they are worth is measured elsewhere."""
    for name, card in poseg.models().items():
        assert card.name == name
        assert set(card.licences) >= {"code", "weights"}
        assert card.sha256
        assert card.data
        assert models.load(name).model.card == card


def test_load_takes_the_name_of_a_bundled_model(monkeypatch: pytest.MonkeyPatch, model_path: Path) -> None:
    package = model_path.parent
    (package / "models").mkdir()
    model_path.rename(package / "models" / f"{models.DEFAULT}.onnx")
    monkeypatch.setattr(models, "files", lambda name: package)
    assert list(models.models()) == [models.DEFAULT, "accurate"]
    assert models.is_model("accurate")
    assert models.model_bytes("accurate") == models.model_bytes(models.DEFAULT)
    assert models.load().model.card.name == "test"


def test_load_reports_an_installation_without_models(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "files", lambda name: tmp_path)
    assert models.models() == {}
    with pytest.raises(WeightsError, match="none in this installation"):
        models.load()


def test_load_adds_the_mask_refiner_of_the_card() -> None:
    predictor = poseg.load()
    assert predictor.inference.mask_refiner == "mask_refiner"
    assert predictor.mask_refiner is not None
    assert predictor.mask_refiner.model.card.system == "mask_refiner"
    for without in (poseg.load(masks=False), poseg.load(mask_refiner=""), poseg.load("fast")):
        assert without.mask_refiner is None
    refiner = poseg.load("mask_refiner", mask_threshold=0.4)
    assert poseg.load("fast", mask_refiner=refiner).mask_refiner is refiner


def test_load_rejects_a_file_without_a_card(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1])])  # fmt: skip
    path = tmp_path / "bare.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    with pytest.raises(CardError, match="import-google"):
        models.load(path)
