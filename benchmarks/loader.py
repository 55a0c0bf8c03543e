"""Throughput of the data loader alone and of the training step alone, in images per second, and their ratio.

run    python benchmarks/loader.py RECIPE --data DATA [--workers 1] [--steps 20] [--set FIELD=VALUE ...]

The loader is measured with its workers and nothing else running; the step on one batch in memory, forward, backward and
optimiser. A ratio of 1.5 or more leaves room for both at once on the same cores. Times are wall time; processor seconds
stand beside them, since other load on the machine slows both.
"""

from __future__ import annotations

import argparse
import math
import resource
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import torch
from rich.console import Console
from rich.table import Table

from poseg.io.overrides import apply_overrides
from poseg.recipes import find_recipe
from poseg.recipes.tasks import train_dataset
from poseg.training.dataset import TrainDataset
from poseg.training.loop import Progress, train
from poseg.training.micro_batches import ResumableSampler, micro_batches
from poseg.training.recipe import Recipe


class RepeatedItems(torch.utils.data.Dataset):
    """The same few items again and again: data that takes no time."""

    def __init__(self, items: list) -> None:
        self.items = items

    def __getitem__(self, position: int) -> dict:
        return self.items[position % len(self.items)]


def processor_s() -> float:
    """Processor seconds of this process and of its workers that have ended."""
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def peak_mib(who: int) -> float:
    return resource.getrusage(who).ru_maxrss / 1024


def loader_alone(recipe: Recipe, dataset: TrainDataset, workers: int) -> tuple[float, float]:
    """Images per second of wall time, after the first batch, and processor milliseconds per image."""
    optim = recipe.optim
    began_cpu, times = processor_s(), []
    for _ in micro_batches(dataset, ResumableSampler(optim, 0, 1, 0), workers=workers, pinned=False):
        times.append(time.perf_counter())
    used = processor_s() - began_cpu
    throughput = optim.batch_size * (len(times) - 1) / max(times[-1] - times[0], 1e-9)
    return throughput, 1e3 * used / (optim.batch_size * optim.steps)


def step_alone(recipe: Recipe, dataset: TrainDataset) -> tuple[float, float]:
    """The same two numbers of the training step."""
    optim, marks = recipe.optim, []

    def report(_: Progress) -> None:
        marks.append((time.perf_counter(), processor_s()))

    items = RepeatedItems([dataset[i] for i in range(optim.batch_size)])
    with tempfile.TemporaryDirectory() as folder:
        train(recipe.system.network(), recipe.system.loss(), items, optim, Path(folder), report=report)
    images = optim.batch_size * (len(marks) - 1)
    return images / (marks[-1][0] - marks[0][0]), 1e3 * (marks[-1][1] - marks[0][1]) / images


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", help="name of a recipe or a .py file")
    parser.add_argument("--data", type=Path, required=True, help="folder of its data sets")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", dest="settings")
    args = parser.parse_args()

    recipe = apply_overrides(find_recipe(args.recipe), args.settings)
    recipe = replace(recipe, optim=replace(recipe.optim, steps=max(args.steps, 2), checkpoint_every=10**9))
    dataset = train_dataset(recipe, args.data)
    loading, loading_ms = loader_alone(recipe, dataset, args.workers)
    loader_mib = peak_mib(resource.RUSAGE_CHILDREN)
    step, step_ms = step_alone(recipe, dataset)
    table = Table(title=f"{recipe.name}, {args.workers} workers, {torch.get_num_threads()} threads in the step")
    for column in ("", "images/s", "processor ms an image", "peak MiB"):
        table.add_column(column, justify="right" if column else "left")
    table.add_row("loader alone", f"{loading:.1f}", f"{loading_ms:.0f}", f"{loader_mib:.0f} in a worker")
    table.add_row("step alone", f"{step:.1f}", f"{step_ms:.0f}", f"{peak_mib(resource.RUSAGE_SELF):.0f}")
    table.add_row("ratio", f"{loading / step:.2f}", f"{step_ms / loading_ms if loading_ms else math.nan:.2f}", "")
    Console().print(table)


if __name__ == "__main__":
    main()
