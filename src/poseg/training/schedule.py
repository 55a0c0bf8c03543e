"""How long and how fast to learn. Steps alone decide, so a run is the same on any machine."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from poseg.errors import PosegError


@dataclass(frozen=True, slots=True)
class Schedule:
    """The optimiser and its pace.

    steps           of the optimiser
    batch_size      pictures in a step, those of all processes together: more processes take smaller slices each
    accumulate      slices in which every process takes its part of a step; more of them need less memory
    optimiser       AdamW or SGD with momentum
    rate            highest learning rate
    backbone_rate   that of the pre-trained backbone, relative to the rest
    weight_decay    of all weights
    momentum        of SGD
    warm_up_steps   the rate grows over these steps
    curve           how it falls over the run: half a cosine, a line, drops to a tenth, or not at all
    drops           where "drops" happen, as parts of the run
    clip_norm       longest gradient; 0 leaves gradients as they are
    average_decay   of the moving average of the weights
    precision       of the network's arithmetic; weights and losses are always fp32
    frozen_norms    the backbone keeps its batch statistics
    frozen_stem     the backbone keeps its weights up to stride 4
    frozen_start    the backbone keeps all its weights, and so do the linear heads on it: what is new learns alone
    norm_momentum   how fast batch statistics follow; None leaves it to the network
    save_every      steps between checkpoints
    """

    steps: int = 10_000
    batch_size: int = 12
    accumulate: int = 1
    optimiser: Literal["adamw", "sgd"] = "adamw"
    rate: float = 1.5e-3
    backbone_rate: float = 0.3
    weight_decay: float = 1e-4
    momentum: float = 0.9
    warm_up_steps: int = 200
    curve: Literal["cosine", "linear", "drops", "constant"] = "cosine"
    drops: tuple[float, ...] = (0.67, 0.89)
    clip_norm: float = 5.0
    average_decay: float = 0.998
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    frozen_norms: bool = True
    frozen_stem: bool = True
    frozen_start: bool = False
    norm_momentum: float | None = None
    save_every: int = 250

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "accumulate", "save_every"):
            if getattr(self, name) < 1:
                raise PosegError(f"schedule.{name} must be 1 or more, got {getattr(self, name)}.")
        if not self.rate > 0:
            raise PosegError(f"schedule.rate must be above 0, got {self.rate}.")
        if not 0 <= self.average_decay < 1:
            raise PosegError(f"schedule.average_decay must be in [0, 1), got {self.average_decay}.")

    def rate_at(self, step: int) -> float:
        """Learning rate of a step, the first being 0."""
        return self.rate * min(1.0, (step + 1) / max(self.warm_up_steps, 1)) * self._fallen(step / self.steps)

    def _fallen(self, progress: float) -> float:
        """What is left of the rate when a part of the run, in [0, 1], is over."""
        if self.curve == "cosine":
            return (1 + math.cos(math.pi * progress)) / 2
        if self.curve == "linear":
            return 1 - progress
        if self.curve == "drops":
            return float(0.1 ** sum(progress >= drop for drop in self.drops))
        return 1.0

    def slice_size(self, processes: int) -> int:
        """Pictures that a process sees at once. Raises PosegError where they cannot be dealt out evenly."""
        slices = processes * self.accumulate
        if self.batch_size % slices:
            raise PosegError(
                f"{self.batch_size} pictures a step cannot be dealt to {processes} processes in {self.accumulate} "
                f"slices each; set schedule.batch_size to a multiple of {slices}."
            )
        return self.batch_size // slices
