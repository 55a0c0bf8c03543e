"""How long tracking and smoothing take: milliseconds a frame for 1, 5 and 20 people, beside the network.

run    python benchmarks/video.py [--frames 40] [--model fast] [--height 720]

Synthetic people walk across a video of 16:9 with noise in their joints and edges. Times are CPU times on one core, so
that other work on the machine does not count, medians over frames: tracker (ids), smoothing of masks, smoothing of
joints; `total` is their sum, `of model` that sum divided by the model's time for a frame of the same size. Offline
smoothing: all poses of the clip at once, and its masks, which are unpacked on the way.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable

# Before NumPy starts its threads: one core for everything.
if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

import poseg
from poseg.people import People
from poseg.runtime.mask_smoothing import MaskSmoother
from poseg.runtime.offline_smoothing import PackedClip, smooth_offline
from poseg.runtime.people_tracker import KeypointSmoother
from poseg.runtime.tracker import Tracker
from poseg.skeletons import COCO17

CROWDS = (1, 5, 20)
FPS = 25

# A standing figure of height 1 around its centre, in the order of COCO's joints.
STANDING = np.array(
    [
        (0, -0.42), (0.02, -0.44), (-0.02, -0.44), (0.05, -0.43), (-0.05, -0.43),
        (0.12, -0.28), (-0.12, -0.28), (0.17, -0.12), (-0.17, -0.12), (0.19, 0.02), (-0.19, 0.02),
        (0.08, 0.04), (-0.08, 0.04), (0.1, 0.24), (-0.1, 0.24), (0.1, 0.44), (-0.1, 0.44),
    ]
)  # fmt: skip


def walking(count: int, frames: int, size: tuple[int, int]) -> list[People]:
    """`count` people who walk at half a height a second, detected with noise, in random order."""
    rng = np.random.default_rng(count)
    height = min(0.8 * size[0], 1.4 * size[1] / count + 0.15 * size[0])
    start = rng.uniform((0.15 * size[1], 0.45 * size[0]), (0.85 * size[1], 0.55 * size[0]), (count, 2))
    speed = rng.choice((-0.5, 0.5), count) * height
    clip = []
    for frame in range(frames):
        centres = start + np.stack([speed * frame / FPS, np.zeros(count)], axis=1)
        points = centres[:, None] + STANDING * height + rng.normal(0, 0.01 * height, (count, 17, 2))
        masks = np.zeros((count, *size), np.uint8)
        for mask, person in zip(masks, points, strict=True):
            for a, b in COCO17.indices(COCO17.bones):
                cv2.line(
                    mask, person[a].astype(int).tolist(), person[b].astype(int).tolist(), 1, max(int(height / 8), 1)
                )
        people = People.from_poses(COCO17, points, np.ones((count, 17)), masks=masks.astype(bool))
        clip.append(people[rng.permutation(count)])
    return clip


def timed(work: Callable[[], object]) -> tuple[float, object]:
    """CPU milliseconds of a call, and its result."""
    start = time.process_time()
    result = work()
    return 1000 * (time.process_time() - start), result


def online_ms(clip: list[People]) -> tuple[float, float, float]:
    """Median milliseconds a frame: tracker, masks, joints."""
    tracker, masks, keypoints = Tracker(), MaskSmoother(), KeypointSmoother()
    times_ms = []
    for frame, people in enumerate(clip):
        now = frame / FPS
        first, people = timed(lambda people=people, now=now: tracker.update(people, now))
        second, people = timed(lambda people=people, now=now: masks.update(people, now))
        third, _ = timed(lambda people=people, now=now: keypoints.update(people, now))
        times_ms.append((first, second, third))
    first, second, third = np.median(times_ms[2:], axis=0).tolist()
    return first, second, third


def offline_ms(clip: list[People]) -> tuple[float, float]:
    """Milliseconds a frame of offline smoothing: all poses of the clip, and the masks of a frame."""
    packed, tracker = PackedClip(), Tracker()
    for frame, people in enumerate(clip):
        packed.append(frame / FPS, tracker.update(people, frame / FPS))
    poses, smoothed = timed(lambda: smooth_offline(packed))
    masks, _ = timed(lambda: [smoothed[index] for index in range(len(clip))])
    return poses / len(clip), masks / len(clip)


def model_ms(name: str, size: tuple[int, int], repeats: int = 7) -> float:
    """Median milliseconds for a frame of noise without people, on one core: decoding people takes a little more."""
    model = poseg.load(name, threads=1)
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    model(image)
    return float(np.median([timed(lambda: model(image))[0] for _ in range(repeats)]))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--height", type=int, default=720, help="of the video in pixels")
    args = parser.parse_args()
    cv2.setNumThreads(1)
    offline_ms(walking(1, 12, (90, 160)))  # SciPy is loaded by its first use
    size = (args.height, args.height * 16 // 9)
    network = model_ms(args.model, size)
    table = Table(title=f"{size[1]} x {size[0]}, CPU ms a frame; the model {args.model} takes {network:.1f}")
    for name in ("people", "tracker", "masks", "joints", "total", "of model", "offline: poses", "masks"):
        table.add_column(name, justify="right")
    for count in CROWDS:
        clip = walking(count, args.frames, size)
        online, offline = online_ms(clip), offline_ms(clip)
        total = sum(online)
        numbers = (f"{ms:.1f}" for ms in (*online, total))
        table.add_row(str(count), *numbers, f"{100 * total / network:.0f} %", *(f"{ms:.1f}" for ms in offline))
    Console().print(table)


if __name__ == "__main__":
    main()
