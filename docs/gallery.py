"""The images of effects.md: every effect before and after, on a photograph and on synthetic figures.

run    python docs/gallery.py [FOLDER]

The photograph is scikit-image's astronaut (NASA, public domain), with the pose and mask that the bundled models
predict. The figures are `poseg.datasets.synthetic_people`, whose joints and masks are exact.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from skimage.data import astronaut, rocket

import poseg
from poseg.datasets.synthetic_people import render_scene
from poseg.draw.figures import contact_sheet, resize_to
from poseg.effects import EFFECTS, Chain, Effect, Pixelate, Replace, Sticker, Winged, chain
from poseg.effects.artwork import art_names
from poseg.people import People, Sample
from poseg.runtime.pose2seg import Pose2SegSegmenter, SegmentedPredictor
from poseg.runtime.predictor import Predictor

Bytes = NDArray[np.uint8]

STICKERS, STYLES = art_names("stickers"), art_names("wings")
HERE = Path(__file__).parent / "images" / "effects"
TILE_PX, SHEET_PX = 360, 220
GAP_PX = 8
QUALITY = 82
SEED, SIZE, PEOPLE = 9, (600, 960), 4
STANDING_SEED, STANDING_PEOPLE = 12, 3  # before a fence, and seen from behind


def photograph() -> Sample:
    """The astronaut, with the people that the models predict."""
    predictor, segmenter = poseg.load(), poseg.load("pose2seg")
    if not isinstance(predictor, Predictor) or not isinstance(segmenter, Pose2SegSegmenter):
        raise TypeError("the bundled models are a predictor and a segmenter")
    image = astronaut()
    return Sample(image, SegmentedPredictor(predictor, segmenter)(image), name="astronaut")


def on_photograph() -> dict[str, Chain | Effect]:
    """Each effect as it is shown on the photograph, by the name of its image."""
    shown: dict[str, Chain | Effect] = {name: effect() for name, effect in EFFECTS.items()}
    shown["replace"] = Replace(image=rocket())
    shown["sticker"] = chain(Sticker(), Sticker(kind="glasses"))
    shown["ghost"] = EFFECTS["ghost"](strength=0.6)
    return shown


def on_figures() -> dict[str, Chain | Effect]:
    """Each effect as it is shown on the figures; an effect for one person is for the second."""
    shown: dict[str, Chain | Effect] = {name: effect() for name, effect in EFFECTS.items()}
    shown["blur"] = EFFECTS["blur"](person=1)
    shown["ghost"] = EFFECTS["ghost"](person=1)
    shown["grey"] = EFFECTS["grey"](person=1)
    shown["pixelate"] = chain(
        Pixelate(person=0), Pixelate(person=1, part="person"), Pixelate(person=2, part="head", colour=(20, 22, 28))
    )
    shown["sticker"] = chain(*(Sticker(person=i, kind=kind) for i, kind in enumerate(STICKERS)))
    shown["winged"] = chain(*(Winged(person=i, style=style) for i, style in enumerate(STYLES[:PEOPLE])))
    return shown


def before_fence(sample: Sample) -> Sample:
    """The figures of a scene before a fence."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]]
    fence = np.full((*SIZE, 3), (96, 132, 84), np.uint8)
    fence[(x % 48 < 12) | (y % 160 < 14)] = (222, 214, 196)
    people = np.asarray(sample.people.masks).any(axis=0)
    return Sample(np.where(people[..., None], sample.image, fence).astype(np.uint8), sample.people)


def from_behind(sample: Sample) -> Sample:
    """The figures of a scene as if seen from behind: hair where the faces are, left and right of all joints swapped."""
    image, people = sample.image.copy(), sample.people
    for points, mask in zip(people.keypoints, np.asarray(people.masks), strict=True):
        hair = np.zeros(SIZE, np.uint8)
        radius = float(np.linalg.norm(points[3] - points[4])) * 0.7
        cv2.circle(hair, np.rint(points[3:5].mean(axis=0)).astype(int).tolist(), round(radius), 1, -1)
        image[mask & (hair > 0)] = (70, 48, 34)
    swapped = people.skeleton.flip_index
    joints, scores = people.keypoints[:, swapped], people.keypoint_scores[:, swapped]
    return Sample(image, replace(people, keypoints=joints, keypoint_scores=scores))


def as_rgb(image: Bytes) -> Bytes:
    """An image, or a cut-out on a chessboard, as (h, w, 3)."""
    if image.shape[2] == 3:
        return image
    y, x = np.mgrid[: image.shape[0], : image.shape[1]] // 16
    ground = np.where((y + x)[..., None] % 2, 205.0, 245.0)
    alpha = image[..., 3:] / 255
    return np.rint(image[..., :3] * alpha + ground * (1 - alpha)).astype(np.uint8)


def pair(before: Bytes, after: Bytes) -> Bytes:
    """Two images side by side, each `TILE_PX` wide."""
    tiles = [resize_to_width(image, TILE_PX) for image in (before, after)]
    return np.hstack([tiles[0], np.full((tiles[0].shape[0], GAP_PX, 3), 255, np.uint8), tiles[1]])


def resize_to_width(image: Bytes, width: int) -> Bytes:
    """An image scaled to a width."""
    height = round(image.shape[0] * width / image.shape[1])
    return np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def after(effect: Chain | Effect, image: Bytes, people: People, console: Console) -> Bytes:
    """The image after an effect; prints whom it skips."""
    result = effect.apply(image, people)
    for skip in result.skipped:
        console.print(f"person {skip.person} is skipped: {skip.reason}")
    return as_rgb(result.image)


def main() -> None:
    """Write the images."""
    console = Console(stderr=True)
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE
    folder.mkdir(parents=True, exist_ok=True)
    photo, figures = photograph(), render_scene(np.random.default_rng(SEED), SIZE, PEOPLE)
    tiles = [resize_to(photo.image, SHEET_PX)[0]]
    photos, scenes = on_photograph(), on_figures()
    for name in EFFECTS:
        console.print(name)
        done = after(photos[name], photo.image, photo.people, console)
        drawn = after(scenes[name], figures.image, figures.people, console)
        tiles.append(resize_to(done, SHEET_PX)[0])
        rows = [pair(photo.image, done), pair(figures.image, drawn)]
        gap = np.full((GAP_PX, rows[0].shape[1], 3), 255, np.uint8)
        write(folder / f"{name}.jpg", np.vstack([rows[0], gap, rows[1]]))
    standing = render_scene(np.random.default_rng(STANDING_SEED), SIZE, STANDING_PEOPLE)
    styles = chain(*(Winged(person=i, style=style) for i, style in enumerate(STYLES[:STANDING_PEOPLE])))
    for name, scene, effect in (
        ("thinner.fence", before_fence(standing), EFFECTS["thinner"](factor=0.75)),
        ("winged.behind", from_behind(standing), styles),
    ):
        write(folder / f"{name}.jpg", pair(scene.image, after(effect, scene.image, scene.people, console)))
    write(folder / "sheet.jpg", contact_sheet(tiles, ["before", *EFFECTS], 5))
    stickers = [Sticker(kind=kind)(photo.image, photo.people)[:280, 100:380] for kind in STICKERS]
    write(
        folder / "stickers.jpg",
        contact_sheet([resize_to(one, SHEET_PX)[0] for one in stickers], STICKERS, len(STICKERS)),
    )
    wings = [resize_to(Winged(style=style)(photo.image, photo.people), SHEET_PX)[0] for style in STYLES]
    write(folder / "wings.jpg", contact_sheet(wings, STYLES, len(STYLES)))


def write(path: Path, image: Bytes) -> None:
    """Write a JPEG file."""
    Image.fromarray(image).save(path, quality=QUALITY, optimize=True)


if __name__ == "__main__":
    main()
