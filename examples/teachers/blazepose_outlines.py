"""BlazePose as a teacher of masks: it outlines people whom others have found, one crop each, and finds nobody itself.

The network is Google's MediaPipe BlazePose GHUM, published under Apache-2.0; no weights lie in this repository. `path`
is one of the `pose_landmark_*.tflite` files of the npm package `@mediapipe/pose` (heavy is the best). It needs
`ai-edge-litert`.

    poseg label photos -o ann.json --teacher bodypix.onnx \
        --teacher examples/teachers/blazepose_outlines.py:BlazePoseOutlines=pose_landmark_heavy.tflite
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
SURE = 0.2  # a joint less sure does not say where the body is
ROOM = 1.25  # the crop's half side, in distances of the farthest sure joint from the middle of the hips
LEAST_PRESENCE = 0.5
OUTSIDE = -10.0  # logit where the crop does not reach


class BlazePoseOutlines:
    """Masks of given people by BlazePose, in a crop turned upright: `outline(image, people)`.

    path     the .tflite file
    threads  that compute one crop

    Raises WeightsError where there is no such network, and without `ai-edge-litert`.
    """

    name = "BlazePose GHUM (outlines)"
    licence = "Apache-2.0 (Google MediaPipe)"
    sizes = (SIDE_PX,)
    only_outlines = True

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
            self._places = {tuple(one["shape"]): one["index"] for one in self._network.get_output_details()}
            self._mask, self._presence = self._places[1, SIDE_PX, SIDE_PX, 1], self._places[1, 1]
        except (KeyError, RuntimeError, ValueError) as fault:
            raise WeightsError(
                f"{path} is no BlazePose landmark network ({fault}); give pose_landmark_*.tflite."
            ) from None

    def __call__(self, image: NDArray[np.uint8], size: int | None = None) -> People:
        """Nobody."""
        return People.empty(COCO17)

    def outline(self, image: NDArray[np.uint8], people: People, size: int | None = None) -> NDArray[np.bool_]:
        """(N, H, W) masks of people on COCO's skeleton, in the picture's pixels; all false where none is seen."""
        masks = np.zeros((len(people), *image.shape[:2]), np.bool_)
        for mask, points, sure in zip(masks, people.keypoints, people.keypoint_scores, strict=True):
            if int((sure >= SURE).sum()) >= 2:
                mask[:] = self._one(image, upright_crop(points, sure))
        return masks

    def _one(self, image: NDArray[np.uint8], crop: affine.Matrix) -> NDArray[np.bool_]:
        """(H, W) mask of the person in a crop: the map from picture to the network's input."""
        seen = cv2.warpAffine(image, affine.to_cv2(crop), (SIDE_PX, SIDE_PX), flags=cv2.INTER_LINEAR)
        self._network.set_tensor(self._network.get_input_details()[0]["index"], seen[None].astype(np.float32) / 255)
        self._network.invoke()
        if float(self._network.get_tensor(self._presence)[0, 0]) < LEAST_PRESENCE:
            return np.zeros(image.shape[:2], np.bool_)
        logits = np.array(self._network.get_tensor(self._mask)[0, :, :, 0], np.float32)
        back = cv2.warpAffine(
            logits, affine.to_cv2(affine.invert(crop)), image.shape[1::-1], flags=cv2.INTER_LINEAR,
            borderMode=cv2.BORDER_CONSTANT, borderValue=OUTSIDE,
        )  # fmt: skip
        return np.asarray(back > 0, np.bool_)


def upright_crop(points: NDArray[np.float32], sure: NDArray[np.float32]) -> affine.Matrix:
    """The map from the picture to a crop around a person (17, 2), turned so that the trunk stands upright."""
    known = sure >= SURE
    hips, shoulders = (
        points[ends][known[ends]].mean(axis=0) if known[ends].any() else None
        for ends in (np.array([11, 12]), np.array([5, 6]))
    )
    middle = points[known].mean(axis=0) if hips is None else hips
    up = np.array([0.0, -1.0]) if hips is None or shoulders is None else shoulders - hips
    turn = np.arctan2(up[0], -up[1])  # 0 where the trunk points to the top of the picture
    reach = float(np.linalg.norm(points[known] - middle, axis=1).max())
    scale = SIDE_PX / (2 * ROOM * max(reach, 4.0))
    centre = (float(middle[0]), float(middle[1]))
    return affine.similarity(scale, -float(turn), centre, (SIDE_PX / 2, SIDE_PX / 2))
