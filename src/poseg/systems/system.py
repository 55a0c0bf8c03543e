"""What a system is: a frozen config that builds its network, its codec and its loss."""

from __future__ import annotations

from typing import Protocol

from torch import nn

from poseg.codecs import Codec
from poseg.networks.backbones.build import Normalisation
from poseg.skeletons import Skeleton


class System(Protocol):
    """The config is the factory."""

    @property
    def skeleton(self) -> Skeleton:
        """Names the joints."""
        ...

    @property
    def backbone(self) -> str:
        """A name of `networks.backbones.build`."""
        ...

    @property
    def codec(self) -> Codec:
        """What paints targets and reads fields."""
        ...

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) that the network reads."""
        ...

    @property
    def input_rule(self) -> tuple[int, int]:
        """(a, b): sides of the network's input are a n + b pixels."""
        ...

    def network(self) -> nn.Module:
        """A fresh network with random weights."""
        ...

    def loss(self) -> nn.Module:
        """The loss that goes with the codec's targets."""
        ...
