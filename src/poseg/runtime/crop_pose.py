"""Top-down pose estimation: people in boxes of any source get poses, one crop each (the multi-task network)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import ArrayLike, NDArray

from poseg.errors import AnnotationError, PosegError, ShapeError
from poseg.fields import Fields
from poseg.geometry import affine
from poseg.io.images import Source, read_image
from poseg.people import People, Timings
from poseg.runtime.inference import InferenceModel
from poseg.transforms.warp import warp_image

Floats = NDArray[np.float32]

SYSTEM = "multitask"


@dataclass(frozen=True, slots=True, eq=False)
class TopDownPose:
    """Poses of people in boxes: `pose_model(image, boxes)`, or `pose_model(image)` for an image of one person.

    model      a model of the system "multitask"
    flip       average with the flipped crops; twice the time
    min_score  people with a lower score are left out

    Settings out of range, and a model of another kind, raise PosegError. One may serve several threads.
    """

    model: InferenceModel
    flip: bool = True
    min_score: float = 0.0

    needs_boxes = True  # read by `evaluation.joints`

    def __post_init__(self) -> None:
        card = self.model.card
        if card.system != SYSTEM:
            raise PosegError(
                f"The model {card.name!r} is of the system {card.system!r}; poses in crops are estimated by a model "
                f"of the system {SYSTEM!r}."
            )
        if not 0 <= self.min_score <= 1:
            raise PosegError(f"min_score is {self.min_score}; scores lie between 0 and 1.")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.card.name

    def __call__(self, image: Source, boxes_xyxy: ArrayLike | None = None, *, name: str = "") -> People:
        """The people in the boxes (N, 4), in their order, in pixels of the image, with timings.

        Without boxes the whole image is the crop of one person. `image` and `name` as in `io.images.read_image`. The
        people keep these boxes; their scores are the codec's (`MultitaskCodec.decode`). Raises ImageError for a bad
        image, ShapeError for boxes of another shape, AnnotationError for boxes outside the image, and FieldError where
        the network's outputs are not finite.
        """
        pixels = read_image(image, name=name)
        height, width = pixels.shape[:2]
        start = perf_counter()
        codec = self.model.codec
        if boxes_xyxy is None:
            boxes = np.array([[0, 0, width, height]], np.float32)
            maps = codec.crops(boxes, margin=0)
        else:
            boxes = _validated_boxes(boxes_xyxy, (height, width))
            maps = codec.crops_from_body_boxes(boxes)
        if not len(boxes):
            return replace(People.empty(codec.skeleton), timings=Timings(0, 0, 0))
        wide = self._wide_crops(pixels, maps)
        ready = perf_counter()
        fields = self._run(wide)
        done = perf_counter()
        people: People = codec.decode(fields, maps)
        people = replace(people, boxes_xyxy=boxes)[people.scores >= self.min_score]
        spent = Timings(1e3 * (ready - start), 1e3 * (done - ready), 1e3 * (perf_counter() - done))
        return replace(people, timings=spent)

    def fields(self, image: NDArray[np.uint8], maps: NDArray[np.float64]) -> Fields:
        """The fields of crops of an image (H, W, 3) by affine maps (N, 2, 3), N of 1 or more, averaged with `flip`."""
        return self._run(self._wide_crops(image, maps))

    def crops(self, image: NDArray[np.uint8], maps: NDArray[np.float64]) -> Floats:
        """Normalised crops (N, 3, h, w) of an image (H, W, 3) by affine maps (N, 2, 3)."""
        return np.ascontiguousarray(self._wide_crops(image, maps)[..., self.model.codec.flip_shift_px :])

    def _wide_crops(self, image: NDArray[np.uint8], maps: NDArray[np.float64]) -> Floats:
        """The crops, extended to the left by `flip_shift_px`: the flipped ones can be taken from them too."""
        card, (height, width), shift = self.model.card, self.model.codec.crop_size_px, self.model.codec.flip_shift_px
        onto = np.array([[1.0, 0, shift], [0, 1, 0]])
        size = (height, width + shift)
        crops = np.stack([warp_image(image, affine.compose(onto, one), size) for one in maps])
        mean, std = (np.array(v, np.float32)[:, None, None] for v in (card.mean, card.std))
        return np.asarray((crops.transpose(0, 3, 1, 2) - mean) / std, np.float32)

    def _run(self, wide: Floats) -> Fields:
        """The fields of all crops, one crop in a run: larger batches leave the cache and take half more time."""
        codec = self.model.codec
        shift, width = codec.flip_shift_px, codec.crop_size_px[1]
        inputs = [np.ascontiguousarray(crop[None, ..., shift:]) for crop in wide]
        if self.flip:
            inputs += [np.ascontiguousarray(crop[None, ..., :width][..., ::-1]) for crop in wide]
        parts = self.model.run_each(inputs)
        if self.flip:
            pairs = zip(parts[: len(wide)], parts[len(wide) :], strict=True)
            parts = [codec.flip_averaged(fields, flipped) for fields, flipped in pairs]
        # People stay the outermost axis in memory, in which the network gave them.
        arrays = {
            name: np.moveaxis(np.concatenate([np.moveaxis(part[name], -2, 0) for part in parts]), 0, -2)
            for name in parts[0]
        }
        return Fields(parts[0].specs, arrays)


def _validated_boxes(boxes_xyxy: ArrayLike, size: tuple[int, int]) -> Floats:
    """Boxes (N, 4) that all overlap an image of `size`. Raises ShapeError and AnnotationError."""
    boxes = np.asarray(boxes_xyxy, np.float32)
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ShapeError("boxes_xyxy", expected=("people", 4), got=boxes.shape)
    bad = np.flatnonzero(~overlaps_image(boxes, size))
    if len(bad):
        raise AnnotationError(
            f"Box {bad[0]} ({', '.join(f'{v:g}' for v in boxes[bad[0]])}) lies outside the image of {size[1]} x "
            f"{size[0]} pixels; boxes are x0, y0, x1 and y1 in its pixels."
        )
    return boxes


def overlaps_image(boxes_xyxy: Floats, size: tuple[int, int]) -> NDArray[np.bool_]:
    """(N,) which boxes (N, 4) overlap an image of `size` (height, width)."""
    low, high = np.maximum(boxes_xyxy[:, :2], 0), np.minimum(boxes_xyxy[:, 2:], size[::-1])
    return np.asarray(np.isfinite(boxes_xyxy).all(axis=1) & (high > low).all(axis=1))


@dataclass(frozen=True, slots=True, eq=False)
class TopDownPipeline:
    """A detector followed by top-down poses: `pipeline(image)`; masks, boxes and scores are those of the detector.

    People with a box outside the image are left out.
    """

    detector: Callable[[NDArray[np.uint8]], People]
    pose_model: TopDownPose

    def __call__(self, image: Source, *, name: str = "") -> People:
        """The people of an image, in the detector's order, with the timings of both steps. Raises as both do."""
        pixels = read_image(image, name=name)
        detected = self.detector(pixels)
        detected = detected[overlaps_image(detected.boxes_xyxy, pixels.shape[:2])]
        # No score threshold here, so that poses and detections have the same rows.
        poses = replace(self.pose_model, min_score=0.0)(pixels, detected.boxes_xyxy)
        people = replace(poses, scores=detected.scores, masks=detected.masks, ids=detected.ids)
        if detected.timings is not None and poses.timings is not None:
            people = replace(people, timings=detected.timings + poses.timings)
        return people[poses.scores >= self.pose_model.min_score]
