"""Masks of people whose poses are known, and what several masks of one person agree on.

Letters: L masks of one person, N people, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.claiming import claim, mask_scores
from poseg.codecs.decoding import BEST, Decoding
from poseg.codecs.scoring import person_scales, rescored
from poseg.fields import Fields
from poseg.people import People

Mask = NDArray[np.bool_]


def outline(fields: Fields, people: People, decoding: Decoding = BEST) -> People:
    """People (N) given on the network's input, of whichever origin, with the masks that the long offsets claim.

    Pixels weigh a person's joints by `keypoint_scores`, and rivals by `scores`. The masks have the size of the
    input; boxes go around the masks, where there are any. Raises FieldError for fields that are not finite.
    """
    fields.check_finite()
    sure = people.keypoint_scores
    scales = person_scales(people.keypoints, sure)
    masks, tight = claim(fields, people.keypoints, sure, scales, people.scores, decoding)
    boxes_xyxy = np.where(tight.any(axis=1, keepdims=True), tight, people.boxes_xyxy)
    return replace(people, boxes_xyxy=boxes_xyxy, masks=masks)


def outlined(fields: Fields, people: People, decoding: Decoding = BEST) -> People:
    """People (N) given on the network's input, as the decoder would put them out: with masks, scored by them, cut.

    What `PersonLabCodec.decode` does with the poses that it found itself. Raises FieldError.
    """
    if not decoding.masks or not all(name in fields for name in ("segmentation", "long_offsets")):
        return people[people.scores >= decoding.min_score][: decoding.max_people]
    if decoding.person_score != "mask":
        return outline(fields, people[people.scores >= decoding.min_score][: decoding.max_people], decoding)
    # The mask can lift a score up to the square root of the pose's alone.
    people = outline(fields, people[people.scores >= decoding.min_score**2][: decoding.max_people], decoding)
    return rescored(people, mask_scores(fields, people, decoding), decoding.min_score)


def common_mask(masks: Sequence[Mask], teachers: Sequence[Hashable]) -> tuple[Mask, float]:
    """What masks (H, W) of one person agree on: the pixels that at least half of them hold, and how much they agree.

    `teachers` says whose mask each is. The agreement is the mean IoU of the pairs of masks of different teachers,
    or, where there is but one teacher, of all pairs; 0 for a single mask, with which nobody agrees.
    """
    votes = np.sum([mask.astype(np.uint8) for mask in masks], axis=0)
    whole = np.asarray(2 * votes >= len(masks), np.bool_)
    several = len(set(teachers)) > 1
    overlaps = [
        _iou(a, b)
        for (a, first), (b, second) in combinations(list(zip(masks, teachers, strict=True)), 2)
        if not several or first != second
    ]
    return whole, float(np.mean(overlaps)) if overlaps else 0.0


def _iou(a: Mask, b: Mask) -> float:
    union = int(np.count_nonzero(a | b))
    return int(np.count_nonzero(a & b)) / union if union else 0.0
