"""The published weights of PP-TinyPose (PaddleDetection, Apache-2.0), from an ONNX file, as a network to fine-tune."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from poseg.errors import WeightsError
from poseg.networks.backbones.lite_hrnet import LiteHRNetPose

MEAN = (123.675, 116.28, 103.53)  # of RGB values in 0..255
STD = (58.395, 57.12, 57.375)
INPUT_PX = (256, 192)  # height and width of the crop that the weights were trained with


def load_tinypose(network: LiteHRNetPose, source: Path) -> None:
    """Fill a network with the convolutions of an ONNX file whose batch norms are folded.

    Both list their convolutions in the order in which they run. Raises WeightsError for a file that cannot be read,
    or one that holds another network; the network is unchanged then.
    """
    published = _convolutions(source)
    expected = list(network.convolutions())
    if len(published) != len(expected):
        raise WeightsError(
            f"{source.name} has {len(published)} convolutions, expected {len(expected)}; give PP-TinyPose of this size."
        )
    for (name, conv), (weight, bias, stride) in zip(expected, published, strict=True):
        if (tuple(conv.weight.shape), conv.stride) != (weight.shape, stride) or len(bias) != len(weight):
            raise WeightsError(
                f"A convolution of {source.name} has weights {weight.shape} and stride {stride[0]}, expected "
                f"{tuple(conv.weight.shape)} and {conv.stride[0]} ({name}); give PP-TinyPose of this size."
            )
    with torch.no_grad():
        for (_, conv), (weight, bias, _) in zip(expected, published, strict=True):
            assert conv.bias is not None
            conv.weight.copy_(torch.from_numpy(weight))
            conv.bias.copy_(torch.from_numpy(bias))


def _convolutions(source: Path) -> list[tuple[np.ndarray, np.ndarray, tuple[int, ...]]]:
    """Weight (O, I / groups, h, w), bias (O,) and stride of every convolution, in the order of the graph."""
    try:
        graph = onnx.load(source).graph
    except Exception as error:  # protobuf has no typed error for a damaged file
        raise WeightsError(f"{source} cannot be read as an ONNX file ({error}); check the path.") from None
    arrays = {tensor.name: tensor for tensor in graph.initializer}
    convolutions = []
    for node in graph.node:
        if node.op_type != "Conv":
            continue
        if len(node.input) != 3 or any(name not in arrays for name in node.input[1:]):
            raise WeightsError(f"A convolution of {source.name} has no stored weights and bias; fold its batch norms.")
        weight, bias = (numpy_helper.to_array(arrays[name]).astype(np.float32) for name in node.input[1:])
        strides = {attribute.name: tuple(attribute.ints) for attribute in node.attribute}.get("strides", (1, 1))
        convolutions.append((weight, bias, strides))
    return convolutions
