"""A `GoogleNetwork` as an ONNX model with our field names and our order of channels.

Google's offsets hold all dy, then all dx; ours are (joint, xy) flattened, so channel 2 k is dx_k and 2 k + 1 is
dy_k. The last convolutions are permuted, which costs nothing at run time.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.export.google_graph import IMAGE, ConvLayer, GoogleNetwork
from poseg.export.onnx_card import require_onnx

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 17
IR_VERSION = 8
FIELD_CHANNELS = {"heatmap": 17, "short_offsets": 34, "mid_offsets": 64, "segmentation": 1, "long_offsets": 34}
EDGES = 16

Floats = NDArray[np.float32]


def to_onnx(network: GoogleNetwork) -> ModelProto:
    """The network as ONNX: `image` (1, 3, H, W) float32, normalised; outputs (1, C, h, w), named by field.

    H and W are free; with stride * n + 1 pixels a side there are n + 1 cells.
    """
    onnx = require_onnx()
    writer = _Writer(onnx)
    heads = set(network.heads.values())
    for key, layer in network.layers.items():
        if key not in heads:
            writer.conv(key, layer)
    for field, layer in field_layers(network).items():
        writer.conv(field, layer)
    f32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        writer.nodes,
        "personlab",
        [onnx.helper.make_tensor_value_info(IMAGE, f32, [1, 3, "height", "width"])],
        [
            onnx.helper.make_tensor_value_info(field, f32, [1, FIELD_CHANNELS[field], "rows", "columns"])
            for field in network.fields
        ],
        writer.weights,
    )
    model: ModelProto = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", OPSET)], producer_name="poseg"
    )
    model.ir_version = IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    return model


def y_then_x(count: int) -> NDArray[np.intp]:
    """(2 count,) where our interleaved (dx, dy) channels lie in `count` dy followed by `count` dx."""
    index = np.arange(count)
    return np.stack([index + count, index], axis=1).ravel()


def field_layers(network: GoogleNetwork) -> dict[str, ConvLayer]:
    """The last convolution of every field, its channels in our order."""
    head = {kind: network.layers[key] for kind, key in network.heads.items()}
    joints, edges = y_then_x(17), y_then_x(EDGES)
    if "mid_offsets" not in head:
        head["mid_offsets"] = _side_by_side(head.pop("displacement_fwd"), head.pop("displacement_bwd"))
    order = {
        "short_offsets": joints,
        "long_offsets": joints,
        "mid_offsets": np.concatenate([edges, edges + 2 * EDGES]),  # forward, then backward, each y first
    }
    return {field: _reordered(head[field], order[field]) if field in order else head[field] for field in network.fields}


def _side_by_side(first: ConvLayer, second: ConvLayer) -> ConvLayer:
    """Two convolutions of the same thing as one with the channels of both."""
    shared = ("reads", "stride", "dilation", "groups", "padding", "activation")
    if first.groups != 1 or any(getattr(first, name) != getattr(second, name) for name in shared):
        raise WeightsError("The forward and backward displacements are not computed alike; the file is damaged.")
    return replace(
        first,
        weight=np.concatenate([first.weight, second.weight]),
        bias=np.concatenate([first.bias, second.bias]),
    )


def _reordered(layer: ConvLayer, order: NDArray[np.intp]) -> ConvLayer:
    return replace(layer, weight=layer.weight[order], bias=layer.bias[order])


class _Writer:
    """Collects the nodes and weights of one ONNX graph."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._values: dict[str, str] = {IMAGE: IMAGE}

    def conv(self, key: str, layer: ConvLayer) -> None:
        """Add a layer whose result is known as `key`."""
        name = key if key in FIELD_CHANNELS else f"layer{len(self._values)}"
        raw = f"{name}.linear" if layer.activation else name
        self._node(
            "Conv",
            [self._values[layer.reads], self._weight(f"{name}.weight", layer.weight),
             self._weight(f"{name}.bias", layer.bias)],
            raw,
            strides=[layer.stride] * 2, dilations=[layer.dilation] * 2, group=layer.groups, pads=list(layer.padding),
        )  # fmt: skip
        if layer.activation == "relu":
            self._node("Relu", [raw], name)
        elif layer.activation == "relu6":
            self._node("Clip", [raw, *self._clip_limits()], name)
        self._values[key] = name

    def _clip_limits(self) -> tuple[str, str]:
        if not any(weight.name == "zero" for weight in self.weights):
            for name, value in (("zero", 0), ("six", 6)):
                self.weights.append(self._onnx.numpy_helper.from_array(np.array(value, np.float32), name))
        return "zero", "six"

    def _weight(self, name: str, values: Floats) -> str:
        """Store weights; in half the space where that loses nothing, as for files that were float16 already."""
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            self.weights.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
            return name
        self.weights.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(half), f"{name}.half"))
        self._node("Cast", [f"{name}.half"], name, to=self._onnx.TensorProto.FLOAT)
        return name

    def _node(self, operation: str, reads: list[str], result: str, **attributes: Any) -> None:
        self.nodes.append(self._onnx.helper.make_node(operation, reads, [result], name=result, **attributes))
