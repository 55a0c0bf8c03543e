"""Inference settings of a bottom-up model, and the protocol of models that predictors run."""

from __future__ import annotations

from collections.abc import Sequence
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
    """Views of an image, refiners and joints: how people are read. Change one with `dataclasses.replace`.

    long_edge_px  long edge of the network's input at scale 1
    scales        scales of the views, relative to `long_edge_px`
    flip          average fields with those of the flipped image, with `adaptive` at larger scales than the first only,
                  and refined poses with those of flipped crops
    adaptive      with several scales, begin with the second smallest (of two, the smaller), add the smallest where a
                  person is too large, and run each larger one on the part of the image with people that it fits
                  (`codecs.scale_selection`); faster than all scales on the whole image, and about as accurate
    pose_refiner  name of a bundled model, or path of a file, that refines poses, one crop a person; "" for none
    mask_refiner  name of a bundled model, or path of a file, that refines masks; "" for none
    joints        the joints that people are given, in this order; empty for all that the network predicts
    """

    long_edge_px: int
    scales: tuple[float, ...] = (1.0,)
    flip: bool = False
    adaptive: bool = False
    pose_refiner: str = ""
    mask_refiner: str = ""
    joints: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", tuple(float(scale) for scale in self.scales))
        object.__setattr__(self, "joints", tuple(self.joints))

    def check(self) -> None:
        """Raise PosegError for invalid scales and sizes."""
        if not self.scales or not all(scale > 0 for scale in self.scales):
            raise PosegError(f"Scales are numbers above 0, got {self.scales}; 1 is the model's own size.")
        for scale in self.scales:
            check_input_px(round(self.long_edge_px * scale))


class InferenceModel(Protocol):
    """What predictors need of a model; `runtime.onnx_model.OnnxModel` is one."""

    @property
    def card(self) -> Card:
        """The model card."""

    @property
    def codec(self) -> Any:
        """The codec of the card's system."""

    def prepare(
        self, image: NDArray[np.uint8], long_edge_px: int, crop_xyxy: Crop | None = None
    ) -> tuple[Floats, Letterbox]:
        """An image (H, W, 3) uint8 RGB, or a part of it, as the network's input (`Card.prepare`)."""

    def run(self, tensor: Floats, **extra_inputs: Floats) -> Fields:
        """Fields of a normalised input."""

    def run_each(self, tensors: Sequence[Floats]) -> list[Fields]:
        """`run` of each of several inputs."""


def check_input_px(long_edge_px: int) -> None:
    """Raise PosegError for a network input that is too small or too large."""
    if not MIN_INPUT_PX <= long_edge_px <= MAX_INPUT_PX:
        raise PosegError(
            f"The network's input would be {long_edge_px} pixels long; choose a long edge and scales that give "
            f"{MIN_INPUT_PX} to {MAX_INPUT_PX}."
        )
