"""A card is stored in the file, changes nothing else, and is left out of the hash."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from poseg.export.onnx_card import hash_without_card, save_with_card, with_card
from poseg.runtime.card import CARD_KEY, Card
from poseg.runtime.inference import InferenceConfig

onnx = pytest.importorskip("onnx")


def tiny(name: str = "same") -> Any:
    value = onnx.helper.make_tensor_value_info
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["image"], ["heatmap"])],
        name,
        [value("image", onnx.TensorProto.FLOAT, [1])],
        [value("heatmap", onnx.TensorProto.FLOAT, [1])],
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)])


def card(name: str = "tiny") -> Card:
    return Card(
        name=name, system="personlab", codec={}, skeleton={}, inference=InferenceConfig(33),
        size_divisor=16, size_offset=1, mean=(0, 0, 0), std=(1, 1, 1),
        outputs={"heatmap": "heatmap"}, notes=("Größe: ½",),
    )  # fmt: skip


def metadata(model: Any) -> dict[str, str]:
    return {entry.key: entry.value for entry in model.metadata_props}


def test_card_round_trip(tmp_path: Path) -> None:
    written = save_with_card(tiny(), card(), tmp_path / "tiny.onnx")
    read = onnx.load(str(tmp_path / "tiny.onnx"))
    assert Card.from_metadata(metadata(read), source="tiny.onnx") == written
    assert [path.name for path in tmp_path.iterdir()] == ["tiny.onnx"]


def test_hash_ignores_the_card() -> None:
    data, first = with_card(tiny(), card("one"))
    _, second = with_card(onnx.load_model_from_string(data), card("two"))
    _, other = with_card(tiny("another"), card("one"))
    assert first.sha256 == second.sha256 == hash_without_card(tiny())
    assert first.sha256 != other.sha256
    assert len(first.sha256) == 64


def test_new_card_replaces_the_old_and_keeps_other_metadata() -> None:
    model = tiny()
    model.metadata_props.add(key="author", value="someone")
    data, _ = with_card(model, card("old"))
    data, _ = with_card(onnx.load_model_from_string(data), card("new"))
    model = onnx.load_model_from_string(data)
    assert sorted(entry.key for entry in model.metadata_props) == ["author", CARD_KEY]
    assert Card.from_metadata(metadata(model), source="it").name == "new"


def test_with_card_leaves_the_model_unchanged() -> None:
    model = tiny()
    with_card(model, card())
    assert not model.metadata_props
