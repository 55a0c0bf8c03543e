"""INT8 weights in a range that gives the same sums on every processor.

x86 processors without VNNI multiply unsigned activations by signed weights and add two such products in 16 bits, which
saturate: 2 * 255 * 127 is more than 32,767. With weights of -64 to 64 no sum of two can, so the network computes what
it computes elsewhere. The wider steps cost accuracy, unless each weight's rounding error is made up for by the weights
that are not rounded yet, and what is left on average by the bias (GPTQ, Frantar et al. 2023; bias correction, Nagel et
al. 2019).

Depthwise convolutions are left as they are: their products are added in 32 bits.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseg.runtime.onnx_weights import require_onnx

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
# Gives some of a model's tensors by name, for one calibration input after the other.
ReadTensors = Callable[[Sequence[str]], Iterable[Mapping[str, Floats]]]

MAX_WEIGHT = 64  # 2 * 255 * 64 <= 32,767
MAX_POSITIONS = 400  # cells of a layer's input that count, of each calibration input
DAMPING = 0.01  # of the mean square of the inputs, so that inputs that never vary do not count without bounds


@dataclass(slots=True)
class _Layer:
    """A convolution with INT8 weights (C, K for each of its groups), with what it answers to calibration inputs.

    node     the convolution
    weight   the node that dequantises its weights
    bias     the node that dequantises its bias, where it has one
    weights  (C, c, h, w) INT8
    squares  (groups, K, K) sums of the products of what weights are multiplied by, K = c * h * w
    sums     (groups, K) the same, of what they are multiplied by
    count    number of positions
    """

    node: NodeProto
    weight: NodeProto
    bias: NodeProto | None
    weights: NDArray[np.int8]
    squares: Any = 0.0
    sums: Any = 0.0
    count: int = 0

    @property
    def groups(self) -> int:
        """Groups of channels that do not mix."""
        return int(_attribute(self.node, "group", 1))

    @property
    def may_saturate(self) -> bool:
        """Whether two products may exceed 16 bits."""
        depthwise = self.groups == len(self.weights) and self.weights.shape[1] == 1
        return not depthwise and int(np.abs(self.weights.astype(int)).max(initial=0)) > MAX_WEIGHT


def saturating_layers(model: ModelProto) -> list[str]:
    """Names of the convolutions whose INT8 weights exceed 64, so that sums of their products may saturate."""
    return [layer.node.name for layer in _layers(model) if layer.may_saturate]


def limit_weights(model: ModelProto, read_tensors: ReadTensors) -> None:
    """Change the INT8 weights and biases of a model's convolutions, scaled per channel, to weights of -64 to 64.

    Rounding keeps what the layers answer to the calibration inputs of `read_tensors`.
    """
    onnx = require_onnx()
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    layers = [layer for layer in _layers(model) if layer.may_saturate]
    random = np.random.default_rng(0)
    for tensors in read_tensors(sorted({layer.node.input[0] for layer in layers})):
        for layer in layers:
            _count_patches(layer, tensors[layer.node.input[0]], random)

    def read(name: str) -> Doubles:
        return np.asarray(onnx.numpy_helper.to_array(values[name]), np.float64)

    def write(name: str, array: Doubles, kind: type) -> None:
        values[name].CopyFrom(onnx.numpy_helper.from_array(array.astype(kind), name))

    for layer in layers:
        scale = np.broadcast_to(read(layer.weight.input[1]), len(layer.weights))
        weights = layer.weights.reshape(len(scale), -1) * scale[:, None]
        limited = np.maximum(scale, np.abs(weights).max(axis=1) / MAX_WEIGHT)
        rounded, lost = np.zeros_like(weights), np.zeros(len(weights))
        for group, rows in enumerate(np.array_split(np.arange(len(weights)), layer.groups)):
            rounded[rows] = _round_weights(weights[rows], limited[rows], layer.squares[group])
            errors = rounded[rows] * limited[rows, None] - weights[rows]
            lost[rows] = errors @ layer.sums[group] / layer.count
        write(layer.weight.input[0], rounded.reshape(layer.weights.shape), np.int8)
        write(layer.weight.input[1], limited, np.float32)
        if layer.bias is not None:
            bias, bias_scale = read(layer.bias.input[0]), read(layer.bias.input[1])
            limited_bias = bias_scale * limited / scale
            write(layer.bias.input[0], np.round((bias * bias_scale - lost) / limited_bias), np.int32)
            write(layer.bias.input[1], limited_bias, np.float32)


def _round_weights(weights: Doubles, scale: Doubles, squares: Doubles) -> Doubles:
    """Weights (C, K) as whole steps of `scale` (C,), for inputs with the second moments (K, K)."""
    size = len(squares)
    damped = squares + np.eye(size) * (DAMPING * np.trace(squares) / size + np.finfo(np.float32).tiny)
    upper = np.linalg.cholesky(np.linalg.inv(damped)).T
    left, rounded = weights.copy(), np.zeros_like(weights)
    for k in range(size):
        rounded[:, k] = np.clip(np.round(left[:, k] / scale), -MAX_WEIGHT, MAX_WEIGHT)
        error = (left[:, k] - rounded[:, k] * scale) / upper[k, k]
        left[:, k + 1 :] -= error[:, None] * upper[k, k + 1 :]
    return rounded


def _count_patches(layer: _Layer, features: Floats, random: np.random.Generator) -> None:
    """Add what the weights of a layer are multiplied by, at some positions of features (N, C, H, W)."""
    height, width = layer.weights.shape[2:]
    (step_y, step_x), (gap_y, gap_x) = (_attribute(layer.node, name, [1, 1]) for name in ("strides", "dilations"))
    top, left, bottom, right = _attribute(layer.node, "pads", [0, 0, 0, 0])
    padded = np.pad(features, ((0, 0), (0, 0), (top, bottom), (left, right)))
    rows = (padded.shape[2] - gap_y * (height - 1) - 1) // step_y + 1
    columns = (padded.shape[3] - gap_x * (width - 1) - 1) // step_x + 1
    total = len(padded) * rows * columns
    chosen = random.choice(total, min(MAX_POSITIONS, total), replace=False)
    item, row, column = np.unravel_index(chosen, (len(padded), rows, columns))
    y = row[:, None, None] * step_y + np.arange(height)[:, None] * gap_y
    x = column[:, None, None] * step_x + np.arange(width) * gap_x
    patches = padded[item[:, None, None], :, y, x].transpose(3, 0, 1, 2)  # (C, P, h, w)
    by_group = patches.reshape(layer.groups, -1, *patches.shape[1:]).swapaxes(1, 2)
    inputs = by_group.reshape(layer.groups, len(chosen), -1).astype(np.float64)
    layer.squares = layer.squares + inputs.swapaxes(1, 2) @ inputs
    layer.sums = layer.sums + inputs.sum(axis=1)
    layer.count += len(chosen)


def _layers(model: ModelProto) -> Iterator[_Layer]:
    """The convolutions with INT8 weights."""
    onnx = require_onnx()
    values = {tensor.name: tensor for tensor in model.graph.initializer}
    made_by = {output: node for node in model.graph.node for output in node.output}
    for node in model.graph.node:
        source = made_by.get(node.input[1]) if node.op_type == "Conv" else None
        if source is not None and source.op_type == "DequantizeLinear" and source.input[0] in values:
            bias = made_by.get(node.input[2]) if len(node.input) > 2 else None
            yield _Layer(node, source, bias, onnx.numpy_helper.to_array(values[source.input[0]]))


def _attribute(node: NodeProto, name: str, default: Any) -> Any:
    for attribute in node.attribute:
        if attribute.name == name:
            return list(attribute.ints) if isinstance(default, list) else attribute.i
    return default
