"""Poses by a network of another house: `PosesFrom.load("rtmo.onnx", "rtmo")(image)`; our masks and all else follow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter

import numpy as np

from poseg.codecs.pose_fusion import without_duplicates
from poseg.errors import FieldError, WeightsError
from poseg.io.images import Source, read_image
from poseg.people import People, Timings
from poseg.runtime.onnx_model import OnnxNetwork
from poseg.runtime.pose_layouts import Image, Poses, movenet_multipose, rtmo, yolo_pose
from poseg.runtime.top_down_layout import rtmdet_rtmpose
from poseg.skeletons import COCO17

# Each takes its networks, as many as its name has parts, then an image.
LAYOUTS: dict[str, Callable[..., Poses]] = {
    "rtmo": rtmo,
    "yolo-pose": yolo_pose,
    "movenet-multipose": movenet_multipose,
    "rtmdet+rtmpose": rtmdet_rtmpose,
}
MAX_OKS = 0.8  # a person more similar to one of a higher score is the same one


@dataclass(frozen=True, slots=True, eq=False)
class PosesFrom:
    """Detects people on COCO's joints, without masks: `poses_from(image)`.

    networks    the layout's, in its order
    layout      a key of `LAYOUTS`
    max_people  those with the highest scores are kept
    min_score   people with a lower score are left out
    """

    networks: tuple[OnnxNetwork, ...]
    layout: str
    max_people: int = 100
    min_score: float = 0.3

    @classmethod
    def load(
        cls,
        files: str,
        layout: str,
        *,
        threads: int | None = None,
        device: str = "auto",
        max_people: int = 100,
        min_score: float = 0.3,
    ) -> PosesFrom:
        """Open ONNX files, with a comma between those of a layout of two. Raises WeightsError."""
        if layout not in LAYOUTS:
            raise WeightsError(f"There is no layout {layout!r}; the layouts are {', '.join(LAYOUTS)}.")
        paths, expected = files.split(","), layout.count("+") + 1
        if len(paths) != expected:
            raise WeightsError(f"The layout {layout} takes {expected} files with commas between, got {files!r}.")
        return cls(
            tuple(OnnxNetwork(path, threads=threads, device=device) for path in paths), layout, max_people, min_score
        )

    @property
    def name(self) -> str:
        """The files' names."""
        return "+".join(Path(network.name).stem for network in self.networks)

    def __call__(self, image: Source, *, name: str = "") -> People:
        """The people of an image, highest score first, in its own pixels, with the detector's boxes and timings.

        `image` and `name` as in `io.images.read_image`. Raises ImageError, WeightsError where the networks are of
        another layout, and FieldError where their outputs are not finite.
        """
        pixels = read_image(image, name=name)
        start = perf_counter()
        poses = self.poses(pixels)
        if not all(np.isfinite(array).all() for array in poses):
            raise FieldError(f"{self.name} gives numbers that are not finite; export the network again.")
        scores, joint_scores = np.clip(poses.scores, 0, 1), np.clip(poses.joint_scores, 0, 1)
        people = without_duplicates(People(COCO17, poses.points, joint_scores, scores, poses.boxes), MAX_OKS)
        people = people[people.scores >= self.min_score].top(self.max_people)
        return replace(people, timings=Timings(0.0, 1e3 * (perf_counter() - start), 0.0))

    def poses(self, image: Image) -> Poses:
        """All candidates of an image (H, W, 3) uint8 RGB."""
        return LAYOUTS[self.layout](*self.networks, image)
