"""Drawn people: coloured figures with limbs over textured ground, with true joints and masks. No photograph needed.

For tests and for trying out a training run: small, cheap, and the same for the same seed. They are no training data
for photographs.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry.masks import Masks
from poseg.geometry.rle import tight_boxes
from poseg.io.coco_json import coco_results
from poseg.io.files import write_json
from poseg.io.images import write_png
from poseg.people import People, Sample
from poseg.skeletons import COCO17

Bytes = NDArray[np.uint8]

# Of a figure with height 1: hips to shoulders, half widths, limbs and head.
TORSO, SHOULDER, HIP, ARM, LEG, HEAD = 0.3, 0.11, 0.08, 0.17, 0.23, 0.085
# In the order of COCO's joints: nose, eyes, ears around the middle of the head, in head radii.
FACE = np.array([(0, 0.1), (0.35, -0.2), (-0.35, -0.2), (0.85, -0.05), (-0.85, -0.05)])
LIMBS = ((5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16))
CROWDS = (1, 2, 1, 2, 3, 1, 2, 1)  # people in the pictures of a set, in turn
SHIFT = 4  # fractional bits of cv2's drawing coordinates


def drawn_scene(rng: np.random.Generator, size: tuple[int, int], people: int) -> Sample:
    """A picture of `size` (height, width) with so many people side by side, those to the right in front."""
    height, width = size
    image = textured_ground(rng, size)
    masks = np.zeros((people, height, width), np.bool_)
    points = np.zeros((people, len(COCO17), 2))
    lane = width / people
    for i in range(people):
        tall = min(rng.uniform(0.78, 0.9) * height, 1.9 * lane)
        hips = np.array([(i + rng.uniform(0.42, 0.58)) * lane, (height - tall) * rng.uniform(0.4, 0.6) + 0.49 * tall])
        points[i] = _pose(rng) * tall + hips
        figure, shape = _figure(rng, points[i], tall, size)
        image[shape] = figure[shape]
        masks[:i] &= ~shape
        masks[i] = shape
    noisy = image.astype(np.float32) + rng.normal(0, 4, image.shape)
    inside = ((points >= 0) & (points < (width, height))).all(axis=2)
    found = np.asarray(inside, np.float32)
    sure, boxes = np.ones(people, np.float32), tight_boxes(masks)
    drawn = People(COCO17, np.asarray(points, np.float32), found, sure, boxes, Masks.from_full(masks))
    return Sample(np.clip(noisy, 0, 255).astype(np.uint8), drawn)


def write_drawn_people(folder: Path, *, pictures: int, size: tuple[int, int], seed: int) -> None:
    """Write drawn pictures as a COCO data set: `annotations.json`, and `pictures` with PNG files; the same every time.

    Pictures hold one to three people (`CROWDS`). Raises OutputError.
    """
    (folder / "pictures").mkdir(parents=True, exist_ok=True)
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in range(1, pictures + 1):
        sample = drawn_scene(np.random.default_rng((seed, number)), size, CROWDS[(number - 1) % len(CROWDS)])
        name = f"drawn_{number:03d}.png"
        write_png(folder / "pictures" / name, sample.image)
        images.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        for record in coco_results(sample.people, number, first_id=len(annotations) + 1):
            record["keypoints"][2::3] = [2 * flag for flag in record["keypoints"][2::3]]
            visible = sum(flag > 0 for flag in record["keypoints"][2::3])
            annotations.append({**record, "num_keypoints": visible, "iscrowd": 0})
    bones = [[a + 1, b + 1] for a, b in COCO17.indices(COCO17.bones).tolist()]
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": bones}
    write_json(folder / "annotations.json", {"images": images, "annotations": annotations, "categories": [category]})


def _pose(rng: np.random.Generator) -> NDArray[np.float64]:
    """Joints (17, 2) of a figure of height 1 around the middle of its hips; it faces us."""
    lean = rng.normal(0, 0.12)
    up, across = np.array([np.sin(lean), -np.cos(lean)]), np.array([np.cos(lean), np.sin(lean)])
    joints = np.zeros((17, 2))
    neck = TORSO * up
    head = neck + (0.03 + 1.3 * HEAD) * up
    joints[:5] = head + HEAD * (FACE[:, :1] * across - FACE[:, 1:] * up)
    for side, left in ((1, True), (-1, False)):
        shoulder, hip = neck + side * SHOULDER * across, side * HIP * across
        raised, bend = rng.uniform(0.15, 1.7), rng.uniform(-0.2, 1.2)
        elbow = shoulder + ARM * _towards(side, raised)
        wrist = elbow + ARM * _towards(side, raised + bend)
        spread, step = rng.uniform(0.05, 0.5), rng.uniform(-0.4, 0.1)
        knee = hip + LEG * _towards(side, spread)
        ankle = knee + LEG * _towards(side, spread + step)
        first = 5 if left else 6
        joints[first : first + 11 : 2] = shoulder, elbow, wrist, hip, knee, ankle
    return joints


def _towards(side: int, angle: float) -> NDArray[np.float64]:
    """Unit vector at an angle from straight down, outwards on this side."""
    return np.array([side * np.sin(angle), np.cos(angle)])


def textured_ground(rng: np.random.Generator, size: tuple[int, int]) -> Bytes:
    """Soft coloured blotches with a fine grain."""
    blotches = rng.integers(40, 200, (5, 5, 3), np.uint8)
    grain = rng.integers(0, 30, (size[0] // 4 + 1, size[1] // 4 + 1, 3), np.uint8)
    big = (size[1], size[0])
    soft = cv2.resize(blotches, big, interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.add(soft, cv2.resize(grain, big, interpolation=cv2.INTER_LINEAR)), np.uint8)


def _figure(
    rng: np.random.Generator, joints: NDArray[np.float64], tall: float, size: tuple[int, int]
) -> tuple[Bytes, NDArray[np.bool_]]:
    """A picture of one figure in colours of its own, and where it is."""
    figure, shape = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    skin, shirt, trousers = (tuple(int(v) for v in rng.integers(*span, 3)) for span in ((150, 255), (0, 256), (0, 120)))
    at = np.rint((joints - 0.5) * (1 << SHIFT)).astype(np.int32)
    limb, head = max(2, round(0.12 * tall)), round(HEAD * 1.15 * tall * (1 << SHIFT))
    middle = tuple(int(v) for v in at[[3, 4]].mean(axis=0))
    for canvas, colours in ((figure, (trousers, shirt, skin)), (shape, (1, 1, 1))):
        for a, b in LIMBS[4:]:
            cv2.line(canvas, at[a].tolist(), at[b].tolist(), colours[0], limb, cv2.LINE_8, SHIFT)
        cv2.fillConvexPoly(canvas, at[[5, 6, 12, 11]], colours[1], cv2.LINE_8, SHIFT)
        cv2.line(canvas, at[11].tolist(), at[12].tolist(), colours[0], limb, cv2.LINE_8, SHIFT)
        for a, b in LIMBS[:4]:
            cv2.line(canvas, at[a].tolist(), at[b].tolist(), colours[1 if a in (5, 6) else 2], limb, cv2.LINE_8, SHIFT)
        cv2.circle(canvas, middle, head, colours[2], -1, cv2.LINE_8, SHIFT)
    for eye in at[:3].tolist():
        cv2.circle(figure, eye, max(1 << SHIFT, head // 8), (20, 20, 20), -1, cv2.LINE_8, SHIFT)
    return figure, shape.astype(bool)
