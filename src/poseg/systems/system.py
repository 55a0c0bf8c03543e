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
        """Encodes targets and decodes fields."""
        ...

    @property
    def normalisation(self) -> Normalisation:
        """Mean and standard deviation of the RGB values (0..255) of the network's input."""
        ...

    @property
    def size_divisor(self) -> int:
        """Sides of the network's input are multiples of this, plus `size_offset` pixels."""
        ...

    @property
    def size_offset(self) -> int:
        """See `size_divisor`."""
        ...

    def network(self) -> nn.Module:
        """A fresh network with random weights."""
        ...

    def loss(self) -> nn.Module:
        """The loss that goes with the codec's targets."""
        ...
