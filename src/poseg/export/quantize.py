"""A model in INT8: a quarter of the size, and faster; the same answer on every processor (`weight_range`).

The weights of convolutions (per channel) and the features between layers (per tensor) become bytes, with ranges from
calibration images. The last convolutions and all fully connected layers stay in FP32 with all nodes behind them: a byte
for long offsets of several hundred pixels would leave steps of several pixels.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.export.onnx_card import save_with_card
from poseg.export.weight_range import limit_weights, saturating_layers
from poseg.runtime.card import Card
from poseg.runtime.lifter import SYSTEM as LIFTER
from poseg.runtime.onnx_model import OnnxModel
from poseg.runtime.onnx_weights import require_onnx

if TYPE_CHECKING:
    from onnx import ModelProto

Floats = NDArray[np.float32]

MIN_IMAGES = 8
LAYERS = ("Conv", "Gemm")
MAX_RELU6 = 6.01  # the largest value of a byte behind ReLU6
FREE = 1e30  # a limit that no value reaches


def quantize(
    source: Path,
    calibration: Iterable[Mapping[str, Floats]],
    destination: Path,
    scores: Sequence[Mapping[str, Any]] = (),
) -> Card:
    """Write a poseg model in INT8 to `destination`; returns its card.

    source       an ONNX file with a card, in FP32, or in INT8 with weights whose sums saturate on some processors
    calibration  inputs by name, with batch axis, of images such as it is meant for: "image" (1, 3, h, w), letterboxed
                 as its card says, and for Pose2Seg the people in it; for the multi-task network crops of people
                 (N, 3, h, w)
    scores       those measured of the INT8 model; those of the FP32 model are not its own

    Raises WeightsError where there are too few inputs, the model is in INT8 already, or its input is no image.
    """
    onnx = require_onnx()
    card = OnnxModel(source).card
    if card.system == LIFTER:
        raise WeightsError(
            f"{source} is a lifter: its input is joints, so images cannot calibrate it; keep it in FP32, it is fast."
        )
    inputs = list(calibration)
    if len(inputs) < MIN_IMAGES:
        raise WeightsError(f"{len(inputs)} images are too few to calibrate a network; give {MIN_IMAGES} or more.")
    model, notes = onnx.load(source), card.notes
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        if not saturating_layers(model):
            raise WeightsError(f"{source} is in INT8 already, for every processor; give the model in FP32.")
    else:
        model = _quantized(source, inputs)
        notes += ("INT8, calibrated on real images; the last convolutions are FP32.",)
    limit_weights(model, lambda names: _read_tensors(model, names, inputs))
    return save_with_card(model, replace(card, notes=notes, scores=tuple(scores)), destination)


def _quantized(source: Path, inputs: list[Mapping[str, Floats]]) -> ModelProto:
    """An FP32 model with quantisers and INT8 weights of full range."""
    onnx = require_onnx()
    from onnxruntime.quantization import (  # type: ignore[import-untyped]
        CalibrationMethod,
        QuantFormat,
        QuantType,
        quantize_static,
    )
    from onnxruntime.quantization.shape_inference import quant_pre_process  # type: ignore[import-untyped]

    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        inferred, quantized = Path(folder) / "inferred.onnx", Path(folder) / "quantized.onnx"
        quant_pre_process(str(source), str(inferred), skip_symbolic_shape=True)
        model = onnx.load(inferred)
        products = [node.name for node in model.graph.node if node.op_type in ("Gemm", "MatMul")]
        quantize_static(
            str(inferred), str(quantized), _CalibrationReader(inputs),
            quant_format=QuantFormat.QDQ, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[*output_nodes(model), *coordinate_nodes(model), *products],
        )  # fmt: skip
        made: ModelProto = onnx.load(quantized)
        return made


def _read_tensors(
    model: ModelProto, names: Sequence[str], inputs: Iterable[Mapping[str, Floats]]
) -> Iterator[dict[str, Floats]]:
    """Tensors between the layers of a model by name, for one input after the other."""
    import onnxruntime as ort  # type: ignore[import-untyped]

    onnx = require_onnx()
    probed = onnx.ModelProto()
    probed.CopyFrom(model)
    unknown_shape = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names]
    probed.graph.output.extend(unknown_shape)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(probed.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for tensors in inputs:
        yield dict(zip(names, session.run(list(names), dict(tensors)), strict=True))


def without_rounding(data: bytes) -> bytes:
    """A model file with its activations in FP32; what bytes clip, as ReLU and ReLU6 do there, is clipped."""
    onnx = require_onnx()
    model = onnx.load_model_from_string(data)
    values = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    rounded = {node.output[0]: node for node in model.graph.node if node.op_type == "QuantizeLinear"}
    nodes = []
    for node in model.graph.node:
        if node.op_type == "QuantizeLinear":
            continue
        if node.op_type == "DequantizeLinear" and node.input[0] in rounded:
            source, scale, zero = rounded[node.input[0]].input
            high = 255 * float(values[scale])
            limits = (0.0, 6.0 if high < MAX_RELU6 else FREE) if values[zero] == 0 else (-FREE, FREE)
            ends = [f"{source}_{end}" for end in ("low", "high")]
            for end, limit in zip(ends, limits, strict=True):
                model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(limit, np.float32), end))
            node = onnx.helper.make_node("Clip", [source, *ends], list(node.output))
        nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(nodes)
    return bytes(model.SerializeToString())


@dataclass(frozen=True, slots=True)
class Cost:
    """What a model in INT8 costs and gains, against the one that it was made of.

    differences  mean absolute difference of each field, in its own units (offsets: pixels), by name
    sizes        mean absolute value of each field
    time_ratio   time of a run over that of the other model, on this processor
    """

    differences: Mapping[str, float]
    sizes: Mapping[str, float]
    time_ratio: float


def measure_cost(source: Path, destination: Path, inputs: Sequence[Mapping[str, Floats]]) -> Cost:
    """Run both models on inputs by name, one after the other."""
    models = [OnnxModel(source, threads=1), OnnxModel(destination, threads=1)]
    differences: dict[str, list[float]] = {}
    sizes: dict[str, list[float]] = {}
    times: list[list[float]] = [[], []]
    for tensors in inputs:
        answers = []
        for model, spent in zip(models, times, strict=True):
            start = perf_counter()
            answers.append(model.run(**{("tensor" if name == "image" else name): t for name, t in tensors.items()}))
            spent.append(perf_counter() - start)
        before, after = answers
        for name, field in before.arrays.items():
            differences.setdefault(name, []).append(float(np.abs(field - after[name]).mean()))
            sizes.setdefault(name, []).append(float(np.abs(field).mean()))
    ratio = float(np.median(np.divide(times[1], times[0])))
    return Cost(_means(differences), _means(sizes), ratio)


def _means(values: Mapping[str, Sequence[float]]) -> dict[str, float]:
    return {name: float(np.mean(several)) for name, several in values.items()}


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
