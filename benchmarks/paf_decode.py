"""How long PoSeg's decoding takes on one core: 20 people on 46 x 46 cells.

run    python benchmarks/paf_decode.py [--people 20] [--repeats 100] [--noise 0.02]

The fields are those of a perfect network with noise laid over them; more of it makes false peaks. Times are
medians in milliseconds of this process's own time on one core, which other work on the machine changes little: peaks of
the heatmaps, connecting them by limbs, assembling people, the three together ("poses"), and `PoSegCodec.decode` as a
whole, without masks and with them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace

# Before NumPy starts its threads: one core for everything.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from poseg.codecs import PAF_DEFAULT, PoSegCodec
from poseg.codecs.paf_matching import assemble, connect
from poseg.fields import Fields
from poseg.fields.heatmap import heatmap_peaks
from poseg.people import People
from poseg.skeletons import COCO17, OPENPOSE18

CELLS = (46, 46)
# A standing figure of height 2 around its hips, in the order of COCO's joints.
STANDING = np.array(
    [
        (0, -0.8), (0.05, -0.85), (-0.05, -0.85), (0.1, -0.8), (-0.1, -0.8),
        (0.18, -0.6), (-0.18, -0.6), (0.25, -0.3), (-0.25, -0.3), (0.28, -0.05), (-0.28, -0.05),
        (0.11, 0), (-0.11, 0), (0.13, 0.45), (-0.13, 0.45), (0.14, 0.9), (-0.14, 0.9),
    ]
)  # fmt: skip


def crowd(n: int, size: tuple[int, int]) -> People:
    """People in overlapping rows that fill the picture, their bones as thick lines for masks."""
    rng = np.random.default_rng(n)
    columns = int(np.ceil(np.sqrt(2 * n)))
    rows = -(-n // columns)
    height = 1.2 * size[0] / rows
    row, column = np.divmod(np.arange(n), columns)
    centres = np.stack([(column + 0.5) * size[1] / columns, (row + 0.5) * size[0] / rows], axis=1)
    points = centres[:, None] + STANDING * height / 2 + rng.normal(0, height / 40, (n, 17, 2))
    masks = np.zeros((n, *size), np.uint8)
    for mask, person in zip(masks, points, strict=True):
        for a, b in COCO17.indices(COCO17.bones):
            cv2.line(mask, person[a].astype(int).tolist(), person[b].astype(int).tolist(), 1, max(int(height / 8), 1))
    return People.from_poses(COCO17, points, np.ones((n, 17)), masks=masks.astype(bool))


def noisy(codec: PoSegCodec, people: People, spread: float) -> Fields:
    """The fields of people with noise over them."""
    fields = codec.encode(people.remap_to(codec.skeleton), codec.grid.size(*CELLS)).as_fields()
    rng = np.random.default_rng(0)
    return Fields(codec.specs, {
        name: (array + rng.normal(0, spread, array.shape)).astype(np.float32) for name, array in fields.arrays.items()
    })  # fmt: skip


def median_ms(work: Callable[[], object], repeats: int) -> float:
    """Milliseconds of processor time that the work takes."""
    taken = []
    for _ in range(repeats + 3):
        start = time.process_time()
        work()
        taken.append(1e3 * (time.process_time() - start))
    return float(np.median(taken[3:]))


def row(codec: PoSegCodec, fields: Fields, repeats: int) -> list[str]:
    """What was found, and the times."""
    closing = codec.redundant & (PAF_DEFAULT.redundant_limbs == "fill")
    peaks = heatmap_peaks(fields["heatmap"], codec.grid, PAF_DEFAULT.peak_threshold, PAF_DEFAULT.max_peaks)
    connections = connect(peaks, fields["paf"], codec.limb_joints, codec.grid, PAF_DEFAULT)
    times = [
        median_ms(work, repeats)
        for work in (
            lambda: heatmap_peaks(fields["heatmap"], codec.grid, PAF_DEFAULT.peak_threshold, PAF_DEFAULT.max_peaks),
            lambda: connect(peaks, fields["paf"], codec.limb_joints, codec.grid, PAF_DEFAULT),
            lambda: assemble(peaks, connections, closing),
        )
    ]
    poses, whole = replace(PAF_DEFAULT, masks=False, min_score=0.0), replace(PAF_DEFAULT, min_score=0.0)
    ends = [median_ms(lambda choices=choices: codec.decode(fields, choices), repeats) for choices in (poses, whole)]
    found = len(codec.decode(fields, PAF_DEFAULT))
    numbers = (found, len(peaks), len(connections.limb))
    return [*map(str, numbers), *(f"{ms:.2f}" for ms in (*times, sum(times), *ends))]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=100)
    parser.add_argument("--noise", type=float, default=0.02, help="standard deviation of the noise")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    titles = ("skeleton", "limbs", "people", "peaks", "connections", "find peaks", "connect", "assemble", "poses",
              "decode, no masks", "decode")  # fmt: skip
    table = Table(*titles, title=f"Median ms, {given.people} people on {CELLS[0]} x {CELLS[1]} cells")
    for skeleton in (OPENPOSE18, COCO17):
        codec = PoSegCodec(skeleton, origin_px=4.0 if skeleton is OPENPOSE18 else 0.5)
        people = crowd(given.people, codec.grid.size(*CELLS))
        table.add_row(
            skeleton.name, str(len(codec.limbs)), *row(codec, noisy(codec, people, given.noise), given.repeats)
        )
    Console(width=130).print(table)


if __name__ == "__main__":
    main()
