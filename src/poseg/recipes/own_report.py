"""The report of a run on own data: scores before and after, curves and the worst images, as one HTML page."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.draw import overlay
from poseg.draw.figures import Line, draw_curves, resize_to
from poseg.draw.page import embedded, html_page
from poseg.evaluation import EvaluationReport
from poseg.geometry.similarity import oks_matrix
from poseg.io.files import write_text
from poseg.people import People
from poseg.recipes.train_run import SCORES
from poseg.training.logger import LOG, read_log

Image = NDArray[np.uint8]

WORST = 12  # images on the page
LONG_EDGE_PX = 560
MIN_SCORE = 0.3  # of people that are drawn and compared: that of `poseg predict`
ROWS = (("keypoint AP", "keypoints", "AP"), ("keypoint AP50", "keypoints", "AP50"), ("mask AP", "masks", "AP"),
        ("mask AP50", "masks", "AP50"), ("person IoU", "person_iou", ""))  # fmt: skip
STYLE = ".pair{display:flex;gap:8px}.pair img{width:50%;object-fit:contain;align-self:start}"


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """A validation image with the people of the file and those of the model, and how similar they are, 0 to 1."""

    name: str
    image: Image
    truth: People
    detected: People
    similarity: float


def compare(name: str, image: Image, truth: People, detected: People) -> Compared | None:
    """Mean OKS of people with joints and mean IoU of people with masks, each with the most similar detection.

    None for an image where nothing is annotated.
    """
    detected = detected[detected.scores >= MIN_SCORE]
    on_ours = detected if detected.skeleton == truth.skeleton else detected.remap_to(truth.skeleton)
    jointed = (truth.keypoint_scores > 0).any(axis=1)
    values = []
    if jointed.any():
        people = truth[np.flatnonzero(jointed)]
        areas = np.maximum((people.boxes_xyxy[:, 2:] - people.boxes_xyxy[:, :2]).prod(axis=1), 1)
        oks = oks_matrix(
            on_ours.keypoints, people.keypoints, areas_px=areas, sigmas=people.skeleton.oks_sigmas,
            weights=people.keypoint_scores > 0,
        )  # fmt: skip
        values.append(oks.max(axis=0, initial=0).mean())
    if truth.masks is not None and truth.masks.nonempty.any():
        masks = truth.masks[np.flatnonzero(truth.masks.nonempty)]
        iou = np.zeros((1, len(masks))) if detected.masks is None else detected.masks.iou(masks)
        values.append(iou.max(axis=0, initial=0).mean())
    return Compared(name, image, truth, detected, float(np.mean(values))) if values else None


def write_report(
    path: Path, run: Path, before: EvaluationReport, after: EvaluationReport, images: Iterable[Compared],
    facts: Sequence[str],
) -> None:  # fmt: skip
    """Write the page of a run.

    before, after  the model that the run started with, and the one that came out, on the same images
    images         validation images; the least similar ones are shown
    facts          sentences about data and run
    """
    worst = sorted(images, key=lambda one: one.similarity)[:WORST]
    listed = "".join(f"<li>{html.escape(fact)}</li>" for fact in facts)
    shown = "".join(map(_figure, worst))
    body = (
        f"<ul>{listed}</ul>"
        f"<h2>Scores on {after.images} validation images, {after.persons} people</h2>{_table(before, after)}"
        "<p>In brackets: 95 % bootstrap intervals over images. These images also chose the step that is exported.</p>"
        f"<h2>Curves</h2>{_curves(run)}<h2>Worst images</h2>"
        f"<p>Left: annotated; right: predicted, people with a score from {MIN_SCORE}.</p>{shown}"
    )
    write_text(path, html_page(run.name, body, STYLE))


def _table(before: EvaluationReport, after: EvaluationReport) -> str:
    rows = "".join(
        f"<tr><td>{title}<td>{_score(before, kind, name)}<td>{_score(after, kind, name)}"
        for title, kind, name in ROWS
        if _value(after, *((kind, name) if name else ("masks", "AP"))) >= 0  # person IoU needs masks
    )
    return f"<table><tr><th>score<th>before<th>after{rows}</table>"


def _value(report: EvaluationReport, kind: str, name: str) -> float:
    scores: Any = getattr(report, kind)
    return float(scores[name] if name else scores)


def _score(report: EvaluationReport, kind: str, name: str) -> str:
    interval = report.intervals.get(f"{kind}.{name}" if name else kind)
    text = f"{_value(report, kind, name):.3f}"
    return text if interval is None else f"{text} ({interval[0]:.2f}-{interval[1]:.2f})"


def _curves(run: Path) -> str:
    """Validation scores and the loss, over steps."""
    scores, log = _columns(read_log(run / SCORES)), read_log(run / LOG)
    panels = []
    lines = [Line(name.replace("_ap", " AP"), np.maximum(scores[name], 0)) for name in ("keypoint_ap", "mask_ap")
             if max(scores.get(name, [-1])) >= 0]  # fmt: skip
    if lines and len(scores["step"]) > 1:
        panels.append(draw_curves(scores["step"], lines, axis="step"))
    losses = np.array([line["losses"]["total"] for line in log], np.float64)  # type: ignore[index]
    size = max(len(losses) // 40, 1)
    means = losses[: len(losses) // size * size].reshape(-1, size).mean(axis=1)
    if len(means) > 1:
        steps = (np.arange(len(means)) + 1) * size
        panels.append(draw_curves(steps, [Line("loss / highest", means / max(means.max(), 1e-9))], axis="step"))
    return "".join(f'<img alt="curve" src="{embedded(panel, "png")}">' for panel in panels)


def _columns(lines: Sequence[Mapping[str, object]]) -> dict[str, list[float]]:
    return {name: [float(line[name]) for line in lines] for name in lines[0]} if lines else {}  # type: ignore[arg-type]


def _figure(one: Compared) -> str:
    sides = []
    for people in (one.truth, one.detected):
        image, _ = resize_to(overlay(one.image, people, min_score=0.0), LONG_EDGE_PX)
        sides.append(f'<img alt="" src="{embedded(image)}">')
    name = html.escape(one.name)
    return (
        f"<figure><div class=pair>{''.join(sides)}</div><figcaption>{name}: {one.similarity:.2f}</figcaption></figure>"
    )
