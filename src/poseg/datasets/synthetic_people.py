"""Synthetic people: simple figures rendered over random textures, with ground-truth joints and masks, in 2D and 3D.

2D scenes are for tests and for trying out a training run: small, cheap, and the same for the same seed. 3D samples
render poses of motion capture before random cameras. They teach what a body looks like in 3D as far as silhouettes
and occlusions show it. Neither is training data for photographs.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.datasets.mocap import MocapPoses, project
from poseg.geometry.masks import Masks
from poseg.io.coco_results import coco_results
from poseg.io.coco_skeleton import coco_category
from poseg.io.files import write_json
from poseg.io.images import write_png
from poseg.people import People, Sample
from poseg.skeletons import BODY17_3D, COCO17

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Floats64 = NDArray[np.float64]

SHIFT_BITS = 4  # fractional bits of cv2's drawing coordinates

# 2D. Of a figure with height 1: hips to shoulders, half widths, limbs and head.
TORSO, SHOULDER, HIP, ARM, LEG, HEAD = 0.3, 0.11, 0.08, 0.17, 0.23, 0.085
# In the order of COCO's joints: nose, eyes, ears around the centre of the head, in head radii.
FACE = np.array([(0, 0.1), (0.35, -0.2), (-0.35, -0.2), (0.85, -0.05), (-0.85, -0.05)])
LIMBS = ((5, 7), (7, 9), (6, 8), (8, 10), (11, 13), (13, 15), (12, 14), (14, 16))
PEOPLE_PER_IMAGE = (1, 2, 1, 2, 3, 1, 2, 1)  # in the images of a set, repeated

# 3D. (from, to, radius in mm, index of the colour).
SKIN, SHIRT, TROUSERS, HAIR = range(4)
LIMB_RADII = (
    ("pelvis", "right_hip", 85, TROUSERS), ("pelvis", "left_hip", 85, TROUSERS),
    ("right_hip", "right_knee", 75, TROUSERS), ("left_hip", "left_knee", 75, TROUSERS),
    ("right_knee", "right_ankle", 52, TROUSERS), ("left_knee", "left_ankle", 52, TROUSERS),
    ("pelvis", "spine", 120, SHIRT), ("spine", "neck", 125, SHIRT),
    ("neck", "left_shoulder", 70, SHIRT), ("neck", "right_shoulder", 70, SHIRT),
    ("left_shoulder", "left_elbow", 50, SHIRT), ("right_shoulder", "right_elbow", 50, SHIRT),
    ("left_elbow", "left_wrist", 38, SKIN), ("right_elbow", "right_wrist", 38, SKIN),
    ("neck", "head_top", 55, SKIN),
)  # fmt: skip
HEAD_MM, FACE_MM = 95, 60  # radii of the skull, and of the face around the nose
SIDE_PX = 160
FILL_RATIO = 0.62  # longer side of a figure to the side of its image


def render_scene(rng: np.random.Generator, size: tuple[int, int], people: int) -> Sample:
    """An image of `size` (height, width) with that many people side by side, each in front of those to the left."""
    height, width = size
    image = textured_background(rng, size)
    masks = np.zeros((people, height, width), np.bool_)
    points = np.zeros((people, len(COCO17), 2))
    lane = width / people
    for i in range(people):
        tall = min(rng.uniform(0.78, 0.9) * height, 1.9 * lane)
        hips = np.array([(i + rng.uniform(0.42, 0.58)) * lane, (height - tall) * rng.uniform(0.4, 0.6) + 0.49 * tall])
        points[i] = _random_pose(rng) * tall + hips
        figure, shape = _render_person(rng, points[i], tall, size)
        image[shape] = figure[shape]
        masks[:i] &= ~shape
        masks[i] = shape
    image = _with_noise(rng, image)
    inside = np.asarray(((points >= 0) & (points < (width, height))).all(axis=2), np.float32)
    stacked = Masks.from_full(masks)
    boxes = stacked.boxes_xyxy
    return Sample(
        image, People(COCO17, points.astype(np.float32), inside, np.ones(people, np.float32), boxes, stacked)
    )  # fmt: skip


def write_synthetic_people(folder: Path, *, images: int, size: tuple[int, int], seed: int) -> None:
    """Write scenes as a COCO data set: `annotations.json`, and `images` with PNG files; the same for the same seed.

    Images show one to three people (`PEOPLE_PER_IMAGE`). Raises OutputError.
    """
    (folder / "images").mkdir(parents=True, exist_ok=True)
    entries: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for number in range(1, images + 1):
        people = PEOPLE_PER_IMAGE[(number - 1) % len(PEOPLE_PER_IMAGE)]
        sample = render_scene(np.random.default_rng((seed, number)), size, people)
        name = f"synthetic_{number:03d}.png"
        write_png(folder / "images" / name, sample.image)
        entries.append({"id": number, "file_name": name, "height": size[0], "width": size[1]})
        for record in coco_results(sample.people, number, first_id=len(annotations) + 1):
            record["keypoints"][2::3] = [2 * flag for flag in record["keypoints"][2::3]]
            visible = sum(flag > 0 for flag in record["keypoints"][2::3])
            annotations.append({**record, "num_keypoints": visible, "iscrowd": 0})
    raw = {"images": entries, "annotations": annotations, "categories": [coco_category(COCO17)]}
    write_json(folder / "annotations.json", raw)


class Synthetic3D:
    """Rendered images of motion capture poses: sample i shows pose i modulo their number, the same every time.

    poses    to be rendered
    length   number of samples
    seed     of cameras, bodies and colours
    """

    def __init__(self, name: str, poses: MocapPoses, *, length: int, seed: int) -> None:
        self.name, self.skeleton, self.exhaustive = name, BODY17_3D, True
        self.annotated_joints = np.ones(len(BODY17_3D), np.bool_)
        self._poses, self._length, self._seed = poses, length, seed
        # Consecutive poses of a recording are alike, so a random order goes through all recordings.
        self._order = np.random.default_rng(seed).permutation(len(poses))

    def __len__(self) -> int:
        return self._length

    def sample_id(self, index: int) -> str:
        """The set's name, the seed and the index."""
        return f"{self.name}/{self._seed}/{index}"

    def __getitem__(self, index: int) -> Sample:
        pose = self._poses.joints_mm[self._order[index % len(self._order)]]
        return render_3d(pose, np.random.default_rng((self._seed, index)), name=self.sample_id(index))


def render_3d(joints_mm: Floats, rng: np.random.Generator, *, name: str = "") -> Sample:
    """A pose (17, 3), y-up in mm, before a random camera: its image, 2D joints and 3D joints about the pelvis."""
    projected = project(joints_mm[None], rng)
    joints, points = projected.joints_mm[0], projected.keypoints[0].astype(np.float64)
    low, high = points.min(axis=0), points.max(axis=0)
    scale = FILL_RATIO * SIDE_PX / max(float((high - low).max()), 1.0)
    shift = rng.uniform(-0.06, 0.06, 2) * SIDE_PX
    points = (points - (low + high) / 2) * scale + SIDE_PX / 2 + shift
    px_per_mm = scale * float(projected.cameras.focal_px[0]) / joints[:, 2].astype(np.float64)
    image = textured_background(rng, (SIDE_PX, SIDE_PX))
    _render_3d_person(image, joints, points, px_per_mm, rng)
    inside = ((points >= 0) & (points < SIDE_PX)).all(axis=1)
    image = _with_noise(rng, image)
    people = People(
        BODY17_3D, points[None].astype(np.float32), inside[None].astype(np.float32), np.ones(1, np.float32),
        np.array([[0, 0, SIDE_PX, SIDE_PX]], np.float32),
        keypoints_3d=(joints - joints[0])[None], skeleton_3d=BODY17_3D,
    )  # fmt: skip
    return Sample(image, people, name=name)


def textured_background(rng: np.random.Generator, size: tuple[int, int]) -> Bytes:
    """Smooth coloured blobs with a fine grain, (H, W, 3) of `size`."""
    blobs = rng.integers(40, 200, (5, 5, 3), np.uint8)
    grain = rng.integers(0, 30, (size[0] // 4 + 1, size[1] // 4 + 1, 3), np.uint8)
    smooth = cv2.resize(blobs, size[::-1], interpolation=cv2.INTER_CUBIC)
    return np.asarray(cv2.add(smooth, cv2.resize(grain, size[::-1], interpolation=cv2.INTER_LINEAR)), np.uint8)


def _with_noise(rng: np.random.Generator, image: Bytes) -> Bytes:
    noisy = image.astype(np.float32) + rng.normal(0, 4, image.shape)
    return np.clip(noisy, 0, 255).astype(np.uint8)


def _to_fixed(points: Floats64) -> NDArray[np.int32]:
    """Continuous pixels as cv2's fixed-point pixel indices."""
    return np.rint((points - 0.5) * (1 << SHIFT_BITS)).astype(np.int32)


def _random_pose(rng: np.random.Generator) -> Floats64:
    """Joints (17, 2) of a figure of height 1 around the centre of its hips; it faces the camera."""
    lean = rng.normal(0, 0.12)
    up, across = np.array([np.sin(lean), -np.cos(lean)]), np.array([np.cos(lean), np.sin(lean)])
    joints = np.zeros((17, 2))
    neck = TORSO * up
    head = neck + (0.03 + 1.3 * HEAD) * up
    joints[:5] = head + HEAD * (FACE[:, :1] * across - FACE[:, 1:] * up)
    for side, first in ((1, 5), (-1, 6)):
        shoulder, hip = neck + side * SHOULDER * across, side * HIP * across
        raised, bend = rng.uniform(0.15, 1.7), rng.uniform(-0.2, 1.2)
        elbow = shoulder + ARM * _direction(side, raised)
        wrist = elbow + ARM * _direction(side, raised + bend)
        thigh, step = rng.uniform(0.05, 0.5), rng.uniform(-0.4, 0.1)
        knee = hip + LEG * _direction(side, thigh)
        ankle = knee + LEG * _direction(side, thigh + step)
        joints[first : first + 11 : 2] = shoulder, elbow, wrist, hip, knee, ankle
    return joints


def _direction(side: int, angle: float) -> Floats64:
    """Unit vector at an angle from straight down, outwards on this side."""
    return np.array([side * np.sin(angle), np.cos(angle)])


def _render_person(
    rng: np.random.Generator, joints: Floats64, tall: float, size: tuple[int, int]
) -> tuple[Bytes, NDArray[np.bool_]]:
    """An image of one figure in random colours, and its mask."""
    figure, shape = np.zeros((*size, 3), np.uint8), np.zeros(size, np.uint8)
    skin, shirt, trousers = (tuple(int(v) for v in rng.integers(*span, 3)) for span in ((150, 255), (0, 256), (0, 120)))
    at = _to_fixed(joints)
    limb, head = max(2, round(0.12 * tall)), round(HEAD * 1.15 * tall * (1 << SHIFT_BITS))
    centre = tuple(int(v) for v in at[[3, 4]].mean(axis=0))
    for canvas, colours in ((figure, (trousers, shirt, skin)), (shape, (1, 1, 1))):
        for a, b in LIMBS[4:]:
            cv2.line(canvas, at[a].tolist(), at[b].tolist(), colours[0], limb, cv2.LINE_8, SHIFT_BITS)
        cv2.fillConvexPoly(canvas, at[[5, 6, 12, 11]], colours[1], cv2.LINE_8, SHIFT_BITS)
        cv2.line(canvas, at[11].tolist(), at[12].tolist(), colours[0], limb, cv2.LINE_8, SHIFT_BITS)
        for a, b in LIMBS[:4]:
            colour = colours[1 if a in (5, 6) else 2]
            cv2.line(canvas, at[a].tolist(), at[b].tolist(), colour, limb, cv2.LINE_8, SHIFT_BITS)
        cv2.circle(canvas, centre, head, colours[2], -1, cv2.LINE_8, SHIFT_BITS)
    for eye in at[:3].tolist():
        cv2.circle(figure, eye, max(1 << SHIFT_BITS, head // 8), (20, 20, 20), -1, cv2.LINE_8, SHIFT_BITS)
    return figure, shape.astype(bool)


def _render_3d_person(
    image: Bytes, joints: Floats, points: Floats64, px_per_mm: Floats64, rng: np.random.Generator
) -> None:
    """Draw the figure, far parts first; parts farther from the camera than the pelvis are a little darker."""
    colours = [rng.integers(*span, 3).astype(np.float64) for span in ((120, 256), (0, 256), (0, 160), (0, 120))]
    stoutness = rng.uniform(0.85, 1.25)
    at = _to_fixed(points).astype(int)
    parts: list[tuple[float, int, int, float, int]] = []
    for start, end, radius_mm, colour in LIMB_RADII:
        a, b = BODY17_3D.index(start), BODY17_3D.index(end)
        parts.append((float(joints[[a, b], 2].mean()), a, b, radius_mm * stoutness, colour))
    top, nose = BODY17_3D.index("head_top"), BODY17_3D.index("nose")
    # A negative radius marks a disk.
    parts.append((float((joints[top] + joints[nose])[2] / 2), top, nose, -HEAD_MM, HAIR))
    parts.append((float(joints[nose, 2]) - 20, nose, nose, -FACE_MM, SKIN))
    light = rng.uniform(0.0006, 0.0014)
    for depth, a, b, signed_mm, colour in sorted(parts, reverse=True):
        shade = np.clip(1 - light * (depth - float(joints[0, 2])), 0.5, 1.3)
        tone = [int(v) for v in np.clip(colours[colour] * shade, 0, 255)]
        radius_px = abs(signed_mm) * float(px_per_mm[[a, b]].mean())
        if signed_mm < 0:
            centre = ((at[a] + at[b]) // 2).tolist()
            fixed = max(1, round(radius_px * (1 << SHIFT_BITS)))
            cv2.circle(image, centre, fixed, tone, -1, cv2.LINE_AA, SHIFT_BITS)
        else:
            width = max(1, round(2 * radius_px))
            cv2.line(image, at[a].tolist(), at[b].tolist(), tone, width, cv2.LINE_AA, SHIFT_BITS)
