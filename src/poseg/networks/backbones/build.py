"""Backbones by name: one dict from a name to what builds it, and the normalisation of its pretrained weights."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from poseg.errors import PosegError
from poseg.networks.backbones.backbone import Backbone
from poseg.networks.backbones.efficientnet_lite import EfficientNetLite
from poseg.networks.backbones.mobilenet_v1 import MobileNetV1
from poseg.networks.backbones.mobilenet_v2 import MobileNetV2
from poseg.networks.backbones.mobilenet_v3 import MobileNetV3
from poseg.networks.backbones.resnet import ResNet
from poseg.networks.backbones.timm_adapter import TimmBackbone, timm_normalisation
from poseg.networks.backbones.vgg import Vgg19

TIMM = "timm:"


# From the output stride to a backbone. Mobile families are not dilated: at their widths a pyramid over the strides they
# have is the better use of time, so they keep 4 to 32 (MobileNetV1: 4 to 16) for any output stride.
BACKBONES: dict[str, Callable[[int], Backbone]] = {
    "lite0": lambda _: EfficientNetLite("lite0"),
    "lite1": lambda _: EfficientNetLite("lite1"),
    "lite2": lambda _: EfficientNetLite("lite2"),
    "mobilenet_v1_075": lambda _: MobileNetV1(0.75),
    "mobilenet_v2_150": lambda _: MobileNetV2(),
    "mobilenet_v3_large": lambda _: MobileNetV3("mobilenet_v3_large"),
    "mobilenet_v3_small": lambda _: MobileNetV3("mobilenet_v3_small"),
    "resnet50": partial(ResNet, "resnet50"),
    "resnet101": partial(ResNet, "resnet101"),
    "resnet152": partial(ResNet, "resnet152"),
    "vgg19": lambda _: Vgg19(),
}

# Mean and standard deviation of RGB values in 0..255 that a family's published weights were trained with.
Normalisation = tuple[tuple[float, float, float], tuple[float, float, float]]
MEAN_STD_LITE: Normalisation = ((127.0, 127.0, 127.0), (128.0, 128.0, 128.0))
MEAN_STD_BODYPIX: Normalisation = ((128.0, 128.0, 128.0), (128.0, 128.0, 128.0))
MEAN_STD_MOVENET: Normalisation = ((127.5, 127.5, 127.5), (127.5, 127.5, 127.5))
MEAN_STD_IMAGENET: Normalisation = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
NORMALISATION: dict[str, Normalisation] = {
    "lite0": MEAN_STD_LITE,
    "lite1": MEAN_STD_LITE,
    "lite2": MEAN_STD_LITE,
    "mobilenet_v1_075": MEAN_STD_BODYPIX,
    "mobilenet_v2_150": MEAN_STD_MOVENET,
    "mobilenet_v3_large": MEAN_STD_IMAGENET,
    "mobilenet_v3_small": MEAN_STD_IMAGENET,
    "resnet50": MEAN_STD_IMAGENET,
    "resnet101": MEAN_STD_IMAGENET,
    "resnet152": MEAN_STD_IMAGENET,
    "vgg19": MEAN_STD_IMAGENET,
}


def build_backbone(name: str, output_stride: int) -> Backbone:
    """A backbone with random weights.

    name           one of `BACKBONES`, or `timm:NAME` where timm is installed
    output_stride  of a backbone that can be dilated: 8, 16 or 32; the others keep their strides (see `strides`)

    Raises PosegError on an unknown name, or an output stride that a dilated backbone cannot have.
    """
    if name.startswith(TIMM):
        return TimmBackbone(name.removeprefix(TIMM), output_stride)
    return BACKBONES[_checked(name)](output_stride)


def block_aligned(name: str) -> bool:
    """Whether a backbone's cells are at the centres of blocks of pixels, and not at a pixel's centre."""
    return name == "vgg19"


def input_normalisation(name: str) -> Normalisation:
    """Mean and standard deviation, of RGB values in 0..255, that published weights of a backbone expect.

    Raises PosegError on an unknown name.
    """
    if name.startswith(TIMM):
        return timm_normalisation(name.removeprefix(TIMM))
    return NORMALISATION[_checked(name)]


def _checked(name: str) -> str:
    if name not in BACKBONES:
        raise PosegError(
            f"There is no backbone {name!r}; choose one of {', '.join(BACKBONES)}, or {TIMM}NAME for one of timm's."
        )
    return name
