"""Networks of other houses that predict all poses of an image in one pass: what each layout's input and outputs mean.

Letters: N candidates, K = 17 joints of COCO. A layout takes an image (H, W, 3) uint8 RGB and gives `Poses`.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.geometry.similarity import box_iou_matrix
from poseg.runtime.onnx_model import OnnxNetwork
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import Letterbox, make_letterbox

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

K = len(COCO17)
SIDE_PX = 640  # of a network whose input may be of any size
PADDING = (114, 114, 114)
MAX_BOX_IOU = 0.65
MIN_SCORE = 0.01  # candidates below are not looked at


class Poses(NamedTuple):
    """Boxes (N, 4) xyxy, their scores (N,), joints (N, K, 2) and joint scores (N, K), in pixels of the image."""

    boxes: Floats
    scores: Floats
    points: Floats
    joint_scores: Floats


def rtmo(network: OnnxNetwork, image: Image) -> Poses:
    """OpenMMLab's RTMO as MMDeploy exports it: BGR 0 to 255; dets (1, N, 5) and keypoints (1, N, K, 3), suppressed."""
    pixels, letterbox = square_input(image, input_side(network))
    outputs = network.run(channels_first(pixels[:, :, ::-1]))
    found = {array.ndim: array for array in outputs}
    if set(found) != {3, 4} or found[3].shape[2] != 5 or found[4].shape[2:] != (K, 3):
        raise _other(network, "rtmo", outputs)
    dets, joints = found[3][0], found[4][0]
    return _on_image(letterbox, dets[:, :4], dets[:, 4], joints)


def yolo_pose(network: OnnxNetwork, image: Image) -> Poses:
    """YOLO pose of Ultralytics' export: RGB 0 to 1; (1, 5 + 3 K, N) of centre, sides, score, joints.

    Or (1, N, 6 + 3 K) of corners, score, class, joints, suppressed, as exports without NMS of newer networks have it.
    """
    pixels, letterbox = square_input(image, input_side(network))
    outputs = network.run(channels_first(pixels) / np.float32(255))
    shape = outputs[0].shape
    if len(outputs) == 1 and shape[1:2] == (5 + 3 * K,) and len(shape) == 3:
        rows = outputs[0][0].T
        rows = rows[rows[:, 4] >= MIN_SCORE]
        corners = np.concatenate([rows[:, :2] - rows[:, 2:4] / 2, rows[:, :2] + rows[:, 2:4] / 2], axis=1)
        kept = suppressed(corners, rows[:, 4], MAX_BOX_IOU)
        return _on_image(letterbox, corners[kept], rows[kept, 4], rows[kept, 5:].reshape(-1, K, 3))
    if len(outputs) == 1 and shape[2:] == (6 + 3 * K,):
        rows = outputs[0][0]
        rows = rows[rows[:, 4] >= MIN_SCORE]
        return _on_image(letterbox, rows[:, :4], rows[:, 4], rows[:, 6:].reshape(-1, K, 3))
    raise _other(network, "yolo-pose", outputs)


def movenet_multipose(network: OnnxNetwork, image: Image) -> Poses:
    """Google's MoveNet MultiPose: RGB 0 to 255, (1, H, W, 3); (1, 6, 56) of y, x, score, then y0, x0, y1, x1, score."""
    sides = [side for side in network.shape[1:3] if side]
    side = sides[0] if sides else 512
    letterbox = make_letterbox((image.shape[0], image.shape[1]), side, size_divisor=32, size_offset=0)
    pixels = letterbox.padded_image(image, (0, 0, 0))
    if sides:
        pixels = _padded(pixels, side, (0, 0, 0))
    outputs = network.run(pixels[None])
    if len(outputs) != 1 or outputs[0].shape[2:] != (3 * K + 5,):
        raise _other(network, "movenet-multipose", outputs)
    rows = outputs[0][0]
    rows = rows[rows[:, -1] >= MIN_SCORE]
    size = np.array(pixels.shape[1::-1], np.float32)
    joints = rows[:, : 3 * K].reshape(-1, K, 3)
    points = np.concatenate([joints[..., 1::-1] * size, joints[..., 2:]], axis=2)
    corners = rows[:, [3 * K + 1, 3 * K, 3 * K + 3, 3 * K + 2]] * np.tile(size, 2)
    return _on_image(letterbox, corners, rows[:, -1], points)


def input_side(network: OnnxNetwork) -> int:
    """Side of a square input (1, 3, S, S). Raises WeightsError for another one."""
    _, channels, height, width = network.shape if len(network.shape) == 4 else (None,) * 4
    if channels not in (3, None) or height != width or len(network.shape) != 4:
        raise WeightsError(f"{network.name} has an input of {network.shape}, expected (1, 3, side, side).")
    return height or SIDE_PX


def square_input(image: Image, side: int, long_px: int | None = None) -> tuple[Image, Letterbox]:
    """The image at the top left of a grey square (side, side, 3), its long side `long_px` or all of it."""
    letterbox = make_letterbox((image.shape[0], image.shape[1]), long_px or side, size_divisor=32, size_offset=0)
    return _padded(letterbox.padded_image(image, PADDING), side, PADDING), letterbox


def channels_first(pixels: NDArray[np.generic]) -> Floats:
    """Pixels (h, w, 3) as (1, 3, h, w) float32."""
    return np.ascontiguousarray(np.moveaxis(pixels, -1, 0)[None], np.float32)


def suppressed(boxes: Floats, scores: Floats, max_iou: float) -> list[int]:
    """Rows by score, without boxes that overlap one of a higher score."""
    kept: list[int] = []
    overlap = box_iou_matrix(boxes, boxes)
    for row in np.argsort(-scores, kind="stable").tolist():
        if not (overlap[row, kept] > max_iou).any():
            kept.append(row)
    return kept


def _padded(pixels: Image, side: int, colour: tuple[int, int, int]) -> Image:
    canvas = np.full((side, side, 3), colour, np.uint8)
    canvas[: pixels.shape[0], : pixels.shape[1]] = pixels
    return canvas


def _on_image(letterbox: Letterbox, corners: Floats, scores: Floats, joints: Floats) -> Poses:
    boxes = letterbox.to_image(corners.reshape(-1, 2, 2)).reshape(-1, 4)
    return Poses(boxes, scores, letterbox.to_image(joints[..., :2]), joints[..., 2])


def _other(network: OnnxNetwork, layout: str, outputs: list[Floats]) -> WeightsError:
    shapes = ", ".join(str(array.shape) for array in outputs)
    return WeightsError(f"{network.name} is no {layout} of {K} joints: its outputs are {shapes}; check --layout.")
