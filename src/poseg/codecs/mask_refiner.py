"""The mask refiner: detected people to inputs of a refinement network, and its output to masks.

`mask_rendering.render_masks` interpolates between cells, so its edges are as coarse as the cells. The refiner is a
small network that sees a crop of each person: the image, the person probability, the assignment margin and the limbs.
It outputs the person's mask in the crop.

Letters: N people, K joints, S the side of a crop, h x w cells, H x W pixels of the image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.codecs.crop_masks import FIELD, CropMaskCodec
from poseg.codecs.pixel_assignment import PixelAssignment
from poseg.errors import FieldError
from poseg.fields import Fields, sigmoid
from poseg.fields.align import AlignedCrops, align_boxes
from poseg.geometry import affine
from poseg.geometry.grid import pixel_indices
from poseg.geometry.masks import Masks
from poseg.people import People
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

INPUT_CHANNELS = 6  # red, green, blue, probability, margin, limbs
LIMB_WIDTH_PX = 3
SUBPIXEL_BITS = 4  # fractional bits of the coordinates that OpenCV draws limbs with


@dataclass(frozen=True, slots=True)
class MaskRefinerCodec(CropMaskCodec):
    """How people are cropped for the mask refiner, and their masks decoded.

    skeleton              the joints that it takes; people are remapped to it by name
    crop_px               side S of the crop
    padding               on each side of the person's box in the crop, as a fraction of S
    min_keypoint_score    joints with a lower score are ignored
    min_cell_probability  minimum person probability of the cells that the crop encloses
    """

    skeleton: Skeleton = COCO17
    crop_px: int = 64
    padding: float = 0.12
    min_keypoint_score: float = 0.2
    min_cell_probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.padding < 0.5 or self.crop_px < 8:
            raise FieldError(
                f"A crop of {self.crop_px} pixels with a padding of {self.padding} has no room for a person; "
                "use 8 pixels or more and a padding from 0 to below 0.5."
            )

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for a model's card; the skeleton is stored beside them."""
        return {
            "crop_px": self.crop_px, "padding": self.padding, "min_keypoint_score": self.min_keypoint_score,
            "min_cell_probability": self.min_cell_probability,
        }  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], skeleton: Skeleton) -> MaskRefinerCodec:
        """The codec that `to_dict` described. Raises FieldError where a setting is missing."""
        try:
            return cls(
                skeleton, int(plain["crop_px"]), float(plain["padding"]), float(plain["min_keypoint_score"]),
                float(plain["min_cell_probability"]),
            )  # fmt: skip
        except (KeyError, OverflowError, TypeError, ValueError) as fault:
            raise FieldError(
                "The settings of the mask refiner lack a valid crop_px, padding, min_keypoint_score or "
                f"min_cell_probability ({fault!r}); export the model again."
            ) from None

    def person_boxes(self, people: People, assignment: PixelAssignment) -> Floats:
        """Boxes (N, 4) around visible joints and confident cells, on the network's input; zeros without either."""
        visible = self.visible(people)[..., None]
        low = np.where(visible, people.keypoints, np.inf).min(axis=1, initial=np.inf)
        high = np.where(visible, people.keypoints, -np.inf).max(axis=1, initial=-np.inf)
        weight = assignment.probability.reshape(-1)[assignment.cells]
        confident = np.flatnonzero(weight >= self.min_cell_probability)
        row, column = np.divmod(assignment.cells[confident], assignment.probability.shape[1])
        points = assignment.grid.to_image(np.stack([column, row], axis=1))
        cell, person = np.nonzero(assignment.margins[confident] > 0)
        half = np.float32(assignment.grid.stride / 2)
        np.minimum.at(low, person, points[cell] - half)
        np.maximum.at(high, person, points[cell] + half)
        boxes: Floats = np.concatenate([low, high], axis=1).astype(np.float32)
        return np.where(np.isfinite(boxes).all(axis=1, keepdims=True), boxes, 0)

    def crops(self, boxes_xyxy: ArrayLike, size: tuple[int, int]) -> AlignedCrops:
        """Crops around boxes (N, 4) in an image of `size` (height, width)."""
        return align_boxes(boxes_xyxy, size, side_px=self.crop_px, padding=self.padding)

    def cue_maps(self, assignment: PixelAssignment, onto_image: affine.Matrix, crops: AlignedCrops) -> Floats:
        """Person probability and weighted margin in the crops: (N, 2, S, S); edge cells are repeated outwards.

        onto_image  from the network's input, which the cells lie on, to the image, which the crops lie on
        """
        side, from_cells = crops.side_px, affine.compose(onto_image, affine.cells_to_image(assignment.grid))
        cues = np.empty((len(crops), 2, side, side), np.float32)
        for matrix, margin, target in zip(crops.matrices, assignment.margin_maps, cues, strict=True):
            onto = affine.to_cv2(affine.compose(matrix, from_cells))
            maps = np.dstack([assignment.probability, margin])
            warped = cv2.warpAffine(maps, onto, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            target[:] = warped.transpose(2, 0, 1)
        return cues

    def network_input(self, images: Bytes, cues: Floats, joints: Floats, mean: ArrayLike, std: ArrayLike) -> Floats:
        """The network's input (N, 6, S, S).

        images     (N, S, S, 3) uint8 RGB
        cues       (N, 2, S, S) of `cue_maps`
        joints     (N, K, 3) in the crops
        mean, std  of each colour channel
        """
        tensor = np.empty((len(images), INPUT_CHANNELS, self.crop_px, self.crop_px), np.float32)
        mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (mean, std))
        np.subtract(images.transpose(0, 3, 1, 2), mean, out=tensor[:, :3], casting="unsafe")
        tensor[:, :3] /= std
        tensor[:, 3:5] = cues
        for pose, target in zip(joints, tensor[:, 5], strict=True):
            target[:] = self._draw_limbs(pose)
        return tensor

    def decode(
        self, fields: Fields, people: People, crops: AlignedCrops, size: tuple[int, int], *, exclusive: bool = True,
        mask_threshold: float = 0.5,
    ) -> People:  # fmt: skip
        """The people with masks on an image of `size` (height, width), on which `crops` lie.

        exclusive       a pixel belongs to the person with the highest probability only
        mask_threshold  minimum probability of a mask's pixel

        Boxes enclose the masks that are not empty. Raises FieldError for fields that are not finite.
        """
        self.validate(fields, people, crops)
        masks = Masks.from_probabilities(sigmoid(fields[FIELD]), crops.matrices, size, mask_threshold)
        return people.with_masks(masks.without_overlaps() if exclusive else masks)

    def _draw_limbs(self, pose: Floats) -> Floats:
        """The bones of a pose (K, 3) in a crop as lines: (S, S) in [0, 1]."""
        side, drawn = self.crop_px, np.zeros((self.crop_px, self.crop_px), np.uint8)
        points = np.rint(np.clip(pixel_indices(pose[:, :2]), -side, 2 * side) * 2**SUBPIXEL_BITS).astype(int)
        for first, second in self.skeleton.indices(self.skeleton.bones):
            if pose[first, 2] and pose[second, 2]:
                start, end = points[first].tolist(), points[second].tolist()
                cv2.line(drawn, start, end, 255, LIMB_WIDTH_PX, cv2.LINE_AA, SUBPIXEL_BITS)
        return drawn * np.float32(1 / 255)
