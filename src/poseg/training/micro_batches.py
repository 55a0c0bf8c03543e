"""How the batch of a step is divided among processes and micro-batches, and how its loss is the same all the same.

Step s of a run with B images a step takes positions s B to (s + 1) B - 1. Each process takes its own part of them, in
micro-batches, so the images of a step are the same for any number of processes, micro-batches and workers.

A loss term is a mean over the cells that count. Which cells those are differs between micro-batches, so the mean over
all images is not the mean of their means: a loss that has `normalisers` gets those of the whole step. For any other
loss a step is the mean over its micro-batches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import cv2
import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from torch import Tensor, nn
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from poseg.training.optim import OptimConfig

Item = dict[str, Any]
Terms = Mapping[str, Tensor]
PREFETCH = 3  # batches that each worker has ready


@dataclass(frozen=True, slots=True)
class ResumableSampler:
    """The positions of one process in order, from step `first` on."""

    optim: OptimConfig
    rank: int
    processes: int
    first: int

    def __iter__(self) -> Iterator[int]:
        part = self.optim.batch_size // self.processes
        for step in range(self.first, self.optim.steps):
            start = step * self.optim.batch_size + self.rank * part
            yield from range(start, start + part)

    def __len__(self) -> int:
        return max(self.optim.steps - self.first, 0) * (self.optim.batch_size // self.processes)


def micro_batches(
    dataset: TorchDataset[Item], sampler: ResumableSampler, *, workers: int, pinned: bool
) -> Iterator[list[Item]]:
    """For each step, the micro-batches of this process: as the dataset's items, with one more axis."""
    optim = sampler.optim
    loader: DataLoader[Item] = DataLoader(
        dataset,
        batch_size=optim.micro_batch_size(sampler.processes),
        sampler=sampler,
        num_workers=workers,
        pin_memory=pinned,
        prefetch_factor=PREFETCH if workers else None,
        worker_init_fn=_worker_init if workers else None,
        # A process that is forked after threads were used, as where a run begins with a validation, may wait for ever.
        multiprocessing_context="spawn" if workers else None,
    )
    batches = iter(loader)
    for _ in range(sampler.first, optim.steps):
        yield [next(batches) for _ in range(optim.accumulation_steps)]


def _worker_init(_: int) -> None:
    """One thread a worker: the other cores belong to the other workers and to the step."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)


@runtime_checkable
class NormalisedLoss(Protocol):
    """A loss whose terms are sums over cells, divided by how much counts."""

    def normalisers(self, weights: Mapping[str, Tensor]) -> Tensor:
        """How much counts in a batch, any shape: the normalisers of two batches add up."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class AccumulatedLoss:
    """The loss of one step: called with each micro-batch, its terms add up over micro-batches and processes.

    loss         of fields, targets and weights; a `NormalisedLoss` takes normalisers too
    normalisers  of the whole step, or None
    parts        micro-batches of the step, those of all processes
    """

    loss: nn.Module
    normalisers: Tensor | None
    parts: int

    @classmethod
    def of_step(cls, loss: nn.Module, batches: Sequence[Item], accelerator: Accelerator) -> AccumulatedLoss:
        """The loss of the step that these micro-batches, and those of the other processes, make up."""
        parts, normalisers = len(batches) * accelerator.num_processes, None
        if parts > 1 and isinstance(loss, NormalisedLoss):
            first, *others = (loss.normalisers(batch["weights"]) for batch in batches)
            normalisers = accelerator.reduce(sum(others, first), "sum")
        return cls(loss, normalisers, parts)

    def __call__(self, fields: Terms, batch: Item) -> Terms:
        """The part of each term that this micro-batch adds to the step's loss."""
        if self.normalisers is not None:
            added: Terms = self.loss(fields, batch["targets"], batch["weights"], self.normalisers)
            return added
        terms: Terms = self.loss(fields, batch["targets"], batch["weights"])
        return terms if self.parts == 1 else {name: term / self.parts for name, term in terms.items()}
