"""Pose2Seg: people to aligned crops, and masks of crops to people (Zhang et al., CVPR 2019).

Unlike the bottom-up codecs this one takes people of any source: their poses align the crops, and each crop has one
mask.

Letters: N people, K joints, T templates, S the side of a crop, H x W pixels of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.crop_masks import FIELD, CropMaskCodec
from poseg.errors import FieldError, ShapeError
from poseg.fields import Fields, sigmoid
from poseg.fields.align import AlignedCrops, Templates, align, crop_masks
from poseg.geometry import affine
from poseg.geometry.grid import Grid
from poseg.geometry.masks import Masks
from poseg.people import People
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float32]


# Left joints of typical poses of COCO's training set (spec section 2): front, back and upper body. Right joints are
# their flip. None: the template lacks the joint.
_TEMPLATES: Mapping[str, tuple[tuple[float, float] | None, ...]] = {
    "nose": ((0.50, 0.15), None, (0.50, 0.25)),
    "left_eye": ((0.51, 0.18), None, (0.52, 0.25)),
    "left_ear": ((0.52, 0.28), (0.48, 0.32), (0.55, 0.32)),
    "left_shoulder": ((0.57, 0.24), (0.46, 0.23), (0.62, 0.41)),
    "left_elbow": ((0.60, 0.39), (0.45, 0.39), (0.64, 0.63)),
    "left_wrist": ((0.58, 0.43), (0.46, 0.44), (0.57, 0.62)),
    "left_hip": ((0.55, 0.53), (0.47, 0.51), (0.56, 0.77)),
    "left_knee": ((0.56, 0.70), (0.47, 0.70), None),
    "left_ankle": ((0.55, 0.85), (0.48, 0.84), None),
}


def paper_templates(skeleton: Skeleton = COCO17) -> Templates:
    """The three typical poses of COCO's people, for the joints of a skeleton that have COCO's names."""
    points = np.zeros((3, len(skeleton), 2))
    visible = np.zeros((3, len(skeleton)), np.bool_)
    for joint, name in enumerate(skeleton.joints):
        flipped = name.startswith("right_")
        for template, point in enumerate(_TEMPLATES.get(name.replace("right_", "left_"), (None,) * 3)):
            if point is not None:
                points[template, joint] = (1 - point[0] if flipped else point[0], point[1])
                visible[template, joint] = True
    return Templates(points, visible)


@dataclass(frozen=True, slots=False)
class Pose2SegCodec(CropMaskCodec):
    """How people are aligned in crops for Pose2Seg, and their masks decoded.

    skeleton            the joints that it takes; people are remapped to it by name
    points              (T, K, 2) templates in the unit square, as nested tuples; None where one lacks a joint
    crop_px             side S of the crop
    padding             on each side of the unit square in the crop, as a fraction of S; the paper has none
    min_keypoint_score  joints with a lower score are ignored, since wrong joints misalign the crop
    stride              pixels between the cells of the features that crops are sampled from
    """

    skeleton: Skeleton = COCO17
    points: tuple[tuple[tuple[float, float] | None, ...], ...] = ()
    crop_px: int = 64
    padding: float = 0.0
    min_keypoint_score: float = 0.2
    stride: int = 4

    def __post_init__(self) -> None:
        if not self.points:
            object.__setattr__(self, "points", to_points(paper_templates(self.skeleton)))
        if any(len(template) != len(self.skeleton) for template in self.points):
            raise ShapeError("templates", expected=("T", len(self.skeleton), 2), got=[len(t) for t in self.points])
        values = [value for template in self.points for point in template if point is not None for value in point]
        if not (np.isfinite(values).all() and self.stride >= 1 and 0 <= self.min_keypoint_score < 1):
            raise FieldError(
                f"Templates need finite points, features a stride of 1 or more (got {self.stride}), and joints a "
                f"min_keypoint_score from 0 to below 1 (got {self.min_keypoint_score})."
            )
        if not 0 <= self.padding < 0.5 or self.crop_px < 8:
            raise FieldError(
                f"A crop of {self.crop_px} pixels with a padding of {self.padding} has no room for a person; "
                "use 8 pixels or more and a padding from 0 to below 0.5."
            )

    @cached_property
    def templates(self) -> Templates:
        """The templates, and each with left and right swapped."""
        visible = np.array([[point is not None for point in template] for template in self.points], np.bool_)
        points = np.array([[point or (0.0, 0.0) for point in template] for template in self.points])
        return Templates(points, visible).with_swapped(self.skeleton)

    @property
    def grid(self) -> Grid:
        """Of the features that crops are sampled from."""
        return Grid(self.stride)

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for a model's card; the skeleton is stored beside them."""
        return {
            "points": [[None if point is None else list(point) for point in template] for template in self.points],
            "crop_px": self.crop_px, "padding": self.padding, "min_keypoint_score": self.min_keypoint_score,
            "stride": self.stride,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], skeleton: Skeleton) -> Pose2SegCodec:
        """The codec that `to_dict` described. Raises FieldError where a setting is missing."""
        try:
            points = tuple(
                tuple(None if point is None else (float(point[0]), float(point[1])) for point in template)
                for template in plain["points"]
            )
            return cls(
                skeleton, points, int(plain["crop_px"]), float(plain["padding"]), float(plain["min_keypoint_score"]),
                int(plain["stride"]),
            )  # fmt: skip
        except (IndexError, KeyError, OverflowError, TypeError, ValueError) as fault:
            raise FieldError(
                f"The settings of the Pose2Seg codec lack valid points, crop_px, padding, min_keypoint_score or stride "
                f"({fault!r}); export the model again."
            ) from None

    def crops(self, people: People, size: tuple[int, int]) -> AlignedCrops:
        """The crops of people in an image of `size` (height, width), by Affine-Align."""
        people = people if people.skeleton == self.skeleton else people.remap_to(self.skeleton)
        return align(
            people.keypoints, self.visible(people), people.boxes_xyxy, self.templates, size,
            side_px=self.crop_px, padding=self.padding,
        )  # fmt: skip

    def network_inputs(self, people: People, crops: AlignedCrops) -> dict[str, Floats]:
        """The graph's inputs for people: `windows` (N, 2, 3), from crops to the image, and `joints` (N, K, 3)."""
        remapped = people if people.skeleton == self.skeleton else people.remap_to(self.skeleton)
        to_image = [affine.invert(matrix) for matrix in crops.matrices]
        return {
            "windows": np.array(to_image, np.float32).reshape(-1, 2, 3),
            "joints": self.joints(remapped, crops),
        }

    def decode(
        self, fields: Fields, people: People, crops: AlignedCrops, size: tuple[int, int], *, exclusive: bool = True,
        mask_threshold: float = 0.5, prior_weight: float = 0.0, rescore: bool = True,
    ) -> People:  # fmt: skip
        """The people with masks on an image of `size` (height, width), on which `crops` lie.

        exclusive       a pixel belongs only to the person with the highest probability times score
        mask_threshold  minimum probability of a mask's pixel
        prior_weight    weight of the masks that people have already in the mean with the new ones, 0 to 1
        rescore         multiply scores by the mean probability in the mask, and sort people by them

        Boxes enclose the masks that are not empty. Raises FieldError for fields that are not finite.
        """
        self.validate(fields, people, crops)
        probability = sigmoid(fields[FIELD])
        if people.masks is not None and prior_weight:
            prior = crop_masks(people.masks, crops)
            has_prior = people.masks.nonempty[:, None, None]
            probability = np.where(has_prior, (1 - prior_weight) * probability + prior_weight * prior, probability)
        masks = Masks.from_probabilities(probability, crops.matrices, size, mask_threshold)
        confidences = masks.confidences
        if exclusive:
            masks = masks.without_overlaps(people.scores)
        segmented = people.with_masks(masks)
        if not rescore:
            return segmented
        segmented = replace(segmented, scores=(people.scores * confidences).astype(np.float32))
        return segmented.top(len(segmented))


def to_points(templates: Templates) -> tuple[tuple[tuple[float, float] | None, ...], ...]:
    """Templates as the nested tuples of `Pose2SegCodec.points`."""
    return tuple(
        tuple((float(x), float(y)) if shown else None for (x, y), shown in zip(points, visible, strict=True))
        for points, visible in zip(templates.points, templates.visible, strict=True)
    )
