"""`poseg predict`: pictures in; COCO results, overlays and label maps out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from poseg.cli.options import (
    FlipOption,
    MaxPeopleOption,
    MinScoreOption,
    ModelOption,
    OutOption,
    RefineOption,
    ScalesOption,
    SizeOption,
    ThreadsOption,
    build_predictor,
    refined,
)
from poseg.cli.people_files import MasksOption, OverlayOption, SourcesArgument, write_people

if TYPE_CHECKING:
    from poseg.cli.people_files import Find


def predict(
    sources: SourcesArgument,
    out: OutOption,
    model: ModelOption = None,
    size: SizeOption = None,
    max_people: MaxPeopleOption = 20,
    min_score: MinScoreOption = 0.4,
    scales: ScalesOption = None,
    flip: FlipOption = None,
    refine: RefineOption = None,
    masks: MasksOption = False,
    overlay: OverlayOption = True,
    threads: ThreadsOption = None,
) -> None:
    """Find the people of pictures and write them to DIR.

    DIR/results.json holds everybody in COCO's result format, DIR/NAME.overlay.png shows them. A picture that cannot
    be read is named on stderr, the others are finished, and the exit code is 2.
    """

    def prepare(paths: Sequence[Path], _: object) -> tuple[Find, Any]:
        from poseg.io.sources import image_ids

        predictor = build_predictor(
            model, threads=threads, size=size, scales=scales, flip=flip, max_people=max_people, min_score=min_score
        )
        find = refined(predictor, refine, threads=threads)
        return lambda image, path: find(image), image_ids(paths)

    write_people(sources, out, prepare, masks=masks, overlay=overlay)
