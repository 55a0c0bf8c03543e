"""The views of an image, each decoded once; and the pixels of people, each in the view that fits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.codec import BottomUpCodec
from poseg.codecs.decoder_config import DecoderConfig
from poseg.codecs.flip_fusion import average_over_scales, flip_fields, flip_lr, fuse_fields
from poseg.codecs.instances import Instances, assign_people
from poseg.codecs.scale_selection import any_too_large, focus_crop, select_views
from poseg.fields import Fields
from poseg.people import People, Timings
from poseg.runtime.inference import InferenceConfig, InferenceModel
from poseg.transforms.letterbox import Crop, Letterbox, make_letterbox

# Low-score detections are kept in each view: several views may agree on them.
MAX_PER_VIEW, MIN_VIEW_SCORE = 100, 0.02


@dataclass(frozen=True, slots=True, eq=False)
class View:
    """An image at one scale, whole or cropped, with its fields and the poses in it.

    letterbox  its position on the network's input
    fields     over that input; averaged with those of the flipped image where requested
    people     the poses detected in it, highest score first, in pixels of the image
    timings    milliseconds of each step
    weight     factor on the scores of its people where views are fused
    """

    letterbox: Letterbox
    fields: Fields
    people: People
    timings: Timings
    weight: float = 1.0

    @property
    def scale(self) -> float:
        """Input pixels per image pixel."""
        return max(self.letterbox.scale_xy)

    @property
    def crop_xyxy(self) -> Crop | None:
        """The part of the image that is shown; all of it where None."""
        return self.letterbox.crop_xyxy


@dataclass(frozen=True, slots=True, eq=False)
class ViewInstances:
    """The people whose masks are read in one view, on its input, and its letterbox."""

    letterbox: Letterbox
    instances: Instances


def detect_views(
    model: InferenceModel, image: NDArray[np.uint8], inference: InferenceConfig, decoder: DecoderConfig
) -> list[View]:
    """The views of an image (H, W, 3) uint8 RGB, in the order in which they were run, each with the poses in it.

    Which ones says `InferenceConfig`. One of them at least shows the whole image. Raises FieldError where the network's
    outputs are not finite.
    """
    if not inference.adaptive or len(inference.scales) == 1:
        return [run_view(model, image, inference, decoder, scale, flip=inference.flip) for scale in inference.scales]
    scales = sorted(inference.scales)
    start = min(1, len(scales) - 2)  # of two scales the smaller: there is none below
    views = [run_view(model, image, inference, decoder, scales[start])]
    if start > 0 and any_too_large(views[0].people, views[0].letterbox.scale_xy, decoder.max_person_px):
        views.append(run_view(model, image, inference, decoder, scales[0]))
    size, card = (image.shape[0], image.shape[1]), model.card
    for scale in scales[start + 1 :]:
        whole = make_letterbox(
            size, round(inference.long_edge_px * scale), size_divisor=card.size_divisor, size_offset=card.size_offset
        )
        crop_xyxy = focus_crop([view.people for view in views], whole.scale_xy, size, decoder.max_person_px)
        if crop_xyxy is not None:
            views.append(run_view(model, image, inference, decoder, scale, flip=inference.flip, crop_xyxy=crop_xyxy))
    return views


def run_view(
    model: InferenceModel, image: NDArray[np.uint8], inference: InferenceConfig, decoder: DecoderConfig, scale: float,
    *, flip: bool = False, crop_xyxy: Crop | None = None,
) -> View:  # fmt: skip
    """One view of an image, or of a part of it, at one scale."""
    start = perf_counter()
    tensor, letterbox = model.prepare(image, round(inference.long_edge_px * scale), crop_xyxy)
    prepared = perf_counter()
    fields = _run_flipped(model, tensor) if flip else model.run(tensor)
    done = perf_counter()
    people = model.codec.detect(fields, decoder)
    people = letterbox.people_to_image(people[people.scores >= MIN_VIEW_SCORE][:MAX_PER_VIEW])
    timings = Timings(1e3 * (prepared - start), 1e3 * (done - prepared), 1e3 * (perf_counter() - done))
    return View(letterbox, fields, people, timings)


def assign_masks(
    codec: BottomUpCodec, views: Sequence[View], people: People, decoder: DecoderConfig
) -> list[ViewInstances]:
    """People in pixels of the image with their cells, each person in the one view that fits, on its input.

    Where masks count, a score is the root of the pose's times the mask's (`codecs.instances`).
    """
    views = _mask_views(codec, views)
    chosen = select_views(
        people, [view.letterbox.scale_xy for view in views], decoder.max_person_px,
        [view.letterbox.shown_xyxy for view in views],
    )  # fmt: skip
    parts = []
    for index in np.unique(chosen) if len(people) else (len(views) - 1,):
        view = views[index]
        on_input = view.letterbox.people_to_input(people)
        instances = assign_people(codec, view.fields, on_input, decoder, keep=chosen == index)
        parts.append(ViewInstances(view.letterbox, instances))
    return parts


def render_instances(parts: Sequence[ViewInstances], decoder: DecoderConfig) -> People:
    """The people of all views with the decoder's own masks, in pixels of the image, highest score first."""
    rendered = [part.letterbox.people_to_image(part.instances.with_masks(decoder)) for part in parts]
    people = People.concatenate(rendered)
    if people.masks is not None and decoder.exclusive_masks and len(parts) > 1:
        people = people.with_masks(people.masks.without_overlaps())
    return people.top(len(people))


def _run_flipped(model: InferenceModel, tensor: NDArray[np.float32]) -> Fields:
    """The mean of the fields of an input and of its flip, flipped back."""
    fields, flipped = model.run_each([tensor, flip_lr(tensor)])
    codec = model.codec
    return fuse_fields([fields, flip_fields(flipped, codec.flip_rules)], codec.skeleton)


def _mask_views(codec: BottomUpCodec, views: Sequence[View]) -> list[View]:
    """The views that masks are read in, the finest first, whose fields include those averaged over scales."""
    views = sorted(views, key=lambda view: view.scale, reverse=True)
    names = tuple(codec.scale_averaged_fields)
    if names and len(views) > 1:
        letterbox, fields = views[0].letterbox, views[0].fields
        points = letterbox.to_image(fields.grid.positions(*fields.shape_hw).reshape(2, -1).T)
        sources = [(view.fields, view.letterbox.to_input(points)) for view in views]
        views[0] = replace(views[0], fields=average_over_scales(fields, sources, names))
    return views
