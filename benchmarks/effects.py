"""What effects cost: milliseconds a frame of 1280 x 720 with three people who fill most of it, without the network.

run    python benchmarks/effects.py [--threads 2] [--repeats 15] [--people 3]

People and image are synthetic (`poseg.datasets.synthetic_people`), with exact joints and masks. Each number is the
median of the repeats, effects taken in turn; the first round is left out. "CPU ms" is the sum over all threads: on a
busy machine it is more reliable than wall time. "mattes" is part of nearly all of them: the people's mattes from their
masks.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from statistics import median
from time import perf_counter, process_time

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from poseg.datasets.synthetic_people import render_scene
from poseg.effects import EFFECTS
from poseg.effects.matte import Mattes

SIZE = (720, 1280)
GOAL = 15.0  # frames a second


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--people", type=int, default=3)
    args = parser.parse_args()
    cv2.setNumThreads(args.threads)
    scene = render_scene(np.random.default_rng(3), SIZE, args.people)
    steps: dict[str, Callable[[], object]] = {"mattes": lambda: list(Mattes(scene.image, scene.people))}
    for name, effect in EFFECTS.items():
        steps[name] = lambda effect=effect: effect()(scene.image, scene.people)
    spent = times(steps, args.repeats)
    table = Table(title=f"{SIZE[1]} x {SIZE[0]}, {args.people} people, {args.threads} threads")
    for column in ("effect", "ms", "frames a second", "CPU ms"):
        table.add_column(column, justify="left" if column == "effect" else "right")
    for name, (wall_ms, cpu_ms) in spent.items():
        rate = 1e3 / wall_ms
        mark = "" if rate >= GOAL else " *"
        table.add_row(name, f"{wall_ms:.0f}", f"{rate:.0f}{mark}", f"{cpu_ms:.0f}")
    table.caption = f"* under the goal of {GOAL:.0f} frames a second"
    Console().print(table)


def times(steps: dict[str, Callable[[], object]], repeats: int) -> dict[str, tuple[float, float]]:
    """Median milliseconds of each step: by the clock, and of all threads together."""
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in steps}
    for turn in range(repeats + 1):
        for name, step in steps.items():
            clock, cpu = perf_counter(), process_time()
            step()
            if turn:
                spent[name].append((1e3 * (perf_counter() - clock), 1e3 * (process_time() - cpu)))
    return {name: (median(a for a, _ in rows), median(b for _, b in rows)) for name, rows in spent.items()}


if __name__ == "__main__":
    main()
