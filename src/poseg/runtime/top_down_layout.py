"""Networks of other houses in two steps: a person detector (RTMDet), then a crop network (RTMPose, PP-TinyPose)."""

from __future__ import annotations

import numpy as np

from poseg.errors import WeightsError
from poseg.fields.dark import dark_joints
from poseg.fields.spec import sigmoid
from poseg.geometry import affine
from poseg.geometry.grid import Grid
from poseg.runtime.onnx_model import OnnxNetwork
from poseg.runtime.pose_layouts import Floats, Image, K, Poses, channels_first, input_side, square_input, suppressed
from poseg.skeletons import COCO17
from poseg.transforms.warp import warp_image

BOX_MEAN, BOX_STD = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # BGR
MIN_BOX_SCORE, MAX_BOX_IOU, MAX_BOXES = 0.1, 0.6, 40
CROP_SCALE = 1.25  # of the box in the crop
CROP_MEAN, CROP_STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)  # RGB
MIN_JOINT_SCORE = 0.2  # joints below do not count for the score of a person


def rtmdet_rtmpose(
    detector: OnnxNetwork, crops: OnnxNetwork, image: Image, *, flip: bool = True, long_px: int | None = None
) -> Poses:
    """Boxes of the detector, and poses in crops of them; scores are those of boxes times the mean of joints over 0.2.

    flip     average heatmaps with those of the flipped crop; crop networks with SimCC outputs run once
    long_px  long side of the image in the detector's input
    """
    boxes, box_scores = detect_boxes(detector, image, long_px)
    points, scores = np.zeros((len(boxes), K, 2), np.float32), np.zeros((len(boxes), K), np.float32)
    for row, box in enumerate(boxes):
        points[row], scores[row] = crop_pose(crops, image, box, flip=flip)
    counted = scores >= MIN_JOINT_SCORE
    mean = (scores * counted).sum(axis=1) / np.maximum(counted.sum(axis=1), 1)
    return Poses(boxes, box_scores * mean, points, scores)


def detect_boxes(network: OnnxNetwork, image: Image, long_px: int | None = None) -> tuple[Floats, Floats]:
    """Boxes (N, 4) xyxy of people in pixels of the image and their scores (N,), highest first.

    RTMDet-nano for persons: logits and distances of three levels; or as MMDeploy exports it, dets (1, N, 5) and, where
    it has classes, labels (1, N), of which 0 is the person. Raises WeightsError for another network.
    """
    side = input_side(network)
    pixels, letterbox = square_input(image, side, min(long_px or side, side))
    outputs = network.run((channels_first(pixels[:, :, ::-1]) - _column(BOX_MEAN)) / _column(BOX_STD))
    levels = sorted((array for array in outputs if array.ndim == 4), key=lambda array: -array.shape[2])
    logits, distances = ([one for one in levels if one.shape[1] == channels] for channels in (1, 4))
    if len(levels) == 6 and len(logits) == len(distances) == 3:
        parts = [_boxes_of_level(*level, side) for level in zip(logits, distances, strict=True)]
        corners, scores = (np.concatenate(values) for values in zip(*parts, strict=True))
    elif outputs[0].ndim == 3 and outputs[0].shape[2] == 5:
        person = outputs[1][0] == 0 if len(outputs) > 1 else np.ones(outputs[0].shape[1], np.bool_)
        rows = outputs[0][0][person & (outputs[0][0, :, 4] >= MIN_BOX_SCORE)]
        corners, scores = rows[:, :4], rows[:, 4]
    else:
        raise WeightsError(f"{network.name} is no RTMDet: its outputs are {list(network.outputs.values())}.")
    boxes = letterbox.to_image(corners.reshape(-1, 2, 2)).reshape(-1, 4)
    boxes = np.clip(boxes, 0, np.array(image.shape[1::-1] * 2, np.float32))
    kept = suppressed(boxes, scores, MAX_BOX_IOU)[:MAX_BOXES]
    return boxes[kept], scores[kept]


def crop_pose(network: OnnxNetwork, image: Image, box: Floats, *, flip: bool = True) -> tuple[Floats, Floats]:
    """Joints (K, 2) of the person in a box (4,) xyxy, in pixels of the image, and their scores (K,).

    Heatmaps (1, K, h, w), or SimCC: (1, K, x bins) and (1, K, y bins). Raises WeightsError for another network.
    """
    height, width = _crop_size(network)
    onto_crop = crop_map(box, (height, width))
    tensor = (channels_first(warp_image(image, onto_crop, (height, width))) - _column(CROP_MEAN)) / _column(CROP_STD)
    outputs = network.run(tensor)
    if len(outputs) == 1 and outputs[0].ndim == 4 and outputs[0].shape[1] == K:
        heatmaps = outputs[0]
        if flip:
            flipped = network.run(np.ascontiguousarray(tensor[..., ::-1]))[0][:, COCO17.flip_index, :, ::-1].copy()
            flipped[..., 1:] = flipped[..., :-1].copy()  # flipped cells lie one cell to the left
            heatmaps = (heatmaps + flipped) / np.float32(2)
        joints, heights = dark_joints(heatmaps, Grid(width // heatmaps.shape[3]))
        points, scores = joints[0], heights[0]
    elif len(outputs) == 2 and all(one.ndim == 3 and one.shape[1] == K for one in outputs):
        bins = np.stack([one[0].argmax(axis=1) for one in outputs], axis=1)
        points = (bins * np.array([width / outputs[0].shape[2], height / outputs[1].shape[2]])).astype(np.float32)
        scores = np.minimum(*(one[0].max(axis=1) for one in outputs))
    else:
        raise WeightsError(f"{network.name} is no crop network of {K} joints: {list(network.outputs.values())}.")
    return affine.apply(affine.invert(onto_crop), points).astype(np.float32), np.clip(scores, 0, 1).astype(np.float32)


def crop_map(box: Floats, size: tuple[int, int]) -> affine.Matrix:
    """The map (2, 3) from the image to the crop of `size` (height, width) around a box (4,) xyxy; keeps proportions."""
    height, width = size
    sides = np.maximum(box[2:] - box[:2], 1) * CROP_SCALE
    scale = float(np.min(np.array([width, height]) / sides))
    centre = (float(box[0] + box[2]) / 2, float(box[1] + box[3]) / 2)
    return affine.similarity(scale, 0.0, centre, (width / 2, height / 2))


def _boxes_of_level(logits: Floats, distances: Floats, side: int) -> tuple[Floats, Floats]:
    """Boxes (M, 4) in pixels of the input and scores (M,), of logits (1, 1, h, w) and distances (1, 4, h, w)."""
    grid = Grid(side // logits.shape[2], 0.0)
    scores = sigmoid(logits[0, 0])
    rows, columns = np.nonzero(scores >= MIN_BOX_SCORE)
    centres = grid.to_image(np.stack([columns, rows], axis=1))
    sides = distances[0, :, rows, columns]
    return np.concatenate([centres - sides[:, :2], centres + sides[:, 2:]], axis=1), scores[rows, columns]


def _crop_size(network: OnnxNetwork) -> tuple[int, int]:
    """Height and width of the crop network's input; those of RTMPose where any would do."""
    if len(network.shape) != 4 or network.shape[1] not in (3, None):
        raise WeightsError(f"{network.name} has an input of {network.shape}, expected (1, 3, height, width).")
    return network.shape[2] or 256, network.shape[3] or 192


def _column(values: tuple[float, ...]) -> Floats:
    return np.array(values, np.float32)[:, None, None]
