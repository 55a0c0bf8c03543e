"""BlazePose as a teacher of masks: it segments people that others detect, one crop each, and detects none itself.

The network is Google's MediaPipe BlazePose GHUM, published under Apache-2.0; no weights lie in this repository. `path`
is one of the `pose_landmark_*.tflite` files of the npm package `@mediapipe/pose` (heavy is the best). It needs
`ai-edge-litert`.

    poseg label photos -o ann.json --teacher bodypix.onnx \
        --teacher examples/teachers/blazepose_masks.py:BlazePoseMasks=pose_landmark_heavy.tflite
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.geometry import affine
from poseg.people import People
from poseg.skeletons import COCO17

SIDE_PX = 256
MIN_JOINT_SCORE = 0.2  # of joints that say where the body is
CROP_SCALE = 1.25  # half side of the crop over the distance of the farthest joint from the centre of the hips
MIN_PRESENCE = 0.5
OUTSIDE_LOGIT = -10.0  # where the crop does not reach


class BlazePoseMasks:
    """Masks of provided people by BlazePose, in a crop rotated upright: `segment(image, people)`.

    path     the .tflite file
    threads  for one crop

    Raises WeightsError where there is no such network, and without `ai-edge-litert`.
    """

    name = "BlazePose GHUM (masks)"
    licence = "Apache-2.0 (Google MediaPipe)"
    sizes = (SIDE_PX,)
    masks_only = True

    def __init__(self, path: str | os.PathLike[str], threads: int | None = 1) -> None:
        try:
            from ai_edge_litert.interpreter import Interpreter
        except ModuleNotFoundError:
            raise WeightsError("BlazePose runs on LiteRT; install it with: pip install ai-edge-litert") from None
        if not Path(path).is_file():
            raise WeightsError(f"There is no file {path}; give a pose_landmark_*.tflite of @mediapipe/pose.")
        try:
            self._network: Any = Interpreter(model_path=os.fspath(path), num_threads=threads or os.cpu_count())
            self._network.allocate_tensors()
            outputs = {tuple(output["shape"]): output["index"] for output in self._network.get_output_details()}
            self._mask, self._presence = outputs[1, SIDE_PX, SIDE_PX, 1], outputs[1, 1]
        except (KeyError, RuntimeError, ValueError) as error:
            raise WeightsError(
                f"{path} is no BlazePose landmark network ({error}); give pose_landmark_*.tflite."
            ) from None

    def __call__(self, image: NDArray[np.uint8], size: int | None = None) -> People:
        """No people."""
        return People.empty(COCO17)

    def segment(self, image: NDArray[np.uint8], people: People, size: int | None = None) -> NDArray[np.bool_]:
        """(N, H, W) masks of people on COCO's skeleton, in pixels of the image; all false where none is detected."""
        masks = np.zeros((len(people), *image.shape[:2]), np.bool_)
        for mask, points, scores in zip(masks, people.keypoints, people.keypoint_scores, strict=True):
            if int((scores >= MIN_JOINT_SCORE).sum()) >= 2:
                mask[:] = self._segment_crop(image, upright_crop(points, scores))
        return masks

    def _segment_crop(self, image: NDArray[np.uint8], crop: affine.Matrix) -> NDArray[np.bool_]:
        """(H, W) mask of the person in a crop, the transform from the image to the network's input."""
        pixels = cv2.warpAffine(image, affine.to_cv2(crop), (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR)
        self._network.set_tensor(self._network.get_input_details()[0]["index"], pixels[None].astype(np.float32) / 255)
        self._network.invoke()
        if float(self._network.get_tensor(self._presence)[0, 0]) < MIN_PRESENCE:
            return np.zeros(image.shape[:2], np.bool_)
        logits = np.array(self._network.get_tensor(self._mask)[0, :, :, 0], np.float32)
        back = cv2.warpAffine(
            logits, affine.to_cv2(affine.invert(crop)), image.shape[1::-1], flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE_LOGIT,
        )  # fmt: skip
        return np.asarray(back > 0, np.bool_)


def upright_crop(points: NDArray[np.float32], scores: NDArray[np.float32]) -> affine.Matrix:
    """The transform from the image to a crop around a person (17, 2), rotated so that the torso is upright."""
    visible = scores >= MIN_JOINT_SCORE
    hips, shoulders = (
        points[ends][visible[ends]].mean(axis=0) if visible[ends].any() else None
        for ends in (np.array([11, 12]), np.array([5, 6]))
    )
    origin = points[visible].mean(axis=0) if hips is None else hips
    up = np.array([0.0, -1.0]) if hips is None or shoulders is None else shoulders - hips
    rotation = np.arctan2(up[0], -up[1])  # 0 where the torso points to the top of the image
    reach = float(np.linalg.norm(points[visible] - origin, axis=1).max())
    scale = SIDE_PX / (2 * CROP_SCALE * max(reach, 4.0))
    centre = (float(origin[0]), float(origin[1]))
    return affine.similarity(scale, -float(rotation), centre, (SIDE_PX / 2, SIDE_PX / 2))
