"""`poseg evaluate`: a model's scores on a COCO data set, with intervals and times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from poseg.cli.options import (
    FlipOption,
    MaxPeopleOption,
    MinScoreOption,
    ModelOption,
    RefineOption,
    ScalesOption,
    SizeOption,
    ThreadsOption,
    build_poser,
    build_predictor,
    build_segmenter,
    is_poser,
    refined,
)
from poseg.errors import OutputError, PosegError

if TYPE_CHECKING:
    from rich.progress import Progress

    from poseg.evaluation import Model
    from poseg.people import People
    from poseg.runtime.crop_pose import TopDownPose
    from poseg.runtime.predictor import Predictor

MOST_PEOPLE, LEAST_SCORE = 20, 0.0  # average precision wants the doubtful people too


class Metric(str, Enum):
    """What is measured."""

    coco = "coco"
    pck = "pck"


def evaluate(
    data: Annotated[Path, typer.Option("--data", metavar="JSON", help="COCO annotation file, .json or .json.gz.")],
    images: Annotated[Path, typer.Option("--images", metavar="DIR", help="Folder of its pictures.")],
    model: ModelOption = None,
    metric: Annotated[
        Metric,
        typer.Option("--metric", help="COCO's average precision, or PCK, PDJ and PCP of the joints of any skeleton."),
    ] = Metric.coco,
    size: SizeOption = None,
    max_people: MaxPeopleOption = MOST_PEOPLE,
    min_score: MinScoreOption = LEAST_SCORE,
    scales: ScalesOption = None,
    flip: FlipOption = None,
    refine: RefineOption = None,
    poses: Annotated[
        Path | None,
        typer.Option(
            "--poses", metavar="FILE.json", help="Give --refine the people of FILE, COCO ground truth or results."
        ),
    ] = None,
    posed: Annotated[
        bool, typer.Option("--posed", help="Ignore people without annotated joints, as COCOPersons does.")
    ] = False,
    threads: ThreadsOption = None,
    limit: Annotated[int | None, typer.Option("--limit", min=1, help="Evaluate the first pictures only.")] = None,
    json: Annotated[Path | None, typer.Option("--json", metavar="OUT", help="Write the scores here.")] = None,
    results: Annotated[
        Path | None, typer.Option("--results", metavar="OUT", help="Write all people found here, as COCO results.")
    ] = None,
    curve: Annotated[
        Path | None,
        typer.Option("--curve", metavar="OUT.png", help="With --metric pck, draw PCK over thresholds here."),
    ] = None,
) -> None:
    """Measure a model on a COCO data set.

    Poses and masks by COCO's evaluator, person IoU, milliseconds a picture, all with 95 % intervals over pictures.
    With --poses no people are looked for: those of FILE are given masks, and only the masks are the model's.

    With --metric pck the joints alone are measured, on the skeleton of the file: PCK, PCKh, PDJ and PCP.
    """
    _check_folders(json, results, curve)
    options: dict[str, Any] = {
        "size": size, "max_people": max_people, "min_score": min_score, "scales": scales, "flip": flip,
        "threads": threads,
    }  # fmt: skip
    if metric is Metric.pck:
        _refuse_with_pck({"--refine": refine, "--poses": poses, "--posed": posed or None, "--results": results})
        _joints(model, data, images, limit, json, curve, options)
        return
    if curve is not None:
        raise PosegError("--curve draws PCK over thresholds; add --metric pck.")
    subject = _finder(model, refine, options) if poses is None else _given(model, refine, poses, data, options, posed)
    _coco(subject, data, images, limit, posed, json, results)


def _coco(
    subject: _Subject, data: Path, images: Path, limit: int | None, posed: bool, json: Path | None, results: Path | None
) -> None:
    """Average precision, person IoU and time."""
    from rich.console import Console

    from poseg.cli.score_table import score_table
    from poseg.evaluation import evaluate as measure
    from poseg.io.plain_json import write_json

    with _bar() as bar:
        task = bar.add_task("Pictures", total=None)
        report = measure(
            subject.model, data, images, limit=limit, given=subject.given, posed=posed,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    if json is not None:
        said = {"model": subject.name, "poses": subject.poses, "options": subject.options}
        write_json(json, {**said, **report.to_plain()})
    if results is not None:
        write_json(results, list(report.results))
    Console().print(score_table(report, subject.poses))


def _joints(
    model: str | None, data: Path, images: Path, limit: int | None, json: Path | None, curve: Path | None,
    options: Mapping[str, Any],
) -> None:  # fmt: skip
    """PCK, PCKh, PDJ and PCP; a model that wants boxes is handed those of the file."""
    from rich.console import Console

    from poseg.cli.joint_table import curve_sheet, joint_tables
    from poseg.evaluation.joints import WANTS_BOXES, evaluate_joints
    from poseg.io.images import write_png
    from poseg.io.plain_json import write_json

    subject = _joint_finder(model, options)
    boxes = bool(getattr(subject, WANTS_BOXES, False))
    name = subject.model.card.name
    poses = f"made by {name} in the boxes of the file" if boxes else f"found by {name}"
    with _bar() as bar:
        task = bar.add_task("Pictures", total=None)
        report = evaluate_joints(
            subject, data, images, boxes=boxes, limit=limit,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )  # fmt: skip
    if json is not None:
        write_json(json, {"model": name, "metric": "pck", "poses": poses, "options": options, **report.to_plain()})
    if curve is not None:
        write_png(curve, curve_sheet(report))
    Console().print(joint_tables(report, poses))


def _joint_finder(model: str | None, options: Mapping[str, Any]) -> Predictor | TopDownPose:
    """What gives joints: a model of crops is handed boxes, so options about finding people would do nothing."""
    if model is None or not is_poser(model):
        return build_predictor(model, **options, masks=False)
    names = _finding_asked({**options, "flip": None})
    if names:
        raise PosegError(f"{model} is handed the boxes of the file, so {', '.join(names)} would do nothing.")
    return build_poser(model, threads=options["threads"], flip=options["flip"])


def _bar() -> Progress:
    """A progress bar over pictures, on terminals."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Pictures"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = Console(stderr=True)
    return Progress(*columns, console=console, transient=True, disable=not console.is_terminal)


@dataclass(frozen=True, slots=True, eq=False)
class _Subject:
    """What is measured.

    poses    where they come from, for the reader
    given    people by image id, where they are not looked for
    options  those that it was built with
    """

    model: Model
    name: str
    poses: str
    given: Mapping[int, People] | None
    options: Mapping[str, Any]


def _finder(model: str | None, refine: str | None, options: Mapping[str, Any]) -> _Subject:
    predictor = build_predictor(model, **options)
    whole = refined(predictor, refine, threads=options["threads"])
    name = predictor.model.card.name
    return _Subject(whole, getattr(whole, "name", name), f"found by {name}", None, options)


def _given(
    model: str | None, refine: str | None, poses: Path, data: Path, options: Mapping[str, Any], posed: bool
) -> _Subject:
    from poseg.evaluation.given import people_for
    from poseg.io.given_people import read_people

    if refine is None:
        raise PosegError("--poses gives people to a model that makes masks of them; name it with --refine.")
    _refuse_finding(model, options)
    used = {key: options[key] for key in ("size", "threads")}
    segmenter = build_segmenter(refine, **used)
    given = read_people(poses)
    told = f"{'true ones of' if given.true else 'results in'} {poses.name}"
    return _Subject(segmenter, segmenter.model.card.name, told, people_for(given, data, posed=posed), used)


def _refuse_finding(model: str | None, options: Mapping[str, Any]) -> None:
    """With people given, options about finding them would be forgotten in silence."""
    names = ["--model"] * (model is not None) + _finding_asked({**options, "size": None})
    if names:
        raise PosegError(f"With --poses nobody is looked for, so {', '.join(names)} would do nothing; leave it out.")


def _finding_asked(options: Mapping[str, Any]) -> list[str]:
    """The options about finding people that were given."""
    names = [f"--{name}" for name in ("size", "scales", "flip") if options[name] is not None]
    names += ["--max-people"] if options["max_people"] != MOST_PEOPLE else []
    return names + (["--min-score"] if options["min_score"] != LEAST_SCORE else [])


def _refuse_with_pck(asked: Mapping[str, Any]) -> None:
    """Options about masks and average precision would be forgotten in silence."""
    names = [name for name, value in asked.items() if value is not None]
    if names:
        raise PosegError(f"--metric pck measures joints alone, so {', '.join(names)} would do nothing; leave it out.")


def _check_folders(*paths: Path | None) -> None:
    """Find out before the long run, not after it."""
    for path in paths:
        if path is not None and (path.is_dir() or not path.parent.is_dir()):
            raise OutputError(f"Cannot write {path}: it must be a file in a folder that exists; choose another place.")
