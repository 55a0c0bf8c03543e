"""How long decoding takes on one core, with perfect fields of many people.

run    python benchmarks/decode.py [--system personlab] [--repeats 30] [--preset default|paper|tfjs|coral]
       python benchmarks/decode.py --system poseg [--people 20] [--repeats 100] [--noise 0.02]

PersonLab: 1, 10 and 30 people at 513 px, every joint of all people a seed. Times are milliseconds of
`PersonLabCodec.decode`, minimum and median of all repeats. The last line of a block compares 30 people with one.

PoSeg: people on 46 x 46 cells; noise on the fields makes false peaks. Times are medians in milliseconds of processor
time: peaks of the heatmaps, matching them by limbs, assembling people, the three together ("poses"), and
`PoSegCodec.decode` as a whole, without masks and with them.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

# Before NumPy starts its threads: one core for everything.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from poseg.codecs import CORAL, DEFAULT, PAF_DEFAULT, PAPER, TFJS, PersonLabCodec, PoSegCodec
from poseg.codecs.paf_matching import assemble, connect
from poseg.fields import Fields
from poseg.fields.heatmap import heatmap_peaks
from poseg.people import People
from poseg.skeletons import COCO17, OPENPOSE18

SIZE = (513, 513)
CELLS = (46, 46)
PRESETS = {"default": DEFAULT, "paper": PAPER, "tfjs": TFJS, "coral": CORAL}
CROWDS = (1, 10, 30)

# A person of height 2 around their hips, in the order of COCO's joints.
STANDING = np.array(
    [
        (0, -0.8), (0.05, -0.85), (-0.05, -0.85), (0.1, -0.8), (-0.1, -0.8),
        (0.18, -0.6), (-0.18, -0.6), (0.25, -0.3), (-0.25, -0.3), (0.28, -0.05), (-0.28, -0.05),
        (0.11, 0), (-0.11, 0), (0.13, 0.45), (-0.13, 0.45), (0.14, 0.9), (-0.14, 0.9),
    ]
)  # fmt: skip


def crowd(count: int, size: tuple[int, int] = SIZE, *, overlapping: bool = False) -> People:
    """People in rows that fill an image of `size`, with their bones as thick lines for masks."""
    rng = np.random.default_rng(count)
    columns = int(np.ceil(np.sqrt((2 if overlapping else 1.6) * count)))
    rows = -(-count // columns)
    height = 1.2 * size[0] / rows if overlapping else min(0.9 * size[0] / rows, 1.5 * size[1] / columns)
    row, column = np.divmod(np.arange(count), columns)
    centres = np.stack([(column + 0.5) * size[1] / columns, (row + 0.5) * size[0] / rows], axis=1)
    noise = rng.normal(0, height / (40 if overlapping else 50), (count, 17, 2))
    points = centres[:, None] + STANDING * height / 2 + noise
    masks = np.zeros((count, *size), np.uint8)
    thickness = max(int(height / (8 if overlapping else 6)), 1)
    for mask, person in zip(masks, points, strict=True):
        for a, b in COCO17.indices(COCO17.bones):
            cv2.line(mask, person[a].astype(int).tolist(), person[b].astype(int).tolist(), 1, thickness)
    return People.from_poses(COCO17, points, np.ones((count, 17)), masks=masks.astype(bool))


def times_ms(work: Callable[[], object], repeats: int, clock: Callable[[], float]) -> list[float]:
    """Milliseconds of each repeat, after three that do not count."""
    times = []
    for _ in range(repeats + 3):
        start = clock()
        work()
        times.append(1e3 * (clock() - start))
    return times[3:]


def personlab(preset: str, repeats: int) -> Table:
    """The table of PersonLab."""
    config = replace(PRESETS[preset], max_people=max(CROWDS), max_candidates=100)
    configs = (("poses", replace(config, masks=False)), ("with masks", config))
    columns = [f"{name}, {statistic}" for name, _ in configs for statistic in ("min", "median")]
    table = Table(title=f"decode, {SIZE[1]} x {SIZE[0]} px, preset {preset}, one core, ms")
    for title in ("stride", "people", "detected", *columns):
        table.add_column(title, justify="right")
    for stride in (16, 8):
        codec, times = PersonLabCodec(stride=stride), {}
        for count in CROWDS:
            fields = codec.encode(crowd(count), SIZE).as_fields()
            times[count] = []
            for _, chosen in configs:
                ms = times_ms(partial(codec.decode, fields, chosen), repeats, time.perf_counter)
                times[count] += [min(ms), float(np.median(ms))]
            detected = len(codec.decode(fields, configs[0][1]))
            table.add_row(str(stride), str(count), str(detected), *(f"{ms:.1f}" for ms in times[count]))
        ratios = [many / one for many, one in zip(times[30], times[1], strict=True)]
        table.add_row(str(stride), "30 / 1", "", *(f"{ratio:.1f}x" for ratio in ratios), end_section=True)
    return table


def noisy(codec: PoSegCodec, people: People, std: float) -> Fields:
    """The fields of people with noise on them."""
    fields = codec.encode(people.remap_to(codec.skeleton), codec.grid.size(*CELLS)).as_fields()
    rng = np.random.default_rng(0)
    return Fields(codec.specs, {
        name: (array + rng.normal(0, std, array.shape)).astype(np.float32) for name, array in fields.arrays.items()
    })  # fmt: skip


def poseg_row(codec: PoSegCodec, fields: Fields, repeats: int) -> list[str]:
    """Counts of people, peaks and connections, and the times."""
    redundant = codec.redundant & (PAF_DEFAULT.redundant_limbs == "fill")
    peaks = heatmap_peaks(fields["heatmap"], codec.grid, PAF_DEFAULT.peak_threshold, PAF_DEFAULT.max_peaks)
    connections = connect(peaks, fields["paf"], codec.limb_joints, codec.grid, PAF_DEFAULT)
    poses, masks = replace(PAF_DEFAULT, masks=False, min_score=0.0), replace(PAF_DEFAULT, min_score=0.0)
    steps, decodes = (
        [float(np.median(times_ms(work, repeats, time.process_time))) for work in group]
        for group in (
            (
                lambda: heatmap_peaks(fields["heatmap"], codec.grid, PAF_DEFAULT.peak_threshold, PAF_DEFAULT.max_peaks),
                lambda: connect(peaks, fields["paf"], codec.limb_joints, codec.grid, PAF_DEFAULT),
                lambda: assemble(peaks, connections, redundant),
            ),
            (lambda: codec.decode(fields, poses), lambda: codec.decode(fields, masks)),
        )
    )
    counts = (len(codec.decode(fields, PAF_DEFAULT)), len(peaks), len(connections.limb))
    return [*map(str, counts), *(f"{ms:.2f}" for ms in (*steps, sum(steps), *decodes))]


def poseg(count: int, repeats: int, noise: float) -> Table:
    """The table of PoSeg."""
    titles = ("skeleton", "limbs", "people", "peaks", "connections", "find peaks", "match", "assemble", "poses",
              "decode, no masks", "decode")  # fmt: skip
    table = Table(*titles, title=f"Median ms, {count} people on {CELLS[0]} x {CELLS[1]} cells")
    for skeleton in (OPENPOSE18, COCO17):
        codec = PoSegCodec(skeleton, origin_px=4.0 if skeleton is OPENPOSE18 else 0.5)
        people = crowd(count, codec.grid.size(*CELLS), overlapping=True)
        table.add_row(skeleton.name, str(len(codec.limbs)), *poseg_row(codec, noisy(codec, people, noise), repeats))
    return table


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--system", choices=("personlab", "poseg"), default="personlab")
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="default", help="of PersonLab")
    parser.add_argument("--people", type=int, default=20, help="for PoSeg")
    parser.add_argument("--noise", type=float, default=0.02, help="for PoSeg: standard deviation of the noise")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    if args.system == "personlab":
        table = personlab(args.preset, args.repeats)
    else:
        table = poseg(args.people, args.repeats, args.noise)
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
