"""The card that rides inside an ONNX file: everything needed to run the model, and where it comes from.

It is one JSON text under the key `CARD_KEY` of the file's metadata. Readers refuse a newer `version` with a
sentence; writers always write the current one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from poseg.errors import CardError

CARD_KEY = "poseg.card"
CARD_VERSION = 4


@dataclass(frozen=True, slots=True)
class Card:
    """What a model file says of itself.

    name           short name, such as "small"
    system         key of the codec, such as "personlab"
    codec          the codec's settings as plain data (`Codec.to_plain`)
    skeleton       name, joints, bones, tree and sigmas as plain data
    size_px        long side of the input that the model is meant for
    scales         sizes, relative to that, at which it is meant to look at a picture
    everywhere     whether it is meant to look at all of a picture at each of them, or only where it is worth it
    flip           whether it is meant to look at the mirror image too
    size_multiple  sides of the input are size_multiple * n + size_remainder pixels
    mean, std      the input is (RGB in 0..255 - mean) / std, for each channel
    outputs        output names in the file, by field name
    licences       {"code": ..., "weights": ...}
    data           training sets: [{"name", "pictures", "use", "terms"}]
    scores         what was measured: [{"data", "pictures", "size_px", "metric", "value", "interval", "command"}]
    notes          anything a user should know, as sentences
    painter        name of the model that paints the masks of the people it finds; none where empty
    sha256         hash of the file without its card, to tell two exports apart
    """

    name: str
    system: str
    codec: Mapping[str, Any]
    skeleton: Mapping[str, Any]
    size_px: int
    size_multiple: int
    size_remainder: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    outputs: Mapping[str, str]
    licences: Mapping[str, str] = field(default_factory=dict)
    data: tuple[Mapping[str, Any], ...] = ()
    scores: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    scales: tuple[float, ...] = (1.0,)
    everywhere: bool = True
    flip: bool = False
    painter: str = ""
    sha256: str = ""
    version: int = CARD_VERSION

    def to_json(self) -> str:
        """The text that is stored in the file."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Card:
        """Read a card; `source` names the file in messages. Raises CardError."""
        try:
            plain = json.loads(text)
            version = int(plain.get("version", 0))
        except (ValueError, TypeError, AttributeError):
            raise CardError(f"The card of {source} is not readable JSON; export the model again.") from None
        if version > CARD_VERSION:
            raise CardError(
                f"The card of {source} has version {version}, this poseg reads up to {CARD_VERSION}; upgrade poseg."
            )
        try:
            for name in ("mean", "std", "data", "scores", "notes", "scales"):
                if name in plain:
                    plain[name] = tuple(plain[name])
            return cls(**plain)
        except TypeError as fault:
            raise CardError(f"The card of {source} is incomplete ({fault}); export the model again.") from None

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, source: str) -> Card:
        """The card in a model's metadata. Raises CardError where there is none."""
        if CARD_KEY not in metadata:
            raise CardError(
                f"{source} carries no poseg card, so its input and outputs are unknown; "
                "use a model exported by poseg, or `poseg import-google` for PoseNet and BodyPix weights."
            )
        return cls.from_json(metadata[CARD_KEY], source=source)
