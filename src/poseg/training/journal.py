"""What a run leaves on disk to look at: `log.jsonl` with every step, and TensorBoard's files under `board`.

`tensorboard --logdir RUN/board` draws losses, rate, gradient and pace, and now and then a picture with the people
that the network finds in it, beside target and prediction of its heatmaps.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter

from poseg.io.files import write_text
from poseg.training.loop import Progress

LOG = "log.jsonl"


class Journal:
    """Writes down each step that it is called with; a resumed run goes on where its checkpoint was.

    draw             a picture (H, W, 3) uint8 of a step's batch and of what the network makes of it
    pictures_every   steps between pictures; 0 for none
    """

    def __init__(
        self, folder: Path, draw: Callable[[Progress], NDArray[np.uint8]], *, pictures_every: int = 500
    ) -> None:
        self.folder, self.draw, self.pictures_every = folder, draw, pictures_every
        self._log: IO[str] | None = None
        self._board: SummaryWriter | None = None

    def __call__(self, progress: Progress) -> None:
        """Take down one step."""
        if self._log is None or self._board is None:
            self._log = _reopened(self.folder / LOG, progress.step - 1)
            # What an earlier sitting wrote after its last checkpoint is made again.
            self._board = SummaryWriter(str(self.folder / "board"), purge_step=progress.step)
        numbers = {
            "rate": progress.rate, "grad_norm": progress.grad_norm, "images_per_s": progress.images_per_s,
        }  # fmt: skip
        self._log.write(json.dumps({"step": progress.step, **numbers, "terms": progress.terms}) + "\n")
        self._log.flush()
        losses = {f"loss/{name}": value for name, value in progress.terms.items()}
        for name, value in {**losses, **{f"run/{name}": value for name, value in numbers.items()}}.items():
            self._board.add_scalar(name, value, progress.step)
        if self.pictures_every and progress.step % self.pictures_every == 0:
            self._board.add_image("picture", self.draw(progress), progress.step, dataformats="HWC")

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Further numbers of a step that was taken down, such as scores on validation pictures."""
        assert self._board is not None
        for name, value in values.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Finish the files."""
        if self._log is not None:
            self._log.close()
        if self._board is not None:
            self._board.close()


def read_log(path: Path) -> list[dict[str, object]]:
    """The whole lines of a log; what a killed run left half written is passed over."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines(keepends=True)
    return [json.loads(line) for line in lines if line.endswith("\n")]


def append_line(path: Path, line: dict[str, object]) -> None:
    """Write a line of a step; what an earlier sitting wrote of this step and later ones goes."""
    step = line["step"]
    assert isinstance(step, int)
    with _reopened(path, step - 1) as file:
        file.write(json.dumps(line) + "\n")


def _reopened(path: Path, step: int) -> IO[str]:
    """The log, cut after a step, open for more."""
    kept = [line for line in read_log(path) if isinstance(line["step"], int) and line["step"] <= step]
    write_text(path, "".join(json.dumps(line) + "\n" for line in kept))
    return path.open("a", encoding="utf-8")
