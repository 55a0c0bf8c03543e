"""Masks of people whose poses are known.

Letters: N people, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.claiming import Claims, claim, mask_scores, paint
from poseg.codecs.decoding import BEST, Decoding
from poseg.codecs.paf_decoding import PafDecoding
from poseg.codecs.scoring import person_scales
from poseg.fields import Fields
from poseg.people import People

Mask = NDArray[np.bool_]
Floats = NDArray[np.float32]
Choices = Decoding | PafDecoding


@dataclass(frozen=True, slots=True, eq=False)
class Unpainted:
    """People on the network's input as a decoder has them before it paints their masks: scored, cut, surest first.

    people  (N), without masks
    claims  what they claim, or None where they are to have no masks
    """

    people: People
    claims: Claims | None

    def painted(self, choices: Choices) -> People:
        """The people with masks, where they claim something, and with boxes around them, where there are any."""
        if self.claims is None:
            return self.people
        masks = paint(self.claims, choices.mask_probability, choices.exclusive)
        boxes_xyxy = np.where(masks.nonempty[:, None], masks.boxes_xyxy, self.people.boxes_xyxy)
        return replace(self.people, boxes_xyxy=boxes_xyxy, masks=masks)


def outline(fields: Fields, people: People, decoding: Decoding = BEST) -> People:
    """People (N) given on the network's input, of whichever origin, with the masks that the long offsets claim.

    Pixels weigh a person's joints by `keypoint_scores`, and rivals by `scores`. The masks have the size of the
    input; boxes go around the masks, where there are any. Raises FieldError for fields that are not finite.
    """
    fields.check_finite()
    return Unpainted(people, claim_by_offsets(fields, people, people.keypoint_scores, decoding)).painted(decoding)


def claim_by_offsets(fields: Fields, people: People, weights: Floats, decoding: Decoding) -> Claims:
    """What people claim by the long offsets; weights (N, K) say how much each joint counts."""
    scales = person_scales(people.keypoints, weights)
    return claim(fields, people.keypoints, weights, scales, people.scores, decoding)


def unpainted(
    people: People,
    choices: Choices,
    claims: Callable[[People, Floats], Claims] | None,
    weights: Floats | None = None,
    shown: Mask | None = None,
) -> Unpainted:
    """People (N) on the network's input, surest first, scored by what they claim, and cut by the choices.

    `claims` says what people claim, given how much each joint counts (N, K): `weights`, or else `keypoint_scores`.
    All compete for pixels; those of `shown` (N,), or else all, are put out.
    """
    by_mask = claims is not None and choices.person_score == "mask"
    # The mask can lift a score up to the square root of the pose's alone.
    least = choices.min_score**2 if by_mask else choices.min_score
    chosen = np.flatnonzero(people.scores >= least)[: choices.max_people]
    weights, people = (people.keypoint_scores if weights is None else weights)[chosen], people[chosen]
    wanted = np.ones(len(chosen), bool) if shown is None else shown[chosen]
    if claims is None:
        return Unpainted(people[wanted], None)
    claimed = claims(people, weights).of(wanted)
    people = people[wanted]
    if by_mask:
        sure = mask_scores(claimed, people.keypoints, people.keypoint_scores, choices.mask_probability)
        scores = np.sqrt(people.scores * sure)
        order = np.argsort(-scores, kind="stable")
        order = order[scores[order] >= choices.min_score]
        people, claimed = replace(people, scores=scores)[order], claimed.of(order)
    return Unpainted(people, claimed)
