"""A TensorFlow graph, as TF.js stores it, folded into convolutions.

An operation is a convolution, changes the one before it (bias, activation, padding), passes it on, or is not supported.
One that is not supported is an error only as the input of a convolution: decoders and resizes behind the heads are left
out.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from graphlib import CycleError, TopologicalSorter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.export.google_network import IMAGE, ConvLayer, same_padding, without_replaced

MAX_NODES = 10_000
NO_PADDING = (0, 0, 0, 0)
_ACTIVATIONS = {"Relu": "relu", "Relu6": "relu6", "Sigmoid": "sigmoid"}
_DENSE = {"Conv2D", "_FusedConv2D"}
_DEPTHWISE = {"DepthwiseConv2dNative", "FusedDepthwiseConv2dNative"}

Array = NDArray[Any]


@dataclass(frozen=True, slots=True)
class Node:
    """One operation of the graph; `inputs` are names of nodes, `attributes` as TF.js writes them in JSON."""

    operation: str
    name: str
    inputs: tuple[str, ...]
    attributes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Value:
    """The output of a node: that of a layer, padded, or split into blocks for a dilated convolution."""

    layer: str
    padding: tuple[int, int, int, int] = NO_PADDING
    block: int = 1


def fold_graph(nodes: Sequence[Node], constants: Mapping[str, Array]) -> dict[str, ConvLayer]:
    """Convolutions by key, in order, of the graph's nodes and its constants (kernels are (kh, kw, in, out)).

    Raises WeightsError where the graph has a cycle, or an operation that is not supported before a convolution.
    """
    if len(nodes) > MAX_NODES:
        raise WeightsError(f"The graph has {len(nodes)} operations, more than the {MAX_NODES} that are read.")
    by_name = {node.name: node for node in nodes}
    try:
        order = list(TopologicalSorter({node.name: node.inputs for node in nodes}).static_order())
    except CycleError:
        raise WeightsError("The graph has a cycle; the file is damaged.") from None
    folding = _Folding(constants)
    for name in order:
        if name in by_name:
            folding.fold(by_name[name])
    return without_replaced(folding.layers, folding.replaced)


class _Folding:
    """The layers so far, and the output of each node by its name."""

    def __init__(self, constants: Mapping[str, Array]) -> None:
        self.layers: dict[str, ConvLayer] = {}
        self.replaced: set[str] = set()
        self._constants = dict(constants)
        self._values: dict[str, _Value] = {}
        self._operations: dict[str, str] = {}
        self._folds: dict[str, Callable[[Node], None]] = {
            "Placeholder": lambda node: self._values.update({node.name: _Value(IMAGE)}),
            "Identity": self._pass_on,
            "Pad": self._pad,
            "PadV2": self._pad,
            "SpaceToBatchND": self._to_blocks,
            "BatchToSpaceND": self._from_blocks,
            **dict.fromkeys(_DENSE | _DEPTHWISE, self._convolve),
            **dict.fromkeys(("BiasAdd", "Add", "AddV2"), self._add_bias),
            **dict.fromkeys(_ACTIVATIONS, self._activate),
        }

    def fold(self, node: Node) -> None:
        """Add a node, after all of its inputs."""
        self._operations[node.name] = node.operation
        if node.operation in self._folds:
            self._folds[node.operation](node)

    def _convolve(self, node: Node) -> None:
        if len(node.inputs) < 2:
            raise WeightsError(f"The convolution {node.name} has {len(node.inputs)} inputs, expected 2 or 3.")
        value = self._data(node, 0)
        kernel = self._constant(node, 1).astype(np.float32)
        if kernel.ndim != 4:
            raise WeightsError(f"The kernel of {node.name} has shape {kernel.shape}, expected (h, w, in, out).")
        depthwise = node.operation in _DEPTHWISE
        if depthwise and kernel.shape[3] != 1:
            raise WeightsError(f"The depthwise layer {node.name} makes {kernel.shape[3]} channels of one, expected 1.")
        weight = kernel.transpose(2, 3, 0, 1) if depthwise else kernel.transpose(3, 2, 0, 1)
        fused = _texts(node, "fused_ops")
        if unknown := set(fused) - {"BiasAdd", *_ACTIVATIONS}:
            raise WeightsError(f"Layer {node.name} is fused with {', '.join(sorted(unknown))}, which is not supported.")
        bias = np.zeros(len(weight), np.float32)
        if "BiasAdd" in fused and len(node.inputs) > 2:
            bias = self._constant(node, 2).astype(np.float32).reshape(-1)
        dilation = _square(node, "dilations") * value.block
        self.layers[node.name] = ConvLayer(
            names=(node.name,), input=value.layer, weight=weight, bias=bias,
            stride=_square(node, "strides"), dilation=dilation, groups=len(weight) if depthwise else 1,
            padding=_padding(node, value, kernel.shape[:2], dilation),
            activation=next((_ACTIVATIONS[name] for name in fused if name in _ACTIVATIONS), None),
        )  # fmt: skip
        self._values[node.name] = _Value(node.name, block=value.block)

    def _add_bias(self, node: Node) -> None:
        value = self._values.get(node.inputs[0]) if len(node.inputs) == 2 else None
        layer = self.layers.get(value.layer) if value else None
        if value is None or layer is None or layer.activation or value.padding != NO_PADDING:
            return
        constant = self._constants.get(node.inputs[1])
        if constant is None or constant.dtype.kind != "f" or constant.size not in (1, layer.channels):
            return
        self._replace(node, value, replace(layer, bias=layer.bias + constant.astype(np.float32).reshape(-1)))

    def _activate(self, node: Node) -> None:
        value = self._values.get(node.inputs[0]) if node.inputs else None
        layer = self.layers.get(value.layer) if value else None
        if value is not None and layer is not None and not layer.activation and value.padding == NO_PADDING:
            self._replace(node, value, replace(layer, activation=_ACTIVATIONS[node.operation]))

    def _replace(self, node: Node, value: _Value, layer: ConvLayer) -> None:
        """The node's output is the old layer, changed; the old one stays for other nodes that take it."""
        self.layers[node.name] = replace(layer, names=(*layer.names, node.name))
        self.replaced.add(value.layer)
        self._values[node.name] = replace(value, layer=node.name)

    def _pass_on(self, node: Node) -> None:
        if node.inputs and node.inputs[0] in self._values:
            self._values[node.name] = self._values[node.inputs[0]]
        elif node.inputs and node.inputs[0] in self._constants:
            self._constants[node.name] = self._constants[node.inputs[0]]

    def _pad(self, node: Node) -> None:
        value = self._data(node, 0)
        amounts = self._constant(node, 1)
        if amounts.shape != (4, 2) or amounts[[0, 3]].any() or not 0 <= amounts.min() <= amounts.max() <= 16:
            raise WeightsError(f"The padding {node.name} is {amounts.tolist()}, expected rows and columns up to 16.")
        (top, bottom), (left, right) = amounts[1:3].astype(int).tolist()
        if value.layer == IMAGE and (top, left) == (0, 0) and max(bottom, right) <= 1:
            self._values[node.name] = value  # makes 16 n pixels 16 n + 1, as ours are already
        else:
            self._values[node.name] = replace(value, padding=(top, left, bottom, right))

    def _to_blocks(self, node: Node) -> None:
        value = self._data(node, 0)
        block = self._constant(node, 1).reshape(-1)
        if block.size != 2 or block[0] != block[1] or value.block != 1:
            raise WeightsError(f"{node.name} splits into blocks of {block.tolist()}, expected two equal sides.")
        self._values[node.name] = replace(value, block=int(block[0]))

    def _from_blocks(self, node: Node) -> None:
        self._values[node.name] = replace(self._data(node, 0), block=1)

    def _data(self, node: Node, position: int) -> _Value:
        name = node.inputs[position] if position < len(node.inputs) else "nothing"
        if name not in self._values:
            raise WeightsError(
                f"{node.name} takes {name}, the output of {self._operations.get(name, 'nothing')}, which is not "
                "supported. Only PoseNet and BodyPix with MobileNetV1 can be imported."
            )
        return self._values[name]

    def _constant(self, node: Node, position: int) -> Array:
        name = node.inputs[position] if position < len(node.inputs) else "nothing"
        if name not in self._constants or self._constants[name].dtype.kind not in "fiu":
            raise WeightsError(
                f"{node.name} needs the numbers {name}, which are not in the file; it is damaged or incomplete."
            )
        return self._constants[name]


def _padding(node: Node, value: _Value, kernel: tuple[int, int], dilation: int) -> tuple[int, int, int, int]:
    kind = _texts(node, "padding")
    if kind == ["SAME"] and value.padding == NO_PADDING:
        return same_padding(kernel, dilation, layer=node.name)
    if kind == ["VALID"] and value.block > 1:
        return same_padding(kernel, dilation, layer=node.name)  # the split into blocks padded it, SAME
    if kind == ["VALID"]:
        return value.padding
    raise WeightsError(f"Layer {node.name} has padding {kind} on top of {value.padding}; expected SAME or VALID.")


def _square(node: Node, attribute: str) -> int:
    """The one number in [1, n, n, 1]; 1 where the attribute is absent."""
    numbers = _entry(node, attribute, "i", default=["1", "1", "1", "1"])
    try:
        outer, height, width, inner = (int(number) for number in numbers)
    except (TypeError, ValueError):
        outer = height = width = inner = 0
    if (outer, inner) != (1, 1) or height != width or height < 1:
        raise WeightsError(
            f"{attribute} of {node.name} is {numbers}, expected [1, n, n, 1] (batch, height, width, channels)."
        )
    return height


def _texts(node: Node, attribute: str) -> list[str]:
    """The texts of an attribute, which JSON holds in base64."""
    try:
        return [base64.b64decode(text, validate=True).decode() for text in _entry(node, attribute, "s", default=[])]
    except (TypeError, ValueError, binascii.Error):
        raise WeightsError(f"{attribute} of {node.name} is not text in base64; the file is damaged.") from None


def _entry(node: Node, attribute: str, kind: str, default: list[str]) -> list[Any]:
    value = node.attributes.get(attribute)
    if not isinstance(value, Mapping):
        return default
    listed = value.get("list")
    entries = listed.get(kind, []) if isinstance(listed, Mapping) else [value[kind]] if kind in value else default
    return entries if isinstance(entries, list) else default
