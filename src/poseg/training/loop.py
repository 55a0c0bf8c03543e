"""The training loop: several processes, several precisions, resumed exactly, ended by its steps alone.

Hugging Face accelerate handles devices, precision and processes; the loop itself is one page. Every step's random
numbers follow from the seed and the step, so a run that is killed resumes as if it had not been interrupted.
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
from poseg.training.checkpoint import ModelEma, last_checkpoint, load_checkpoint, save_checkpoint
from poseg.training.micro_batches import AccumulatedLoss, Item, ResumableSampler, micro_batches
from poseg.training.optim import OptimConfig, build_optimiser, freeze, set_lr

BARRIER_TIMEOUT = timedelta(hours=6)  # the other processes wait while the first one validates
TOTAL = "total"
THROUGHPUT_STEPS = 50  # images a second are a mean over so many


@dataclass(frozen=True, slots=True, eq=False)
class Progress:
    """What a run reports after each step, from its first process.

    step          steps made so far, of `steps`
    images_per_s  of all processes together, over the last steps
    lr            learning rate
    grad_norm     norm of the gradient before clipping
    losses        terms of the loss, over all images of the step
    batch         the last micro-batch, and `fields` what the network predicts for it
    ema           the moving average of the weights
    """

    step: int
    steps: int
    images_per_s: float
    lr: float
    grad_norm: float
    losses: Mapping[str, float]
    batch: Item
    fields: Mapping[str, Tensor]
    ema: ModelEma


def train(
    network: nn.Module,
    loss: nn.Module,
    dataset: TorchDataset[Item],
    optim: OptimConfig,
    folder: Path,
    *,
    report: Callable[[Progress], None],
    seed: int = 0,
    workers: int = 0,
    max_minutes: float = math.inf,
    should_stop: Callable[[], bool] = lambda: False,
) -> ModelEma:
    """Train, from `folder`'s checkpoint where there is one; returns the averaged weights.

    network      with a `backbone` (`optim.freeze`); fields by name from "image"
    loss         of fields, "targets" and "weights": terms by name, and their weighted sum as "total" (`micro_batches`)
    dataset      items by position: "image", "targets", "weights", further "inputs" of the network by the names of its
                 arguments, and "name" where it has one
    max_minutes  after these the run stops with a checkpoint; the same call resumes it
    should_stop  asked before each step, which is the last one where it says so

    Called by each of several processes it shares the work; only the first writes checkpoints and reports. Raises
    WeightsError where loss or gradient stop being finite: the batch lies beside the last checkpoint then.
    """
    accelerator = _accelerator(optim)
    folder.mkdir(parents=True, exist_ok=True)
    trainer = _Trainer(accelerator, network, loss, optim, folder, seed)
    end = time.monotonic() + 60 * max_minutes
    sampler = ResumableSampler(optim, accelerator.process_index, accelerator.num_processes, trainer.step)
    for batches in micro_batches(dataset, sampler, workers=workers, pinned=accelerator.device.type == "cuda"):
        stop = time.monotonic() > end or should_stop()
        progress, stop = trainer.train_step(send_to_device(batches, accelerator.device), stop=stop)
        if accelerator.is_main_process:
            report(progress)
        # What was reported of a step that no checkpoint holds is reported again; the other way round it would be lost.
        ended = stop or trainer.step == optim.steps
        if ended or trainer.step % optim.checkpoint_every == 0:
            trainer.save()
        if ended:
            break
    # A process that leaves the group while others still communicate aborts them at exit.
    accelerator.wait_for_everyone()
    trainer.release()
    accelerator.end_training()
    return trainer.ema


class _Trainer:
    """Network, optimiser and average of one process, and the step they are at."""

    def __init__(
        self, accelerator: Accelerator, network: nn.Module, loss: nn.Module, optim: OptimConfig, folder: Path, seed: int
    ) -> None:
        self.accelerator, self.optim, self.folder, self.seed = accelerator, optim, folder, seed
        self.loss = loss.to(accelerator.device)
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        freeze(network, optim)
        if accelerator.num_processes > 1 and accelerator.device.type == "cuda":
            network = nn.SyncBatchNorm.convert_sync_batchnorm(network)  # type: ignore[no-untyped-call]
        self.optimiser = build_optimiser(network, optim)
        self.unwrapped = network.to(accelerator.device)
        self.ema = ModelEma(self.unwrapped, optim.ema_decay)
        self.network, self.prepared_optimiser = accelerator.prepare(network, self.optimiser)
        self.step = self._resume()
        self.times = deque([time.monotonic()], maxlen=THROUGHPUT_STEPS + 1)

    def _resume(self) -> int:
        """Load the last checkpoint; returns the step to resume with, 0 in a new folder."""
        checkpoint = last_checkpoint(self.folder)
        if checkpoint is not None:
            load_checkpoint(checkpoint, self.unwrapped, self.ema, self.optimiser)
            if self.accelerator.scaler is not None and "scaler" in checkpoint.run:
                self.accelerator.scaler.load_state_dict(checkpoint.run["scaler"])
        step = 0 if checkpoint is None else checkpoint.step
        if len(set(gather_object([step]))) > 1:
            raise PosegError(f"The processes read different checkpoints; {self.folder} must be one folder for all.")
        return step

    def save(self) -> None:
        """Write a checkpoint, in the first process."""
        if self.accelerator.is_main_process:
            scaler = {} if self.accelerator.scaler is None else {"scaler": self.accelerator.scaler.state_dict()}
            save_checkpoint(self.folder, self.step, self.unwrapped, self.ema, self.optimiser, scaler)

    def release(self) -> None:
        """Release what holds the group of processes, whose threads would otherwise outlive it and abort at exit."""
        self.network, self.prepared_optimiser = self.accelerator.free_memory(self.network, self.prepared_optimiser)

    def train_step(self, batches: Sequence[Item], *, stop: bool) -> tuple[Progress, bool]:
        """One step of the optimiser over the micro-batches of all processes; and whether any of them is to stop."""
        torch.manual_seed((self.seed * 1_000_003 + self.step) * 4099 + self.accelerator.process_index)
        lr = self.optim.lr_at(self.step)
        set_lr(self.optimiser, lr)
        self.prepared_optimiser.zero_grad(set_to_none=True)
        loss = AccumulatedLoss.of_step(self.loss, batches, self.accelerator)
        sums: dict[str, Tensor] = {}
        fields: Mapping[str, Tensor] = {}
        for index, batch in enumerate(batches):
            # Gradients of several processes are exchanged once a step, with the last micro-batch.
            last = index == len(batches) - 1
            with nullcontext() if last else self.accelerator.no_sync(self.network):
                fields = self.network(batch["image"].to(memory_format=torch.channels_last), **batch.get("inputs", {}))
                terms = loss(fields, batch)
                # They are averaged then, but the parts of a step add up.
                self.accelerator.backward(terms[TOTAL] * self.accelerator.num_processes)
            for name, term in terms.items():
                sums[name] = sums.get(name, 0) + term.detach().float()
        flag = torch.tensor(float(stop), device=self.accelerator.device)
        *values, stops = self.accelerator.reduce(torch.stack([*sums.values(), flag]), "sum").tolist()
        losses = dict(zip(sums, values, strict=True))
        grad_norm = self._clip()
        self._check(losses, grad_norm, batches)
        self.prepared_optimiser.step()
        self.ema.update(self.unwrapped)
        self.step += 1
        fields = {name: field.detach() for name, field in fields.items()}
        throughput = self._throughput()
        progress = Progress(
            self.step, self.optim.steps, throughput, lr, grad_norm, losses, batches[-1], fields, self.ema
        )  # fmt: skip
        return progress, stops > 0

    def _throughput(self) -> float:
        """Images a second of all processes together, over the last steps."""
        self.times.append(time.monotonic())
        return self.optim.batch_size * (len(self.times) - 1) / max(self.times[-1] - self.times[0], 1e-9)

    def _clip(self) -> float:
        """Clip the gradient; its norm before."""
        max_norm = self.optim.grad_clip_norm or math.inf
        norm = self.accelerator.clip_grad_norm_(self.unwrapped.parameters(), max_norm)
        return float(norm) if norm is not None else math.nan

    def _check(self, losses: Mapping[str, float], grad_norm: float, batches: Sequence[Item]) -> None:
        """Raise WeightsError, with the batch on disk, where a number is not finite."""
        broken = [name for name, value in losses.items() if not math.isfinite(value)]
        if not broken and (math.isfinite(grad_norm) or self.accelerator.scaler is not None):
            return  # in half precision a gradient may overflow: the scaler skips that step
        path = self.folder / f"broken-{self.step}-{self.accelerator.process_index}.safetensors"
        names = _save_batches(path, batches)
        what = f"loss ({', '.join(broken)})" if broken else "gradient"
        raise WeightsError(
            f"The {what} is not finite at step {self.step}; the images were {', '.join(names)}, saved in {path}. "
            f"Look at them, lower optim.lr, and resume from the checkpoint in {self.folder}."
        )


def _accelerator(optim: OptimConfig) -> Accelerator:
    """The processes of this run, on GPUs where there are any."""
    cpu = not torch.cuda.is_available()
    if cpu and optim.precision == "fp16":
        raise PosegError("optim.precision=fp16 needs a GPU; take bf16 or fp32 on a CPU.")
    if AcceleratorState._shared_state:
        AcceleratorState._reset_state()  # that of an earlier run in this process
    precision = "no" if optim.precision == "fp32" else optim.precision
    timeout = InitProcessGroupKwargs(timeout=BARRIER_TIMEOUT)
    accelerator = Accelerator(cpu=cpu, mixed_precision=precision, kwargs_handlers=[timeout])
    optim.micro_batch_size(accelerator.num_processes)
    return accelerator


def _save_batches(path: Path, batches: Sequence[Item]) -> list[str]:
    """Write the micro-batches of a step as one safetensors file; returns the names of the images, for messages."""
    tensors: dict[str, Tensor] = {}
    names: list[str] = []
    for index, batch in enumerate(batches):
        names += batch.get("name", [f"number {i} of micro-batch {index}" for i in range(len(batch["image"]))])
        tensors |= {f"{index}.{name}": tensor.cpu().contiguous() for name, tensor in _leaves(batch)}
    write_bytes(path, save(tensors, metadata={"images": "\n".join(names)}))
    return names


def _leaves(batch: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Tensor]]:
    """Tensors of a nested batch by dotted name."""
    for name, value in batch.items():
        if isinstance(value, Tensor):
            yield prefix + name, value
        elif isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
