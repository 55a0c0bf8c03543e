"""From poses to instances: people with the pixels assigned to them, scored by both, and their masks.

Letters: N people, K joints.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.decoder_config import DEFAULT, DecoderConfig, PersonLabDecoder
from poseg.codecs.mask_rendering import mask_scores, render_masks
from poseg.codecs.pixel_assignment import PixelAssignment, assign_by_offsets
from poseg.fields import Fields
from poseg.people import People

if TYPE_CHECKING:
    from poseg.codecs.codec import BottomUpCodec


@dataclass(frozen=True, slots=True, eq=False)
class Instances:
    """People on the network's input, highest score first, before masks are rendered or refined.

    people      (N), without masks
    assignment  their cells, or None where masks are not wanted
    """

    people: People
    assignment: PixelAssignment | None

    def with_masks(self, config: DecoderConfig) -> People:
        """The people with masks, interpolated between cells, where there is an assignment, and boxes around them."""
        if self.assignment is None:
            return self.people
        masks = render_masks(self.assignment, config.mask_threshold, config.exclusive_masks)
        return self.people.with_masks(masks)


def assign_people(
    codec: BottomUpCodec, fields: Fields, people: People, config: DecoderConfig, keep: NDArray[np.bool_] | None = None
) -> Instances:
    """Poses (N) on the network's input with their pixels, scored by both; those below `min_score` are left out.

    All people compete for pixels, but only those of `keep` (N,) are returned; None keeps all.
    """
    by_mask = scored_by_masks(config)
    chosen = np.flatnonzero(people.scores >= lowest_pose_score(config))
    people = people[chosen]
    kept = np.ones(len(chosen), bool) if keep is None else keep[chosen]
    assignment = codec.assign(fields, people, config) if config.masks else None
    people = people[kept]
    if assignment is None:
        people = people[people.scores >= config.min_score]
        return Instances(people.top(len(people)), None)
    assignment = assignment.select(kept)
    if by_mask:
        confidence = mask_scores(assignment, people.keypoints, people.keypoint_scores, config.mask_threshold)
        people = replace(people, scores=np.sqrt(people.scores * confidence))
    order = np.argsort(-people.scores, kind="stable")
    order = order[people.scores[order] >= config.min_score]
    return Instances(people[order], assignment.select(order))


def scored_by_masks(config: DecoderConfig) -> bool:
    """Whether masks and poses together score people."""
    return config.masks and config.instance_score == "pose+mask"


def lowest_pose_score(config: DecoderConfig) -> float:
    """The lowest score of a pose whose person may reach `min_score`: a mask lifts it to its square root at most."""
    needed = config.min_score**2 if scored_by_masks(config) else config.min_score
    return max(needed, config.min_candidate_score)


def decode(codec: BottomUpCodec, fields: Fields, config: DecoderConfig) -> People:
    """The people of one view, highest score first, on the network's input: detect, assign, render, cut.

    Raises FieldError for fields that are not finite.
    """
    people = assign_people(codec, fields, codec.detect(fields, config), config).with_masks(config)
    return people[: config.max_people]


def segment_people(fields: Fields, people: People, config: PersonLabDecoder = DEFAULT) -> People:
    """People (N) on the network's input, from any source, with masks by PersonLab's long offsets; scores stay.

    `keypoint_scores` weight the joints, `scores` the people. Boxes go around the masks, where there are any. Raises
    FieldError for fields that are not finite.
    """
    fields.check_finite()
    return Instances(people, assign_by_offsets(fields, people, config)).with_masks(config)
