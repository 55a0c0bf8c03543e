"""What it is worth to look at a picture in several sizes, at all of it or only where it pays, and at its mirror image.

run    python benchmarks/looks.py --data ANN.json --images DIR [--model small] [--sizes 321,577,1025] [--threads 2]

Every picture goes to everybody before the next one is read. The first look at it, uncounted, is scored; then come the
rounds that are timed, of the whole call. "Mpx" are the millions of pixels that the network sees of a picture, and
"runs" how often it runs, both on average. "Where worth it" is `Predictor(everywhere=False)`: with "mirrored" it sees
the mirror image of the largest size alone. Data without joints is scored by its masks.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, field
from typing import Any

import cv2
import numpy as np
from asking import ask_for_pictures
from numpy.typing import NDArray
from peers import Contestant, race
from rich.progress import track
from tables import Grid, ask_for_outputs, put_out, score

import poseg
from poseg.evaluation import evaluate
from poseg.evaluation.ground_truth import load_ground_truth
from poseg.fields import Fields
from poseg.runtime.onnx_model import OnnxModel
from poseg.runtime.predictor import Predictor

Floats = NDArray[np.float32]

WAYS: dict[str, dict[str, Any]] = {
    "everywhere": {"everywhere": True, "flip": False},
    "everywhere, mirrored": {"everywhere": True, "flip": True},
    "where worth it": {"everywhere": False, "flip": False},
    "where worth it, mirrored": {"everywhere": False, "flip": True},
}


@dataclass(slots=True, eq=False)
class Counting:
    """A session that counts the pixels it is shown."""

    session: OnnxModel
    seen_px: list[int] = field(default_factory=list)

    @property
    def card(self) -> Any:
        """The session's."""
        return self.model.card

    @property
    def codec(self) -> Any:
        """The session's."""
        return self.model.codec

    def run(self, tensor: Floats) -> Fields:
        """As the session does."""
        self.seen_px.append(tensor.shape[2] * tensor.shape[3])
        return self.session.run(tensor)

    def run_two(self, first: Floats, second: Floats) -> tuple[Fields, Fields]:
        """As the session does."""
        self.seen_px += [tensor.shape[2] * tensor.shape[3] for tensor in (first, second)]
        return self.session.run_two(first, second)


def sizes_of(text: str) -> tuple[int, ...]:
    """Whole numbers between commas."""
    return tuple(sorted(int(part) for part in text.split(",")))


def main() -> None:
    """Race, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for_pictures(parser)
    ask_for_outputs(parser)
    parser.add_argument("--model", default="small")
    parser.add_argument("--sizes", type=sizes_of, action="append", help="long sides in pixels, such as 321,577,1025")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=2, help="times that each picture is timed")
    asked = parser.parse_args()
    cv2.setNumThreads(asked.threads)
    model = poseg.load(asked.model, threads=asked.threads)
    card = model.model.card
    own = tuple(round(scale * card.size_px) for scale in card.scales)
    truth = load_ground_truth(asked.data, asked.images, asked.limit)
    contestants, counters = [], []
    for sizes in asked.sizes or [own]:
        for way, options in WAYS.items():
            counter = Counting(model.session)
            scales = tuple(size / max(sizes) for size in sizes)
            finder = Predictor(counter, size_px=max(sizes), scales=scales, min_score=0.0, **options)
            contestants.append(Contestant(f"{', '.join(map(str, sizes))}: {way}", finder))
            counters.append(counter)
    race(contestants, truth.paths, asked.rounds)
    columns = ["", "keypoint AP", "mask AP", "person IoU", "Mpx", "runs", "ms", "/ first"]
    grid, numbers = Grid(asked.data.name, columns), {}
    first_ms = contestants[0].times_ms()["total"]
    for one, counter in zip(track(contestants, description="score", transient=True), counters, strict=True):
        report = evaluate(one, asked.data, asked.images, limit=asked.limit)
        times = len(truth.paths) * (asked.rounds + 1)
        mpx, runs, ms = sum(counter.seen_px) / 1e6 / times, len(counter.seen_px) / times, one.times_ms()["total"]
        numbers[one.name] = {**report.to_dict(), "Mpx": mpx, "runs": runs, "ms": ms}
        grid.rows.append([
            one.name, score(report.keypoints["AP"], report.intervals.get("keypoints.AP")),
            score(report.masks["AP"], report.intervals.get("masks.AP")),
            score(report.person_iou, report.intervals.get("person_iou")),
            f"{mpx:.2f}", f"{runs:.1f}", f"{ms:.1f}", f"{ms / first_ms:.2f}",
        ])  # fmt: skip
    put_out(asked, [grid], numbers, [])


if __name__ == "__main__":
    main()
