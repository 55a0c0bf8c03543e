"""Images to try things on, small enough to be bundled.

astronaut.jpg   Eileen Collins, NASA, 1999: NASA's portrait S99-04567 cut to 512 x 512 pixels, as scikit-image ships it.
                A work of the government of the United States, in the public domain.
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

from poseg.io.images import read_image


def astronaut() -> NDArray[np.uint8]:
    """A portrait of one person from the knees up, (512, 512, 3) uint8 RGB."""
    return read_image(files("poseg").joinpath("examples/astronaut.jpg").read_bytes(), name="astronaut.jpg")
