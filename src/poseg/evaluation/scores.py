"""What was measured, as a model's card says it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from poseg.io.files import read_json

GIVEN = ("ground truth", "results")  # poses that the model did not find
METRICS = ("keypoints.AP", "masks.AP", "person_iou")


def card_scores(reports: Sequence[Path], size_px: int) -> tuple[dict[str, Any], ...]:
    """The scores of a model's card, from what `poseg evaluate --json` wrote; `size_px` is the model's own size."""
    scores = []
    for path in reports:
        report = read_json(path)
        if "scores" in report:
            scores += _joint_scores(report)
            continue
        given = report.get("poses", "").startswith(GIVEN)
        for metric in METRICS[given:]:  # given poses say nothing of the model
            kind, _, number = metric.partition(".")
            interval = report["intervals"].get(metric)
            scores.append(
                {
                    "data": Path(report["data"]).name,
                    "pictures": report["images"],
                    "size_px": report["options"]["long_edge"] or size_px,
                    **({"poses": report["poses"]} if given else {}),
                    **({"counted": "people with joints"} if report.get("posed") else {}),
                    "metric": metric,
                    "value": round(report[kind][number] if number else report[kind], 4),
                    **({} if interval is None else {"interval": [round(bound, 4) for bound in interval]}),
                }
            )
    return tuple(scores)


def _joint_scores(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The scores of joints, from what `--metric pck` wrote."""
    common = {"data": Path(report["data"]).name, "pictures": report["images"], "joints": len(report["joints"])}
    return [
        {
            **common,
            "metric": score["name"],
            "value": round(score["overall"]["value"], 4),
            **(
                {}
                if not score["overall"]["interval"]
                else {"interval": [round(bound, 4) for bound in score["overall"]["interval"]]}
            ),
        }
        for score in report["scores"].values()
        if score["overall"]["value"] is not None
    ]
