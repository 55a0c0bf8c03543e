"""A model looks at labelled pictures three times; what it finds is what a painter learns from.

It sees each picture, its mirror image, and a part in which somebody fills the frame, as people do in portraits.

run    python -m poseg.recipes.find_people --data DATA --out FOUND [--model small]
time   20 minutes for 3,900 pictures on two cores
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track

import poseg
from poseg.codecs.mask_refiner import MaskRefinerCodec
from poseg.datasets.found_people import FoundPerson, write_found
from poseg.geometry.masks import Masks
from poseg.people import Sample
from poseg.recipes.data_at_hand import outlined_people
from poseg.runtime.mask_refiner import refiner_batch
from poseg.runtime.predictor import Predictor

STORED = MaskRefinerCodec(crop_px=96, padding=0.22)  # room around what a painter sees, for windows that move and turn
LEAST_SCORE = 0.1
LEAST_IOU = 0.25  # of what was found and a true mask that it is compared with
LEAST_PIXELS = 100
LEAST_TALL_PX, LEAST_SIDE_PX = 80, 32  # of somebody whom a close-up is made of, and of that


def found_in(sample: Sample, predictor: Predictor) -> Iterator[FoundPerson]:
    """The people that a model finds in a picture and that have a true mask there, each with the one most like its own.

    The predictor has no painter: it is the decoder's masks that are compared.
    """
    parts = predictor.instances(predictor.views(sample.image))
    rendered = [part.letterbox.people_to_image(part.instances.with_masks(predictor.decoder)) for part in parts]
    assert sample.people.masks is not None
    there = sample.people[sample.people.masks.areas >= LEAST_PIXELS]
    if not len(there) or there.masks is None:
        return
    taken = _matches([people.masks for people in rendered if people.masks is not None], there.masks)
    first = 0
    for part in parts:
        people, assignment = part.instances.people, part.instances.assignment
        rows = [(row, taken[first + row]) for row in range(len(people)) if first + row in taken]
        first += len(people)
        if not rows or assignment is None:
            continue
        mine, true = (np.array(numbers) for numbers in zip(*rows, strict=True))
        batch = refiner_batch(STORED, sample.image, part.letterbox, people[mine], assignment.select(mine))
        targets = STORED.encode(there[true], batch.crops, sample.ignore)
        for row in range(len(mine)):
            yield FoundPerson(
                batch.images[row], batch.cues[row], batch.joints[row],
                targets.targets["mask"][row], targets.weights["mask"][row] > 0, sample.name,
            )  # fmt: skip


def _matches(masks: list[Masks], true: Masks) -> dict[int, int]:
    """Which true mask each mask that was found goes with, those most alike first; each goes once."""
    iou = Masks.concatenate(masks).iou(true)
    pairs: dict[int, int] = {}
    for row in np.argsort(-iou.max(axis=1, initial=0), kind="stable"):
        best = int(iou[row].argmax())
        if iou[row, best] >= LEAST_IOU and best not in pairs.values():
            pairs[int(row)] = best
    return pairs


def _mirrored(sample: Sample) -> Sample:
    """The mirror image."""
    ignore = None if sample.ignore is None else sample.ignore[:, ::-1]
    return replace(
        sample, image=np.ascontiguousarray(sample.image[:, ::-1]),
        people=sample.people.flipped(sample.image.shape[1]), ignore=ignore,
    )  # fmt: skip


def close_up(sample: Sample, rng: np.random.Generator) -> Sample:
    """A part of the picture that the upper part of somebody fills; all of it where nobody is large enough."""
    masks = sample.people.masks
    boxes_xyxy = np.zeros((0, 4)) if masks is None else masks.boxes_xyxy
    tall = np.flatnonzero(boxes_xyxy[:, 3] - boxes_xyxy[:, 1] >= LEAST_TALL_PX)
    if not len(tall):
        return sample
    left, top, right, bottom = boxes_xyxy[int(rng.choice(tall))]
    height, width = sample.image.shape[:2]
    shown = rng.uniform(0.3, 0.8) * (bottom - top)
    side = (right - left) * rng.uniform(0.7, 1.4)
    middle = (left + right) / 2 + rng.uniform(-0.15, 0.15) * side
    y0 = int(np.clip(top + rng.uniform(-0.15, 0.1) * shown, 0, height - 1))
    x0 = int(np.clip(middle - side / 2, 0, width - 1))
    y1, x1 = int(np.clip(y0 + shown, y0 + 1, height)), int(np.clip(middle + side / 2, x0 + 1, width))
    if min(y1 - y0, x1 - x0) < LEAST_SIDE_PX:
        return sample
    people = replace(sample.people, masks=None if masks is None else masks.crop((x0, y0, x1, y1)))
    ignore = None if sample.ignore is None else sample.ignore[y0:y1, x0:x1]
    return replace(sample, image=np.ascontiguousarray(sample.image[y0:y1, x0:x1]), people=people, ignore=ignore)


def main() -> None:
    """Find people on the command line, set by set; sets that are written already are passed over."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds one folder for each data set")
    parser.add_argument("--model", default="small", help="who finds people")
    parser.add_argument("--out", type=Path, required=True, help="folder for what is found")
    asked = parser.parse_args()

    asked.out.mkdir(parents=True, exist_ok=True)
    predictor = poseg.load(asked.model, min_score=LEAST_SCORE, mask_refiner="")
    for share in outlined_people(asked.data):
        path = asked.out / f"{share.data.name}.npz"
        if path.exists():
            continue
        people: list[FoundPerson] = []
        for index in track(range(len(share.data)), description=share.data.name):
            sample = share.data[index]
            for view in (sample, _mirrored(sample), close_up(sample, np.random.default_rng(index))):
                people += found_in(view, predictor)
        write_found(path, people, STORED.padding)


if __name__ == "__main__":
    main()
