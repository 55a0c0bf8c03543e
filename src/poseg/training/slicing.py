"""A step's loss, when the step's pictures are seen in slices.

A term is a mean over the cells that count. Which cells those are differs from slice to slice, so the mean over all
pictures is not the mean of the slices' means. A loss that has `counts` is told what the whole step counts, and a step
is then the same however its pictures are dealt out; for any other loss it is the mean of the slices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import Tensor, nn

Terms = Mapping[str, Tensor]


@runtime_checkable
class CountingLoss(Protocol):
    """A loss whose terms are sums over cells, divided by how many count."""

    def counts(self, weights: Mapping[str, Tensor]) -> Tensor:
        """How much counts in a batch, any shape: the counts of two batches add up."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class SlicedLoss:
    """The loss of one step: called with each slice, it gives terms that add up over slices and processes.

    loss     of fields, targets and weights; one with `counts` takes these as a fourth
    counts   of the whole step, or None
    slices   of the step, those of all processes
    """

    loss: nn.Module
    counts: Tensor | None
    slices: int

    @classmethod
    def over(cls, loss: nn.Module, batches: Sequence[Mapping[str, Any]], crew: Accelerator) -> SlicedLoss:
        """The loss of the step that these slices, and those of the other processes, make up."""
        slices, counts = len(batches) * crew.num_processes, None
        if slices > 1 and isinstance(loss, CountingLoss):
            mine = sum((loss.counts(batch["weights"]) for batch in batches[1:]), loss.counts(batches[0]["weights"]))
            counts = crew.reduce(mine, "sum")
        return cls(loss, counts, slices)

    def __call__(self, fields: Terms, batch: Mapping[str, Any]) -> Terms:
        """The slice's part of each term of the step's loss."""
        asked = (fields, batch["targets"], batch["weights"])
        if self.counts is not None:
            parts: Terms = self.loss(*asked, self.counts)
            return parts
        terms: Terms = self.loss(*asked)
        return terms if self.slices == 1 else {name: term / self.slices for name, term in terms.items()}
