"""Cards are written into ONNX files here; they are read by `Card.from_metadata`, which needs no onnx package."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from poseg.io.files import write_bytes
from poseg.runtime.card import CARD_KEY, Card
from poseg.runtime.onnx_weights import require_onnx

if TYPE_CHECKING:
    from onnx import ModelProto


def hash_without_card(model: ModelProto) -> str:
    """SHA-256 of the model's bytes without a card, as hex digits."""
    return hashlib.sha256(_without_card(model).SerializeToString(deterministic=True)).hexdigest()


def with_card(model: ModelProto, card: Card) -> tuple[bytes, Card]:
    """The bytes of an ONNX file with the card inside, and the card as written, its precision and `sha256` filled in.

    The model is left as it is; a card that it carries is replaced in the bytes.
    """
    card = replace(card, precision=_precision(model), sha256=hash_without_card(model))
    carded = _without_card(model)
    carded.metadata_props.add(key=CARD_KEY, value=card.to_json())
    return carded.SerializeToString(deterministic=True), card


def save_with_card(model: ModelProto, card: Card, destination: str | Path) -> Card:
    """Write the model with the card inside, whole or not at all; returns the card as written.

    Raises OutputError where the destination cannot be written.
    """
    data, written = with_card(model, card)
    write_bytes(destination, data)
    return written


def _precision(model: ModelProto) -> str:
    """INT8, FP16 or FP32, as in `Card`."""
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        return "INT8"
    half = require_onnx().TensorProto.FLOAT16
    return "FP16" if any(tensor.data_type == half for tensor in model.graph.initializer) else "FP32"


def _without_card(model: ModelProto) -> ModelProto:
    """A copy of the model without a card."""
    bare = type(model)()
    bare.CopyFrom(model)
    kept = [entry for entry in bare.metadata_props if entry.key != CARD_KEY]
    del bare.metadata_props[:]
    bare.metadata_props.extend(kept)
    return bare
