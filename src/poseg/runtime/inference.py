"""How a bottom-up model is run on an image, as one value, and what every kind of predictor needs of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from poseg.errors import PosegError
from poseg.fields import Fields
from poseg.transforms.letterbox import Crop, Letterbox

if TYPE_CHECKING:
    from poseg.runtime.card import Card

Floats = NDArray[np.float32]

MIN_INPUT_PX, MAX_INPUT_PX = 64, 4097


@dataclass(frozen=True, slots=True)
class InferenceConfig:
    """The views of an image that people are read from. Change one with `dataclasses.replace`.

    long_edge_px  long edge of the network's input at scale 1
    scales        the image is seen at each of these, relative to `long_edge_px`
    flip          the flipped image is seen too and fields are averaged; with `adaptive` at the largest scale alone
    adaptive      with several scales, begin with the second largest; take smaller ones where a person is too large in
                  it, and the largest at the part of the image where people are that it fits (`codecs.scale_selection`):
                  faster than all scales everywhere, and about as good
    mask_refiner  name of the bundled model, or path of the file, that refines masks; none where empty

    """

    long_edge_px: int
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    adaptive: bool = False
    mask_refiner: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(float(scale) for scale in self.scales))

    def check(self) -> None:
        """Raise PosegError for scales and sizes that make no sense."""
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise PosegError(f"Scales are numbers above 0, got {self.scales}; 1 is the model's own size.")
        for scale in self.scales:
            check_input_px(round(self.long_edge_px * scale))


class InferenceModel(Protocol):
    """What predictors need of a model; `runtime.onnx_model.OnnxModel` is one."""

    @property
    def card(self) -> Card:
        """Everything that the model says of itself."""

    @property
    def codec(self) -> Any:
        """What encodes people as the model's fields and decodes them: a codec of the card's system."""

    def prepare(
        self, image: NDArray[np.uint8], long_edge_px: int, crop_xyxy: Crop | None = None
    ) -> tuple[Floats, Letterbox]:
        """An image (H, W, 3) uint8 RGB, or a part of it, as the network's input (`Card.prepare`)."""

    def run(self, tensor: Floats, **extra_inputs: Floats) -> Fields:
        """Fields of a normalised input."""

    def run_two(self, first: Floats, second: Floats) -> tuple[Fields, Fields]:
        """`run` of both."""


def check_input_px(long_edge_px: int) -> None:
    """Raise PosegError for a network input of a size that makes no sense."""
    if not MIN_INPUT_PX <= long_edge_px <= MAX_INPUT_PX:
        raise PosegError(
            f"The network's input would be {long_edge_px} pixels long; choose a long edge and scales that give "
            f"{MIN_INPUT_PX} to {MAX_INPUT_PX}."
        )
