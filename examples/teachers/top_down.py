"""A person detector and a crop network as one teacher: every detected person gets a pose in a crop of their own.

The networks are OpenMMLab's RTMDet-nano for persons (one class, 640 px) and PaddleDetection's PP-TinyPose (256 x 192),
both published under Apache-2.0; no weights lie in this repository. The argument is their two ONNX files:

    poseg label photos -o ann.json --teacher examples/teachers/top_down.py:TopDown=rtmdet_nano_person.onnx,tinypose.onnx
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.pose_fusion import without_duplicates
from poseg.labelling import LabelThresholds
from poseg.people import People
from poseg.runtime.poses_from import MAX_OKS, PosesFrom
from poseg.runtime.top_down_layout import rtmdet_rtmpose
from poseg.skeletons import COCO17


class TopDown:
    """Poses of detected people, with the detector's boxes: `TopDown("detector.onnx,crops.onnx")(image)`.

    paths    the detector's ONNX file and the crop network's, with a comma between them
    threads  for one image

    Crops are not flipped, since labelling flips the image. Raises WeightsError where there are no such networks.
    """

    name = "RTMDet-nano, PP-TinyPose"
    licence = "Apache-2.0 (OpenMMLab, PaddleDetection)"
    sizes = (640,)
    detects_boxes = True
    thresholds = LabelThresholds(min_person=0.45, min_ignore=0.4, min_joint=0.4)

    def __init__(self, paths: str, threads: int | None = 1) -> None:
        self._networks = PosesFrom.load(paths, "rtmdet+rtmpose", threads=threads).networks

    def __call__(self, image: NDArray[np.uint8], size: int | None = None) -> People:
        """The people of an image (H, W, 3) uint8 RGB, highest score first, in its own continuous pixels.

        size  long side of the image in the detector's input, 640 pixels or less
        """
        poses = rtmdet_rtmpose(*self._networks, image, flip=False, long_px=size)
        scores = np.clip(poses.scores, 0, 1)
        people = People(COCO17, poses.points, np.clip(poses.joint_scores, 0, 1), scores, poses.boxes)
        return without_duplicates(people, MAX_OKS)
