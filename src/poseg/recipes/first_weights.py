"""The network of a recipe with its first weights: published ones converted, a backbone's, or a checkpoint's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn

from poseg.errors import PosegError, WeightsError
from poseg.export.google_network import field_layers
from poseg.export.google_tflite import read_convolutions
from poseg.export.import_google import read_npz
from poseg.export.import_tinypose import load_tinypose
from poseg.networks.backbones.lite_hrnet import LiteHRNetPose
from poseg.networks.backbones.mobilenet_v1 import MobileNetV1
from poseg.networks.backbones.mobilenet_v2 import MobileNetV2
from poseg.systems.personlab import PersonLabNetwork
from poseg.training.init import load_init
from poseg.training.recipe import Recipe


def first_network(recipe: Recipe) -> nn.Module:
    """A recipe's network as a run begins with it. Raises PosegError and WeightsError where weights do not fit."""
    network, init = recipe.system.network(), recipe.init
    if init.google:
        load_google_weights(network, Path(init.google))
    if init.tinypose:
        if not isinstance(network, LiteHRNetPose):
            raise PosegError("init.tinypose fills a multi-task network whose backbone is lite_hrnet.")
        load_tinypose(network, Path(init.tinypose))
    load_init(network, init)
    return network


def load_google_weights(network: nn.Module, source: Path) -> None:
    """Load BodyPix (.npz) or MoveNet MultiPose (.tflite) into a PersonLab network that contains it or its backbone.

    Raises PosegError for a network of another system and WeightsError for one of another shape.
    """
    if not isinstance(network, PersonLabNetwork):
        raise PosegError("init.google fills PersonLab networks; give this one init.backbone or init.checkpoint.")
    if source.suffix == ".tflite":
        _load_movenet(network, source)
    else:
        _load_bodypix(network, source)


def _load_movenet(network: PersonLabNetwork, source: Path) -> None:
    """Load backbone and pyramid of MoveNet MultiPose into the backbone; heads stay as they are."""
    if not isinstance(network.backbone, MobileNetV2):
        raise WeightsError("MoveNet MultiPose fills a network with backbone mobilenet_v2_150.")
    published = list(read_convolutions(source).values())
    names = network.backbone.convolutions()
    if len(published) < len(names):
        raise WeightsError(
            f"{source.name} has {len(published)} convolutions, expected {len(names)}; give MoveNet MultiPose."
        )
    network.backbone.load_google(dict(zip(names, published, strict=False)))


def _load_bodypix(network: PersonLabNetwork, archive: Path) -> None:
    """Load a published network (.npz) into the backbone and the linear heads: the first step decodes as it does.

    The heads that correct these fields start at zero. Raises WeightsError for a network of another shape.
    """
    published = read_npz(archive)
    if not isinstance(network.backbone, MobileNetV1) or network.linear_head is None:
        raise WeightsError(
            "Published weights fill a network with backbone mobilenet_v1_075 and deep_supervision=residual."
        )
    heads = set(published.heads.values())
    backbone = {key: (layer.weight, layer.bias) for key, layer in published.layers.items() if key not in heads}
    network.backbone.load_google(backbone)
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
