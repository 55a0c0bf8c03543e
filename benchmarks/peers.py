"""Our models beside the networks that they have to beat, in one run: scores, and times taken in turn.

run    python benchmarks/peers.py --data ANN.json --images DIR --model small --model fast
           [--bodypix bodypix.onnx] [--movenet movenet.tflite] [--rounds 3] [--threads 2]

Every picture goes to everybody before the next one is read, so that whatever else the machine does hits all alike.
Nobody's first look at a picture counts: it finds the people who are scored and settles buffers for the input's shape;
then come the rounds that are timed, each in another order. The time of a picture is the median of its rounds, "least"
the least of them; both are averaged over the pictures, and the ratios are those of the averages. A time is that of the
whole call, from the pixels of the picture to the people in it, with the settings that are scored (everybody down to a
score of 0). MoveNet MultiPose, which knows poses only, sees an input no larger than the picture wants ("tight", a
multiple of 32), and for comparison a square one. Its .tflite, or a zip with it, needs `ai-edge-litert`.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from time import perf_counter
from typing import Any
from zlib import crc32

import cv2
import numpy as np
from asking import Asked, ask_for_models, ask_for_pictures
from numpy.typing import NDArray
from rich.progress import track
from tables import Grid, ask_for_outputs, put_out, score

import poseg
from poseg.evaluation import EvaluationReport, evaluate
from poseg.evaluation.ground_truth import load_ground_truth
from poseg.io.images import read_image
from poseg.people import People, Timings

sys.path.append(str(Path(__file__).resolve().parents[1] / "examples" / "teachers"))

Image = NDArray[np.uint8]
MOVENET, BODYPIX = "MoveNet 512", "BodyPix 513"


@dataclass(frozen=True, slots=True)
class Promise:
    """What a model is to reach: least scores, in no more time than a peer."""

    name: str
    keypoint_ap: float
    mask_ap: float
    peer: str


PROMISES = (Promise("small", 0.32, 0.20, MOVENET), Promise("fast", 0.27, 0.12, BODYPIX))


@dataclass(slots=True, eq=False)
class Contestant:
    """Somebody who finds people, and what was seen of them.

    prepare  what is done to a picture before the clock starts
    found    people by the checksum of their picture, masks as bits
    spent    for each picture, the milliseconds (pre, net, decode, total) of each round; NaN where not stated
    """

    name: str
    find: Callable[[Image], People]
    ours: bool = False
    prepare: Callable[[Image], Image] = lambda image: image
    found: dict[int, tuple[People, NDArray[np.uint8] | None]] = field(default_factory=dict)
    spent: list[list[tuple[float, ...]]] = field(default_factory=list)

    def look(self, image: Image) -> None:
        """Find the people of a picture, uncounted, and keep them."""
        people = self.find(self.prepare(image))
        bits = None if people.masks is None else np.packbits(people.masks, axis=2)
        self.found[crc32(image)] = replace(people, masks=None), bits
        self.spent.append([])

    def run(self, image: Image) -> None:
        """Do it again by the clock."""
        image = self.prepare(image)
        start = perf_counter()
        people = self.find(image)
        total_ms = 1e3 * (perf_counter() - start)
        parts = people.timings or Timings(np.nan, np.nan, np.nan)
        self.spent[-1].append((parts.preprocess_ms, parts.inference_ms, parts.decode_ms, total_ms))

    def __call__(self, image: Image) -> People:
        """The people found before, for the evaluation."""
        people, bits = self.found[crc32(image)]
        if bits is None:
            return people
        return replace(people, masks=np.unpackbits(bits, axis=2, count=image.shape[1]).astype(bool))

    def times_ms(self) -> dict[str, float]:
        """preprocess, inference, postprocess, total and least: averages over the pictures."""
        spent = np.array(self.spent)
        middle = np.median(spent, axis=1).mean(axis=0)
        named = dict(zip(("preprocess", "inference", "postprocess", "total"), map(float, middle), strict=True))
        return {**named, "least": float(spent[..., 3].min(axis=1).mean())}


def squared(image: Image) -> Image:
    """The picture with black to the right or below, so that it is as wide as high."""
    side = max(image.shape[:2])
    return np.pad(image, ((0, side - image.shape[0]), (0, side - image.shape[1]), (0, 0)))


def own_models(asked: list[Asked], threads: int) -> list[Contestant]:
    """Models of ours, or imported ones."""
    contestants = []
    for one in asked:
        model = poseg.load(one.model, threads=threads, size_px=one.size_px, min_score=0.0)
        card = model.model.card
        contestants.append(Contestant(f"{card.name} {one.size_px or card.size_px}", model, ours=True))
    return contestants


def peers(asked: argparse.Namespace) -> list[Contestant]:
    """BodyPix and MoveNet, where they were given."""
    contestants = []
    for size in asked.bodypix_sizes if asked.bodypix else []:
        model = poseg.load(asked.bodypix, threads=asked.threads, size_px=size, min_score=0.0)
        contestants.append(Contestant(f"BodyPix {size}", model))
    if asked.movenet:
        from movenet_multipose import MoveNetMultiPose

        for size in asked.movenet_sizes:
            contestants.append(Contestant(f"MoveNet {size}", MoveNetMultiPose(asked.movenet, size, asked.threads)))
        whole = MoveNetMultiPose(asked.movenet, 512, asked.threads)
        contestants.append(Contestant("MoveNet 512, square", whole, prepare=squared))
    return contestants


def race(contestants: list[Contestant], paths: Mapping[int, Path], rounds: int) -> None:
    """Show every picture to everybody, in turn."""
    for path in track(list(paths.values()), description="race", transient=True):
        image = read_image(path)
        for contestant in contestants:
            contestant.look(image)
        for turn in range(rounds):
            first = turn % len(contestants)
            for contestant in contestants[first:] + contestants[:first]:
                contestant.run(image)


def verdicts(contestants: list[Contestant], reports: Mapping[str, EvaluationReport]) -> list[str]:
    """For each of our models, what it is to reach and whether it does."""
    times, lines = {one.name: one.times_ms()["total"] for one in contestants}, []
    for one in contestants:
        for promise in PROMISES if one.ours else ():
            report = reports[one.name]
            claims = [
                (f"keypoint AP {report.keypoints['AP']:.3f} >= {promise.keypoint_ap}",
                 report.keypoints["AP"] >= promise.keypoint_ap),
                (f"mask AP {report.masks['AP']:.3f} >= {promise.mask_ap}", report.masks["AP"] >= promise.mask_ap),
            ]  # fmt: skip
            if promise.peer in times:
                ratio = times[one.name] / times[promise.peer]
                claims.append((f"{ratio:.2f} x the time of {promise.peer} <= 1", ratio <= 1))
            said = "; ".join(f"{claim}: {'yes' if met else 'NO'}" for claim, met in claims)
            lines.append(f"{one.name} as `{promise.name}`: {said}")
    return lines


def tabulate(
    contestants: list[Contestant], reports: Mapping[str, EvaluationReport], title: str
) -> tuple[list[Grid], dict[str, Any]]:
    """Tables of scores and of times, and all their numbers."""
    times = {one.name: one.times_ms() for one in contestants}
    measured = [name for name in (MOVENET, "MoveNet 512, square", BODYPIX) if name in times]
    scores = Grid(title, ["", "keypoint AP", "AP50", "mask AP", "AP50", "person IoU", "found"])
    clock = Grid(
        "Milliseconds a picture",
        ["", "preprocess", "inference", "postprocess", "total", "least", *(f"/ {n}" for n in measured)],
    )
    numbers: dict[str, Any] = {}
    for name, ms in times.items():
        report = reports[name]
        has_masks = any("segmentation" in record for record in report.results)
        scores.rows.append([
            name,
            score(report.keypoints["AP"], report.intervals.get("keypoints.AP")),
            score(report.keypoints["AP50"], report.intervals.get("keypoints.AP50")),
            score(report.masks["AP"], report.intervals.get("masks.AP")) if has_masks else "-",
            score(report.masks["AP50"], report.intervals.get("masks.AP50")) if has_masks else "-",
            score(report.person_iou, report.intervals.get("person_iou")) if has_masks else "-",
            str(report.num_detected),
        ])  # fmt: skip
        ratios = {peer: {what: ms[what] / times[peer][what] for what in ("total", "least")} for peer in measured}
        clock.rows.append([
            name,
            *("-" if np.isnan(number) else f"{number:.1f}" for number in ms.values()),
            *(f"{ratio['total']:.2f} ({ratio['least']:.2f})" for ratio in ratios.values()),
        ])  # fmt: skip
        stated = {what: None if np.isnan(number) else number for what, number in ms.items()}
        numbers[name] = {**report.to_dict(), "ms": stated, "ratios": ratios}
    return [scores, clock], numbers


def main() -> None:
    """Race, score, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for_pictures(parser)
    ask_for_models(parser)
    parser.add_argument("--bodypix", type=Path, help="imported BodyPix (`poseg import-google`)")
    parser.add_argument("--bodypix-sizes", type=int, nargs="+", default=[513, 801])
    parser.add_argument("--movenet", type=Path, help="MoveNet MultiPose as .tflite, or a zip that holds it")
    parser.add_argument("--movenet-sizes", type=int, nargs="+", default=[256, 384, 512])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3, help="times that each picture is timed")
    ask_for_outputs(parser)
    asked = parser.parse_args()
    cv2.setNumThreads(asked.threads)
    contestants = own_models(asked.model or [Asked("small", None)], asked.threads) + peers(asked)
    truth = load_ground_truth(asked.data, asked.images, asked.limit)
    race(contestants, truth.paths, asked.rounds)
    reports = {
        one.name: evaluate(one, asked.data, asked.images, limit=asked.limit)
        for one in track(contestants, description="score", transient=True)
    }
    title = f"{asked.data.name}: {len(truth.paths)} pictures, {asked.threads} threads; in brackets 95 % intervals"
    grids, numbers = tabulate(contestants, reports, title)
    lines = verdicts(contestants, reports)
    put_out(asked, grids, {"threads": asked.threads, "rounds": asked.rounds, "contestants": numbers}, lines)


if __name__ == "__main__":
    main()
