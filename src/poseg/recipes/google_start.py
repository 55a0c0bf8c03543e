"""Google's published weights as the start of a network.

PoseNet and BodyPix are PersonLab networks themselves; MoveNet MultiPose lends its trunk and pyramid.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from poseg.errors import WeightsError
from poseg.export.google_network import field_layers
from poseg.export.google_tflite import read_convolutions
from poseg.export.import_google import read_npz
from poseg.networks.backbones.mobilenet_v1 import MobileNetV1
from poseg.networks.backbones.mobilenet_v2 import MobileNetV2
from poseg.systems.personlab import PersonLabNetwork


def start_from_google(network: PersonLabNetwork, source: Path) -> None:
    """Load BodyPix (.npz) or MoveNet MultiPose (.tflite). Raises WeightsError for a network of another shape."""
    if source.suffix == ".tflite":
        _start_from_movenet(network, source)
    else:
        _start_from_bodypix(network, source)


def _start_from_movenet(network: PersonLabNetwork, source: Path) -> None:
    """Load the trunk and the pyramid of MoveNet MultiPose into the backbone; heads stay as they are."""
    if not isinstance(network.backbone, MobileNetV2):
        raise WeightsError("MoveNet MultiPose starts a network with backbone mobilenet_v2_150.")
    published = list(read_convolutions(source).values())
    names = network.backbone.convolutions()
    if len(published) < len(names):
        raise WeightsError(
            f"{source.name} has {len(published)} convolutions, wanted {len(names)}; give MoveNet MultiPose."
        )
    network.backbone.load_google(dict(zip(names, published, strict=False)))


def _start_from_bodypix(network: PersonLabNetwork, archive: Path) -> None:
    """Load a published network (.npz) into the backbone and the linear heads: the first step decodes as it does.

    The heads that correct these fields begin silent. Raises WeightsError for a network of another shape.
    """
    published = read_npz(archive)
    if not isinstance(network.backbone, MobileNetV1) or network.linear_head is None:
        raise WeightsError(
            "Published weights start a network with backbone mobilenet_v1_075 and intermediate=corrected."
        )
    heads = set(published.heads.values())
    trunk = {key: (layer.weight, layer.bias) for key, layer in published.layers.items() if key not in heads}
    network.backbone.load_google(trunk)
    fields = field_layers(published)
    missing = [spec.name for spec in network.linear_head.specs if spec.name not in fields]
    if missing:
        raise WeightsError(f"{archive.name} has no {', '.join(missing)}; give BodyPix, PoseNet has poses alone.")
    convolution = network.linear_head.conv
    assert convolution.bias is not None
    scale = network.linear_head.scale.flatten()
    layers = [fields[spec.name] for spec in network.linear_head.specs]
    weight, bias = (
        torch.from_numpy(np.concatenate([getattr(layer, n) for layer in layers])) for n in ("weight", "bias")
    )
    with torch.no_grad():
        convolution.weight.copy_(weight / scale[:, None, None, None])
        convolution.bias.copy_(bias / scale)
