"""Published PoseNet and BodyPix weights as the start of a PersonLab network: they are PersonLab networks themselves."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from poseg.errors import WeightsError
from poseg.export.google_npz import read_npz
from poseg.export.google_onnx import field_layers
from poseg.networks.backbones.mobilenet_v1 import MobileNetV1
from poseg.systems.personlab import PersonLabNetwork


def start_from_google(network: PersonLabNetwork, archive: Path) -> None:
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
