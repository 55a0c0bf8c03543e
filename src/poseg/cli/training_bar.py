"""Progress of a run for the eye: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from poseg.training.loop import Progress as Made

LINE_EVERY_S = 20.0  # seconds between plain lines


@contextmanager
def training_bar() -> Iterator[Callable[[Made], None]]:
    """What a run reports its steps to."""
    console = Console(stderr=True)
    if console.is_terminal:
        with _bar(console) as bar:
            task = bar.add_task("steps", total=None, told="")

            def draw(made: Made) -> None:
                bar.update(task, completed=made.step, total=made.steps, told=f"{_pace(made)}\n{_terms(made.terms)}")

            yield draw
    else:
        yield _Lines(console)


def _bar(console: Console) -> Progress:
    columns: tuple[Any, ...] = (
        BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(),
        TextColumn("{task.fields[told]}"),
    )  # fmt: skip
    return Progress(*columns, console=console)


class _Lines:
    """A line after the first step, the last, and now and then between."""

    def __init__(self, console: Console) -> None:
        self.console, self.began, self.told = console, time.monotonic(), -LINE_EVERY_S
        self.first = 0

    def __call__(self, made: Made) -> None:
        now = time.monotonic() - self.began
        self.first = self.first or made.step
        if now - self.told < LINE_EVERY_S and made.step < made.steps:
            return
        self.told = now
        left = now / max(made.step - self.first + 1, 1) * (made.steps - made.step)
        line = f"step {made.step}/{made.steps}  {_pace(made)}  left {left / 60:.0f} min  {_terms(made.terms)}"
        self.console.print(line, soft_wrap=True, highlight=False)


def _pace(made: Made) -> str:
    return f"{made.images_per_s:.1f} img/s  rate {made.rate:.1e}  gradient {made.grad_norm:.2f}"


def _terms(terms: Mapping[str, float]) -> str:
    return "  ".join(f"{name} {value:.3f}" for name, value in terms.items())
