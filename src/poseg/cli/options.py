"""Options that several commands share, with one wording each, and the predictor that they describe."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from poseg.errors import PosegError

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    from numpy.typing import NDArray

    from poseg.people import People
    from poseg.runtime.crop_pose import TopDownPose
    from poseg.runtime.lifter import Lifter
    from poseg.runtime.pose2seg import Pose2SegSegmenter, SegmentedPredictor
    from poseg.runtime.predictor import Predictor

    # Gives the people of a picture.
    BottomUpCodec = Callable[[NDArray[np.uint8]], People]

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", help="Name of a model that comes along (see `poseg models`) or path of an ONNX file."
    ),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for what is written.")]
SizeOption = Annotated[
    int | None, typer.Option("--size", help="Long side of the network's input in pixels; the model's own by default.")
]
MaxPeopleOption = Annotated[int, typer.Option("--max-people", min=1, help="Keep at most this many, the surest.")]
MinScoreOption = Annotated[
    float, typer.Option("--min-score", min=0.0, max=1.0, help="Leave out people with a lower score.")
]
ScalesOption = Annotated[
    str | None,
    typer.Option(
        "--scales",
        help="Scales of the image, relative to the long edge, such as 0.5,1,1.5; the card's by default.",
    ),
]
FlipOption = Annotated[
    bool | None,
    typer.Option("--flip/--no-flip", help="See the flipped image too; as the card says by default."),
]
RefineOption = Annotated[
    str | None,
    typer.Option("--refine", metavar="MODEL", help="Give people masks by a second model, such as pose2seg."),
]
LiftOption = Annotated[
    bool, typer.Option("--lift/--no-lift", help="Lift people into space: keypoints_3d, and pictures from the side.")
]
BoxesOption = Annotated[
    str | None,
    typer.Option(
        "--boxes",
        metavar="MODEL|FILE.json",
        help="For a model of crops: who says where people are; the whole picture is one person by default.",
    ),
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads that compute one picture; all cores by default.")
]


def parse_scales(text: str | None) -> tuple[float, ...] | None:
    """Numbers between commas."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise PosegError(f"--scales wants numbers between commas such as 0.5,1,1.5, got {text!r}.") from None


def build_predictor(
    model: str | None, *, threads: int | None, size: int | None, scales: str | None, flip: bool | None,
    max_people: int = 20, min_score: float = 0.4, masks: bool = True,
) -> Predictor:  # fmt: skip
    """The predictor that the options describe. Raises PosegError for a model that does not find people."""
    from poseg.runtime.models import build_predictor, load_model

    return build_predictor(
        load_model(model, threads=threads), threads=threads, long_edge_px=size, scales=parse_scales(scales), flip=flip,
        max_people=max_people, min_score=min_score, masks=masks,
    )  # fmt: skip


def build_segmenter(
    model: str, *, threads: int | None, size: int | None = None, exclusive: bool = True
) -> Pose2SegSegmenter:  # fmt: skip
    """The segmenter that the options describe. Raises PosegError for a model that is not given people."""
    from poseg.runtime.models import load_model
    from poseg.runtime.pose2seg import Pose2SegSegmenter

    return Pose2SegSegmenter(load_model(model, threads=threads), long_edge_px=size, exclusive=exclusive)


def refined(predictor: Predictor, refine: str | None, *, threads: int | None) -> Predictor | SegmentedPredictor:
    """The predictor with masks by a second model, where one is asked for.

    The predictor makes its own masks all the same: they make the boxes of people who have too few joints to be aligned.
    """
    from poseg.runtime.pose2seg import SegmentedPredictor

    return predictor if refine is None else SegmentedPredictor(predictor, build_segmenter(refine, threads=threads))


def build_lifter(*, threads: int | None) -> Lifter:
    """Gives people joints in space."""
    from poseg.runtime.lifter import Lifter
    from poseg.runtime.models import load_model

    return Lifter(load_model("lifter", threads=threads))


def is_poser(model: str | None) -> bool:
    """Whether a model is given crops of people. Raises WeightsError where there is no such model."""
    from poseg.runtime.crop_pose import SYSTEM
    from poseg.runtime.models import card_of

    return model is not None and card_of(model).system == SYSTEM


def build_poser(model: str, *, threads: int | None, flip: bool | None = None) -> TopDownPose:
    """The poser that the options describe."""
    from poseg.runtime.crop_pose import TopDownPose
    from poseg.runtime.models import load_model

    return TopDownPose(load_model(model, threads=threads), flip=flip is not False)
