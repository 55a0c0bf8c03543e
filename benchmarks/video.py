"""How long it takes to follow people over time: milliseconds a frame for 1, 5 and 20 people, beside the network.

run    python benchmarks/video.py [--frames 40] [--model fast] [--size 720]

People of drawn shapes walk across a video of 16:9 with noise in their joints and edges. Times are of CPU on one core,
so that other work on the machine does not count, medians over frames: who is who (tracker), masks over time, joints
over time; `together` is their sum, `of the model` that sum beside what the model takes for a frame of the same size,
all steps together. Two passes: all poses of the clip at once, and its masks, which are unpacked on the way.
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

import poseg
from poseg.people import People
from poseg.runtime.mask_smoothing import MaskSmoother
from poseg.runtime.offline_smoothing import PackedClip, smooth_offline
from poseg.runtime.people_tracker import KeypointSmoother
from poseg.runtime.tracker import Tracker
from poseg.skeletons import COCO17

CROWDS = (1, 5, 20)
FPS = 25

# A standing figure of height 1 around its middle, in the order of COCO's joints.
STANDING = np.array(
    [
        (0, -0.42), (0.02, -0.44), (-0.02, -0.44), (0.05, -0.43), (-0.05, -0.43),
        (0.12, -0.28), (-0.12, -0.28), (0.17, -0.12), (-0.17, -0.12), (0.19, 0.02), (-0.19, 0.02),
        (0.08, 0.04), (-0.08, 0.04), (0.1, 0.24), (-0.1, 0.24), (0.1, 0.44), (-0.1, 0.44),
    ]
)  # fmt: skip


def walking(count: int, frames: int, size: tuple[int, int]) -> list[People]:
    """`count` people who walk at half a height a second, found with noise, in random order."""
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
    """Milliseconds that something takes, and what comes of it."""
    start = time.process_time()
    result = work()
    return 1000 * (time.process_time() - start), result


def online_ms(clip: list[People]) -> tuple[float, float, float]:
    """Median milliseconds a frame: tracker, masks, joints."""
    tracker, steadier, smoother = Tracker(), MaskSmoother(), KeypointSmoother()
    taken = []
    for frame, people in enumerate(clip):
        now = frame / FPS
        track, known = timed(lambda people=people, now=now: tracker.update(people, now))
        mask, steady = timed(lambda known=known, now=now: steadier.update(known, now))
        joint, _ = timed(lambda steady=steady, now=now: smoother.update(steady, now))
        taken.append((track, mask, joint))
    track, mask, joint = np.median(taken[2:], axis=0).tolist()
    return track, mask, joint


def offline_ms(clip: list[People]) -> tuple[float, float]:
    """Milliseconds a frame of the two-pass mode: all poses of the clip, and the masks of a frame."""
    packed = PackedClip()
    tracker = Tracker()
    for frame, people in enumerate(clip):
        packed.append(frame / FPS, tracker.update(people, frame / FPS))
    poses, steady = timed(lambda: smooth_offline(packed))
    masks, _ = timed(lambda: [steady[index] for index in range(len(clip))])
    return poses / len(clip), masks / len(clip)


def model_ms(name: str, size: tuple[int, int], repeats: int = 7) -> float:
    """Median milliseconds to find nobody in a noisy frame, on one core: decoding people takes a little more."""
    model = poseg.load(name, threads=1)
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), np.uint8)
    model(image)
    return float(np.median([timed(lambda: model(image))[0] for _ in range(repeats)]))


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=40)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--size", type=int, default=720, help="height of the video in pixels")
    given = parser.parse_args()
    cv2.setNumThreads(1)
    offline_ms(walking(1, 12, (90, 160)))  # SciPy is loaded by its first use
    size = (given.size, given.size * 16 // 9)
    network = model_ms(given.model, size)
    title = f"{size[1]} x {size[0]}, CPU ms a frame; the model {given.model} takes {network:.1f}"
    table = Table(title=title)
    for name in (
        "people",
        "tracker",
        "masks",
        "joints",
        "together",
        "of the model",
        "two-pass poses",
        "two-pass masks",
    ):
        table.add_column(name, justify="right")
    for count in CROWDS:
        clip = walking(count, given.frames, size)
        parts = online_ms(clip)
        both = offline_ms([replace(people) for people in clip])
        together = sum(parts)
        numbers = (*parts, together)
        table.add_row(
            str(count),
            *(f"{ms:.1f}" for ms in numbers),
            f"{100 * together / network:.0f} %",
            *(f"{ms:.1f}" for ms in both),
        )
    Console().print(table)


if __name__ == "__main__":
    main()
