"""A trained network as an ONNX file with its card, after a check that both compute the same.

Weights are stored as float16 and cast once, when the file is loaded: half the download, the same speed. The network's
own weights are rounded first, so that network and file agree to float32 rounding.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import ModelProto, numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from poseg.codecs.mask_refiner import INPUT_CHANNELS
from poseg.errors import WeightsError
from poseg.export.onnx_card import with_card
from poseg.export.torch_model import TorchModel
from poseg.fields.align import crop_images
from poseg.io.files import write_bytes
from poseg.people import People
from poseg.runtime.card import Card
from poseg.runtime.crop_pose import TopDownPose
from poseg.runtime.onnx_model import OnnxModel
from poseg.systems import System
from poseg.systems.lifter import LifterSystem
from poseg.systems.mask_refiner import MaskRefinerSystem
from poseg.systems.multitask import Multitask
from poseg.systems.pose2seg import Pose2Seg

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

OPSET = 17
MIN_FP16_SIZE = 256  # smaller tensors are shapes, scales and biases: nothing to save there
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class ExportResult:
    """The result of an export.

    card        as written, with the hash of the file
    difference  largest difference between network and file, relative to a field's largest value
    num_images  on which this was measured, besides noise
    """

    card: Card
    difference: float
    num_images: int


class _OnnxWrapper(nn.Module):
    """The network with its fields as a tuple, in the order of the specs, as tracing needs it."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        fields: Mapping[str, Tensor] = self.network(*inputs)
        return tuple(fields[name] for name in self.names)


def export_onnx(
    network: nn.Module, system: System, card: Card, destination: Path, images: Sequence[Bytes] = ()
) -> ExportResult:
    """Write the network with its card to `destination`, if both compute the same.

    images   (H, W, 3) uint8 RGB each: network and file are compared on them, at the card's size and at half of it, and
             on noise

    Raises WeightsError where network and file differ by more than `TOLERANCE`; nothing is written then.
    """
    names = [spec.name for spec in system.codec.specs]
    wrapper = _OnnxWrapper(_round_to_fp16(fold_batchnorm(network)), names).eval()
    example = _noise(system, (160, 192), 1)
    extra_inputs = _extra_inputs(system, example)
    data, written = with_card(_trace(wrapper, system, example, extra_inputs), card)
    ours, theirs = TorchModel(wrapper.network, system.codec, written), OnnxModel(data, name=card.name)
    tensors = [_noise(system, (224, 160), 3), *_image_inputs(system, images, ours)]
    difference = float(np.max([parity(ours, theirs, tensor, **_extra_inputs(system, tensor)) for tensor in tensors]))
    if not difference <= TOLERANCE:  # NaN is a difference too
        raise WeightsError(
            f"The exported file differs from the network by {difference:.1e}, at most {TOLERANCE:.0e} is allowed; "
            "nothing was written. Report the versions of torch and onnxruntime."
        )
    write_bytes(destination, data)
    return ExportResult(written, difference, len(images))


def parity(ours: Any, theirs: Any, tensor: Floats, **extra_inputs: Floats) -> float:
    """Largest difference of any field between two models on one input, relative to the field's largest value."""
    expected, got = ours.run(tensor, **extra_inputs), theirs.run(tensor, **extra_inputs)
    differences = [np.abs(got[name] - field).max() / max(np.abs(field).max(), 1) for name, field in expected.items()]
    return float(np.max(differences))


def per_person_input_shape(system: System) -> tuple[int, int, int] | None:
    """(C, h, w) of the input of each person; None for a network whose input is the image."""
    if isinstance(system, Multitask):
        return 3, *system.crop_size_px
    if isinstance(system, MaskRefinerSystem):
        return INPUT_CHANNELS, system.crop_px, system.crop_px
    return (system.codec.inputs, 1, 1) if isinstance(system, LifterSystem) else None


def fold_batchnorm(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode with every batch normalisation folded into the convolution just before it."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        children = list(module.named_children())
        for (before, conv), (after, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, before, fuse_conv_bn_eval(conv, norm))
                setattr(module, after, nn.Identity())
    return folded


def _trace(wrapper: _OnnxWrapper, system: System, example: Floats, extra_inputs: Mapping[str, Floats]) -> ModelProto:
    """The network as ONNX, with free sizes of the image or numbers of people, and large weights as float16."""
    per_person = per_person_input_shape(system) is not None
    dynamic = {"image": {0: "people"} if per_person else {2: "height", 3: "width"}}
    dynamic |= {name: {1: "people"} for name in extra_inputs}
    for name in wrapper.names:
        dynamic[name] = {0: "people"} if extra_inputs or per_person else {2: "rows", 3: "columns"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is the one that needs no further package; its deprecation is known.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            wrapper, tuple(map(torch.from_numpy, (example, *extra_inputs.values()))), buffer,  # type: ignore[arg-type]
            dynamo=False, opset_version=OPSET, input_names=["image", *extra_inputs], output_names=list(wrapper.names),
            dynamic_axes=dynamic,
        )  # fmt: skip
    model = onnx.load_model_from_string(buffer.getvalue())
    _to_fp16_weights(model)
    return model


def _noise(system: System, size: tuple[int, int], people: int) -> Floats:
    """Noise as a network's input: an image of about `size`, or that many people."""
    offset, per_person = system.size_offset, per_person_input_shape(system)
    shape = (1, 3, *(side + offset for side in size)) if per_person is None else (people, *per_person)
    noise: Floats = torch.randn(*shape, generator=torch.Generator().manual_seed(0)).numpy()
    return noise


def _image_inputs(system: System, images: Sequence[Bytes], ours: TorchModel[Any]) -> Iterator[Floats]:
    """Every image as the network's input: at the card's size and at half of it, or as one person; a lifter has none."""
    card = ours.card
    for image in images:
        if isinstance(system, MaskRefinerSystem):
            yield _refiner_input(system, image, card)
        elif isinstance(system, Multitask):
            yield TopDownPose(ours).crops(image, ours.codec.crops([[0, 0, image.shape[1], image.shape[0]]], margin=0))
        elif not isinstance(system, LifterSystem):
            for size_px in (card.inference.long_edge_px, card.inference.long_edge_px // 2):
                yield card.prepare(image, size_px)[0]


def _refiner_input(system: MaskRefinerSystem, image: Bytes, card: Card) -> Floats:
    """An image as the input of a mask refiner, with a round probability map at the centre and no joints."""
    codec, side = system.codec, system.crop_px
    windows = codec.crops([[0, 0, image.shape[1], image.shape[0]]], (image.shape[0], image.shape[1]))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    probability = np.clip(1.5 - 1.5 * np.hypot(x, y), 0, 1).astype(np.float32)
    joints = np.zeros((1, len(system.skeleton), 3), np.float32)
    prior_maps = np.stack([probability, 2 * probability - 1])[None]
    seen: Floats = codec.network_input(crop_images(image, windows), prior_maps, joints, card.mean, card.std)
    return seen


def _extra_inputs(system: System, tensor: Floats) -> dict[str, Floats]:
    """The inputs besides the image: people in typical poses, some of them partly outside."""
    if not isinstance(system, Pose2Seg):
        return {}
    codec, (height, width) = system.codec, tensor.shape[2:]
    templates, rng = codec.templates, np.random.default_rng(0)
    corners = rng.uniform(-0.2, 0.8, (len(templates), 1, 2)) * (width, height)
    sides = rng.uniform(0.3, 1.0, (len(templates), 1, 1)) * min(width, height)
    people = People.from_poses(codec.skeleton, templates.points * sides + corners, templates.visible)
    windows = codec.crops(people, (height, width))
    return {name: array[None] for name, array in codec.network_inputs(people, windows).items()}


def _round_to_fp16(network: nn.Module) -> nn.Module:
    """The network with large weights rounded to float16."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.dtype.is_floating_point and tensor.numel() >= MIN_FP16_SIZE:
                tensor.copy_(tensor.half().float())
    return network


def _to_fp16_weights(model: ModelProto) -> None:
    """Store large float32 initialisers as float16 with a cast behind them."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < MIN_FP16_SIZE:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)
