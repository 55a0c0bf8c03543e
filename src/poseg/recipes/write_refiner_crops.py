"""A model runs on labelled images; the people that it detects become the mask refiner's training crops.

It runs on each image, on its flipped copy, and on a part that a person fills, as in portraits.

run    python -m poseg.recipes.write_refiner_crops --data DATA --out CROPS [--model small]
time   20 minutes for 3,900 images on two cores
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.progress import track

import poseg
from poseg.codecs.crop_masks import FIELD
from poseg.codecs.mask_refiner import MaskRefinerCodec
from poseg.datasets.refiner_samples import RefinerSample, write_samples
from poseg.geometry.masks import Masks
from poseg.people import Sample
from poseg.recipes.training_sets import masked_people
from poseg.runtime.mask_refiner import refiner_batch
from poseg.runtime.predictor import Predictor

STORAGE_CODEC = MaskRefinerCodec(crop_px=96, padding=0.22)  # padding around the refiner's crop, for crops that move
MIN_SCORE = 0.1
MIN_IOU = 0.25  # of a detected mask and the ground truth that it is matched with
MIN_PIXELS = 100
MIN_HEIGHT_PX, MIN_SIDE_PX = 80, 32  # of a person in a portrait crop, and of that


def refiner_samples(sample: Sample, predictor: Predictor) -> Iterator[RefinerSample]:
    """The people that a model detects in an image and that match a ground-truth mask there.

    The predictor has no mask refiner: the decoder's masks are matched.
    """
    parts = predictor.instances(sample.image, predictor.views(sample.image))
    rendered = [part.letterbox.people_to_image(part.instances.with_masks(predictor.decoder)) for part in parts]
    assert sample.people.masks is not None
    truth = sample.people[sample.people.masks.areas >= MIN_PIXELS]
    if not len(truth) or truth.masks is None:
        return
    matches = _match_iou([people.masks for people in rendered if people.masks is not None], truth.masks)
    first = 0
    for part in parts:
        people, assignment = part.instances.people, part.instances.assignment
        pairs = [(row, matches[first + row]) for row in range(len(people)) if first + row in matches]
        first += len(people)
        if not pairs or assignment is None:
            continue
        detected, true = (np.array(rows) for rows in zip(*pairs, strict=True))
        batch = refiner_batch(
            STORAGE_CODEC, sample.image, part.letterbox, people[detected], assignment.select(detected)
        )
        targets = STORAGE_CODEC.encode(truth[true], batch.crops, sample.ignore)
        for row in range(len(detected)):
            yield RefinerSample(
                batch.images[row], batch.cues[row], batch.joints[row],
                targets.targets[FIELD][row], targets.weights[FIELD][row] > 0, sample.name,
            )  # fmt: skip


def _match_iou(masks: list[Masks], truth: Masks) -> dict[int, int]:
    """Which ground-truth mask each mask matches, those of the highest IoU first; each matches once."""
    iou = Masks.concatenate(masks).iou(truth)
    pairs: dict[int, int] = {}
    for row in np.argsort(-iou.max(axis=1, initial=0), kind="stable"):
        best = int(iou[row].argmax())
        if iou[row, best] >= MIN_IOU and best not in pairs.values():
            pairs[int(row)] = best
    return pairs


def _flipped(sample: Sample) -> Sample:
    """The sample flipped left to right."""
    ignore = None if sample.ignore is None else sample.ignore[:, ::-1]
    return replace(
        sample, image=np.ascontiguousarray(sample.image[:, ::-1]),
        people=sample.people.flipped(sample.image.shape[1]), ignore=ignore,
    )  # fmt: skip


def portrait_crop(sample: Sample, rng: np.random.Generator) -> Sample:
    """A part of the image that the upper part of a person fills; all of it where no person is large enough."""
    masks = sample.people.masks
    boxes_xyxy = np.zeros((0, 4)) if masks is None else masks.boxes_xyxy
    tall = np.flatnonzero(boxes_xyxy[:, 3] - boxes_xyxy[:, 1] >= MIN_HEIGHT_PX)
    if not len(tall):
        return sample
    left, top, right, bottom = boxes_xyxy[int(rng.choice(tall))]
    height, width = sample.image.shape[:2]
    crop_height = rng.uniform(0.3, 0.8) * (bottom - top)
    crop_width = (right - left) * rng.uniform(0.7, 1.4)
    centre = (left + right) / 2 + rng.uniform(-0.15, 0.15) * crop_width
    y0 = int(np.clip(top + rng.uniform(-0.15, 0.1) * crop_height, 0, height - 1))
    x0 = int(np.clip(centre - crop_width / 2, 0, width - 1))
    y1 = int(np.clip(y0 + crop_height, y0 + 1, height))
    x1 = int(np.clip(centre + crop_width / 2, x0 + 1, width))
    if min(y1 - y0, x1 - x0) < MIN_SIDE_PX:
        return sample
    people = replace(sample.people, masks=None if masks is None else masks.crop((x0, y0, x1, y1)))
    ignore = None if sample.ignore is None else sample.ignore[y0:y1, x0:x1]
    return replace(sample, image=np.ascontiguousarray(sample.image[y0:y1, x0:x1]), people=people, ignore=ignore)


def main() -> None:
    """Write crops on the command line, set by set; sets that are written already are skipped."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder that holds one folder for each data set")
    parser.add_argument("--model", default="small", help="the model that detects people")
    parser.add_argument("--out", type=Path, required=True, help="folder for the crops")
    args = parser.parse_args()

    args.out.mkdir(parents=True, exist_ok=True)
    predictor = poseg.load(args.model, min_score=MIN_SCORE, mask_refiner="")
    for part in masked_people(args.data):
        path = args.out / f"{part.data.name}.npz"
        if path.exists():
            continue
        people: list[RefinerSample] = []
        for index in track(range(len(part.data)), description=part.data.name):
            sample = part.data[index]
            for view in (sample, _flipped(sample), portrait_crop(sample, np.random.default_rng(index))):
                people += refiner_samples(view, predictor)
        write_samples(path, people, STORAGE_CODEC.padding)


if __name__ == "__main__":
    main()
