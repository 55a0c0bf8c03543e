"""A trained network as an ONNX file with its card, and proof that both compute the same.

Weights are stored in half precision and widened once, when a session loads the file: half the download, the same
speed. The network's own weights are rounded first, so network and file agree to float32 rounding.
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
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from poseg.codecs.mask_refiner import INPUT_CHANNELS
from poseg.errors import WeightsError
from poseg.export.network_runner import NetworkRunner
from poseg.export.onnx_card import with_card
from poseg.fields.align import crop_images
from poseg.io.files import write_bytes
from poseg.people import People
from poseg.runtime.card import Card
from poseg.runtime.crop_pose import TopDownPose
from poseg.runtime.onnx_model import OnnxModel
from poseg.systems import System
from poseg.systems.lifter import Lifter
from poseg.systems.multitask import Multitask
from poseg.systems.painter import Painter
from poseg.systems.pose2seg import Pose2Seg

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

OPSET = 17
LEAST_HALVED = 256  # smaller tensors are shapes, scales and biases: nothing to save there
TOLERANCE = 1e-4


@dataclass(frozen=True, slots=True)
class Exported:
    """What came of an export.

    card        as written, with the hash of the file
    difference  largest difference between network and file, relative to a field's largest value
    pictures    that this was measured on, beside noise
    """

    card: Card
    difference: float
    pictures: int


class _Flat(nn.Module):
    """The network with its fields as a tuple, in the order of the specs: what a tracer understands."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        fields: Mapping[str, Tensor] = self.network(*inputs)
        return tuple(fields[name] for name in self.names)


def export_onnx(
    network: nn.Module, system: System, card: Card, destination: Path, pictures: Sequence[Bytes] = ()
) -> Exported:
    """Write the network with its card to `destination`, after both have proved to compute the same.

    pictures   (H, W, 3) uint8 RGB each: the proof is made on them, in the card's size and in half of it, and on noise

    Raises WeightsError where network and file disagree by more than `TOLERANCE`; nothing is written then.
    """
    names = [spec.name for spec in system.codec.specs]
    flat = _Flat(_rounded(fold_norms(network)), names).eval()
    example, person = _noise(system, (160, 192), 1), person_shape(system)
    given = _given(system, example)
    dynamic = {"image": {0: "people"} if person else {2: "height", 3: "width"}}
    dynamic |= {name: {1: "people"} for name in given}
    for name in names:
        dynamic[name] = {0: "people"} if given or person else {2: "rows", 3: "columns"}
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is the one that needs no further package; its deprecation is known.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            flat, tuple(map(torch.from_numpy, (example, *given.values()))), buffer,  # type: ignore[arg-type]
            dynamo=False, opset_version=OPSET, input_names=["image", *given], output_names=names, dynamic_axes=dynamic,
        )  # fmt: skip
    model = onnx.load_model_from_string(buffer.getvalue())
    _halve(model)
    data, written = with_card(model, card)
    ours, theirs = NetworkRunner(flat.network, system.codec, written), OnnxModel(data, name=card.name)
    inputs = [_noise(system, (224, 160), 3), *(_people(system, pictures, ours) if person else _inputs(pictures, card))]
    difference = float(np.max([parity(ours, theirs, tensor, **_given(system, tensor)) for tensor in inputs]))
    if not difference <= TOLERANCE:  # not a number is no agreement either
        raise WeightsError(
            f"The exported file differs from the network by {difference:.1e}, at most {TOLERANCE:.0e} is allowed; "
            "nothing was written. Report the versions of torch and onnxruntime."
        )
    write_bytes(destination, data)
    return Exported(written, difference, len(pictures))


def parity(ours: Any, theirs: Any, tensor: Floats, **given: Floats) -> float:
    """Largest difference of any field between two runners on one input, relative to the field's largest value."""
    expected, found = ours.run(tensor, **given), theirs.run(tensor, **given)
    differences = [np.abs(found[name] - field).max() / max(np.abs(field).max(), 1) for name, field in expected.items()]
    return float(np.max(differences))


def person_shape(system: System) -> tuple[int, int, int] | None:
    """(C, h, w) of what a network sees of each person, where it sees people and not pictures."""
    if isinstance(system, Multitask):
        return 3, system.crop_px, system.crop_px
    if isinstance(system, Painter):
        return INPUT_CHANNELS, system.crop_px, system.crop_px
    return (system.codec.inputs, 1, 1) if isinstance(system, Lifter) else None


def _noise(system: System, size: tuple[int, int], people: int) -> Floats:
    """Noise as a network's input: a picture of about `size`, or so many people."""
    remainder = system.input_rule[1]
    shape = (1, 3, *(side + remainder for side in size))
    person = person_shape(system)
    drawn: Floats = torch.randn(*((people, *person) if person else shape), generator=_generator()).numpy()
    return drawn


def _people(system: System, pictures: Sequence[Bytes], ours: NetworkRunner[Any]) -> Iterator[Floats]:
    """Every picture as one person: a crop, or a window where a circle is sure; a lifter sees none."""
    if isinstance(system, Painter):
        yield from (_window(system, picture, ours.card) for picture in pictures)
    if not isinstance(system, Multitask):
        return
    poser = TopDownPose(ours)
    for picture in pictures:
        height, width = picture.shape[:2]
        yield poser.crops(picture, ours.codec.crops([[0, 0, width, height]], margin=0))


def _window(system: Painter, picture: Bytes, card: Card) -> Floats:
    """A picture as a painter sees it, with a person of whom nothing but a round patch in the middle is known."""
    codec, side = system.codec, system.crop_px
    windows = codec.crops([[0, 0, picture.shape[1], picture.shape[0]]], (picture.shape[0], picture.shape[1]))
    y, x = np.mgrid[-1 : 1 : side * 1j, -1 : 1 : side * 1j]
    near = np.clip(1.5 - 1.5 * np.hypot(x, y), 0, 1).astype(np.float32)
    nobody = np.zeros((1, len(system.skeleton), 3), np.float32)
    evidence = np.stack([near, 2 * near - 1])[None]
    seen: Floats = codec.network_input(crop_images(picture, windows), evidence, nobody, card.mean, card.std)
    return seen


def _inputs(pictures: Sequence[Bytes], card: Card) -> Iterator[NDArray[np.float32]]:
    """Every picture as the network gets it, in the size it is meant for and in half of that."""
    for picture in pictures:
        for size_px in (card.inference.long_edge_px, card.inference.long_edge_px // 2):
            yield card.prepare(picture, size_px)[0]


def _given(system: System, tensor: Floats) -> dict[str, Floats]:
    """What the network takes besides the picture: people in typical poses, some of them partly outside."""
    if not isinstance(system, Pose2Seg):
        return {}
    codec, (height, width) = system.codec, tensor.shape[2:]
    templates, rng = codec.templates, np.random.default_rng(0)
    places = rng.uniform(-0.2, 0.8, (len(templates), 1, 2)) * (width, height)
    sides = rng.uniform(0.3, 1.0, (len(templates), 1, 1)) * min(width, height)
    people = People.from_poses(codec.skeleton, templates.points * sides + places, templates.visible)
    windows = codec.crops(people, (height, width))
    return {name: array[None] for name, array in codec.network_inputs(people, windows).items()}


def fold_norms(network: nn.Module) -> nn.Module:
    """A copy in evaluation mode with every batch normalisation folded into the convolution just before it."""
    folded = copy.deepcopy(network).eval()
    for module in list(folded.modules()):
        children = list(module.named_children())
        for (before, conv), (after, norm) in pairwise(children):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                setattr(module, before, fuse_conv_bn_eval(conv, norm))
                setattr(module, after, nn.Identity())
    return folded


def _rounded(network: nn.Module) -> nn.Module:
    """The network with large weights as float16 holds them."""
    with torch.no_grad():
        for tensor in network.state_dict().values():
            if tensor.dtype.is_floating_point and tensor.numel() >= LEAST_HALVED:
                tensor.copy_(tensor.half().float())
    return network


def _halve(model: onnx.ModelProto) -> None:
    """Store large float32 initialisers as float16 with a cast behind them."""
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or np.prod(tensor.dims) < LEAST_HALVED:
            continue
        name, values = tensor.name, numpy_helper.to_array(tensor).astype(np.float16)
        tensor.CopyFrom(numpy_helper.from_array(values, f"{name}.half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}.half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _generator() -> torch.Generator:
    return torch.Generator().manual_seed(0)
