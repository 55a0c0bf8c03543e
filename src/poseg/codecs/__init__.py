"""Codecs: people to fields and back, one for each system, by the name on a model's card."""

from __future__ import annotations

from poseg.codecs.codec import Codec
from poseg.codecs.decoding import BEST, CORAL, PAPER, TFJS, Decoding
from poseg.codecs.personlab import PersonLabCodec

CODECS = {"personlab": PersonLabCodec}

__all__ = ["BEST", "CODECS", "CORAL", "PAPER", "TFJS", "Codec", "Decoding", "PersonLabCodec"]
