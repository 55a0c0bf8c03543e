"""An image that was drawn: an array that notebooks display."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np


class Drawing(np.ndarray):
    """(H, W, 3) uint8 RGB, as any array; a notebook shows it as an image."""

    def _repr_png_(self) -> bytes | None:
        """PNG for the notebook; None for parts and results that are no RGB image, which are shown as numbers."""
        if self.ndim != 3 or self.shape[2] != 3 or self.dtype != np.uint8 or not self.size:
            return None
        encoded: Any = cv2.imencode(".png", np.ascontiguousarray(self[..., ::-1]))[1]
        return bytes(encoded)
