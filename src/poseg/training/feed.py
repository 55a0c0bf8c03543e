"""Batches for one of several processes: which position of the run it learns from, and when.

Step s of a run with B pictures a step takes positions s B to (s + 1) B - 1. Each process takes its own part of them,
in slices, so the pictures of a step are the same whatever the number of processes, slices and workers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import cv2
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from poseg.training.schedule import Schedule

Item = dict[str, Any]
PREFETCH = 3  # batches that each worker has ready


@dataclass(frozen=True, slots=True)
class Positions:
    """The positions of one process, from step `first` on, slice after slice."""

    schedule: Schedule
    rank: int
    processes: int
    first: int

    def __iter__(self) -> Iterator[int]:
        part = self.schedule.batch_size // self.processes
        for step in range(self.first, self.schedule.steps):
            start = step * self.schedule.batch_size + self.rank * part
            yield from range(start, start + part)

    def __len__(self) -> int:
        return max(self.schedule.steps - self.first, 0) * (self.schedule.batch_size // self.processes)


def slices(mixture: TorchDataset[Item], positions: Positions, *, workers: int, pinned: bool) -> Iterator[list[Item]]:
    """For each step, the slices of this process: batches as the mixture's items are, with one more axis."""
    schedule = positions.schedule
    loader: DataLoader[Item] = DataLoader(
        mixture,
        batch_size=schedule.slice_size(positions.processes),
        sampler=positions,
        num_workers=workers,
        pin_memory=pinned,
        prefetch_factor=PREFETCH if workers else None,
        worker_init_fn=_alone if workers else None,
    )
    batches = iter(loader)
    for _ in range(positions.first, schedule.steps):
        yield [next(batches) for _ in range(schedule.accumulate)]


def _alone(_: int) -> None:
    """One thread a worker: the other cores belong to the other workers and to the step."""
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
