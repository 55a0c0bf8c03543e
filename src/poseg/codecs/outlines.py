"""Masks of people whose poses are known, and what several masks of one person agree on.

Letters: L masks of one person, N people, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.claiming import Claims, claim, mask_scores, paint
from poseg.codecs.decoding import BEST, Decoding
from poseg.codecs.paf_decoding import PafDecoding
from poseg.codecs.scoring import person_scales
from poseg.fields import Fields
from poseg.geometry.grid import Grid
from poseg.people import People

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Choices = Decoding | PafDecoding


@dataclass(frozen=True, slots=True, eq=False)
class Claimed:
    """How people come to masks: what they claim, given how much each joint counts (N, K), and on which grid."""

    claims: Callable[[People, Floats], Claims]
    grid: Grid


def outline(fields: Fields, people: People, decoding: Decoding = BEST) -> People:
    """People (N) given on the network's input, of whichever origin, with the masks that the long offsets claim.

    Pixels weigh a person's joints by `keypoint_scores`, and rivals by `scores`. The masks have the size of the
    input; boxes go around the masks, where there are any. Raises FieldError for fields that are not finite.
    """
    fields.check_finite()
    claims = claim_by_offsets(fields, people, people.keypoint_scores, decoding)
    return _painted(people, claims, fields.grid, decoding)


def claim_by_offsets(fields: Fields, people: People, weights: Floats, decoding: Decoding) -> Claims:
    """What people claim by the long offsets; weights (N, K) say how much each joint counts."""
    scales = person_scales(people.keypoints, weights)
    return claim(fields, people.keypoints, weights, scales, people.scores, decoding)


def outlined(
    people: People, choices: Choices, claimed: Claimed | None, weights: Floats | None = None, shown: Mask | None = None
) -> People:
    """People (N) on the network's input, surest first, as a decoder puts them out: with masks, scored by them, cut.

    `weights` (N, K), or else `keypoint_scores`, say how much a joint counts for its person's pixels. All compete for
    pixels; those of `shown` (N,), or else all, are put out. Where nothing is claimed people have no masks.
    """
    by_mask = claimed is not None and choices.person_score == "mask"
    # The mask can lift a score up to the square root of the pose's alone.
    least = choices.min_score**2 if by_mask else choices.min_score
    chosen = np.flatnonzero(people.scores >= least)[: choices.max_people]
    weights, people = (people.keypoint_scores if weights is None else weights)[chosen], people[chosen]
    wanted = np.ones(len(chosen), bool) if shown is None else shown[chosen]
    if claimed is None:
        return people[wanted]
    claims = claimed.claims(people, weights)
    people, claims = people[wanted], replace(claims, margin=claims.margin[:, wanted])
    if by_mask:
        sure = people.keypoint_scores
        scores = np.sqrt(
            people.scores * mask_scores(claims, people.keypoints, sure, claimed.grid, choices.mask_probability)
        )
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= choices.min_score]
        people, claims = replace(people, scores=scores)[order], replace(claims, margin=claims.margin[:, order])
    return _painted(people, claims, claimed.grid, choices)


def _painted(people: People, claims: Claims, grid: Grid, choices: Choices) -> People:
    """The people with the masks that they claim, and with boxes around them, where there are any."""
    masks, tight = paint(
        claims.probability, claims.margin, claims.place, grid, choices.mask_probability, choices.exclusive
    )
    boxes_xyxy = np.where(tight.any(axis=1, keepdims=True), tight, people.boxes_xyxy)
    return replace(people, boxes_xyxy=boxes_xyxy, masks=masks)


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
