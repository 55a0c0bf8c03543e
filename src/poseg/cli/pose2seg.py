"""`poseg pose2seg`: the templates of Pose2Seg."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from poseg.fields.align import Templates
    from poseg.io.coco_json import CocoDataset
    from poseg.skeletons import Skeleton

pose2seg = typer.Typer(name="pose2seg", help="Make the typical poses that Pose2Seg aligns by.", no_args_is_help=True)

MIN_JOINTS = 8  # of a pose that counts, as the paper has it
SIDE_PX = 320  # of a drawn template
PER_TABLE = 3  # templates in one table


@pose2seg.command()
def templates(
    annotations: Annotated[
        Path, typer.Argument(metavar="ANN.json", help="COCO annotation file with keypoints, .json or .json.gz.")
    ],
    count: Annotated[int, typer.Option("--count", min=1, help="How many.")] = 3,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", metavar="OUT.json|OUT.png", help="Write them here too, or draw them as .png."),
    ] = None,
) -> None:
    """Find the typical poses of annotated people by k-means, the commonest first.

    Prints, for each joint of each template, x and y in the square that holds the person's box and the mean visibility
    (0 not annotated, 1 occluded, 2 visible); joints that are annotated too rarely have no position.
    """
    from poseg.io.coco_json import read_coco
    from poseg.io.files import write_json
    from poseg.io.images import write_png

    data = read_coco(annotations)
    typical = _cluster(data, count)
    _print(typical, data.skeleton)
    if out is None:
        return
    if out.suffix.lower() == ".png":
        write_png(out, _draw(typical.templates, data.skeleton))
    else:
        write_json(out, _to_dict(typical, data.skeleton))
    typer.echo(f"Written to {out}.")


@dataclass(frozen=True, slots=True, eq=False)
class _Templates:
    """Typical poses, and what they were made of.

    visibility  (T, K) mean of the joints
    aligned     (T,) fraction of the people with enough joints that a template, or the same swapped, aligns best
    people      how many have enough joints
    """

    templates: Templates
    visibility: NDArray[np.float64]
    aligned: NDArray[np.float64]
    people: int


def _cluster(data: CocoDataset, count: int) -> _Templates:
    """The typical poses of a file's people. Raises AnnotationError where they are too few."""
    import numpy as np

    from poseg.errors import AnnotationError, ShapeError
    from poseg.fields.align import MIN_SHARED_JOINTS, align, cluster_templates
    from poseg.geometry.grid import pixel_centres
    from poseg.io.coco_table import boxes_or_fallback

    columns, skeleton = data.table, data.skeleton
    triplets, boxes_xyxy = columns.triplets[~columns.crowd_or_ignore], columns.boxes_xyxy[~columns.crowd_or_ignore]
    points, annotated = pixel_centres(triplets[..., :2]), triplets[..., 2] > 0
    boxes_xyxy = boxes_or_fallback(boxes_xyxy, None, points, annotated)
    min_joints = min(MIN_JOINTS, len(skeleton))
    try:
        made, visibility = cluster_templates(
            points, triplets[..., 2], boxes_xyxy, skeleton, count=count, min_joints=min_joints
        )  # fmt: skip
    except ShapeError as error:
        raise AnnotationError(
            f"{data.path} has {error.got} people with {min_joints} or more joints and a box, too few for {count} "
            "typical poses; give a larger file or ask for fewer with --count."
        ) from None
    enough = annotated.sum(axis=1) >= MIN_SHARED_JOINTS
    any_size = (10**9, 10**9)  # of images
    crops = align(
        points[enough],
        annotated[enough],
        boxes_xyxy[enough],
        made.with_swapped(skeleton),
        any_size,
        side_px=1,
        padding=0,
    )
    best = crops.templates[crops.scores > 0] % count
    fraction = np.bincount(best, minlength=count) / max(int(enough.sum()), 1)
    return _Templates(made, visibility, fraction, int(enough.sum()))


def _print(typical: _Templates, skeleton: Skeleton) -> None:
    """Tables of a few templates each, one line a joint."""
    from rich.console import Console
    from rich.table import Table

    made, console = typical.templates, Console()
    for first in range(0, len(made), PER_TABLE):
        chosen = range(first, min(first + PER_TABLE, len(made)))
        table = Table("joint")
        for number in chosen:
            table.add_column(f"template {number + 1}\n   x    y  vis.", no_wrap=True)
        for joint, name in enumerate(skeleton.joints):
            table.add_row(name, *(_format(typical, number, joint) for number in chosen))
        table.add_section()
        table.add_row("aligns best", *(f"{typical.aligned[number]:.0%} of people" for number in chosen))
        console.print(table)
    rest = max(0.0, 1 - typical.aligned.sum())
    typer.echo(f"Of {typical.people:,} people with 3 or more joints; {rest:.0%} fit no template.")


def _format(typical: _Templates, number: int, joint: int) -> str:
    x, y = typical.templates.points[number, joint]
    position = f"{x:.2f} {y:.2f}" if typical.templates.visible[number, joint] else "   -    -"
    return f"{position}  {typical.visibility[number, joint]:.2f}"


def _draw(made: Templates, skeleton: Skeleton) -> NDArray[np.uint8]:
    """The templates beside each other, each in its unit square on white."""
    import numpy as np

    from poseg.draw import draw_poses
    from poseg.draw.figures import contact_sheet
    from poseg.people import People

    people = People.from_poses(skeleton, made.points * SIDE_PX, made.visible)
    paper = np.full((SIDE_PX, SIDE_PX, 3), 255, np.uint8)
    squares = [draw_poses(paper, people[[number]]) for number in range(len(made))]
    return contact_sheet(squares, [f"template {number + 1}" for number in range(len(made))], columns=len(made))


def _to_dict(typical: _Templates, skeleton: Skeleton) -> dict[str, Any]:
    """The templates as a codec holds them, with the names of the joints."""
    from poseg.codecs.pose2seg import to_points

    return {
        "skeleton": skeleton.name,
        "joints": list(skeleton.joints),
        "points": to_points(typical.templates),
        "visibility": typical.visibility.round(4).tolist(),
    }
