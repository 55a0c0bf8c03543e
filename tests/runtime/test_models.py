from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import poseg
from poseg.errors import CardError, WeightsError
from poseg.runtime import models


def test_load_takes_a_path_and_options(model_path: Path, spots: Callable[..., NDArray[np.uint8]]) -> None:
    image = spots((60, 70), (190, 120))
    assert len(poseg.load(model_path, threads=1)(image)) == 2
    assert len(poseg.load(str(model_path), max_people=1)(image)) == 1


def test_load_finds_a_file_without_suffix(model_path: Path) -> None:
    bare = model_path.with_suffix("")
    os.rename(model_path, bare)
    assert poseg.load(str(bare)).model.card.name == "test"


def test_an_unknown_name_is_told_with_the_known_ones() -> None:
    with pytest.raises(WeightsError, match="no model 'gigantic'") as raised:
        poseg.load("gigantic")
    assert all(name in str(raised.value) for name in poseg.models())


def test_the_models_inside_say_what_they_are() -> None:
    """Laws of every model that comes along; their scores are measured elsewhere."""
    for name, card in poseg.models().items():
        assert card.name == name
        assert set(card.licences) >= {"code", "weights"}
        assert card.sha256
        assert card.data
        assert models.load(name).model.card == card


def test_a_model_inside_is_found_by_its_name(monkeypatch: pytest.MonkeyPatch, model_path: Path) -> None:
    package = model_path.parent
    (package / "models").mkdir()
    model_path.rename(package / "models" / f"{models.DEFAULT}.onnx")
    monkeypatch.setattr(models, "files", lambda name: package)
    assert list(models.models()) == [models.DEFAULT]
    assert models.load().model.card.name == "test"


def test_an_installation_without_models_says_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(models, "files", lambda name: tmp_path)
    assert models.models() == {}
    with pytest.raises(WeightsError, match="none in this installation"):
        models.load()


def test_a_model_brings_the_painter_that_its_card_names() -> None:
    model = poseg.load()
    assert model.model.card.painter == "painter"
    assert model.painter is not None
    assert model.painter.model.card.system == "painter"
    assert poseg.load(masks=False).painter is None
    assert poseg.load(mask_refiner="").painter is None
    assert poseg.load("fast").painter is None
    other = poseg.load("painter", mask_threshold=0.4)
    assert poseg.load(painter=other).painter is other


def test_a_card_is_needed(tmp_path: Path) -> None:
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
