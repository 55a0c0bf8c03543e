"""`poseg evaluate`: a model's scores on a COCO data set, with intervals and times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli import predict_options as opt
from poseg.cli.outputs import progress_bar
from poseg.errors import OutputError, PosegError

if TYPE_CHECKING:
    from poseg.evaluation import Model
    from poseg.people import People
    from poseg.runtime.crop_pose import TopDownPose
    from poseg.runtime.predictor import Predictor

MIN_SCORE = 0.0  # average precision counts people of low scores too
DEFAULT = opt.DetectOptions(min_score=MIN_SCORE)


class Metric(str, Enum):
    """What is measured."""

    coco = "coco"
    pck = "pck"


def evaluate(
    data: Annotated[Path, typer.Option("--data", metavar="JSON", help="COCO annotation file, .json or .json.gz.")],
    images: Annotated[Path, typer.Option("--images", metavar="DIR", help="Folder of its images.")],
    model: opt.ModelOption = None,
    metric: Annotated[
        Metric,
        typer.Option("--metric", help="COCO's average precision, or PCK, PDJ and PCP of the joints of any skeleton."),
    ] = Metric.coco,
    long_edge: opt.LongEdgeOption = None,
    max_people: opt.MaxPeopleOption = opt.MAX_PEOPLE,
    min_score: opt.MinScoreOption = MIN_SCORE,
    scales: opt.ScalesOption = None,
    flip: opt.FlipOption = None,
    adaptive: opt.AdaptiveOption = None,
    refine_poses: opt.RefinePosesOption = None,
    mask_refiner: opt.MaskRefinerOption = None,
    mask_model: opt.MaskModelOption = None,
    poses_from: opt.PosesFromOption = None,
    layout: opt.LayoutOption = None,
    people: Annotated[
        Path | None,
        typer.Option(
            "--people",
            metavar="FILE",
            help="Give --mask-model, or a top-down --model, these people: COCO ground truth or results.",
        ),
    ] = None,
    keypoints_only: Annotated[
        bool, typer.Option("--keypoints-only", help="Ignore people without annotated joints, as COCOPersons does.")
    ] = False,
    threads: opt.ThreadsOption = None,
    device: opt.DeviceOption = "auto",
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Evaluate the first images only.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write the scores here.")] = None,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="OUT", help="Write all detected people here, as COCO results.")
    ] = None,
    pck_plot: Annotated[
        Path | None,
        typer.Option("--pck-plot", metavar="OUT.png", help="With --metric pck, draw PCK over thresholds here."),
    ] = None,
) -> None:
    """Measure a model on a COCO data set.

    Poses and masks by COCO's evaluator, person IoU, milliseconds an image, all with 95 % intervals over images.
    With --people nothing is detected: masks are made of the people of FILE, and only the masks are the model's; or a
    top-down model predicts poses in their boxes. Images that cannot be read are left out and named, and the exit code
    is 2.

    With --metric pck the joints alone are measured, on the skeleton of the file: PCK, PCKh, PDJ and PCP.
    """
    _check_folders(json, results, pck_plot)
    options = opt.DetectOptions(
        model, long_edge, scales, flip, adaptive, refine_poses, mask_refiner, max_people, min_score, threads, device,
        poses_from, layout,
    )  # fmt: skip
    if metric is Metric.pck:
        _reject_with_pck(
            {"--mask-model": mask_model, "--people": people, "--keypoints-only": keypoints_only or None,
             "--results": results, "--poses-from": poses_from}
        )  # fmt: skip
        _joints(options, data, images, limit, json, pck_plot)
        return
    if pck_plot is not None:
        raise PosegError("--pck-plot draws PCK over thresholds; add --metric pck.")
    if people is None:
        evaluated = _detector(options, mask_model)
    elif mask_model is None and opt.is_top_down(options.model):
        evaluated = _in_provided_boxes(options, people, data, keypoints_only)
    else:
        evaluated = _with_provided_people(options, mask_model, people, data, keypoints_only)
    _coco(evaluated, data, images, limit, keypoints_only, json, results)


def _coco(
    evaluated: _Evaluated, data: Path, images: Path, limit: int | None, keypoints_only: bool, json: Path | None,
    results: Path | None,
) -> None:  # fmt: skip
    """Average precision, person IoU and time."""
    from rich.console import Console

    from poseg.cli.score_tables import score_table
    from poseg.evaluation import evaluate as measure
    from poseg.io.files import write_json

    with progress_bar("Images") as progress:
        report = measure(
            evaluated.model, data, images, limit=limit, people=evaluated.people, keypoints_only=keypoints_only,
            progress=progress,
        )  # fmt: skip
    if json is not None:
        about = {"model": evaluated.name, "poses": evaluated.poses, "options": evaluated.options}
        write_json(json, {**about, **report.to_dict()})
    if results is not None:
        write_json(results, list(report.results))
    Console().print(score_table(report, evaluated.poses))
    _name_gaps(report.left_out, report.persons)


def _joints(
    options: opt.DetectOptions, data: Path, images: Path, limit: int | None, json: Path | None, pck_plot: Path | None
) -> None:
    """PCK, PCKh, PDJ and PCP; a top-down model is given the boxes of the file."""
    from rich.console import Console

    from poseg.cli.score_tables import curve_sheet, joint_tables
    from poseg.evaluation.joints import NEEDS_BOXES, evaluate_joints
    from poseg.io.files import write_json
    from poseg.io.images import write_png

    model = _joint_model(options)
    boxes = bool(getattr(model, NEEDS_BOXES, False))
    poses = f"made by {model.name} in the boxes of the file" if boxes else f"detected by {model.name}"
    with progress_bar("Images") as progress:
        report = evaluate_joints(model, data, images, boxes=boxes, limit=limit, progress=progress)
    if json is not None:
        about = {"model": model.name, "metric": "pck", "poses": poses, "options": _recorded(options)}
        write_json(json, {**about, **report.to_dict()})
    if pck_plot is not None:
        write_png(pck_plot, curve_sheet(report))
    Console().print(joint_tables(report, poses))
    _name_gaps(report.left_out, report.persons)


def _name_gaps(images: Sequence[str], persons: int) -> None:
    """Images that are not in the scores, which the exit code says too; and that there is nothing to measure."""
    if not persons:
        typer.echo(
            "poseg: no person is annotated in these images, so only people detected there were counted", err=True
        )
    for image in images:
        typer.echo(f"poseg: left out: {image}", err=True)
    if images:
        raise typer.Exit(2)


def _joint_model(options: opt.DetectOptions) -> Predictor | TopDownPose:
    """What predicts joints: a top-down model is given boxes, so options about detecting people would do nothing."""
    if not opt.is_top_down(options.model):
        return options.build(masks=False)
    _reject_detection(options)
    return opt.build_top_down(options)


def _reject_detection(options: opt.DetectOptions) -> None:
    """Refuse options that a top-down model has no use for."""
    names = options.changed(DEFAULT, ["flip"])
    if names:
        raise PosegError(f"{options.model} is given the boxes of the file, so {', '.join(names)} would do nothing.")


@dataclass(frozen=True, slots=True, eq=False)
class _Evaluated:
    """What is measured.

    poses    where they come from, for the reader
    people   by image id, where they are provided
    options  those that it was built with
    """

    model: Model
    name: str
    poses: str
    people: Mapping[int, People] | None
    options: Mapping[str, Any]


def _detector(options: opt.DetectOptions, mask_model: str | None) -> _Evaluated:
    from poseg.runtime.pose2seg import SegmentedPredictor

    detector = options.with_mask_model(mask_model)
    name = detector.predictor.name if isinstance(detector, SegmentedPredictor) else detector.name
    return _Evaluated(detector, detector.name, f"detected by {name}", None, _recorded(options))


def _in_provided_boxes(options: opt.DetectOptions, file: Path, data: Path, keypoints_only: bool) -> _Evaluated:
    """A top-down model in the boxes of a file: it has no masks."""
    from poseg.evaluation.ground_truth import match_people
    from poseg.io.people_file import read_people

    _reject_detection(options)
    pose_model = opt.build_top_down(options)
    people = match_people(read_people(file), data, keypoints_only=keypoints_only)
    return _Evaluated(
        lambda image, provided: pose_model(image, provided.boxes_xyxy), pose_model.name,
        f"made by {pose_model.name} in the boxes of {file.name}", people, _recorded(options),
    )  # fmt: skip


def _with_provided_people(
    options: opt.DetectOptions, mask_model: str | None, file: Path, data: Path, keypoints_only: bool
) -> _Evaluated:
    from poseg.evaluation.ground_truth import match_people
    from poseg.io.people_file import read_people

    if mask_model is None:
        raise PosegError(
            "--people gives people to a top-down --model, or to a model that makes masks; name it with --mask-model."
        )
    names = ["--model"] * (options.model is not None) + options.changed(DEFAULT, ["long_edge"])
    if names:
        raise PosegError(f"With --people nothing is detected, so {', '.join(names)} would do nothing; leave it out.")
    segmenter = opt.build_segmenter(
        mask_model, threads=options.threads, device=options.device, long_edge=options.long_edge
    )
    people = read_people(file)
    poses = f"{'ground truth of' if people.is_ground_truth else 'results in'} {file.name}"
    used = {"long_edge": options.long_edge, "threads": options.threads}
    return _Evaluated(segmenter, segmenter.name, poses, match_people(people, data, keypoints_only=keypoints_only), used)


def _recorded(options: opt.DetectOptions) -> dict[str, Any]:
    """The options as the file of scores records them."""
    return {name: value for name, value in asdict(options).items() if name != "model"}


def _reject_with_pck(options: Mapping[str, Any]) -> None:
    """Options about masks and average precision would be ignored in silence."""
    names = [name for name, value in options.items() if value is not None]
    if names:
        raise PosegError(f"--metric pck measures joints alone, so {', '.join(names)} would do nothing; leave it out.")


def _check_folders(*paths: Path | None) -> None:
    """Find out before the long run, not after it."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise OutputError(f"Cannot write {path}: it must be a file in a folder that exists; choose another path.")
