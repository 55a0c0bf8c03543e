"""Training items for the multi-task network: a crop of one person, now and then of nobody."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.multitask import MultitaskCodec
from poseg.geometry import affine, boxes
from poseg.people import People, Sample
from poseg.training.loader import Share, View, Views, as_tensors
from poseg.transforms.warp import warp

LEAST_JOINTS = 4  # fewer do not say how large somebody is
NOBODY_PX = (40.0, 400.0)  # side of what is shown of a picture without people


@dataclass(frozen=True, slots=True)
class CropView(View):
    """A crop of one person.

    zoom          enlarged by a factor between these, drawn log-uniformly
    shift         and moved by up to this part of its side
    rotation_deg  turned by up to this
    mirror        probability of a mirrored crop
    hidden        probability that a part of the crop is covered with grey
    """

    zoom: tuple[float, float] = (0.75, 1.25)
    shift: float = 0.08
    rotation_deg: float = 40.0
    mirror: float = 0.5
    hidden: float = 0.0


class CropViews(Views):
    """Crops of people drawn from data sets by weight; the crop's middle and size are those of the annotated joints."""

    view: CropView

    def __init__(
        self, shares: Sequence[Share], codec: MultitaskCodec, view: CropView, *, length: int, seed: int
    ) -> None:
        super().__init__(shares, codec.skeleton, view, length=length, seed=seed)
        self.codec = codec

    def __getitem__(self, position: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, position))
        data, index = self.draw(rng)
        image, people, joints_mm = self.crop(data[index], rng)
        known = people.keypoint_scores * np.asarray(data.known, np.float32)
        targets = self.codec.encode(replace(people, keypoint_scores=known), joints_mm)
        return {
            "name": data.key(index),
            "image": self.normalised(self._covered(image, rng), rng),
            **as_tensors(targets),
        }

    def crop(
        self, sample: Sample, rng: np.random.Generator
    ) -> tuple[NDArray[np.uint8], People, NDArray[np.float32] | None]:
        """A crop (S, S, 3) of somebody, the one person in its pixels, and the joints in camera axes where known."""
        people = sample.people
        found = np.flatnonzero((people.keypoint_scores > 0).sum(axis=1) >= LEAST_JOINTS)
        side = self.codec.crop_px
        if len(found):
            chosen = people[[int(rng.choice(found))]]
            box = boxes.boxes_from_points(chosen.keypoints, chosen.keypoint_scores > 0)
        else:
            chosen, box = _nobody(self.codec.skeleton), _somewhere(sample.image.shape[:2], rng)
        zoom = float(np.exp(rng.uniform(*np.log(self.view.zoom))))
        turn = float(np.deg2rad(rng.uniform(-1, 1) * self.view.rotation_deg))
        away = rng.uniform(-1, 1, 2) * self.view.shift * side
        mirrored = bool(rng.random() < self.view.mirror)
        middle = (side / 2, side / 2)
        moved = affine.similarity(zoom, turn, middle, (middle[0] + away[0], middle[1] + away[1]), mirrored)
        matrix = affine.compose(moved, self.codec.crops(box)[0])
        # Boxes do not matter in a crop, but somebody without one would be lost.
        whole = replace(chosen, masks=None, boxes_xyxy=box)
        seen = warp(Sample(sample.image, whole, name=sample.name), matrix, (side, side))
        one = seen.people if len(seen.people) == 1 else _nobody(self.codec.skeleton)
        return seen.image, one, _turned(chosen, turn, mirrored)

    def _covered(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """The crop, perhaps with a grey rectangle over a part of it."""
        if rng.random() >= self.view.hidden:
            return image
        side = len(image)
        extent = (rng.uniform(0.1, 0.35, 2) * side).astype(int)
        x, y = (int(rng.integers(0, side - length)) for length in extent)
        covered = image.copy()
        covered[y : y + extent[1], x : x + extent[0]] = rng.integers(0, 256, 3)
        return covered


def _nobody(skeleton: Any) -> People:
    return People.from_poses(skeleton, np.zeros((1, len(skeleton), 2)), np.zeros((1, len(skeleton))))


def _somewhere(size: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float32]:
    """(1, 4) a square in a picture of `size` (height, width)."""
    longest = max(min(size), 2)
    side = float(np.clip(np.exp(rng.uniform(*np.log(NOBODY_PX))), 1, longest))
    x, y = (rng.uniform(0, length - side) if length > side else 0.0 for length in (size[1], size[0]))
    return np.array([[x, y, x + side, y + side]], np.float32)


def _turned(people: People, turn: float, mirrored: bool) -> NDArray[np.float32] | None:
    """(1, K, 3) joints in camera axes after the crop was mirrored and turned, where they are known."""
    joints = people.keypoints_3d
    if joints is None:
        return None
    moved = np.asarray(joints, np.float64)
    if mirrored:
        moved = moved[:, people.skeleton.flip_index] * np.array([-1, 1, 1])
    c, s = np.cos(turn), np.sin(turn)
    return np.asarray(moved @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]).T, np.float32)
