"""A torch network where a predictor wants a model file: to measure it before it is exported, and to compare both."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from poseg.codecs.personlab import PersonLabCodec
from poseg.fields import Fields
from poseg.runtime.card import Card
from poseg.systems.personlab import PersonLab

INPUT_MULTIPLE = 32  # sides of the input are so many pixels times n, and one


class NetworkRunner:
    """A PersonLab network as `runtime.predictor.Runner`.

    The network is used as it stands: the caller chooses evaluation mode and device.
    """

    def __init__(self, network: nn.Module, codec: PersonLabCodec, card: Card) -> None:
        self.network, self.codec, self.card = network, codec, card

    @torch.no_grad()
    def run(self, tensor: NDArray[np.float32]) -> Fields:
        """Fields of a normalised input (1, 3, h, w)."""
        device = next(self.network.parameters()).device
        fields = self.network(torch.from_numpy(np.ascontiguousarray(tensor)).to(device))
        specs = self.codec.specs
        return Fields.from_flat(specs, {spec.name: fields[spec.name][0].float().cpu().numpy() for spec in specs})


def personlab_card(
    system: PersonLab,
    *,
    name: str,
    size_px: int,
    mean: tuple[float, float, float],
    std: tuple[float, float, float],
    **facts: object,
) -> Card:
    """The card of a PersonLab network; `facts` are the card's licences, data, scores and notes."""
    codec = system.codec
    return Card(
        name=name,
        system="personlab",
        codec=codec.to_plain(),
        skeleton=asdict(system.skeleton),
        size_px=size_px,
        size_multiple=INPUT_MULTIPLE,
        size_remainder=1,
        mean=mean,
        std=std,
        outputs={spec.name: spec.name for spec in codec.specs},
        **facts,  # type: ignore[arg-type]
    )
