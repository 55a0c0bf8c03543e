"""A torch network in place of a model file: to evaluate it before it is exported, and to compare both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Generic, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from poseg.codecs import Codec
from poseg.fields import Fields
from poseg.runtime.card import Card
from poseg.runtime.inference import InferenceConfig
from poseg.systems import SYSTEMS, System
from poseg.transforms.letterbox import Crop, Letterbox

AnyCodec = TypeVar("AnyCodec", bound=Codec)


class TorchModel(Generic[AnyCodec]):
    """A network with a codec and a card, for whatever runs an ONNX model.

    The network is used as it is: the caller chooses evaluation mode and device.
    """

    def __init__(self, network: nn.Module, codec: AnyCodec, card: Card) -> None:
        self.network, self.codec, self.card = network, codec, card

    @torch.no_grad()
    def run(self, tensor: NDArray[np.float32], **extra_inputs: NDArray[np.float32]) -> Fields:
        """Fields of a normalised input (1, 3, h, w), and of extra inputs by name."""
        device = next(self.network.parameters()).device
        arrays = {"image": tensor, **extra_inputs}
        inputs = {name: torch.from_numpy(np.ascontiguousarray(array)).to(device) for name, array in arrays.items()}
        fields = self.network(**inputs)
        return self.codec.fields_from_outputs(
            {spec.name: fields[spec.name].float().cpu().numpy() for spec in self.codec.specs}
        )

    def prepare(
        self, image: NDArray[np.uint8], long_edge_px: int, crop_xyxy: Crop | None = None
    ) -> tuple[NDArray[np.float32], Letterbox]:
        """An image as the network's input (`Card.prepare`)."""
        return self.card.prepare(image, long_edge_px, crop_xyxy)

    def run_each(self, tensors: Sequence[NDArray[np.float32]]) -> list[Fields]:
        """`run` of each, one after the other."""
        return [self.run(tensor) for tensor in tensors]


def make_card(
    system: System,
    *,
    name: str,
    inference: InferenceConfig,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    **metadata: object,
) -> Card:
    """The card of a system's network; `metadata` are its licences, data, scores and notes."""
    codec = system.codec
    return Card(
        name=name,
        system=next(key for key, kind in SYSTEMS.items() if type(system) is kind),
        codec=codec.to_dict(),
        skeleton=asdict(system.skeleton),
        inference=inference,
        size_divisor=system.size_divisor,
        size_offset=system.size_offset,
        mean=mean,
        std=std,
        outputs={spec.name: spec.name for spec in codec.specs},
        **metadata,  # type: ignore[arg-type]
    )
