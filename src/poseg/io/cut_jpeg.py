"""JPEG files that lack their end: cameras and downloads leave them, and most of the image is there.

With an end marker appended, a decoder makes up for what is missing in grey. How many rows are not made up is measured
by decoding twice, with other made-up data before the marker: rows that come out the same are in the file.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

MIN_ROWS = 0.75  # of an image that is read: with less of it people are missing

_START, _END, _SCAN, _PROGRESSIVE = b"\xff\xd8", b"\xff\xd9", b"\xff\xda", b"\xff\xc2"
_MADE_UP = bytes(range(1, 128)) * 4


def mend_jpeg(data: bytes) -> tuple[bytes, str] | None:
    """A file with what is missing made up for, and what a message says about it.

    None for other formats, and where less than `MIN_ROWS` of the image can be read.
    """
    if not data.startswith(_START) or _SCAN not in data:
        return None
    mended = data + _END
    # In a progressive file a second scan refines the whole image, so a missing end costs detail, not rows.
    _, progressive, scans = data.partition(_PROGRESSIVE)
    if progressive and scans.count(_SCAN) > 1:
        return mended, "details may be missing"
    try:
        differs = (_decode(mended) != _decode(data + _MADE_UP + _END)).any(axis=(1, 2))
    except OSError:
        return None
    rows = int(np.argmax(differs)) if differs.any() else len(differs)
    if rows < MIN_ROWS * len(differs):
        return None
    return mended, f"{rows} of {len(differs)} rows could be read"


def _decode(data: bytes) -> NDArray[np.uint8]:
    with Image.open(BytesIO(data), formats=("JPEG",)) as image:
        return np.asarray(image.convert("RGB"))
