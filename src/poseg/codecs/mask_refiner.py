"""The mask refiner: crops of people with the decoder's predictions in, masks out.

Masks that are rendered from fields (`mask_rendering`) are interpolated between cells, so their edges are coarse. Here a
small network sees each person in a crop: the image, the person probability, the assignment margin, and the limbs; it
predicts which pixels are the person's.

Letters: N people, K joints, S the side of a crop, h x w cells, H x W pixels of an image.
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
SUBPIXEL_BITS = 4  # of the ends of limbs, as OpenCV counts parts of a pixel


@dataclass(frozen=True, slots=True)
class MaskRefinerCodec(CropMaskCodec):
    """Crops of people with the input channels of the refiner, and their masks.

    skeleton              joints of the people that it takes
    crop_px               side S of a crop
    padding               around the person's longer side, as a fraction of S
    min_keypoint_score    joints with a lower score are ignored
    min_cell_probability  minimum probability of the cells that a crop contains
    """

    skeleton: Skeleton = COCO17
    crop_px: int = 64
    padding: float = 0.12
    min_keypoint_score: float = 0.2
    min_cell_probability: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.padding < 0.5 or self.crop_px < 8:
            raise FieldError(
                f"A crop of {self.crop_px} pixels with a padding of {self.padding} shows nothing; "
                "give 8 pixels or more and a padding below 0.5."
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
                "The settings of the mask refiner lack a good crop_px, padding, min_keypoint_score or "
                f"min_cell_probability ({fault!r}); "
                "export the model again."
            ) from None

    def person_boxes(self, people: People, assignment: PixelAssignment) -> Floats:
        """Boxes (N, 4) around people's visible joints and confident cells, all on one input; zeros without either."""
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
        """Person probability and weighted margin in people's crops (N, 2, S, S); beyond the fields, as at their border.

        onto_image  from the network's input, which the assignment is on, to the image, which the crops are of
        """
        side, from_cells = crops.side_px, affine.compose(onto_image, affine.cells_to_image(assignment.grid))
        seen = np.empty((len(crops), 2, side, side), np.float32)
        for matrix, margin, target in zip(crops.matrices, assignment.margin_maps, seen, strict=True):
            onto = affine.to_cv2(affine.compose(matrix, from_cells))
            planes = np.dstack([assignment.probability, margin])
            placed = cv2.warpAffine(planes, onto, (side, side), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
            target[:] = placed.transpose(2, 0, 1)
        return seen

    def network_input(self, images: Bytes, cues: Floats, joints: Floats, mean: ArrayLike, std: ArrayLike) -> Floats:
        """The network's input (N, 6, S, S) of images (N, S, S, 3), cues (N, 2, S, S) and joints (N, K, 3)."""
        seen = np.empty((len(images), INPUT_CHANNELS, self.crop_px, self.crop_px), np.float32)
        mean, std = (np.asarray(values, np.float32)[:, None, None] for values in (mean, std))
        np.subtract(images.transpose(0, 3, 1, 2), mean, out=seen[:, :3], casting="unsafe")
        seen[:, :3] /= std
        seen[:, 3:5] = cues
        for pose, target in zip(joints, seen[:, 5], strict=True):
            target[:] = self._draw_limbs(pose)
        return seen

    def decode(
        self, fields: Fields, people: People, crops: AlignedCrops, size: tuple[int, int], *, exclusive: bool = True,
        mask_threshold: float = 0.5,
    ) -> People:  # fmt: skip
        """The people with masks on an image of `size` (height, width), which `crops` are of.

        exclusive       a pixel belongs to the person with the highest probability alone
        mask_threshold  minimum probability of a mask's pixels

        Boxes go around the masks, where there are any. Raises FieldError for fields that are not finite.
        """
        self.validate(fields, people, crops)
        masks = Masks.from_probabilities(sigmoid(fields[FIELD]), crops.matrices, size, mask_threshold)
        return people.with_masks(masks.without_overlaps() if exclusive else masks)

    def _draw_limbs(self, pose: Floats) -> Floats:
        """A pose (K, 3) in a crop as lines between its joints: (S, S) in [0, 1]."""
        side, drawn = self.crop_px, np.zeros((self.crop_px, self.crop_px), np.uint8)
        points = np.clip(pixel_indices(pose[:, :2]), -side, 2 * side) * 2**SUBPIXEL_BITS
        whole = np.rint(points).astype(int)
        for first, second in self.skeleton.indices(self.skeleton.bones):
            if pose[first, 2] and pose[second, 2]:
                cv2.line(
                    drawn, whole[first].tolist(), whole[second].tolist(), 255, LIMB_WIDTH_PX, cv2.LINE_AA,
                    SUBPIXEL_BITS,
                )  # fmt: skip
        return drawn * np.float32(1 / 255)
