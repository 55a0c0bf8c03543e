"""Codecs: people to fields and back, one for each system, by the name on a model's card."""

from __future__ import annotations

from poseg.codecs.codec import Codec, Finder
from poseg.codecs.decoding import BEST, CORAL, PAPER, TFJS, Decoding
from poseg.codecs.lifting import LiftingCodec
from poseg.codecs.multitask import MultitaskCodec
from poseg.codecs.paf_decoding import PAF, PafDecoding
from poseg.codecs.painter import PainterCodec
from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.codecs.poseg import PoSegCodec

CODECS: dict[str, type[Codec]] = {
    "lifter": LiftingCodec,
    "multitask": MultitaskCodec,
    "painter": PainterCodec,
    "personlab": PersonLabCodec,
    "pose2seg": Pose2SegCodec,
    "poseg": PoSegCodec,
}

__all__ = ["BEST", "CODECS", "CORAL", "PAF", "PAPER", "TFJS", "Codec", "Decoding", "Finder", "LiftingCodec",
           "MultitaskCodec", "PafDecoding", "PainterCodec", "PersonLabCodec", "PoSegCodec",
           "Pose2SegCodec"]  # fmt: skip
