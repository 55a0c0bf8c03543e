"""The training loop: several processes, several precisions, resumed exactly, ended by its steps alone.

Hugging Face accelerate deals with devices, precision and processes; the loop itself is one page. Every step's random
numbers follow from the seed and the step, so a run that is killed goes on as if nothing had been.
"""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator  # type: ignore[import-untyped]
from accelerate.state import AcceleratorState  # type: ignore[import-untyped]
from accelerate.utils import InitProcessGroupKwargs, gather_object, send_to_device  # type: ignore[import-untyped]
from safetensors.torch import save
from torch import Tensor, nn
from torch.utils.data import Dataset as TorchDataset

from poseg.errors import PosegError, WeightsError
from poseg.io.files import write_bytes
from poseg.training.checkpoint import last_checkpoint, load_checkpoint, save_checkpoint
from poseg.training.ema import Average
from poseg.training.feed import Item, Positions, slices
from poseg.training.optimiser import build_optimiser, freeze, set_rate
from poseg.training.schedule import Schedule
from poseg.training.slicing import SlicedLoss

# Others wait while the first process measures on validation pictures.
PATIENCE = timedelta(hours=6)
TOTAL = "total"
PACE_STEPS = 50  # images a second are a mean over so many


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """What a run reports after each step, from its first process.

    step          steps made so far, of `steps`
    images_per_s  of all processes together, over the last steps
    rate          learning rate
    grad_norm     length of the gradient before clipping
    terms         of the loss, over all pictures of the step
    batch         the last slice seen, and `fields` what the network made of it
    average       the moving average of the weights
    """

    step: int
    steps: int
    images_per_s: float
    rate: float
    grad_norm: float
    terms: Mapping[str, float]
    batch: Item
    fields: Mapping[str, Tensor]
    average: Average


def train(
    network: nn.Module,
    loss: nn.Module,
    mixture: TorchDataset[Item],
    schedule: Schedule,
    folder: Path,
    *,
    report: Callable[[Progress], None],
    seed: int = 0,
    workers: int = 0,
    minutes: float = math.inf,
) -> Average:
    """Train, from `folder`'s checkpoint where there is one; returns the averaged weights.

    network   with a `backbone` (`freeze`); fields by name from "image"
    loss      of fields, "targets" and "weights": terms by name, and their weighted sum as "total" (`slicing`)
    mixture   items by position: "image", "targets", "weights", what else the network is "given", by the names of its
              arguments, and "name" where it has one
    minutes   after these the run stops with a checkpoint; the same call goes on

    Called by each of several processes it shares the work; only the first writes checkpoints and reports. Raises
    WeightsError where loss or gradient stop being finite: the batch lies beside the last checkpoint then.
    """
    crew = _crew(schedule)
    folder.mkdir(parents=True, exist_ok=True)
    run = _Run(crew, network, loss, schedule, folder, seed)
    began, pace = time.monotonic(), deque([time.monotonic()], maxlen=PACE_STEPS + 1)
    positions = Positions(schedule, crew.process_index, crew.num_processes, run.step)
    for batches in slices(mixture, positions, workers=workers, pinned=crew.device.type == "cuda"):
        late = time.monotonic() - began > 60 * minutes
        made = run.advance(send_to_device(batches, crew.device), late=late)
        pace.append(time.monotonic())
        speed = schedule.batch_size * (len(pace) - 1) / max(pace[-1] - pace[0], 1e-9)
        over = made.late or run.step == schedule.steps
        if crew.is_main_process:
            report(
                Progress(
                    run.step, schedule.steps, speed, made.rate, made.grad_norm, made.terms, made.batch, made.fields,
                    run.average,
                )
            )  # fmt: skip
        # What was reported of a step that no checkpoint holds is reported again; the other way round it would be lost.
        if over or run.step % schedule.save_every == 0:
            run.save()
        if over:
            break
    # A group that goes while others still talk aborts them at exit.
    crew.wait_for_everyone()
    run.leave()
    crew.end_training()
    return run.average


@dataclass(frozen=True, slots=True, eq=False)
class _Step:
    """What came of one step."""

    rate: float
    grad_norm: float
    terms: Mapping[str, float]
    late: bool
    batch: Item
    fields: Mapping[str, Tensor]


class _Run:
    """Network, optimiser and average of one process, and the step they are at."""

    def __init__(
        self, crew: Accelerator, network: nn.Module, loss: nn.Module, schedule: Schedule, folder: Path, seed: int
    ) -> None:
        self.crew, self.schedule, self.folder, self.seed = crew, schedule, folder, seed
        self.loss = loss.to(crew.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(network, schedule)
        if crew.num_processes > 1 and crew.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        self.optimiser = build_optimiser(network, schedule)
        self.plain = network.to(crew.device)
        self.average = Average(self.plain, schedule.average_decay)
        self.network, self.stepper = crew.prepare(network, self.optimiser)
        self.step = self._resume()

    def _resume(self) -> int:
        """Load the last checkpoint; returns the step to go on with, 0 in a new folder."""
        found = last_checkpoint(self.folder)
        if found is not None:
            load_checkpoint(found, self.plain, self.average, self.optimiser)
            if self.crew.scaler is not None and "scaler" in found.run:
                self.crew.scaler.load_state_dict(found.run["scaler"])
        step = 0 if found is None else found.step
        if len(set(gather_object([step]))) > 1:
            raise PosegError(f"The processes see different checkpoints; {self.folder} must be one folder for all.")
        return step

    def save(self) -> None:
        """Write a checkpoint, in the first process."""
        if self.crew.is_main_process:
            scaler = {} if self.crew.scaler is None else {"scaler": self.crew.scaler.state_dict()}
            save_checkpoint(self.folder, self.step, self.plain, self.average, self.optimiser, scaler)

    def leave(self) -> None:
        """Let go of what holds the group of processes, whose threads would otherwise outlive it and abort at exit."""
        self.network, self.stepper = self.crew.free_memory(self.network, self.stepper)

    def advance(self, batches: Sequence[Item], *, late: bool) -> _Step:
        """One step of the optimiser over the slices of this process and those of the others."""
        torch.manual_seed((self.seed * 1_000_003 + self.step) * 4099 + self.crew.process_index)
        rate = self.schedule.rate_at(self.step)
        set_rate(self.optimiser, rate)
        self.stepper.zero_grad(set_to_none=True)
        loss = SlicedLoss.over(self.loss, batches, self.crew)
        sums: dict[str, Tensor] = {}
        fields: Mapping[str, Tensor] = {}
        for place, batch in enumerate(batches):
            # Gradients of several processes meet once a step, with the last slice.
            last = place == len(batches) - 1
            with nullcontext() if last else self.crew.no_sync(self.network):
                fields = self.network(batch["image"].to(memory_format=torch.channels_last), **batch.get("given", {}))
                terms = loss(fields, batch)
                # They are averaged then, but the parts of a step add up.
                self.crew.backward(terms[TOTAL] * self.crew.num_processes)
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.detach().float()
        flag = torch.tensor(float(late), device=self.crew.device)
        *values, stop = self.crew.reduce(torch.stack([*sums.values(), flag]), "sum").tolist()
        told = dict(zip(sums, values, strict=True))
        grad_norm = self._clip()
        self._check(told, grad_norm, batches)
        self.stepper.step()
        self.average.update(self.plain)
        self.step += 1
        return _Step(rate, grad_norm, told, stop > 0, batches[-1], {n: f.detach() for n, f in fields.items()})

    def _clip(self) -> float:
        """Shorten the gradient; its length before."""
        longest = self.schedule.clip_norm or math.inf
        norm = self.crew.clip_grad_norm_(self.plain.parameters(), longest)
        return float(norm) if norm is not None else math.nan

    def _check(self, terms: Mapping[str, float], grad_norm: float, batches: Sequence[Item]) -> None:
        """Raise WeightsError, with the batch on disk, where a number is not finite."""
        broken = [name for name, value in terms.items() if not math.isfinite(value)]
        if not broken and (math.isfinite(grad_norm) or self.crew.scaler is not None):
            return  # in half precision a gradient may overflow: the scaler passes over that step
        path = self.folder / f"broken-{self.step}-{self.crew.process_index}.safetensors"
        names = _save_batches(path, batches)
        what = f"loss ({', '.join(broken)})" if broken else "gradient"
        raise WeightsError(
            f"The {what} is not finite at step {self.step}; the pictures were {', '.join(names)}, saved in {path}. "
            f"ViewDetections at them, lower schedule.rate, and go on from the checkpoint in {self.folder}."
        )


def _crew(schedule: Schedule) -> Accelerator:
    """The processes of this run, on GPUs where there are any."""
    cpu = not torch.cuda.is_available()
    if cpu and schedule.precision == "fp16":
        raise PosegError("schedule.precision=fp16 needs a GPU; take bf16 or fp32 on a CPU.")
    if AcceleratorState._shared_state:
        AcceleratorState._reset_state()  # that of an earlier run in this process
    precision = "no" if schedule.precision == "fp32" else schedule.precision
    crew = Accelerator(cpu=cpu, mixed_precision=precision, kwargs_handlers=[InitProcessGroupKwargs(timeout=PATIENCE)])
    schedule.slice_size(crew.num_processes)
    return crew


def _save_batches(path: Path, batches: Sequence[Item]) -> list[str]:
    """Write the slices of a step as one safetensors file; returns the names of the pictures, for messages."""
    tensors: dict[str, Tensor] = {}
    names: list[str] = []
    for place, batch in enumerate(batches):
        names += batch.get("name", [f"number {i} of slice {place}" for i in range(len(batch["image"]))])
        tensors |= {f"{place}.{name}": tensor.cpu().contiguous() for name, tensor in _leaves(batch)}
    write_bytes(path, save(tensors, metadata={"pictures": "\n".join(names)}))
    return names


def _leaves(batch: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Tensors of a nested batch by dotted name."""
    for name, value in batch.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
