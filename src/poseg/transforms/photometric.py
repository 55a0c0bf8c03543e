"""Photometric augmentation: changes of colour and focus, not of geometry."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]


def jitter(image: Image, rng: np.random.Generator, strength: float = 0.3) -> Image:
    """Random brightness, contrast, saturation and colour cast; sometimes grey or blurred.

    image (H, W, 3) uint8 RGB; strength 0 returns it unchanged.
    """
    if strength <= 0:
        return image
    gain = rng.uniform(1 - strength, 1 + strength)
    cast = rng.uniform(1 - strength / 3, 1 + strength / 3, 3)
    shift = rng.uniform(-strength, strength) * 64
    saturation = 0.0 if rng.random() < 0.08 else rng.uniform(1 - strength, 1 + strength)
    luma = np.array([0.299, 0.587, 0.114])
    # One 3x3 matrix does gain, cast and saturation: s I + (1 - s) 1 luma^T, rows scaled.
    mix = (gain * cast)[:, None] * (saturation * np.eye(3) + (1 - saturation) * luma)
    changed = cv2.transform(image, np.column_stack([mix, np.full(3, shift)]))
    if rng.random() < 0.1:
        changed = cv2.GaussianBlur(changed, (0, 0), rng.uniform(0.5, 1.5))
    return np.asarray(changed, np.uint8)
