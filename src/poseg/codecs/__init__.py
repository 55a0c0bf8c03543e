"""Codecs: people to fields and back, one for each system, by the name on a model's card."""

from __future__ import annotations

from poseg.codecs.codec import BottomUpCodec, Codec
from poseg.codecs.decoder_config import CORAL, DEFAULT, PAF_DEFAULT, PAPER, TFJS, PafDecoder, PersonLabDecoder
from poseg.codecs.lifting import LiftingCodec
from poseg.codecs.mask_refiner import MaskRefinerCodec
from poseg.codecs.multitask import MultitaskCodec
from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.codecs.poseg import PoSegCodec

CODECS: dict[str, type[Codec]] = {
    "lifter": LiftingCodec,
    "multitask": MultitaskCodec,
    "mask_refiner": MaskRefinerCodec,
    "personlab": PersonLabCodec,
    "pose2seg": Pose2SegCodec,
    "poseg": PoSegCodec,
}

__all__ = [
    "CODECS",
    "CORAL",
    "DEFAULT",
    "PAF_DEFAULT",
    "PAPER",
    "TFJS",
    "BottomUpCodec",
    "Codec",
    "LiftingCodec",
    "MaskRefinerCodec",
    "MultitaskCodec",
    "PafDecoder",
    "PersonLabCodec",
    "PersonLabDecoder",
    "PoSegCodec",
    "Pose2SegCodec",
]  # fmt: skip
