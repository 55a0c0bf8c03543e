"""Training items for Pose2Seg: a view of a picture, and the windows of some of its people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from poseg.codecs.pose2seg import Pose2SegCodec
from poseg.codecs.targets import Targets
from poseg.fields.align import AlignedCrops
from poseg.geometry import affine
from poseg.people import People, Sample
from poseg.training.augment import random_view
from poseg.training.loader import Share, View, Views, as_tensors
from poseg.transforms.occlude import paste_person
from poseg.transforms.pose_noise import jitter_poses
from poseg.transforms.warp import warp

LEAST_PIXELS = 64  # of a mask on the view; less teaches only how pictures are resampled


@dataclass(frozen=True, slots=True)
class WindowView(View):
    """A view of a picture and of some of its people; the defaults for windows are the paper's.

    people        windows from each picture; where it has fewer people, some come twice, each time seen otherwise
    rotation_deg  a window is turned about its middle by up to this,
    zoom          enlarged by a factor between these,
    shift         and moved by up to this part of its side
    pose_spread   how far joints are from where they are, in units of the annotators' spread; 0 for true poses
    pose_missing  largest share of a person's joints that are missing
    pose_clean    share of people whose pose is true all the same
    pasted        probability that a person of another picture is laid over one of this
    """

    people: int = 2
    rotation_deg: float = 30.0
    zoom: tuple[float, float] = (0.8, 1.2)
    shift: float = 0.1
    pose_spread: float = 0.0
    pose_missing: float = 0.0
    pose_clean: float = 0.0
    pasted: float = 0.0


class WindowViews(Views):
    """Items with "given": "windows" (P, 2, 3) and "joints" (P, K, 3), as the network takes them."""

    view: WindowView

    def __init__(
        self, shares: Sequence[Share], codec: Pose2SegCodec, view: WindowView, *, length: int, seed: int
    ) -> None:
        super().__init__(shares, codec.skeleton, view, length=length, seed=seed)
        self.codec = codec

    def __getitem__(self, position: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, position))
        data, index = self.draw(rng)
        sample = data[index]
        size = (self.view.side_px, self.view.side_px)
        seen = warp(sample, random_view(sample, size, rng, self.view.augmentation), size)
        if rng.random() < self.view.pasted:
            seen = self._with_another(seen, rng)
        learned = self._chosen(seen.people, rng)
        found = jitter_poses(
            learned,
            rng,
            sigma_scale=self.view.pose_spread,
            max_missing=self.view.pose_missing,
            clean_fraction=self.view.pose_clean,
        )
        windows = self._moved(self.codec.crops(found, size), rng)
        given, targets = self.codec.network_inputs(found, windows), self.codec.encode(learned, windows, seen.ignore)
        return {
            "name": data.key(index),
            "image": self.normalised(seen.image, rng),
            "given": {name: torch.from_numpy(_filled(array, self.view.people)) for name, array in given.items()},
            **as_tensors(_padded(targets, self.view.people)),
        }

    def _chosen(self, people: People, rng: np.random.Generator) -> People:
        """As many people with masks as windows are wanted, each before any comes again; nobody where nobody has one."""
        assert people.masks is not None
        there = np.flatnonzero(people.masks.areas >= LEAST_PIXELS)
        if not len(there):
            return people[:0]
        rounds = -(-self.view.people // len(there))
        order = np.concatenate([rng.permutation(there) for _ in range(rounds)])
        return people[order[: self.view.people]]

    def _moved(self, windows: AlignedCrops, rng: np.random.Generator) -> AlignedCrops:
        """The windows turned, zoomed and shifted at random."""
        side = windows.side_px
        middle = (side / 2, side / 2)
        moved = []
        for matrix in windows.matrices:
            away = rng.uniform(-self.view.shift, self.view.shift, 2) * side
            turn = np.deg2rad(rng.uniform(-self.view.rotation_deg, self.view.rotation_deg))
            zoom = float(rng.uniform(*self.view.zoom))
            target = (float(middle[0] + away[0]), float(middle[1] + away[1]))
            moved.append(affine.compose(affine.similarity(zoom, turn, middle, target), matrix))
        return replace(windows, matrices=np.array(moved).reshape(-1, 2, 3))

    def _with_another(self, seen: Sample, rng: np.random.Generator) -> Sample:
        """The view with a person of another picture near one of its own, about as large."""
        data, index = self.draw(rng)
        other = data[index]
        masks = other.people.masks
        whole = np.zeros(0, np.intp) if masks is None else np.flatnonzero(masks.nonempty)
        sides = _sides(seen.people)
        if not len(whole) or not len(sides):
            return seen
        donor = other.people[[int(rng.choice(whole))]]
        anchor = int(rng.integers(len(sides)))
        box, beside = donor.boxes_xyxy[0], seen.people.boxes_xyxy[anchor]
        side = max(float((box[2:] - box[:2]).max()), 1.0)
        middle, place = (box[:2] + box[2:]) / 2, (beside[:2] + beside[2:]) / 2
        extent = np.maximum(beside[2:] - beside[:2], 1)
        place = place + rng.uniform(-0.7, 0.7, 2) * extent
        scale = float(sides[anchor]) * float(np.exp(rng.uniform(-0.5, 0.35))) / side
        matrix = affine.similarity(
            scale, np.deg2rad(rng.normal(0, 10)), (float(middle[0]), float(middle[1])),
            (float(place[0]), float(place[1])), flip=bool(rng.random() < 0.5),
        )  # fmt: skip
        size = (self.view.side_px, self.view.side_px)
        front = warp(Sample(other.image, donor, name=other.name), matrix, size)
        if front.people.masks is None or not len(front.people):
            return seen
        return paste_person(seen, front, drop_occluded=0.5, rng=rng)


def _sides(people: People) -> NDArray[np.float32]:
    """Long sides of people's boxes."""
    return np.asarray((people.boxes_xyxy[:, 2:] - people.boxes_xyxy[:, :2]).max(axis=1, initial=0), np.float32)


def _filled(array: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """The array, with zeros up to a length."""
    return np.concatenate([array, np.zeros((length - len(array), *array.shape[1:]), np.float32)])


def _padded(targets: Targets, length: int) -> Targets:
    """Windows of nobody behind those there are; they count nothing."""
    arrays = ({name: _filled(a, length) for name, a in part.items()} for part in (targets.targets, targets.weights))
    return Targets(targets.specs, *arrays)
