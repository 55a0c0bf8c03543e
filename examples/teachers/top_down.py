"""A person detector and a crop network as one teacher: every detected person gets a pose in a crop of their own.

The networks are OpenMMLab's RTMDet-nano for persons (one class, 640 px) and PaddleDetection's PP-TinyPose (256 x 192),
both published under Apache-2.0; no weights lie in this repository. The argument is their two ONNX files:

    poseg label photos -o ann.json --teacher examples/teachers/top_down.py:TopDown=rtmdet_nano_person.onnx,tinypose.onnx
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from poseg.codecs.pose_fusion import without_duplicates
from poseg.errors import WeightsError
from poseg.fields.dark import dark_joints
from poseg.fields.spec import sigmoid
from poseg.geometry import affine
from poseg.geometry.boxes import Boxes
from poseg.geometry.grid import Grid
from poseg.geometry.similarity import box_iou_matrix
from poseg.labelling import LabelThresholds
from poseg.people import People
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import make_letterbox
from poseg.transforms.warp import warp_image

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

DETECTOR_PX, PADDING = 640, (114, 114, 114)
DETECTOR_MEAN, DETECTOR_STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # BGR
MIN_BOX_SCORE = 0.1
MAX_BOX_IOU = 0.6
MAX_PEOPLE = 40

CROP_SIZE, CROP_SCALE = (256, 192), 1.25  # height and width; the box in the crop
CROP_MEAN, CROP_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
HEATMAP_GRID = Grid(4)
MIN_JOINT_SCORE = 0.2  # joints below do not count for the score of a person
MAX_OKS = 0.8  # a person more similar to one of a higher score is the same person in another box


class TopDown:
    """Poses of detected people, with the detector's boxes: `TopDown("detector.onnx,crops.onnx")(image)`.

    paths    the detector's ONNX file and the crop network's, with a comma between them
    threads  for one image

    The score of a person is the score of the box times the mean confidence of the joints. Raises WeightsError where
    there are no such networks.
    """

    name = "RTMDet-nano, PP-TinyPose"
    licence = "Apache-2.0 (OpenMMLab, PaddleDetection)"
    sizes = (DETECTOR_PX,)
    detects_boxes = True
    thresholds = LabelThresholds(min_person=0.45, min_ignore=0.4, min_joint=0.4)

    def __init__(self, paths: str, threads: int | None = 1) -> None:
        detector, comma, crops = paths.partition(",")
        if not comma:
            raise WeightsError(
                f"{paths!r} names one network; give detector.onnx,crops.onnx: a detector and a crop one."
            )
        height, width = CROP_SIZE
        cells = [DETECTOR_PX // stride for stride in (8, 16, 32)]
        maps = [(1, channels, side, side) for channels in (1, 4) for side in cells]
        self._detector = open_network(detector, [(1, 3, DETECTOR_PX, DETECTOR_PX)], maps, threads)
        heatmaps = [(1, len(COCO17), height // HEATMAP_GRID.stride, width // HEATMAP_GRID.stride)]
        self._crops = open_network(crops, [(1, 3, height, width)], heatmaps, threads)

    def __call__(self, image: Image, size: int | None = None) -> People:
        """The people of an image (H, W, 3) uint8 RGB, highest score first, in its own continuous pixels.

        size  long side of the image in the detector's input, 640 pixels or less
        """
        boxes, box_scores = self.detect(image, size)
        points, scores = self.poses(image, boxes)
        counted = scores >= MIN_JOINT_SCORE
        mean = (scores * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
        people = People(COCO17, points, np.clip(scores, 0, 1), np.clip(box_scores * mean, 0, 1), boxes)
        return without_duplicates(people, MAX_OKS)

    def detect(self, image: Image, size: int | None = None) -> tuple[Boxes, Floats]:
        """Boxes (N, 4) xyxy of people and their scores (N,), highest score first."""
        long_px = min(size or DETECTOR_PX, DETECTOR_PX)
        letterbox = make_letterbox((image.shape[0], image.shape[1]), long_px, size_divisor=32, size_offset=0)
        pixels = letterbox.padded_image(image, PADDING)[:, :, ::-1]
        canvas = np.full((DETECTOR_PX, DETECTOR_PX, 3), PADDING, np.uint8)
        canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
        maps = run_network(self._detector, normalised(canvas, DETECTOR_MEAN, DETECTOR_STD))
        parts = [_boxes_of_level(*level) for level in zip(maps[:3], maps[3:], strict=True)]
        corners, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
        boxes = letterbox.to_image(corners.reshape(-1, 2, 2)).reshape(-1, 4)
        boxes = np.clip(boxes, 0, np.array(image.shape[1::-1] * 2, np.float32))
        kept = _suppressed(boxes, scores)[:MAX_PEOPLE]
        return boxes[kept], scores[kept]

    def poses(self, image: Image, boxes: Boxes) -> tuple[Floats, Floats]:
        """Joints (N, 17, 2) of people in boxes (N, 4), in pixels of the image, and their confidence (N, 17)."""
        points, scores = (
            np.zeros((len(boxes), len(COCO17), 2), np.float32),
            np.zeros((len(boxes), len(COCO17)), np.float32),
        )
        for row, box in enumerate(boxes):
            onto_crop = crop_map(box)
            pixels = warp_image(image, onto_crop, CROP_SIZE)
            (heatmaps,) = run_network(self._crops, normalised(pixels, CROP_MEAN, CROP_STD))
            joints, heights = dark_joints(heatmaps, HEATMAP_GRID)
            points[row], scores[row] = affine.apply(affine.invert(onto_crop), joints[0]), heights[0]
        return points, scores


def crop_map(box: Floats) -> affine.Matrix:
    """The map (2, 3) from the image to the crop around a box (4,) xyxy, which keeps the aspect ratio."""
    height, width = CROP_SIZE
    sides = np.maximum(box[2:] - box[:2], 1) * CROP_SCALE
    scale = float(np.min(np.array([width, height]) / sides))
    centre = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
    return affine.similarity(scale, 0.0, centre, (width / 2, height / 2))


def _boxes_of_level(logits: Floats, distances: Floats) -> tuple[Floats, Floats]:
    """Boxes (M, 4) in pixels of the input and scores (M,), of logits (1, 1, h, w) and distances (1, 4, h, w)."""
    grid = Grid(DETECTOR_PX // logits.shape[2], 0.0)
    scores = sigmoid(logits[0, 0])
    rows, columns = np.nonzero(scores >= MIN_BOX_SCORE)
    centres = grid.to_image(np.stack([columns, rows], axis=1))
    sides = distances[0, :, rows, columns]
    return np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1), scores[rows, columns]


def _suppressed(boxes: Boxes, scores: Floats) -> list[int]:
    """Rows by score, without boxes that overlap one of a higher score."""
    kept: list[int] = []
    overlap = box_iou_matrix(boxes, boxes)
    for row in np.argsort(-scores, kind="stable").tolist():
        if not (overlap[row, kept] > MAX_BOX_IOU).any():
            kept.append(row)
    return kept


def normalised(pixels: Image, mean: tuple[float, ...], std: tuple[float, ...]) -> Floats:
    """Pixels (h, w, 3) as the input (1, 3, h, w) of a network."""
    scaled = (pixels.astype(np.float32) - np.array(mean, np.float32)) / np.array(std, np.float32)
    return np.ascontiguousarray(scaled.transpose(2, 0, 1)[None])


def open_network(
    path: str | os.PathLike[str], inputs: list[tuple[int, ...]], outputs: list[tuple[int, ...]], threads: int | None
) -> onnxruntime.InferenceSession:
    """The network in an ONNX file with inputs and outputs of these shapes, in this order. Raises WeightsError."""
    if not Path(path).is_file():
        raise WeightsError(f"There is no file {path}; give the path of an ONNX file.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(os.fspath(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise WeightsError(f"{path} is no ONNX file that runs here ({str(error).splitlines()[0]}).") from None
    found = [[tuple(one.shape) for one in ends] for ends in (session.get_inputs(), session.get_outputs())]
    if found != [inputs, outputs]:
        raise WeightsError(f"{path} is another network: expected inputs {inputs} and outputs {outputs}, got {found}.")
    return session


def run_network(session: onnxruntime.InferenceSession, tensor: Floats) -> list[Any]:
    """All outputs of a network with one input."""
    return list(session.run(None, {session.get_inputs()[0].name: tensor}))
