"""What a run logs: `log.jsonl` with every step, and TensorBoard's files under `board`.

`tensorboard --logdir RUN/board` draws losses, learning rate, gradient norm and throughput, and now and then an image
with what the network predicts for it, beside targets and prediction.
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


class TensorBoardLogger:
    """Logs each step that it is called with; a resumed run continues after its checkpoint.

    draw              an image (H, W, 3) uint8 of a step's batch and of what the network predicts for it
    log_images_every  steps between images; 0 for none
    """

    def __init__(
        self, folder: Path, draw: Callable[[Progress], NDArray[np.uint8]], *, log_images_every: int = 500
    ) -> None:
        self.folder, self.draw, self.log_images_every = folder, draw, log_images_every
        self._log: IO[str] | None = None
        self._board: SummaryWriter | None = None

    def __call__(self, progress: Progress) -> None:
        """Log one step."""
        if self._log is None or self._board is None:
            self._log = _truncated_after(self.folder / LOG, progress.step - 1)
            # What an earlier session wrote after its last checkpoint is written again.
            self._board = SummaryWriter(str(self.folder / "board"), purge_step=progress.step)
        numbers = {"lr": progress.lr, "grad_norm": progress.grad_norm, "images_per_s": progress.images_per_s}
        self._log.write(json.dumps({"step": progress.step, **numbers, "losses": progress.losses}) + "\n")
        self._log.flush()
        losses = {f"loss/{name}": value for name, value in progress.losses.items()}
        for name, value in {**losses, **{f"run/{name}": value for name, value in numbers.items()}}.items():
            self._board.add_scalar(name, value, progress.step)
        if self.log_images_every and progress.step % self.log_images_every == 0:
            self._board.add_image("image", self.draw(progress), progress.step, dataformats="HWC")

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Further numbers of a step that was logged, such as scores on validation images."""
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
    """The lines of a log that hold a step; not the one that a killed run left half written."""
    if not path.exists():
        return []
    steps = []
    for line in path.read_bytes().splitlines(keepends=True):
        try:
            entry = json.loads(line) if line.endswith(b"\n") else None
        except (ValueError, RecursionError):
            continue
        if isinstance(entry, dict) and isinstance(entry.get("step"), int):
            steps.append(entry)
    return steps


def append_jsonl(path: Path, line: dict[str, object]) -> None:
    """Write the line of a step, in place of what an earlier session wrote of this step and later ones."""
    step = line["step"]
    assert isinstance(step, int)
    with _truncated_after(path, step - 1) as file:
        file.write(json.dumps(line) + "\n")


def _truncated_after(path: Path, step: int) -> IO[str]:
    """The log, cut after a step, open for more."""
    lines = [line for line in read_log(path) if int(str(line["step"])) <= step]
    write_text(path, "".join(json.dumps(line) + "\n" for line in lines))
    return path.open("a", encoding="utf-8")
