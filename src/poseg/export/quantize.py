"""A model in INT8: a quarter of the size, and two to three times as fast on processors with byte dot products.

Weights (per channel) and the features between layers (per tensor) become bytes, with ranges from calibration images.
The last convolutions and fully connected layers, whose outputs are fields in pixels, stay in FP32 with all nodes behind
them: a byte for long offsets of several hundred pixels would leave steps of several pixels.
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
from poseg.export.onnx_card import save_with_card
from poseg.runtime.card import Card
from poseg.runtime.lifter import SYSTEM as LIFTER
from poseg.runtime.onnx_model import OnnxModel
from poseg.runtime.onnx_weights import require_onnx

if TYPE_CHECKING:
    from onnx import ModelProto

Floats = NDArray[np.float32]

MIN_IMAGES = 8
LAYERS = ("Conv", "Gemm")


def quantize(
    source: Path,
    calibration: Iterable[Mapping[str, Floats]],
    destination: Path,
    scores: Sequence[Mapping[str, Any]] = (),
) -> Card:
    """Write a poseg model in INT8 to `destination`; returns its card.

    source       an ONNX file with a card, in FP32
    calibration  inputs by name, with batch axis, of images such as it is meant for: "image" (1, 3, h, w), letterboxed
                 as its card says, and for Pose2Seg the people in it; for the multi-task network crops of people
                 (N, 3, h, w)
    scores       those measured of the INT8 model; those of the FP32 model are not its own

    Raises WeightsError where there are too few inputs, the model is in INT8 already, or its input is no image.
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
    if card.system == LIFTER:
        raise WeightsError(
            f"{source} is a lifter: its input is joints, so images cannot calibrate it; keep it in FP32, it is fast."
        )
    inputs = list(calibration)
    if len(inputs) < MIN_IMAGES:
        raise WeightsError(f"{len(inputs)} images are too few to calibrate a network; give {MIN_IMAGES} or more.")
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inferred, quantized = Path(folder) / "inferred.onnx", Path(folder) / "quantized.onnx"
        quant_pre_process(str(source), str(inferred), skip_symbolic_shape=True)
        model = onnx.load(inferred)
        if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise WeightsError(f"{source} is in INT8 already; give the model in FP32.")
        quantize_static(
            str(inferred), str(quantized), _CalibrationReader(inputs),
            quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[*output_nodes(model), *coordinate_nodes(model)],
        )  # fmt: skip
        note = "INT8, calibrated on real images; the last convolutions are FP32."
        card = replace(card, notes=(*card.notes, note), scores=tuple(scores))
        return save_with_card(onnx.load(quantized), card, destination)


class _CalibrationReader:
    """The calibration inputs one after the other, as the quantizer reads them."""

    def __init__(self, inputs: list[Mapping[str, Floats]]) -> None:
        self._feeds = iter(inputs)

    def get_next(self) -> Mapping[str, Floats] | None:
        return next(self._feeds, None)


def coordinate_nodes(model: ModelProto) -> list[str]:
    """Names of the nodes beside the features, such as those that compute where crops lie: coordinates need floats."""
    features: set[str] = set()
    beside = []
    for node in model.graph.node:
        if node.op_type == "Conv" or (node.op_type != "Shape" and any(name in features for name in node.input)):
            features.update(node.output)
        if node.op_type == "GridSample" or not any(name in features for name in (*node.input, *node.output)):
            beside.append(node.name)
    return beside


def output_nodes(model: ModelProto) -> list[str]:
    """Names of the last layers, and of the nodes that compute fields from their outputs, such as soft-argmax."""
    fields: set[str] = set()
    names = set(last_layers(model))
    for node in model.graph.node:
        if node.name in names or any(name in fields for name in node.input):
            fields.update(node.output)
            names.add(node.name)
    return [node.name for node in model.graph.node if node.name in names]


def last_layers(model: ModelProto) -> list[str]:
    """Names of the convolutions and fully connected layers that are not followed by another."""
    followed: set[str] = set()
    last = []
    for node in reversed(model.graph.node):
        if node.op_type in LAYERS and node.output[0] not in followed:
            last.append(node.name)
        if node.op_type in LAYERS or any(output in followed for output in node.output):
            followed.update(node.input)
    return last
