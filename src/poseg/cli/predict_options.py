"""Options that several commands share, and the models that they describe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli.completion import complete_model
from poseg.errors import PosegError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from rich.console import Console

    from poseg.cli.image_outputs import DetectAt, MakeDetector
    from poseg.people import People
    from poseg.runtime.crop_pose import TopDownPose
    from poseg.runtime.pose2seg import Pose2SegSegmenter, SegmentedPredictor
    from poseg.runtime.predictor import Predictor

    # Gives the people of an image.
    Detect = Callable[[NDArray[np.uint8]], People]

MAX_PEOPLE, MIN_SCORE = 100, 0.3
MASK_MODEL = "pose2seg"  # of people from networks of other houses

ModelOption = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        help="Name of a bundled model (see `poseg models`) or path of an ONNX file.",
        autocompletion=complete_model,
    ),
]
OUT = Path("out")
OutOption = Annotated[Path, typer.Option("--out", "-o", metavar="DIR", help="Folder for what is written.")]
LongEdgeOption = Annotated[
    int | None,
    typer.Option("--long-edge", help="Long edge of the network's input in pixels; the model's own by default."),
]
MaxPeopleOption = Annotated[
    int, typer.Option("--max-people", min=1, help="Keep at most this many people, highest score first.")
]
MinScoreOption = Annotated[
    float, typer.Option("--min-score", min=0.0, max=1.0, help="Leave out people with a lower score.")
]
ScalesOption = Annotated[
    str | None,
    typer.Option("--scales", help="Run the image at several scales, such as 0.5,1,1.5; the model's own by default."),
]
FlipOption = Annotated[
    bool | None, typer.Option("--flip/--no-flip", help="Run the flipped image too; as its card says by default.")
]
AdaptiveOption = Annotated[
    bool | None,
    typer.Option(
        "--adaptive/--full", help="Several scales only where they help, or each on the whole image; as its card says."
    ),
]
RefinePosesOption = Annotated[
    bool | None,
    typer.Option(
        "--refine-poses/--no-refine-poses",
        help="Refine each person's pose in a crop by the model multitask; as its card says by default.",
    ),
]
MaskRefinerOption = Annotated[
    str | None,
    typer.Option(
        "--mask-refiner",
        metavar="MODEL",
        help="Refine masks by this model, or 'none'; the one its card names by default.",
    ),
]
MaskModelOption = Annotated[
    str | None,
    typer.Option("--mask-model", metavar="MODEL", help="Make the masks by a second model, such as pose2seg."),
]
PosesFromOption = Annotated[
    str | None,
    typer.Option(
        "--poses-from",
        metavar="FILE",
        help="Detect people by this ONNX network of another house instead; two files with a comma for two networks.",
    ),
]
LayoutOption = Annotated[
    str | None,
    typer.Option("--layout", help="With --poses-from: rtmo, yolo-pose, movenet-multipose or rtmdet+rtmpose."),
]
LiftOption = Annotated[
    bool, typer.Option("--3d/--no-3d", help="Lift people to 3D: keypoints_3d, and figures from other sides.")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, help="Threads that compute one image; all cores by default.")
]
DeviceOption = Annotated[
    str,
    typer.Option(
        "--device", help="Where models run: auto, cpu, cuda, tensorrt, openvino, coreml, directml, or a provider."
    ),
]


@dataclass(frozen=True)
class DetectOptions:
    """The options of a model that detects people, each under its name on the command line."""

    model: str | None = None
    long_edge: int | None = None
    scales: str | None = None
    flip: bool | None = None
    adaptive: bool | None = None
    refine_poses: bool | None = None
    mask_refiner: str | None = None
    max_people: int = MAX_PEOPLE
    min_score: float = MIN_SCORE
    threads: int | None = None
    device: str = "auto"
    poses_from: str | None = None
    layout: str | None = None

    def __post_init__(self) -> None:
        if (self.poses_from is None) != (self.layout is None):
            raise PosegError("--poses-from FILE and --layout go together; give both, or neither.")
        if self.poses_from is not None:
            kept = ("max_people", "min_score", "poses_from", "layout")
            unused = ["--model"] * (self.model is not None) + self.changed(DetectOptions(), kept)
            if unused:
                raise PosegError(
                    f"With --poses-from no model of ours detects people, so leave {', '.join(unused)} out."
                )

    def build(self, *, masks: bool = True) -> Predictor:
        """The predictor. Raises PosegError for a model that does not detect people."""
        from poseg.runtime.models import POSE_REFINER, build_predictor, load_model

        mask_refiner = "" if self.mask_refiner == "none" else self.mask_refiner
        model = load_model(self.model, threads=self.threads, device=self.device)
        pose_refiner = None
        if self.refine_poses is not None:
            pose_refiner = (model.card.inference.pose_refiner or POSE_REFINER) if self.refine_poses else ""
        return build_predictor(
            model, threads=self.threads, device=self.device, max_people=self.max_people,
            min_score=self.min_score, masks=masks, long_edge_px=self.long_edge, scales=_scales(self.scales),
            flip=self.flip, adaptive=self.adaptive, pose_refiner=pose_refiner, mask_refiner=mask_refiner,
        )  # fmt: skip

    def with_mask_model(self, mask_model: str | None) -> Predictor | SegmentedPredictor:
        """The predictor with masks by a second model, where one is named.

        The predictor makes its own masks all the same: they give the boxes of people with too few joints to be aligned.
        """
        from poseg.runtime.pose2seg import SegmentedPredictor

        if self.poses_from is not None and self.layout is not None:
            from poseg.runtime.poses_from import PosesFrom

            poses = PosesFrom.load(
                self.poses_from,
                self.layout,
                threads=self.threads,
                device=self.device,
                max_people=self.max_people,
                min_score=self.min_score,
            )
            return SegmentedPredictor(
                poses, build_segmenter(mask_model or MASK_MODEL, threads=self.threads, device=self.device)
            )
        predictor = self.build()
        if mask_model is None:
            return predictor
        return SegmentedPredictor(predictor, build_segmenter(mask_model, threads=self.threads, device=self.device))

    def changed(self, default: DetectOptions, ignored: Sequence[str] = ()) -> list[str]:
        """The options that differ from `default`, such as "--long-edge"; not the model, where it runs, the ignored."""
        names = [field.name for field in fields(self) if field.name not in ("model", "threads", "device", *ignored)]
        return [_flag(name) for name in names if getattr(self, name) != getattr(default, name)]


@dataclass(frozen=True)
class PredictOptions:
    """The options of `predict` that say which models run.

    detect      who detects people; `detect.model` may be a top-down model, which is given people's boxes
    mask_model  gives them masks
    detector    for a top-down model: the model that detects people
    people      for a top-down model: the file that holds people
    lift        whether they are lifted to 3D
    """

    detect: DetectOptions
    mask_model: str | None = None
    detector: str | None = None
    people: Path | None = None
    lift: bool = False

    def __post_init__(self) -> None:
        sources = [_flag(name) for name in ("detector", "people") if getattr(self, name) is not None]
        if len(sources) == 2:
            raise PosegError("--detector and --people both say where people are; give one of them.")
        model = self.detect.model
        if not is_top_down(model):
            if sources:
                raise PosegError(f"{sources[0]} is for a top-down model; add --model multitask, or leave it out.")
            return
        unused = self.detect.changed(DetectOptions(), ["flip"]) + ["--mask-model"] * (self.mask_model is not None)
        if unused and self.detector is None:
            raise PosegError(
                f"{model} is given people's boxes and does not detect people, so {', '.join(unused)} would do nothing; "
                "leave it out, or name a model that detects them, such as --detector small."
            )

    def build(self) -> Detect:
        """Detects the people of any image. Raises PosegError where they are read from a file of images."""
        if self.people is not None:
            raise PosegError(
                f"{self.people} holds the people of images; for videos name a model, such as --detector small."
            )
        if not is_top_down(self.detect.model):
            return self.detect.with_mask_model(self.mask_model)
        from poseg.runtime.crop_pose import TopDownPipeline

        poser = self._top_down()
        if self.detector is None:
            return poser
        # The top-down model is what refines poses, so the detector does not, unless this is asked for.
        detect = replace(self.detect, model=self.detector, flip=None, refine_poses=bool(self.detect.refine_poses))
        return TopDownPipeline(detect.with_mask_model(self.mask_model), poser)

    def lifter(self) -> Callable[[People], People]:
        """Lifts people to 3D, with --3d."""
        if not self.lift:
            return lambda people: people
        from poseg.runtime.lifter import Lifter
        from poseg.runtime.models import load_model

        return Lifter(load_model("lifter", threads=self.detect.threads, device=self.detect.device))

    def per_image(self, build: Callable[[], Detect]) -> MakeDetector:
        """Gets ready for images: by `build`, or by the file that holds their people."""

        def from_model(paths: Sequence[Path], _: Console) -> tuple[DetectAt, Any]:
            from poseg.io.sources import image_ids

            detect, lift = build(), self.lifter()
            return lambda image, path: lift(detect(image)), image_ids(paths)

        return from_model if self.people is None else self._from_file

    def _from_file(self, paths: Sequence[Path], console: Console) -> tuple[DetectAt, Any]:
        from poseg.cli.image_outputs import provided_people

        assert self.people is not None
        poser = self._top_down()
        people_at, ids = provided_people(self.people, paths, console)
        lift = self.lifter()
        return lambda image, path: lift(poser(image, people_at(path).boxes_xyxy)), ids

    def _top_down(self) -> TopDownPose:
        return build_top_down(self.detect)


def is_top_down(model: str | None) -> bool:
    """Whether a model is given crops of people. Raises WeightsError where there is no such model."""
    from poseg.runtime.crop_pose import SYSTEM
    from poseg.runtime.models import card_of

    return model is not None and card_of(model).system == SYSTEM


def build_top_down(options: DetectOptions) -> TopDownPose:
    """The top-down model that the options name."""
    from poseg.runtime.crop_pose import TopDownPose
    from poseg.runtime.models import load_model

    model = load_model(options.model, threads=options.threads, device=options.device)
    return TopDownPose(model, flip=options.flip is not False)


def build_segmenter(
    model: str, *, threads: int | None, device: str, long_edge: int | None = None, exclusive: bool = True
) -> Pose2SegSegmenter:  # fmt: skip
    """The segmenter that the options describe. Raises PosegError for a model that does not segment provided people."""
    from poseg.runtime.models import load_model
    from poseg.runtime.pose2seg import Pose2SegSegmenter

    return Pose2SegSegmenter(
        load_model(model, threads=threads, device=device), long_edge_px=long_edge, exclusive=exclusive
    )


def _scales(text: str | None) -> tuple[float, ...] | None:
    """Numbers between commas."""
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise PosegError(f"--scales takes numbers between commas such as 0.5,1,1.5, got {text!r}.") from None


def _flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"
