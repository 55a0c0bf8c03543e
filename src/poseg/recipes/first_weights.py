"""The network of a recipe with its first weights: published ones converted, a backbone's, or a checkpoint's."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from poseg.errors import PosegError, WeightsError
from poseg.export.google_network import field_layers
from poseg.export.google_tflite import read_convolutions
from poseg.export.import_google import read_npz
from poseg.export.import_tinypose import load_tinypose
from poseg.io.files import read_json
from poseg.networks.backbones.lite_hrnet import LiteHRNetPose
from poseg.networks.backbones.mobilenet_v1 import MobileNetV1
from poseg.networks.backbones.mobilenet_v2 import MobileNetV2
from poseg.networks.backbones.pretrained import PACKAGE
from poseg.runtime.models import card_of, is_model
from poseg.runtime.onnx_model import build_codec
from poseg.skeletons import Skeleton
from poseg.systems.personlab import PersonLabNetwork
from poseg.training.init import Init, load_init
from poseg.training.kept_channels import transfer
from poseg.training.recipe import Recipe

RECIPE_FILE = "recipe.json"  # in the folder of a run
# Published first weights of backbones; nothing is downloaded.
ORIGINS = {
    **{name: f"torchvision's or timm's ImageNet weights of {name}, saved as .pth or .safetensors"
       for name in ("resnet50", "resnet101", "resnet152")},
    "vgg19": "torchvision's ImageNet weights of vgg19, saved as .pth or .safetensors",
    "mobilenet_v1_075": "Google's BodyPix MobileNetV1 0.75 as .npz, or the bundled `small`",
    "mobilenet_v2_150": "Google's MoveNet MultiPose as .tflite",
}  # fmt: skip


def first_network(recipe: Recipe) -> nn.Module:
    """A recipe's network as a run begins with it. Raises PosegError and WeightsError where weights do not fit.

    Of a checkpoint for another skeleton all layers are kept, and the heads' channels of joints with the same names.
    """
    network, init = recipe.system.network(), recipe.init
    if init.google:
        load_google_weights(network, Path(init.google))
    if init.tinypose:
        if not isinstance(network, LiteHRNetPose):
            raise PosegError("init.tinypose fills a multi-task network whose backbone is lite_hrnet.")
        load_tinypose(network, Path(init.tinypose))
    skeleton = source_skeleton(init.checkpoint) if init.checkpoint else None
    if skeleton in (None, recipe.system.skeleton):
        load_init(network, init)
        return network
    load_init(network, replace(init, checkpoint=""))
    system: Any = replace(recipe.system, skeleton=skeleton)
    source = system.network()
    load_init(source, Init(checkpoint=init.checkpoint))
    transfer(network, source, recipe.system.codec, system.codec)
    return network


def check_first_weights(recipe: Recipe) -> None:
    """Raise PosegError where first weights are missing, with a sentence about where they come from."""
    init, name = recipe.init, getattr(recipe.system, "backbone", "")
    for option, origin in (
        ("google", "Google's BodyPix (MobileNetV1 0.75) as .npz, or MoveNet MultiPose as .tflite"),
        ("tinypose", "PP-TinyPose 256 x 192 of PaddleDetection as .onnx"),
        ("backbone", ORIGINS.get(name, "what docs/networks.md lists for it")),
    ):
        source = getattr(init, option)
        if source and not (source.startswith(PACKAGE) or is_model(source) or Path(source).exists()):
            raise PosegError(
                f"There is no {source}, the first weights of {recipe.name}: {origin}. Give the file by "
                f"--set init.{option}=PATH, or another start by --init."
            )
    if recipe.optim.freeze_pretrained and init == Init():
        raise PosegError(
            f"{recipe.name} keeps its backbone as it is, so it needs first weights: --init with a bundled model, "
            f"or --set init.google=PATH or init.backbone=PATH with those of {name}: "
            f"{ORIGINS.get(name, 'docs/networks.md')}."
        )


def source_skeleton(source: str) -> Skeleton | None:
    """The skeleton of a model file or a run's network; None where a file of weights does not say."""
    if is_model(source):
        return build_codec(card_of(source), source).skeleton
    settings = Path(source) / RECIPE_FILE
    if not settings.is_file():
        return None
    plain = read_json(settings)["settings"]["system"].get("skeleton")
    return None if plain is None else Skeleton(**{name: _tuples(value) for name, value in plain.items()})


def _tuples(value: Any) -> Any:
    """Lists as tuples, at any depth."""
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


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
