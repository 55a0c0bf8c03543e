"""Codecs: people to fields and back, one for each system, by the name on a model's card."""

from __future__ import annotations

from poseg.codecs.codec import Codec
from poseg.codecs.decoding import BEST, CORAL, PAPER, TFJS, Decoding
from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.pose2seg import Pose2SegCodec

CODECS: dict[str, type[PersonLabCodec] | type[Pose2SegCodec]] = {"personlab": PersonLabCodec, "pose2seg": Pose2SegCodec}

__all__ = ["BEST", "CODECS", "CORAL", "PAPER", "TFJS", "Codec", "Decoding", "PersonLabCodec",
           "Pose2SegCodec"]  # fmt: skip
