"""Time and memory of Pose2Seg for 1, 10 and 30 people of one image.

run    python benchmarks/segment.py [--model pose2seg] [--threads 2] [--repeats 15]

The image is scikit-image's astronaut, with synthetic poses all over it: cost does not depend on content. "network" is
the time inside the ONNX runtime, all people in one call; "all" is the call of the segmenter, from pixels to masks.
Times are the median of the repeats, crowds taken in turn. "MiB" is how much the peak memory of a process grows
that segments one crowd, over one that has loaded the model and read the image.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

import cv2
from decode import crowd
from rich.console import Console
from rich.table import Table
from skimage.data import astronaut

import poseg
from poseg.people import People
from poseg.runtime.pose2seg import Pose2SegSegmenter

CROWDS = (1, 10, 30)


def people_of(count: int) -> People:
    """People that fill the image, without masks."""
    people = crowd(count)
    return People.from_poses(people.skeleton, people.keypoints, people.keypoint_scores)


def peak_mib() -> float:
    """Peak memory of this process. The resource module would count that of the parent before the process began."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024


def growth_mib(model: str, threads: int, count: int) -> float:
    """Growth of the peak memory, in a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--model", model, "--threads", str(threads), "--one", str(count)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return float(done.stdout)


def median_times(segmenter: Pose2SegSegmenter, repeats: int) -> dict[int, tuple[float, float]]:
    """Milliseconds for each crowd: in the network, and in all."""
    image, crowds = astronaut(), {count: people_of(count) for count in CROWDS}
    times_ms: dict[int, list[tuple[float, float]]] = {count: [] for count in CROWDS}
    for number in range(repeats + 1):
        for count, people in crowds.items():
            start = perf_counter()
            segmented = segmenter(image, people)
            elapsed_ms = 1e3 * (perf_counter() - start)
            if number and segmented.timings is not None:
                times_ms[count].append((segmented.timings.inference_ms, elapsed_ms))
    return {
        count: (median(net for net, _ in row), median(total for _, total in row)) for count, row in times_ms.items()
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="pose2seg")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    segmenter = poseg.load(args.model, threads=args.threads)
    if not isinstance(segmenter, Pose2SegSegmenter):
        parser.error(f"{args.model} is not a Pose2Seg model")
    if args.one:
        image, people = astronaut(), people_of(args.one)
        before = peak_mib()
        segmenter(image, people)
        print(peak_mib() - before)
        return
    table = Table(
        title=f"{segmenter.model.card.name}, {segmenter.model.card.inference.long_edge_px} px, {args.threads} threads"
    )
    for column in ("people", "network ms", "all ms", "all / network", "all ms a person", "MiB"):
        table.add_column(column, justify="right")
    for count, (network_ms, all_ms) in median_times(segmenter, args.repeats).items():
        grown = growth_mib(args.model, args.threads, count)
        numbers = (network_ms, all_ms, all_ms / network_ms, all_ms / count)
        table.add_row(str(count), *(f"{number:.2f}" for number in numbers), f"{grown:.0f}")
    Console().print(table)


if __name__ == "__main__":
    main()
