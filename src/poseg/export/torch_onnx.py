"""A trained network as an ONNX file with its card, and proof that both compute the same.

Weights are stored in half precision and widened once, when a session loads the file: half the download, the same
speed. The network's own weights are rounded first, so network and file agree to float32 rounding.
"""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from poseg.errors import WeightsError
from poseg.export.onnx_card import with_card
from poseg.io.atomic import write_bytes
from poseg.runtime.card import Card
from poseg.runtime.session import Session
from poseg.systems.personlab import MEAN, STD, PersonLab

OPSET = 17
LEAST_HALVED = 256  # smaller tensors are shapes, scales and biases: nothing to save there
TOLERANCE = 1e-4


class _Flat(nn.Module):
    """The network with its fields as a tuple, in the order of the specs: what a tracer understands."""

    def __init__(self, network: nn.Module, names: Sequence[str]) -> None:
        super().__init__()
        self.network, self.names = network, tuple(names)

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        fields: Mapping[str, Tensor] = self.network(image)
        return tuple(fields[name] for name in self.names)


def personlab_card(system: PersonLab, *, name: str, size_px: int, **facts: object) -> Card:
    """The card of a PersonLab network; `facts` are the card's licences, data, scores and notes."""
    codec = system.codec
    return Card(
        name=name,
        system="personlab",
        codec=codec.to_plain(),
        skeleton=asdict(system.skeleton),
        size_px=size_px,
        size_multiple=32,
        size_remainder=1,
        mean=MEAN,
        std=STD,
        outputs={spec.name: spec.name for spec in codec.specs},
        **facts,  # type: ignore[arg-type]
    )


def export_onnx(network: nn.Module, system: PersonLab, card: Card, destination: Path) -> Card:
    """Write the network with its card to `destination`; returns the card as written, with its hash.

    Raises WeightsError where network and file disagree (`parity`); nothing is written then.
    """
    names = [spec.name for spec in system.codec.specs]
    flat = _Flat(_rounded(fold_norms(network)), names).eval()
    image = torch.zeros(1, 3, 161, 193)
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # The tracing exporter is the one that needs no further package; its deprecation is known.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            flat, (image,), buffer,  # type: ignore[arg-type]
            dynamo=False, opset_version=OPSET, input_names=["image"], output_names=names,
            dynamic_axes={"image": {2: "height", 3: "width"}, **{n: {2: "rows", 3: "columns"} for n in names}},
        )  # fmt: skip
    model = onnx.load_model_from_string(buffer.getvalue())
    _halve(model)
    data, written = with_card(model, card)
    difference = parity(flat, Session(data, name=card.name), torch.randn(1, 3, 225, 161, generator=_generator()))
    if not difference <= TOLERANCE:  # not a number is no agreement either
        raise WeightsError(
            f"The exported file differs from the network by {difference:.1e}, at most {TOLERANCE:.0e} is allowed; "
            "nothing was written. Report the versions of torch and onnxruntime."
        )
    write_bytes(destination, data)
    return written


def parity(flat: nn.Module, session: Session, image: Tensor) -> float:
    """Largest difference of any field between network and file, relative to the field's largest value."""
    with torch.no_grad():
        expected = dict(zip((spec.name for spec in session.codec.specs), flat(image), strict=True))
    found = session.run(image.numpy())
    differences = [0.0]
    for name, field in expected.items():
        ours = field.numpy()[0]
        differences.append(np.abs(found[name].reshape(ours.shape) - ours).max() / max(np.abs(ours).max(), 1))
    return float(np.max(differences))


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
