"""What a lens out of focus makes of a background, without what stands before it.

A plain blur mixes the colours of people into the ground around them: the halo. Here only background is averaged,

    B = K * (I w) / (K * w),   w = 1 - alpha of the people, a little widened                                (1)

with a disc K, in linear light, so that small lights become bright discs.
"""

from __future__ import annotations

from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry.grid import pixel_centres

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Kind = TypeVar("Kind", np.uint8, np.float32)

GAMMA = 2.2
# The blur works on the picture made so small that its disc has this radius: a wider one shows no finer detail.
WORKING_RADIUS_PX = 6.0
LINEAR: Floats = ((np.arange(256, dtype=np.float32) / 255) ** GAMMA).astype(np.float32)
ENCODED: Bytes = np.rint(255 * (np.arange(4097) / 4096) ** (1 / GAMMA)).astype(np.uint8)


def bokeh(image: Bytes, people: Floats, radius_px: float) -> Bytes:
    """The background (H, W, 3) uint8 out of focus; where people are, it is carried on from around them.

    people     (H, W) float32, how much of each pixel is people; none of their colour comes in
    radius_px  of the disc
    """
    height, width = image.shape[:2]
    shrink = max(1.0, radius_px / WORKING_RADIUS_PX)
    size = max(round(width / shrink), 1), max(round(height / shrink), 1)
    if shrink >= 2:  # halved in whole numbers first, which is quick
        image = np.asarray(cv2.resize(image, (width // 2, height // 2), interpolation=cv2.INTER_AREA), np.uint8)
    light = np.asarray(cv2.LUT(image, LINEAR), np.float32)
    weight = 1 - people
    if shrink > 1:
        light = np.asarray(cv2.resize(light, size, interpolation=cv2.INTER_AREA), np.float32)
        weight = np.asarray(cv2.resize(weight, size, interpolation=cv2.INTER_AREA), np.float32)
    kernel = disc(radius_px / shrink)
    # Far inside a person there is no background near: a trace of a much wider average stands there.
    trace = max(size) / 8
    share = np.concatenate([light * weight[..., None], weight[..., None]], axis=2)
    near = cv2.filter2D(share, -1, kernel, borderType=cv2.BORDER_REPLICATE)
    far = cv2.blur(share, (round(trace) | 1, round(trace) | 1), borderType=cv2.BORDER_REPLICATE)
    total = near + np.float32(1e-3) * far
    mean = total[..., :3] / np.maximum(total[..., 3:], 1e-6)
    small = ENCODED[np.rint(np.clip(mean, 0, 1) * 4096).astype(np.uint16)]
    if shrink == 1:
        return small
    return np.asarray(cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)


def widened(alpha: NDArray[Kind], margin_px: int, *, closing: int = 0) -> NDArray[Kind]:
    """A matte whose edge lies so many pixels farther out, more or less; nowhere is it less than before.

    closing  times the margin: gaps and bays up to twice as wide are filled too
    """
    if margin_px < 1 or not alpha.size:
        return alpha
    # A wide kernel costs as many steps as it has pixels, so it works on a smaller matte.
    shrink = max(margin_px // 2, 1)
    height, width = alpha.shape
    whole = cv2.copyMakeBorder(alpha, 0, -height % shrink, 0, -width % shrink, cv2.BORDER_REPLICATE)
    size = whole.shape[1] // shrink, whole.shape[0] // shrink
    grown = cv2.dilate(cv2.resize(whole, size, interpolation=cv2.INTER_AREA), _ellipse(-(-margin_px // shrink)))
    if closing:
        reach = -(-closing * margin_px // shrink)
        padded = cv2.copyMakeBorder(grown, reach, reach, reach, reach, cv2.BORDER_CONSTANT)
        closed = cv2.morphologyEx(padded, cv2.MORPH_CLOSE, _ellipse(reach))
        grown = closed[reach : reach + size[1], reach : reach + size[0]]
    large = cv2.resize(grown, whole.shape[::-1])[:height, :width]
    return np.asarray(cv2.max(alpha, large), alpha.dtype)


def _ellipse(radius: int) -> Bytes:
    side = 2 * radius + 1
    return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side)), np.uint8)


def disc(radius_px: float) -> Floats:
    """A disc of sum 1 with a soft rim, on an odd square."""
    half = int(np.ceil(radius_px))
    across = pixel_centres(np.arange(-half, half + 1)) - np.float32(0.5)
    kernel = np.clip(radius_px + 0.5 - np.hypot(across[:, None], across[None, :]), 0, 1)
    return np.asarray(kernel / kernel.sum(), np.float32)
