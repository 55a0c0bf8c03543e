"""`poseg visualize`: the fields that the network predicts for an image, as figures."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.cli import predict_options as opt

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from poseg.runtime.multi_scale import View
    from poseg.runtime.predictor import Predictor

    Figure = Callable[[], NDArray[np.uint8]]


def visualize(
    image: Annotated[Path, typer.Argument(metavar="IMAGE", help="An image.")],
    out: opt.OutOption = opt.OUT,
    model: opt.ModelOption = None,
    long_edge: opt.LongEdgeOption = None,
    scales: opt.ScalesOption = None,
    flip: opt.FlipOption = None,
    adaptive: opt.AdaptiveOption = None,
    refine_poses: opt.RefinePosesOption = None,
    mask_refiner: opt.MaskRefinerOption = None,
    threads: opt.ThreadsOption = None,
    device: opt.DeviceOption = "auto",
) -> None:
    """Draw what the network predicts for an image: heatmaps, offsets or limbs, person map, people.

    Of a model that runs at several scales, the view with the person of the highest score is drawn.
    """
    from poseg.cli.outputs import error_console, unique_names
    from poseg.io.files import make_folder
    from poseg.io.images import read_image, write_png

    predictor = opt.DetectOptions(
        model, long_edge, scales, flip, adaptive, refine_poses, mask_refiner, threads=threads, device=device
    ).build()
    pixels = read_image(image)
    views = predictor.views(pixels)
    make_folder(out)
    (stem,) = unique_names([image], error_console())
    for name, figure in _figures(predictor, pixels, views):
        path = out / f"{stem}.{name}.png"
        write_png(path, figure())
        typer.echo(str(path))


def _figures(predictor: Predictor, image: NDArray[np.uint8], views: list[View]) -> Iterator[tuple[str, Figure]]:
    """Names and makers of the figures; fields that the model lacks have none."""
    from poseg.codecs import PersonLabCodec, PoSegCodec
    from poseg.draw import fields as draw
    from poseg.draw import offsets as draw_offsets
    from poseg.draw.overlay import overlay

    codec = predictor.model.codec
    view = max(views, key=lambda view: float(view.people.scores.max(initial=0)))
    fields = view.fields
    canvas = view.letterbox.padded_image(image, predictor.model.card.mean)
    makers = {
        "heatmap": draw.heatmap_figure,
        "short_offsets": draw_offsets.short_offset_figure,
        "mid_offsets": draw_offsets.mid_offset_figure,
        "long_offsets": draw_offsets.long_offset_figure,
        "segmentation": draw.segmentation_figure,
    }
    needs = {"long_offsets": {"segmentation", "long_offsets"}}
    for name, make in makers.items():
        if needs.get(name, {name}) <= set(fields):
            yield name, lambda make=make: make(canvas, fields, codec.skeleton)  # type: ignore[misc]
    if isinstance(codec, PoSegCodec):
        yield "paf", lambda: draw.paf_figure(canvas, fields, codec.limbs)
    if isinstance(codec, PersonLabCodec):
        yield "hough", lambda: draw.hough_figure(canvas, codec.hough_maps(fields), codec.skeleton)
    yield "overlay", lambda: overlay(image, predictor.decode(image, views))
