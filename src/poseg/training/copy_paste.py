"""Copy-paste in training: people of other images over a view, at the size and near the place of its own people."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.datasets.dataset import Dataset
from poseg.geometry import affine
from poseg.geometry.masks import Masks
from poseg.people import People, Sample
from poseg.training.dataset import AugmentConfig, Mixture
from poseg.transforms.occlude import paste_person
from poseg.transforms.warp import warp

MIN_JOINTS = 5  # annotated ones of a person that is pasted: the others are uncertain wherever they come to lie
MIN_SIDE_PX = 40  # of their box; the image of a smaller one is a blur
MAX_UPSCALE = 1.5
BORDER_PX = 2  # whose box comes nearer to the border of their image is cut there, and would float anywhere else
TRIES = 6  # images that are drawn before a person is not pasted
ROTATION_DEG = 10.0


@dataclass(frozen=True, slots=True)
class Pasted:
    """A view with people pasted over it; `cover` (H, W) bool are their pixels."""

    view: Sample
    cover: NDArray[np.bool_]


def copy_paste(
    view: Sample, on_image: NDArray[np.bool_], mixture: Mixture[Dataset], augmentation: AugmentConfig,
    rng: np.random.Generator, *, drop_occluded: float,
) -> Pasted:  # fmt: skip
    """The view with people of the mixture's images pasted over it, as often and as many as the augmentation says.

    on_image        (H, W) pixels of the view that are not padding; on that nothing is pasted
    drop_occluded   fraction of the covered joints that lose their annotation

    Only people are pasted whose mask is exact and whose set annotates all joints, so that the pixels of `cover` are
    labelled completely. Without any of them, view and random numbers stay as they are.
    """
    size = on_image.shape[0], on_image.shape[1]
    cover = np.zeros(size, np.bool_)
    if augmentation.copy_paste_prob <= 0 or rng.random() >= augmentation.copy_paste_prob:
        return Pasted(view, cover)
    for _ in range(int(rng.integers(1, augmentation.copy_paste_people + 1))):
        person = _draw_person(mixture, rng)
        matrix = None if person is None else _placement(person.people, view, augmentation, rng)
        if person is None or matrix is None:
            continue
        source = warp(person, matrix, size)
        shown = np.asarray(source.people.masks) & on_image
        if shown.any():
            source = replace(source, people=source.people.with_masks(Masks.from_full(shown)))
            view = paste_person(view, source, drop_occluded=drop_occluded, rng=rng)
            cover |= shown[0]
    return Pasted(view, cover)


def _draw_person(mixture: Mixture[Dataset], rng: np.random.Generator) -> Sample | None:
    """An image with the one of its people that is to be cut out; None where the images drawn have none."""
    for _ in range(TRIES):
        data, index = mixture.draw(rng)
        if not np.asarray(data.annotated_joints).all():
            continue
        sample = data[index]
        people, masks = sample.people, sample.people.masks
        if masks is None or not len(people):
            continue
        suitable = masks.nonempty & ((people.keypoint_scores > 0).sum(axis=1) >= MIN_JOINTS)
        suitable &= (_long_sides(people) >= MIN_SIDE_PX) & _is_whole(people.boxes_xyxy, sample.image.shape)
        if sample.exact_masks is not None:
            suitable &= sample.exact_masks
        rows = np.flatnonzero(suitable)
        if len(rows):
            return Sample(sample.image, people[[int(rng.choice(rows))]], None, sample.name, sample.uncertain)
    return None


def _placement(
    person: People, view: Sample, augmentation: AugmentConfig, rng: np.random.Generator
) -> affine.Matrix | None:
    """A map of the person's image that puts them near one of the view's people, about as large; without any, anywhere.

    None where that would enlarge them too much.
    """
    box, side = person.boxes_xyxy[0], float(_long_sides(person)[0])
    sides = _long_sides(view.people)
    if len(sides):
        anchor = int(rng.integers(len(sides)))
        neighbour = view.people.boxes_xyxy[anchor]
        extent = np.maximum(neighbour[2:] - neighbour[:2], 1)
        target = (neighbour[:2] + neighbour[2:]) / 2 + rng.uniform(-0.7, 0.7, 2) * extent
        wanted = float(sides[anchor]) * float(np.exp(rng.uniform(-0.5, 0.35)))
    else:
        target = rng.uniform(0.2, 0.8, 2) * view.image.shape[1::-1]
        wanted = float(np.exp(rng.uniform(*np.log(augmentation.person_px))))
    centre, scale = (box[:2] + box[2:]) / 2, max(wanted, augmentation.person_px[0]) / side
    if scale > MAX_UPSCALE:
        return None
    return affine.similarity(
        scale, np.deg2rad(rng.normal(0, ROTATION_DEG)),
        (float(centre[0]), float(centre[1])), (float(target[0]), float(target[1])), flip=bool(rng.random() < 0.5),
    )  # fmt: skip


def _is_whole(boxes_xyxy: NDArray[np.float32], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """(N,) whose box (N, 4) ends before the border of an image of that shape."""
    low, high = boxes_xyxy[:, :2], boxes_xyxy[:, 2:]
    return np.asarray(((low >= BORDER_PX) & (high <= np.array(shape[1::-1]) - BORDER_PX)).all(axis=1))


def _long_sides(people: People) -> NDArray[np.float32]:
    """Long sides of people's boxes."""
    return np.asarray((people.boxes_xyxy[:, 2:] - people.boxes_xyxy[:, :2]).max(axis=1, initial=0), np.float32)
