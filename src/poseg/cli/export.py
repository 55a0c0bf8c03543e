"""`poseg export`, `poseg quantize` and `poseg import-google`: runs and published weights as model files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

NUM_COMPARED = 8  # of the calibration images are run before and after quantisation

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from poseg.people import People
    from poseg.runtime.card import Card


def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run of `poseg train`.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL.onnx", help="The model to write.")],
    recipe: Annotated[
        str | None, typer.Option("--recipe", help="Recipe of a run whose folder does not name it.")
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="FIELD=VALUE", help="Another value for a field, such as card.size_px=641."),
    ] = None,
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", metavar="JSON", help="What `poseg evaluate --json` wrote, for the card; repeatable."),
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option("--images", metavar="DIR", help="Compare network and file on these images before writing."),
    ] = None,
    wise_ft_alpha: Annotated[
        float,
        typer.Option(
            "--wise-ft-alpha",
            min=0.0,
            max=1.0,
            help="Weight of what the run learned, against its first weights (WiSE-FT).",
        ),
    ] = 1.0,
) -> None:
    """Write a run's averaged weights as an ONNX model.

    Network and file must agree to 1e-4 on real images, or nothing is written. Needs the extras `train` and `export`.
    """
    from poseg.recipes import find_recipe
    from poseg.recipes.export_run import export_run

    chosen = None if recipe is None else find_recipe(recipe)
    exported = export_run(
        run,
        out,
        recipe=chosen,
        settings=settings or (),
        scores=scores or (),
        images=images,
        wise_ft_alpha=wise_ft_alpha,
    )
    typer.echo(
        f"Written to {out}, {out.stat().st_size / 1e6:.1f} MB; it differs from the network by "
        f"{exported.difference:.1e} at most, on {exported.num_images} images and noise. "
        f"See it with `poseg models {out}`."
    )


def quantize(
    model: Annotated[Path, typer.Argument(metavar="MODEL.onnx", help="A model in FP32.")],
    images: Annotated[
        Path, typer.Option("--images", metavar="DIR", help="Images to calibrate by, such as it will see; no test set.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL.onnx", help="The model to write.")],
    num_images: Annotated[int, typer.Option("--num-images", min=8, help="How many images calibrate.")] = 24,
    scores: Annotated[
        list[Path] | None,
        typer.Option("--scores", metavar="JSON", help="What `poseg evaluate --json` wrote, for the card; repeatable."),
    ] = None,
) -> None:
    """Write a model in INT8: smaller and faster, with the same answers on every processor.

    Prints what it costs and gains here. Measure it afterwards with `poseg evaluate`. Needs the extra `export`.
    """
    from poseg.evaluation import card_scores
    from poseg.export.quantize import measure_cost
    from poseg.export.quantize import quantize as to_int8
    from poseg.io.sources import find_images
    from poseg.runtime.crop_pose import SYSTEM as TOP_DOWN
    from poseg.runtime.mask_refiner import SYSTEM as MASK_REFINER
    from poseg.runtime.onnx_model import read_card
    from poseg.runtime.pose2seg import SYSTEM as POSE2SEG

    card = read_card(model)
    paths = find_images([images]).paths
    per_person = {POSE2SEG: _pose2seg_inputs, TOP_DOWN: _crop_inputs, MASK_REFINER: _refiner_inputs}.get(card.system)
    inputs = list(islice(_image_inputs(card, paths) if per_person is None else per_person(model, paths), num_images))
    to_int8(model, inputs, out, card_scores(scores or (), card.inference.long_edge_px))
    before, after = (path.stat().st_size / 1e6 for path in (model, out))
    typer.echo(f"Written to {out}, {after:.1f} MB instead of {before:.1f}.")
    cost = measure_cost(model, out, inputs[:NUM_COMPARED])
    for name, difference in cost.differences.items():
        typer.echo(f"  {name}: differs by {difference:.3g} on average, where values have {cost.sizes[name]:.3g}")
    typer.echo(f"  time: {cost.time_ratio:.2f} x on this processor, one thread")
    typer.echo("Measure its accuracy with `poseg evaluate`.")


def _image_inputs(card: Card, paths: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    """Images at the scales that a model is meant for, in turn."""
    from poseg.io.images import read_image

    for path, scale in zip(paths, cycle(card.inference.scales), strict=False):
        yield {"image": card.prepare(read_image(path), round(card.inference.long_edge_px * scale))[0]}


def _detected(paths: Sequence[Path]) -> Iterator[tuple[NDArray[np.uint8], People]]:
    """Images with the people that the default model detects; those without people are left out."""
    from poseg.io.images import read_image
    from poseg.runtime.models import load

    detector = load(masks=False)
    for path in paths:
        image = read_image(path)
        people = detector(image)
        if len(people):
            yield image, people


def _pose2seg_inputs(model: Path, paths: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    from poseg.runtime.models import load_model
    from poseg.runtime.pose2seg import Pose2SegSegmenter

    segmenter = Pose2SegSegmenter(load_model(model))
    for image, people in _detected(paths):
        batch = segmenter.make_batch(image, people)
        yield {"image": batch.tensor, **{name: array[None] for name, array in batch.extra_inputs.items()}}


def _refiner_inputs(model: Path, paths: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    """Crops around people, with the maps that a mask refiner is given."""
    from poseg.io.images import read_image
    from poseg.runtime.mask_refiner import MaskRefiner
    from poseg.runtime.models import load, load_model

    refiner, detector = MaskRefiner(load_model(model)), load(mask_refiner="")
    for path in paths:
        image = read_image(path)
        batch = refiner.make_batch(image, detector.instances(image, detector.views(image)))
        if len(batch.people):
            yield {"image": refiner.network_input(batch)}


def _crop_inputs(model: Path, paths: Sequence[Path]) -> Iterator[Mapping[str, Any]]:
    from poseg.runtime.crop_pose import TopDownPose
    from poseg.runtime.models import load_model

    pose_model = TopDownPose(load_model(model))
    for image, people in _detected(paths):
        yield {"image": pose_model.crops(image, pose_model.model.codec.crops_from_body_boxes(people.boxes_xyxy))}


def import_google(
    source: Annotated[Path, typer.Argument(metavar="FILE", help="Published weights: a .tflite file or a model.json.")],
    out: Annotated[Path, typer.Option("--out", "-o", metavar="MODEL.onnx", help="The model to write.")],
) -> None:
    """Turn Google's published PoseNet or BodyPix weights into an ONNX model with a card.

    Needs the extra `export`. The weights keep their own licence, which the card names.
    """
    from poseg.export.import_google import import_google as convert

    convert(source, out)
    typer.echo(f"Written to {out}; see it with `poseg models {out}`, use it with `poseg predict --model {out}`.")
