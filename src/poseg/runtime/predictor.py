"""From an image to its people: views, fields, poses, refined poses, pixel assignment, masks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, overload

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.decoder_config import DecoderConfig
from poseg.codecs.instances import lowest_pose_score
from poseg.codecs.pose_fusion import fuse_poses
from poseg.errors import PosegError
from poseg.io.images import Color, Source, read_image
from poseg.people import People, Timings
from poseg.runtime.card import Card
from poseg.runtime.inference import InferenceConfig, InferenceModel
from poseg.runtime.mask_refiner import MaskRefiner
from poseg.runtime.multi_scale import View, ViewInstances, assign_masks, detect_views, render_instances
from poseg.runtime.pose_refiner import PoseRefiner

SYSTEMS = ("personlab", "poseg")
AHEAD = 2  # images that a stream holds beside the one that it decodes


def check_system(card: Card) -> None:
    """Raise PosegError for a model that does not detect people by itself."""
    if card.system not in SYSTEMS:
        raise PosegError(
            f"The model {card.name!r} is of the system {card.system!r}, which does not detect people by itself; "
            f"use one of {' or '.join(SYSTEMS)} to detect them, and pass them to this one."
        )


@dataclass(frozen=True, slots=True, eq=False)
class Predictor:
    """Detects the people of an image: `predictor(image)`. `poseg.load` makes one from a model's card.

    model         a bottom-up model
    inference     the views of an image, and the joints that people are given
    decoder       settings of the decoder, with max_people, min_score and masks
    pose_refiner  refines poses before masks are assigned
    mask_refiner  refines masks; with None the decoder renders them, with coarser edges

    Inconsistent settings raise PosegError. One predictor may serve several threads.
    """

    model: InferenceModel
    inference: InferenceConfig
    decoder: DecoderConfig
    pose_refiner: PoseRefiner | None = None
    mask_refiner: MaskRefiner | None = None

    def __post_init__(self) -> None:
        card, config = self.model.card, self.decoder
        check_system(card)
        expected = type(self.model.codec.default_config)
        if type(config) is not expected:
            raise PosegError(f"{card.name!r} is decoded with a {expected.__name__}, got a {type(config).__name__}.")
        if config.max_people < 1:
            raise PosegError(f"max_people is {config.max_people}; use 1 or more.")
        if not 0 <= config.min_score <= 1:
            raise PosegError(f"min_score is {config.min_score}; scores lie between 0 and 1.")
        if self.inference.adaptive and self.model.codec.scale_averaged_fields:
            raise PosegError(f"The model {card.name!r} averages fields over all scales; use adaptive=False.")

    @property
    def name(self) -> str:
        """The model's name."""
        return self.model.card.name

    @overload
    def __call__(self, image: list[Any] | tuple[Any, ...], *, name: str = "", color: Color = "rgb") -> list[People]: ...
    @overload
    def __call__(self, image: Source, *, name: str = "", color: Color = "rgb") -> People: ...
    def __call__(
        self, image: Source | list[Any] | tuple[Any, ...], *, name: str = "", color: Color = "rgb"
    ) -> People | list[People]:
        """The people of an image, highest score first, in its own pixels, with masks and timings.

        image  as in `io.images.read_image`, with `name` and `color`; a list or tuple of such gives a list (`stream`)

        An image without people gives People of length 0. Raises ImageError for a bad image and FieldError where the
        network's outputs are not finite.
        """
        if isinstance(image, (list, tuple)):
            return list(self.stream(image, color=color))
        pixels = read_image(image, name=name, color=color)
        return self.decode(pixels, self.views(pixels))

    def stream(self, images: Iterable[Source], *, color: Color = "rgb") -> Iterator[People]:
        """The people of each image in turn, the same as one by one: the next is read and run while one is decoded.

        `images` may be endless; two are held ahead. Raises as `__call__`, at the image that is at fault.
        """
        with ThreadPoolExecutor(1, "poseg-read") as reader, ThreadPoolExecutor(1, "poseg-network") as network:

            def run(pending: Future[NDArray[np.uint8]]) -> tuple[NDArray[np.uint8], list[View]]:
                pixels = pending.result()
                return pixels, self.views(pixels)

            ahead: deque[Future[tuple[NDArray[np.uint8], list[View]]]] = deque()
            for image in images:
                ahead.append(network.submit(run, reader.submit(read_image, image, color=color)))
                if len(ahead) > AHEAD:
                    yield self.decode(*ahead.popleft().result())
            while ahead:
                yield self.decode(*ahead.popleft().result())

    def views(self, image: NDArray[np.uint8]) -> list[View]:
        """The views of an image (H, W, 3) uint8 RGB, with their fields and poses: the first half of prediction."""
        return detect_views(self.model, image, self.inference, self.decoder)

    def decode(self, image: NDArray[np.uint8], views: Sequence[View]) -> People:
        """The people of views, whose fields are decoded already, in pixels of the image: the second half of prediction.

        Poses of all views are fused and refined, pixels assigned, masks refined or rendered, and people cut by score
        and then by `max_people`.
        """
        start = perf_counter()
        people = self.refine(image, self.instances(image, views))[: self.decoder.max_people]
        if self.inference.joints:
            people = people.remap_to(self.model.codec.skeleton.subset(self.inference.joints))
        spent = sum((view.timings for view in views), Timings(0.0, 0.0, 0.0))
        return replace(people, timings=spent + Timings(0.0, 0.0, 1e3 * (perf_counter() - start)))

    def instances(self, image: NDArray[np.uint8], views: Sequence[View]) -> list[ViewInstances]:
        """The people of all views and their pixels, before masks are refined or rendered; each person once."""
        people = fuse_poses(views).people
        if self.pose_refiner is not None:
            people = self.pose_refiner(image, people[people.scores >= lowest_pose_score(self.decoder)])
        return assign_masks(self.model.codec, views, people, self.decoder)

    def refine(self, image: NDArray[np.uint8], parts: Sequence[ViewInstances]) -> People:
        """All people, highest score first, with masks from the refiner, or else from the decoder."""
        if self.mask_refiner is None or not self.decoder.masks:
            return render_instances(parts, self.decoder)
        return self.mask_refiner(image, parts, exclusive=self.decoder.exclusive_masks)
