"""The weights in an ONNX file that poseg exported, in INT8 or with float16 weights, under the names of its network."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

Floats = NDArray[np.float32]

LAYERS = ("Conv", "Gemm")
NETWORK = "network."  # before the names of the exported network's tensors
SCALED = "ConvMulFusion_W_"  # before the name of weights that the optimiser multiplied by the scale behind their layer


def require_onnx() -> ModuleType:
    """The onnx package with its helpers, or a WeightsError that says how to install it."""
    try:
        import onnx
        import onnx.checker
        import onnx.helper
        import onnx.numpy_helper
    except ImportError:
        raise WeightsError(
            "Reading weights from ONNX files and writing such files needs the onnx package, which is not installed; "
            "run `pip install poseg[export]`."
        ) from None
    return onnx


@dataclass(frozen=True, slots=True, eq=False)
class OnnxWeights:
    """Tensors by name, such as "backbone.conv_stem.weight"; batch norms are folded into the layers before them.

    scaled   layers whose weights and biases hold the scale of the head that they end
    """

    tensors: Mapping[str, Floats]
    scaled: frozenset[str]


def read_onnx_weights(data: bytes) -> OnnxWeights:
    """The float weights in the bytes of a model file: what its graph computes with, INT8 times scale.

    Raises WeightsError where the file cannot be read or holds no layer of a poseg network.
    """
    onnx = require_onnx()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as fault:  # protobuf's own, which is no dependency of ours
        raise WeightsError(f"This is no ONNX file ({fault}); give a model that poseg exported.") from None
    arrays = _arrays(model)
    tensors = {_plain(name): np.asarray(a, np.float32) for name, a in arrays.items() if _is_tensor(name)}
    scaled = set()
    for node in model.graph.node:
        if node.op_type not in LAYERS or NETWORK not in node.input[1]:
            continue
        layer = _plain(node.input[1]).removesuffix(".weight")
        tensors[f"{layer}.weight"] = np.asarray(arrays[node.input[1]], np.float32)
        if len(node.input) > 2:
            tensors[f"{layer}.bias"] = np.asarray(arrays[node.input[2]], np.float32)
        if SCALED in node.input[1]:
            scaled.add(layer)
    if not tensors:
        raise WeightsError("This file holds no layer of a network of poseg's; imported networks cannot be trained.")
    return OnnxWeights(tensors, frozenset(scaled))


def _arrays(model: ModelProto) -> dict[str, NDArray[Any]]:
    """All initialisers, and what the graph makes of them alone: floats from INT8 and float16, and copies."""
    to_array = require_onnx().numpy_helper.to_array
    arrays: dict[str, NDArray[Any]] = {tensor.name: to_array(tensor) for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and node.input[0] in arrays:
            arrays[node.output[0]] = _dequantised(node, *(arrays[name] for name in node.input))
        if node.op_type in ("Cast", "Identity") and node.input[0] in arrays:
            arrays[node.output[0]] = arrays[node.input[0]]
    return arrays


def _dequantised(node: NodeProto, values: NDArray[Any], scale: NDArray[Any], zero_point: NDArray[Any]) -> Floats:
    """Integers as floats, with a scale for all or for each index of an axis."""
    axis = next((attribute.i for attribute in node.attribute if attribute.name == "axis"), 0)
    shape = [scale.size if place == axis else 1 for place in range(values.ndim)]
    return np.asarray((values.astype(np.int32) - zero_point.reshape(shape)) * scale.reshape(shape), np.float32)


def _is_tensor(name: str) -> bool:
    """Whether an initialiser is a tensor of the network."""
    return NETWORK in name and not name.endswith(("_scale", "_zero_point"))


def _plain(name: str) -> str:
    """A tensor's name in the network."""
    stem = name.partition(NETWORK)[2] or name
    for suffix in ("_DequantizeLinear_Output", "_quantized", ".half"):
        stem = stem.removesuffix(suffix)
    return stem
