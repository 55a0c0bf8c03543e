"""Published PoseNet and BodyPix networks (MobileNetV1) as a tree of convolutions, and that tree as ONNX.

Each reader (`import_google`, `google_tf_graph`, `google_tflite`) folds its own format into `ConvLayer`s; `assemble`
checks them. Nothing here knows a file format.

Padding. The files ask for TensorFlow's SAME padding, whose split between the two sides depends on the size of the
input. For an odd kernel k with dilation d on an input of odd side it is d (k // 2) on both sides, for stride 1 and
stride 2 alike, and the output has side (side + 1) / 2. A side of 16 n + 1 pixels stays odd through all four strides of
2, so with our inputs symmetric padding *is* SAME padding, cell (i, j) lies exactly over pixel (16 i, 16 j), and there
are n + 1 cells. The INT8 BodyPix takes 16 n pixels and begins by adding one at the bottom and one at the right: the
same rule, so that step is left out here (every field correlates by 0.996 or more with its own on a test image; with
the extra pixel at the top and left instead, the heatmap falls to 0.972).

Channels. Google's offsets hold all dy, then all dx; ours are (joint, xy) flattened, so channel 2 k is dx_k and 2 k + 1
is dy_k. The last convolutions are permuted, which costs nothing at run time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.runtime.onnx_weights import require_onnx

if TYPE_CHECKING:
    from onnx import ModelProto

IMAGE = "image"
MAX_BYTES = 512 * 2**20
MAX_LAYERS = 512
STRIDES = (8, 16, 32)
ACTIVATIONS = (None, "relu", "relu6", "sigmoid")

# The kind of a head by a part of its name, tested in this order: "offset" is in several of them.
_HEAD_NAME_PATTERNS = {
    "part": "parts", "displacement_fwd": "displacement_fwd", "displacement_bwd": "displacement_bwd",
    "mid_offset": "mid_offsets", "long_offset": "long_offsets", "offset": "short_offsets", "heatmap": "heatmap",
    "segment": "segmentation",
}  # fmt: skip
HEAD_CHANNELS = {
    "heatmap": 17, "short_offsets": 34, "displacement_fwd": 32, "displacement_bwd": 32,
    "mid_offsets": 64, "segmentation": 1, "long_offsets": 34,
}  # fmt: skip

EDGES = 16
OPSET = 17
IR_VERSION = 8

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class ConvLayer:
    """One convolution with its bias and activation.

    names       names of its output in the file, newest last
    input       key of the layer whose output it takes, or `IMAGE`
    weight      (out, in / groups, kernel height, kernel width) float32
    bias        (out,) float32
    padding     top, left, bottom, right, in cells of its input
    activation  None, "relu", "relu6" or "sigmoid"
    """

    names: tuple[str, ...]
    input: str
    weight: Floats
    bias: Floats
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    activation: str | None = None

    def __post_init__(self) -> None:
        name = self.names[-1]
        if self.weight.ndim != 4 or 0 in self.weight.shape or self.bias.shape != self.weight.shape[:1]:
            raise WeightsError(
                f"Layer {name} has weights {self.weight.shape} and biases {self.bias.shape}; expected (out, in, h, w) "
                "and (out,). The file is damaged or of another network."
            )
        if not (np.isfinite(self.weight).all() and np.isfinite(self.bias).all()):
            raise WeightsError(f"Layer {name} has weights that are not finite; fetch the file again.")
        if self.stride not in (1, 2) or not 1 <= self.dilation <= 8 or self.activation not in ACTIVATIONS:
            raise WeightsError(
                f"Layer {name} has stride {self.stride}, dilation {self.dilation} and activation {self.activation}; "
                "expected stride 1 or 2, dilation up to 8, and ReLU, ReLU6 or none."
            )

    @property
    def channels(self) -> int:
        """Channels of the output."""
        return int(self.weight.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class GoogleNetwork:
    """A checked network: its layers by key, each after the one whose output it takes.

    heads      key of the layer of each head, by the names of `HEAD_CHANNELS`
    stride     pixels between the cells of the heads
    mean, std  the input is (RGB in 0..255 - mean) / std
    """

    layers: Mapping[str, ConvLayer]
    heads: Mapping[str, str]
    stride: int
    mean: float
    std: float

    @property
    def fields(self) -> tuple[str, ...]:
        """The fields it provides, in the codec's order."""
        pose, mask = ("heatmap", "short_offsets", "mid_offsets"), ("segmentation", "long_offsets")
        return pose + mask if all(name in self.heads for name in mask) else pose


def same_padding(kernel: tuple[int, int], dilation: int, *, layer: str) -> tuple[int, int, int, int]:
    """SAME padding for odd kernels on odd sides, see the head of this file: top, left, bottom, right."""
    if kernel[0] % 2 == 0 or kernel[1] % 2 == 0:
        raise WeightsError(f"Layer {layer} has an even kernel {kernel}, which cannot lie centred on a cell.")
    y, x = dilation * (kernel[0] // 2), dilation * (kernel[1] // 2)
    return y, x, y, x


def without_replaced(layers: Mapping[str, ConvLayer], replaced: set[str]) -> dict[str, ConvLayer]:
    """The layers without those that a later one replaces (with a bias, an activation), if no layer takes them."""
    used = {layer.input for layer in layers.values()}
    return {key: layer for key, layer in layers.items() if key in used or key not in replaced}


def assemble(layers: Mapping[str, ConvLayer], *, mean: float, std: float, source: str) -> GoogleNetwork:
    """Find the heads among `layers` (each after its input), drop the layers that they do not need, and check the rest.

    Raises WeightsError where pose heads are missing or layers do not fit together.
    """
    if len(layers) > MAX_LAYERS:
        raise WeightsError(f"{source} has {len(layers)} layers, more than the {MAX_LAYERS} that are read.")
    heads = _find_heads(layers, source)
    kept = _needed(layers, set(heads.values()), source)
    kept = {key: _check_fit(kept, layer) for key, layer in kept.items()}
    strides = {key: _stride(kept, key) for key in heads.values()}
    if len(set(strides.values())) != 1 or not set(strides.values()) <= set(STRIDES):
        raise WeightsError(
            f"The heads of {source} have strides {sorted(set(strides.values()))}; expected one of {STRIDES} for all."
        )
    for key in heads.values():
        if kept[key].activation == "sigmoid":  # our fields are logits
            kept[key] = replace(kept[key], activation=None)
    return GoogleNetwork(kept, heads, next(iter(strides.values())), mean, std)


def _find_heads(layers: Mapping[str, ConvLayer], source: str) -> dict[str, str]:
    used = {layer.input for layer in layers.values()}
    heads: dict[str, str] = {}
    for key, layer in layers.items():
        if key in used or layer.activation not in (None, "sigmoid"):
            continue
        kind = _kind(layer.names)
        if kind in HEAD_CHANNELS:
            if layer.channels != HEAD_CHANNELS[kind]:
                raise WeightsError(
                    f"The head {kind} of {source} has {layer.channels} channels, expected {HEAD_CHANNELS[kind]}: "
                    "17 COCO joints and a tree of 16 edges."
                )
            heads[kind] = key
    mid = {"mid_offsets"} if "mid_offsets" in heads else {"displacement_fwd", "displacement_bwd"}
    missing = sorted(({"heatmap", "short_offsets"} | mid) - set(heads))
    if missing:
        raise WeightsError(
            f"{source} has no {', '.join(missing)}: it is not a PoseNet or BodyPix network with raw heads. "
            "Give one of those with MobileNetV1."
        )
    return heads


def _kind(names: tuple[str, ...]) -> str | None:
    """Which head a layer is, by the newest of its names that matches."""
    for name in reversed(names):
        for pattern, kind in _HEAD_NAME_PATTERNS.items():
            if pattern in name.lower():
                return kind
    return None


def _needed(layers: Mapping[str, ConvLayer], heads: set[str], source: str) -> dict[str, ConvLayer]:
    """The layers that lead to the heads, in their order."""
    needed: set[str] = set()
    for key in heads:
        while key != IMAGE and key not in needed:
            if key not in layers:
                raise WeightsError(f"A layer of {source} takes {key!r}, which is missing; the file is damaged.")
            needed.add(key)
            key = layers[key].input
    kept: dict[str, ConvLayer] = {}
    for key, layer in layers.items():
        if key in needed:
            if layer.input != IMAGE and layer.input not in kept:
                raise WeightsError(
                    f"Layer {layer.names[-1]} of {source} takes the output of a later one; the file is damaged."
                )
            kept[key] = layer
    return kept


def _check_fit(layers: Mapping[str, ConvLayer], layer: ConvLayer) -> ConvLayer:
    channels = 3 if layer.input == IMAGE else layers[layer.input].channels
    expected = layer.weight.shape[1] * layer.groups
    if channels != expected or layer.channels % layer.groups:
        raise WeightsError(
            f"Layer {layer.names[-1]} expects {expected} channels but gets {channels}; the file is damaged."
        )
    if layer.input != IMAGE and layers[layer.input].activation == "sigmoid":
        raise WeightsError(f"Layer {layer.names[-1]} takes the output of a sigmoid, as in no PoseNet or BodyPix.")
    return layer


def _stride(layers: Mapping[str, ConvLayer], key: str) -> int:
    stride = 1
    while key != IMAGE:
        stride *= layers[key].stride
        key = layers[key].input
    return stride


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
        writer.conv(field, layer, name=field)
    f32 = onnx.TensorProto.FLOAT
    graph = onnx.helper.make_graph(
        writer.nodes,
        "personlab",
        [onnx.helper.make_tensor_value_info(IMAGE, f32, [1, 3, "height", "width"])],
        [
            onnx.helper.make_tensor_value_info(field, f32, [1, HEAD_CHANNELS[field], "rows", "columns"])
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


def interleave_yx(count: int) -> NDArray[np.intp]:
    """(2 count,) indices of our interleaved (dx, dy) channels in `count` dy followed by `count` dx."""
    index = np.arange(count)
    return np.stack([index + count, index], axis=1).ravel()


def field_layers(network: GoogleNetwork) -> dict[str, ConvLayer]:
    """The last convolution of every field, its channels in our order."""
    head = {kind: network.layers[key] for kind, key in network.heads.items()}
    joints, edges = interleave_yx(17), interleave_yx(EDGES)
    if "mid_offsets" not in head:
        head["mid_offsets"] = _concatenated(head.pop("displacement_fwd"), head.pop("displacement_bwd"))
    order = {
        "short_offsets": joints,
        "long_offsets": joints,
        "mid_offsets": np.concatenate([edges, edges + 2 * EDGES]),  # forward, then backward, each y first
    }
    return {
        field: replace(head[field], weight=head[field].weight[order[field]], bias=head[field].bias[order[field]])
        if field in order
        else head[field]
        for field in network.fields
    }


def _concatenated(first: ConvLayer, second: ConvLayer) -> ConvLayer:
    """Two convolutions of one input as one with the channels of both."""
    shared = ("input", "stride", "dilation", "groups", "padding", "activation")
    if first.groups != 1 or any(getattr(first, name) != getattr(second, name) for name in shared):
        raise WeightsError("The forward and backward displacements have different layers; the file is damaged.")
    return replace(
        first,
        weight=np.concatenate([first.weight, second.weight]),
        bias=np.concatenate([first.bias, second.bias]),
    )


class _Writer:
    """Collects the nodes and weights of one ONNX graph."""

    def __init__(self, onnx: Any) -> None:
        self._onnx = onnx
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self._values: dict[str, str] = {IMAGE: IMAGE}

    def conv(self, key: str, layer: ConvLayer, name: str | None = None) -> None:
        """Add a layer by its key; `name` is that of the output."""
        name = name or f"layer{len(self._values)}"
        raw = f"{name}.linear" if layer.activation else name
        self._node(
            "Conv",
            [self._values[layer.input], self._weight(f"{name}.weight", layer.weight),
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
        """Store weights, as float16 where that loses nothing, as for files that are float16 already."""
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            self.weights.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(values), name))
            return name
        self.weights.append(self._onnx.numpy_helper.from_array(np.ascontiguousarray(half), f"{name}.half"))
        self._node("Cast", [f"{name}.half"], name, to=self._onnx.TensorProto.FLOAT)
        return name

    def _node(self, operation: str, inputs: list[str], output: str, **attributes: Any) -> None:
        self.nodes.append(self._onnx.helper.make_node(operation, inputs, [output], name=output, **attributes))
