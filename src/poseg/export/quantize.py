"""A model in eight bits: a quarter of the size, and two to three times the speed where the processor multiplies bytes.

Weights and the features between layers become bytes, per channel and per tensor, from the ranges that real pictures
show. The last convolutions and fully connected layers, whose results are fields in pixels, stay in floats with all that
is made of them: a byte for long offsets of several hundred pixels would leave steps of several pixels.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.export.onnx_card import require_onnx, save_with_card
from poseg.runtime.card import Card
from poseg.runtime.lifter import SYSTEM as LIFTERS
from poseg.runtime.onnx_model import OnnxModel

if TYPE_CHECKING:
    from onnx import ModelProto

Floats = NDArray[np.float32]

LEAST_PICTURES = 8
LAYERS = ("Conv", "Gemm")


def quantize(
    source: Path, shown: Iterable[Mapping[str, Floats]], destination: Path, scores: Sequence[Mapping[str, Any]] = ()
) -> Card:
    """Write a model of ours in eight bits to `destination`; returns its card.

    source   an ONNX file with a card, in floats
    shown    inputs by name, batch axis and all, of pictures such as it will see: "image" (1, 3, h, w), letterboxed as
             its card says, and for Pose2Seg the people in it; for the multi-task network crops of people (N, 3, S, S)
    scores   what was measured of the model in eight bits; those of the model in floats are not its own

    Raises WeightsError where there are too few pictures, the model is in bytes already, or it sees no pictures.
    """
    onnx = require_onnx()
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

    card = OnnxModel(source).card
    if card.system == LIFTERS:
        raise WeightsError(
            f"{source} is a lifter, which sees joints and no pictures, so pictures do not show it any ranges; leave it "
            "in floats, where it takes no time."
        )
    inputs = list(shown)
    if len(inputs) < LEAST_PICTURES:
        raise WeightsError(
            f"{len(inputs)} pictures do not show the ranges of a network's features; give {LEAST_PICTURES} or more."
        )
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plain, small = Path(folder) / "plain.onnx", Path(folder) / "small.onnx"
        quant_pre_process(str(source), str(plain), skip_symbolic_shape=True)
        model = onnx.load(plain)
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise WeightsError(f"{source} is in eight bits already; give the model in floats.")
        quantize_static(
            str(plain), str(small), _Reader(inputs),
            quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[*field_nodes(model), *beside_features(model)],
        )  # fmt: skip
        bits = "Eight bits, ranges from real pictures; the last convolutions in floats."
        card = replace(card, notes=(*card.notes, bits), scores=tuple(scores))
        return save_with_card(onnx.load(small), card, destination)


class _Reader:
    """Inputs one after the other, as the quantizer asks for them."""

    def __init__(self, inputs: list[Mapping[str, Floats]]) -> None:
        self._feeds = iter(inputs)

    def get_next(self) -> Mapping[str, Floats] | None:
        return next(self._feeds, None)


def beside_features(model: ModelProto) -> list[str]:
    """Names of the nodes that work on no features, such as those that say where windows lie: places need floats."""
    features: set[str] = set()
    beside = []
    for node in model.graph.node:
        if node.op_type == "Conv" or (node.op_type != "Shape" and any(given in features for given in node.input)):
            features.update(node.output)
        if node.op_type == "GridSample" or not any(given in features for given in (*node.input, *node.output)):
            beside.append(node.name)
    return beside


def field_nodes(model: ModelProto) -> list[str]:
    """Names of the last layers, and of the nodes that make fields of their results, such as mean places of maps."""
    fields: set[str] = set()
    names = set(last_layers(model))
    for node in model.graph.node:
        if node.name in names or any(given in fields for given in node.input):
            fields.update(node.output)
            names.add(node.name)
    return [node.name for node in model.graph.node if node.name in names]


def last_layers(model: ModelProto) -> list[str]:
    """Names of the convolutions and fully connected layers that no other comes after."""
    followed: set[str] = set()
    last = []
    for node in reversed(model.graph.node):
        if node.op_type in LAYERS and node.output[0] not in followed:
            last.append(node.name)
        if node.op_type in LAYERS or any(output in followed for output in node.output):
            followed.update(node.input)
    return last
