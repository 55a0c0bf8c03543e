"""The model card in the metadata of an ONNX file: everything needed to run the model, and its provenance.

It is one JSON text under the key `CARD_KEY`. Reading a card of a newer `version` raises CardError.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, get_args, get_type_hints

import numpy as np
from numpy.typing import NDArray

from poseg.errors import CardError
from poseg.io.overrides import InvalidValueError, parse_value
from poseg.runtime.inference import InferenceConfig
from poseg.transforms.letterbox import Crop, Letterbox, letterbox

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

CARD_KEY = "poseg.card"
MAX_STEP_PX = 256  # between two sizes that a network takes
MAX_COLOUR, MIN_STD = 1e6, 1e-6  # images are in 0..255
CARD_VERSION = 6


def _parsed(kind: Any, plain: Mapping[str, Any]) -> Any:
    """A dataclass of plain data whose values have the types of its fields. Raises InvalidValueError and KeyError."""
    hints, values = get_type_hints(kind), {}
    for name, value in plain.items():
        if name not in hints:
            raise InvalidValueError(f"an entry {name!r:.60}, which cards do not have")
        try:
            done = isinstance(value, InferenceConfig)
            parsed = value if done else parse_value(value, hints[name], None, name)
            is_text = get_args(hints[name]) == (str, str)
            values[name] = {str(key): str(text) for key, text in parsed.items()} if is_text else parsed
        except InvalidValueError as expected:
            raise InvalidValueError(f"{name} {value!r:.60} where {expected} should be") from None
    return kind(**values)


@dataclass(frozen=True, slots=True)
class Card:
    """The card of a model.

    name           short name, such as "small"
    system         key of the codec, such as "personlab"
    codec          the codec's settings as plain data (`Codec.to_dict`)
    skeleton       name, joints, bones, tree and sigmas as plain data
    inference      recommended views of an image; models that are not bottom-up use its `long_edge_px` only
    size_divisor   sides of the input are size_divisor * n + size_offset pixels
    mean, std      the input is (RGB in 0..255 - mean) / std, for each channel
    outputs        output names in the file, by field name
    licences       {"code": ..., "weights": ...}
    data           training sets: [{"name", "images", "use", "terms"}]
    scores         evaluation results: [{"data", "images", "long_edge_px", "metric", "value", "interval", "command"}]
    notes          remarks for users, as sentences
    precision      of the weights: "FP32"; "FP16", computed in FP32; or "INT8", whose sums do not saturate where
                   `poseg quantize` limited the weights (`export.weight_range`)
    sha256         hash of the file without its card, to tell two exports apart
    """

    name: str
    system: str
    codec: Mapping[str, Any]
    skeleton: Mapping[str, Any]
    inference: InferenceConfig
    size_divisor: int
    size_offset: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    outputs: Mapping[str, str]
    licences: Mapping[str, str] = field(default_factory=dict)
    data: tuple[Mapping[str, Any], ...] = ()
    scores: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()
    precision: str = "FP32"
    sha256: str = ""
    version: int = CARD_VERSION

    def prepare(self, image: Bytes, long_edge_px: int, crop_xyxy: Crop | None = None) -> tuple[Floats, Letterbox]:
        """An image (H, W, 3) uint8 RGB, or a part of it, as the network's input (1, 3, h, w), and its letterbox.

        A part has the scale of the whole image at `long_edge_px`. Raises ShapeError.
        """
        return letterbox(
            image, long_edge_px, size_divisor=self.size_divisor, size_offset=self.size_offset, mean=self.mean,
            std=self.std, crop_xyxy=crop_xyxy,
        )  # fmt: skip

    def to_json(self) -> str:
        """The text that is stored in the file."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str, *, source: str) -> Card:
        """Read a card; `source` names the file in messages. Raises CardError."""
        try:
            plain = json.loads(text)
            version = int(plain.get("version", 0))
        except (ValueError, TypeError, AttributeError, OverflowError, RecursionError):
            raise CardError(f"The card of {source} is not readable JSON; export the model again.") from None
        if version > CARD_VERSION:
            raise CardError(
                f"The card of {source} has version {version}, this poseg reads up to {CARD_VERSION}; upgrade poseg."
            )
        try:
            card: Card = _parsed(cls, {**plain, "inference": _parsed(InferenceConfig, plain["inference"])})
        except InvalidValueError as fault:
            raise CardError(f"The card of {source} has {fault}; export the model again.") from None
        except (AttributeError, KeyError, TypeError) as fault:
            raise CardError(f"The card of {source} is incomplete ({fault}); export the model again.") from None
        colours = np.array([*card.mean, *card.std])
        steps = 0 < card.size_divisor <= MAX_STEP_PX and 0 <= card.size_offset <= MAX_STEP_PX
        if not (steps and (np.abs(colours) <= MAX_COLOUR).all() and min(card.std) >= MIN_STD):  # also NaN
            raise CardError(f"The card of {source} has an input that no image has; export the model again.")
        return card

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, str], *, source: str) -> Card:
        """The card in a model's metadata. Raises CardError where there is none."""
        if CARD_KEY not in metadata:
            raise CardError(
                f"{source} carries no poseg card, so its input and outputs are unknown; "
                "use a model exported by poseg, or `poseg import-google` for PoseNet and BodyPix weights."
            )
        return cls.from_json(metadata[CARD_KEY], source=source)
