"""Reports as one HTML file: the page around their body, and images in it."""

from __future__ import annotations

import base64
from html import escape
from typing import Literal

import cv2
import numpy as np
from numpy.typing import NDArray

JPEG_QUALITY = 85
STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:1180px;margin:2em auto;padding:0 1em;color:#222}"
    "table{border-collapse:collapse;margin:0 0 1.5em}td,th{padding:.3em .9em;text-align:right;"
    "border-bottom:1px solid #ddd;font-variant-numeric:tabular-nums}td:first-child,th:first-child{text-align:left}"
    "figure{margin:0 0 1.5em}img{max-width:100%}figcaption{color:#555;overflow-wrap:anywhere}"
)


def html_page(title: str, body: str, style: str = "") -> str:
    """A whole HTML file: a heading, then `body`, which is HTML already; `style` is CSS beside that of all reports."""
    head = f"<meta charset=utf-8><title>{escape(title)}</title><style>{STYLE}{style}</style>"
    content = f"<h1>{escape(title)}</h1>{body}"
    return f"<!doctype html><html lang=en><head>{head}</head><body>{content}</body></html>\n"


def embedded(image: NDArray[np.uint8], kind: Literal["jpeg", "png"] = "jpeg") -> str:
    """An image (H, W, 3) uint8 RGB as the address of an <img>, which needs no file beside the page."""
    options = [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY] if kind == "jpeg" else []
    _, data = cv2.imencode({"jpeg": ".jpg", "png": ".png"}[kind], image[..., ::-1], options)
    return f"data:image/{kind};base64,{base64.b64encode(data.tobytes()).decode('ascii')}"
