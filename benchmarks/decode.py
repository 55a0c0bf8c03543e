"""How long decoding takes on one core: 1, 10 and 30 people at 513 px.

run    python benchmarks/decode.py [--repeats 30] [--preset best|paper|tfjs|coral]

The fields are those of a perfect network, in which every joint of everybody is a seed. Times are milliseconds of
`PersonLabCodec.decode`, least and median of all repeats. The last line of a block compares 30 people with one.
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace

# Before NumPy starts its threads: one core for everything.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from poseg.codecs import CORAL, DEFAULT, PAPER, TFJS, PersonLabCodec, PersonLabDecoder
from poseg.fields import Fields
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (513, 513)
PRESETS = {"best": DEFAULT, "paper": PAPER, "tfjs": TFJS, "coral": CORAL}
CROWDS = (1, 10, 30)

# A standing figure of height 2 around its hips, in the order of COCO's joints.
STANDING = np.array(
    [
        (0, -0.8), (0.05, -0.85), (-0.05, -0.85), (0.1, -0.8), (-0.1, -0.8),
        (0.18, -0.6), (-0.18, -0.6), (0.25, -0.3), (-0.25, -0.3), (0.28, -0.05), (-0.28, -0.05),
        (0.11, 0), (-0.11, 0), (0.13, 0.45), (-0.13, 0.45), (0.14, 0.9), (-0.14, 0.9),
    ]
)  # fmt: skip


def crowd(n: int) -> People:
    """People in rows that fill the picture, their bones as thick lines for masks."""
    rng = np.random.default_rng(n)
    columns = int(np.ceil(np.sqrt(1.6 * n)))
    rows = -(-n // columns)
    height = min(0.9 * SIZE[0] / rows, 1.5 * SIZE[1] / columns)
    row, column = np.divmod(np.arange(n), columns)
    centres = np.stack([(column + 0.5) * SIZE[1] / columns, (row + 0.5) * SIZE[0] / rows], axis=1)
    points = centres[:, None] + STANDING * height / 2 + rng.normal(0, height / 50, (n, 17, 2))
    masks = np.zeros((n, *SIZE), np.uint8)
    for mask, person in zip(masks, points, strict=True):
        for a, b in COCO17.indices(COCO17.bones):
            cv2.line(mask, person[a].astype(int).tolist(), person[b].astype(int).tolist(), 1, max(int(height / 6), 1))
    return People.from_poses(COCO17, points, np.ones((n, 17)), masks=masks.astype(bool))


def times_ms(codec: PersonLabCodec, fields: Fields, decoding: PersonLabDecoder, repeats: int) -> tuple[float, float]:
    """Least and median time of a decode, in milliseconds."""
    codec.decode(fields, decoding)
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        codec.decode(fields, decoding)
        taken.append(1000 * (time.perf_counter() - start))
    return min(taken), float(np.median(taken))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=30)
    parser.add_argument("--preset", choices=sorted(PRESETS), default="best")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    chosen = replace(PRESETS[given.preset], max_people=max(CROWDS), max_candidates=100)
    wants = (("poses", replace(chosen, masks=False)), ("with masks", chosen))
    table = Table(title=f"decode, {SIZE[1]} x {SIZE[0]} px, preset {given.preset}, one core, ms")
    for title in (
        "stride",
        "people",
        "found",
        *(f"{what}, {stat}" for what, _ in wants for stat in ("least", "median")),
    ):
        table.add_column(title, justify="right")
    for stride in (16, 8):
        codec, medians = PersonLabCodec(stride=stride), {}
        for n in CROWDS:
            fields = codec.encode(crowd(n), SIZE).as_fields()
            medians[n] = [times_ms(codec, fields, decoding, given.repeats) for _, decoding in wants]
            found = len(codec.decode(fields, wants[0][1]))
            table.add_row(str(stride), str(n), str(found), *(f"{ms:.1f}" for pair in medians[n] for ms in pair))
        ratios = [
            many / one
            for least, most in [(medians[1], medians[30])]
            for pair in zip(most, least, strict=True)
            for many, one in zip(*pair, strict=True)
        ]
        table.add_row(str(stride), "30 / 1", "", *(f"{ratio:.1f}x" for ratio in ratios), end_section=True)
    Console().print(table)


if __name__ == "__main__":
    main()
