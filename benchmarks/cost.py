"""What a prediction costs as images grow and people become more, as ratios of times in one run.

python benchmarks/cost.py [--model small --model fast] [--rounds 9] [--threads 2]

The people are copies of scikit-image's astronaut, each in a field of a grid of 10 x 5. All images take turns in each
round; a time is the median over rounds, reading and letterboxing left out. Memory is the peak of what NumPy allocates.
"""

from __future__ import annotations

import argparse
import tracemalloc
from statistics import median

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

import poseg
from poseg.people import Timings
from poseg.runtime.predictor import Predictor

COLUMNS, ROWS = 10, 5
# Name, people, height and width.
IMAGES = {
    "1 person": (1, 800, 1280),
    "10 people": (10, 800, 1280),
    "50 people": (50, 800, 1280),
    "39 people, 0.15 MP": (39, 310, 480),
    "39 people, 15 MP": (39, 3100, 4800),
}
# What is compared, and the most that it should be by the project's plan: for `fast` and for `small`.
RATIOS = {
    ("39 people, 15 MP", "39 people, 0.15 MP"): {"fast": 1.3, "small": 1.3},
    ("50 people", "1 person"): {"fast": 1.5, "small": 1.7},
}
OVERHEAD = {"fast": 1.15, "small": 1.2}
MEMORY = 1.5


def grid_of_people(count: int, height: int, width: int) -> NDArray[np.uint8]:
    """An image with copies of the astronaut in random fields of the grid, grey elsewhere."""
    image = np.full((height, width, 3), 110, np.uint8)
    rows, columns = height // ROWS, width // COLUMNS
    astronaut = skimage.data.astronaut()[:420, 60:420]  # type: ignore[no-untyped-call]
    person = cv2.resize(astronaut, (int(0.95 * columns), int(0.95 * rows)), interpolation=cv2.INTER_AREA)
    for field in np.random.default_rng(0).permutation(ROWS * COLUMNS)[:count]:
        top, left = field // COLUMNS * rows, field % COLUMNS * columns
        image[top : top + person.shape[0], left : left + person.shape[1]] = person
    return image


def peak_mb(model: Predictor, image: NDArray[np.uint8]) -> float:
    """The peak of what NumPy allocates in one prediction, in MB."""
    tracemalloc.start()
    model(image)
    peak = tracemalloc.get_traced_memory()[1] / 1e6
    tracemalloc.stop()
    return peak


def measure(name: str, rounds: int, threads: int | None) -> None:
    """Print times and ratios of one model."""
    model = poseg.load(name, max_people=100, threads=threads)
    images = {key: grid_of_people(*shape) for key, shape in IMAGES.items()}
    spent: dict[str, list[Timings]] = {key: [] for key in images}
    counts = {key: len(model(image)) for key, image in images.items()}
    for _ in range(rounds):
        for key, image in images.items():
            timings = model(image).timings
            assert timings is not None
            spent[key].append(timings)
    net, whole = {}, {}
    for key, all_timings in spent.items():
        net[key] = median(timings.inference_ms for timings in all_timings)
        whole[key] = median(timings.total_ms - timings.preprocess_ms for timings in all_timings)
        print(f"{name:6} {key:20} {counts[key]:3} people  {whole[key]:7.1f} ms, network {net[key]:7.1f} ms")
    for (more, less), limits in RATIOS.items():
        print(f"{name:6} {more} / {less}: {whole[more] / whole[less]:.2f}{_wanted(limits.get(name))}")
    overhead = median((t.total_ms - t.preprocess_ms) / t.inference_ms for t in spent["10 people"])
    print(f"{name:6} whole / network, 10 people: {overhead:.2f}{_wanted(OVERHEAD.get(name))}")
    memory = peak_mb(model, images["39 people, 15 MP"]) / peak_mb(model, images["39 people, 0.15 MP"])
    print(f"{name:6} memory, 15 MP / 0.15 MP: {memory:.2f}{_wanted(MEMORY)}")


def _wanted(limit: float | None) -> str:
    return "" if limit is None else f" (at most {limit})"


def main() -> None:
    """Measure on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="bundled name or path; small and fast by default")
    parser.add_argument("--rounds", type=int, default=9, help="times that each image is predicted")
    parser.add_argument("--threads", type=int, default=2, help="threads of the network")
    args = parser.parse_args()
    for name in args.model or ["fast", "small"]:
        measure(name, args.rounds, args.threads)


if __name__ == "__main__":
    main()
