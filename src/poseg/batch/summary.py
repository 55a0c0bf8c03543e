"""The summary page of a job: counts, errors, slowest images, and overlays of a few."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from typing import Any

from poseg.batch.plan import CLIP, Plan
from poseg.batch.reader import decoded
from poseg.batch.rows import read_shard
from poseg.batch.worker import Output
from poseg.draw.figures import resize_to
from poseg.draw.overlay import overlay
from poseg.draw.page import embedded, html_page
from poseg.errors import ImageError
from poseg.io.files import read_json, write_text

SAMPLES, LISTED, SAMPLE_PX = 12, 20, 480
_STYLE = ".s{display:grid;grid-template-columns:repeat(auto-fill,minmax(240px,1fr));gap:12px}.s img{width:100%}"


def write_summary(plan: Plan, folder: Path) -> Path:
    """Write folder/summary.html from the finished shards and return its path. Raises OutputError."""
    output = Output(folder)
    finished = [shard for shard in range(len(plan.shards)) if output.people(shard).is_file()]
    notes = [read_json(output.notes(shard)) for shard in finished]
    path = folder / "summary.html"
    write_text(path, _page(plan, notes, list(_samples(plan, output, finished))))
    return path


def _page(plan: Plan, notes: Sequence[dict[str, Any]], samples: Sequence[tuple[str, str]]) -> str:
    total = Counter[str]()
    for note in notes:
        total.update({key: note[key] for key in ("items", "rows", "errors", "people", "ms")})
    counts = {
        "shards finished": f"{len(notes)} of {len(plan.shards)}",
        "images and clips": f"{total['items']} of {plan.items}",
        "rows (images and frames)": total["rows"],
        "people": total["people"],
        "errors": total["errors"],
        "worker time": f"{total['ms'] / 3.6e6:.2f} h, {total['ms'] / max(1, total['rows']):.1f} ms a row",
    }
    errors = [error for note in notes for error in note["first_errors"]]
    slowest = sorted((tuple(entry) for note in notes for entry in note["slowest"]), reverse=True)[:LISTED]
    parts = [_table(counts.items()), "<h2>Slowest</h2>", _table((name, f"{ms:.0f} ms") for ms, name in slowest)]
    if errors:
        shown = f"<p>{min(LISTED, len(errors))} of {total['errors']}; all are in the column <code>error</code>.</p>"
        parts += [
            "<h2>Errors</h2>",
            shown,
            "<ul>",
            *(f"<li>{escape(error)}</li>" for error in errors[:LISTED]),
            "</ul>",
        ]
    if samples:
        figures = (
            f'<figure><img src="{source}" alt=""><figcaption>{escape(name)}</figcaption></figure>'
            for name, source in samples
        )
        parts += ["<h2>Samples</h2><div class=s>", *figures, "</div>"]
    return html_page("poseg batch", "\n".join(parts), _STYLE)


def _table(rows: Any) -> str:
    lines = (f"<tr><td>{escape(str(name))}</td><td>{escape(str(value))}</td></tr>" for name, value in rows)
    return f"<table>{''.join(lines)}</table>"


def _samples(plan: Plan, output: Output, finished: Sequence[int]) -> Iterator[tuple[str, str]]:
    """Names and data addresses of overlays, from shards over the whole job; images are read again."""
    shards = [shard for shard in finished if plan.shards[shard][0].kind != CLIP]
    chosen = shards[:: max(1, len(shards) // SAMPLES)][:SAMPLES]
    for shard in chosen:
        items = plan.shards[shard]
        rows = [row for row in enumerate(read_shard(output.people(shard))) if row[1].people]
        rows = rows[:: max(1, len(rows) * len(chosen) // SAMPLES)][: max(1, SAMPLES // len(chosen))]
        images = decoded([items[at] for at, _ in rows], plan.image_column)
        for (_, result), (_, image) in zip(rows, images, strict=True):
            if not isinstance(image, ImageError):
                assert result.people is not None
                drawn = overlay(image, result.people)
                yield Path(result.name).name, embedded(resize_to(drawn, min(SAMPLE_PX, max(drawn.shape[:2])))[0])
