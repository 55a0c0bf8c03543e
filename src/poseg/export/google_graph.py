"""What every published PoseNet and BodyPix (MobileNetV1) file boils down to: a tree of convolutions.

Each reader (`google_npz`, `google_tflite`, `google_tf_graph`) folds its own format into `ConvLayer`s and hands a
`GoogleNetwork` to `google_onnx`. Nothing here knows a file format.

Padding. The files ask for TensorFlow's SAME padding, whose split between the two sides depends on the size of the
input. For an odd kernel k with dilation d on an input of odd side it is d (k // 2) on both sides, for stride 1 and
stride 2 alike, and the output has side (side + 1) / 2. A side of 16 n + 1 pixels stays odd through all four
strides of 2, so with our inputs symmetric padding *is* SAME padding, cell (i, j) lies exactly over pixel
(16 i, 16 j), and there are n + 1 cells. The 8-bit BodyPix takes 16 n pixels and begins by adding one at the bottom and
one at the right: the same rule, so that step is left out here (measured against it on a picture: every field
correlates by 0.996 or more; with the extra pixel at the top and left instead, the heatmap falls to 0.972).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError

IMAGE = "image"
MAX_BYTES = 512 * 2**20
MAX_LAYERS = 512
STRIDES = (8, 16, 32)
ACTIVATIONS = (None, "relu", "relu6", "sigmoid")

# What the names of the heads say, tested in this order: "offset" is in several of them.
_HEAD_WORDS = (
    ("part", "parts"),
    ("displacement_fwd", "displacement_fwd"),
    ("displacement_bwd", "displacement_bwd"),
    ("mid_offset", "mid_offsets"),
    ("long_offset", "long_offsets"),
    ("offset", "short_offsets"),
    ("heatmap", "heatmap"),
    ("segment", "segmentation"),
)
HEAD_CHANNELS = {
    "heatmap": 17, "short_offsets": 34, "displacement_fwd": 32, "displacement_bwd": 32,
    "mid_offsets": 64, "segmentation": 1, "long_offsets": 34,
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class ConvLayer:
    """One convolution with its bias and activation.

    names       what the file calls its result, newest last
    reads       key of the layer whose result it reads, or `IMAGE`
    weight      (out, in / groups, kernel height, kernel width) float32
    bias        (out,) float32
    padding     top, left, bottom, right, in cells of what it reads
    activation  None, "relu", "relu6" or "sigmoid"
    """

    names: tuple[str, ...]
    reads: str
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    activation: str | None = None

    def __post_init__(self) -> None:
        name = self.names[-1]
        if self.weight.ndim != 4 or 0 in self.weight.shape or self.bias.shape != self.weight.shape[:1]:
            raise WeightsError(
                f"Layer {name} has weights {self.weight.shape} and biases {self.bias.shape}; wanted (out, in, height, "
                "width) and (out,). The file is damaged or of another network."
            )
        if not (np.isfinite(self.weight).all() and np.isfinite(self.bias).all()):
            raise WeightsError(f"Layer {name} has weights that are not finite; fetch the file again.")
        if self.stride not in (1, 2) or not 1 <= self.dilation <= 8 or self.activation not in ACTIVATIONS:
            raise WeightsError(
                f"Layer {name} has stride {self.stride}, dilation {self.dilation} and activation {self.activation}; "
                "only stride 1 or 2, dilation up to 8 and ReLU, ReLU6 or none are known here."
            )

    @property
    def channels(self) -> int:
        """Channels of the result."""
        return int(self.weight.shape[0])


@dataclass(frozen=True, slots=True, eq=False)
class GoogleNetwork:
    """A checked network: its layers by key, in an order in which each reads only what comes before it.

    heads      key of the layer behind each head, by the words of `HEAD_CHANNELS`
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


def without_superseded(layers: Mapping[str, ConvLayer], superseded: set[str]) -> dict[str, ConvLayer]:
    """The layers without those that a later one took over (with a bias, an activation) and that nobody reads."""
    read = {layer.reads for layer in layers.values()}
    return {key: layer for key, layer in layers.items() if key in read or key not in superseded}


def assemble(layers: Mapping[str, ConvLayer], *, mean: float, std: float, source: str) -> GoogleNetwork:
    """Find the heads among `layers` (each after the one it reads), drop what they do not need, and check the rest.

    Raises WeightsError where pose heads are missing or layers do not fit together.
    """
    if len(layers) > MAX_LAYERS:
        raise WeightsError(f"{source} has {len(layers)} layers, more than the {MAX_LAYERS} that are read.")
    heads = _find_heads(layers, source)
    kept = _needed(layers, set(heads.values()), source)
    kept = {key: _check_fit(kept, layer) for key, layer in kept.items()}
    strides = {key: _stride(kept, key) for key in heads.values()}
    if len(set(strides.values())) != 1 or not set(strides.values()) <= set(STRIDES):
        found = sorted(set(strides.values()))
        raise WeightsError(f"The heads of {source} have strides {found}; wanted one of {STRIDES} for all.")
    for key in heads.values():
        if kept[key].activation == "sigmoid":  # our fields are logits
            kept[key] = replace(kept[key], activation=None)
    return GoogleNetwork(kept, heads, next(iter(strides.values())), mean, std)


def _find_heads(layers: Mapping[str, ConvLayer], source: str) -> dict[str, str]:
    read = {layer.reads for layer in layers.values()}
    heads: dict[str, str] = {}
    for key, layer in layers.items():
        if key in read or layer.activation not in (None, "sigmoid"):
            continue
        kind = _kind(layer.names)
        if kind in HEAD_CHANNELS:
            if layer.channels != HEAD_CHANNELS[kind]:
                raise WeightsError(
                    f"The head {kind} of {source} has {layer.channels} channels, wanted {HEAD_CHANNELS[kind]}: "
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
    """Which head a layer is, by its newest name that says so."""
    for name in reversed(names):
        for word, kind in _HEAD_WORDS:
            if word in name.lower():
                return kind
    return None


def _needed(layers: Mapping[str, ConvLayer], heads: set[str], source: str) -> dict[str, ConvLayer]:
    """The layers that lead to the heads, in their order."""
    needed: set[str] = set()
    for key in heads:
        while key != IMAGE and key not in needed:
            if key not in layers:
                raise WeightsError(f"A layer of {source} reads {key!r}, which is not there; the file is damaged.")
            needed.add(key)
            key = layers[key].reads
    kept: dict[str, ConvLayer] = {}
    for key, layer in layers.items():
        if key in needed:
            if layer.reads != IMAGE and layer.reads not in kept:
                raise WeightsError(f"Layer {layer.names[-1]} of {source} reads a later one; the file is damaged.")
            kept[key] = layer
    return kept


def _check_fit(layers: Mapping[str, ConvLayer], layer: ConvLayer) -> ConvLayer:
    given = 3 if layer.reads == IMAGE else layers[layer.reads].channels
    wanted = layer.weight.shape[1] * layer.groups
    if given != wanted or layer.channels % layer.groups:
        raise WeightsError(
            f"Layer {layer.names[-1]} reads {wanted} channels but is given {given}; the file is damaged."
        )
    if layer.reads != IMAGE and layers[layer.reads].activation == "sigmoid":
        raise WeightsError(f"Layer {layer.names[-1]} reads a sigmoid, as no PoseNet or BodyPix does.")
    return layer


def _stride(layers: Mapping[str, ConvLayer], key: str) -> int:
    stride = 1
    while key != IMAGE:
        stride *= layers[key].stride
        key = layers[key].reads
    return stride
