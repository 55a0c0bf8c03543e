"""`poseg models`: the cards of the bundled models, or of others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from poseg.runtime.card import Card
    from poseg.runtime.inference import InferenceConfig


def models(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="[MODEL]", help="Names of models or ONNX files; all bundled models by default."),
    ] = None,
) -> None:
    """Show the cards of models: input size, skeleton, scores, training data, licences."""
    from poseg.runtime.models import card_of
    from poseg.runtime.models import models as bundled

    cards = {name: card_of(name) for name in names} if names else bundled()
    if not cards:
        typer.echo("No model is bundled with this installation; name an ONNX file.")
    for position, (name, card) in enumerate(cards.items()):
        if position:
            typer.echo()
        _show(name, card)


def _show(name: str, card: Card) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=name, title_justify="left", title_style="bold", show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for label, text in _facts(card):
        table.add_row(label, Text(text))
    Console().print(table)


def _facts(card: Card) -> list[tuple[str, str]]:
    """Pairs of a label and a line of text; a label stands once, before its first line."""
    joints, inference = card.skeleton.get("joints", ()), card.inference
    facts = [
        ("name", card.name),
        ("system", card.system),
        ("skeleton", f"{card.skeleton.get('name', '?')}, {len(joints)} joints"),
        ("precision", card.precision),
        ("input", f"{card.inference.long_edge_px} px long edge; sides {card.size_divisor} n + {card.size_offset}"),
        *([("scales", _scales_text(inference))] if len(inference.scales) > 1 or inference.flip else []),
        *([("poses refined by", inference.pose_refiner)] if inference.pose_refiner else []),
        *([("masks by", inference.mask_refiner)] if inference.mask_refiner else []),
        ("codec", _codec_text(card.codec)),
    ]
    blocks = {
        "licence": [f"{what}: {terms}" for what, terms in card.licences.items()],
        "scores": [_score(score) for score in card.scores],
        "data": [_data(data) for data in card.data],
        "notes": list(card.notes),
        "sha256": [card.sha256] if card.sha256 else [],
    }
    for label, lines in blocks.items():
        facts += [(label if row == 0 else "", line) for row, line in enumerate(lines)]
    return facts


def _scales_text(inference: InferenceConfig) -> str:
    """Such as "321, 577, 1025 px, adaptive; the largest flipped too"."""
    sizes = ", ".join(str(round(inference.long_edge_px * scale)) for scale in sorted(inference.scales)) + " px"
    flipped = "; the largest flipped too" if inference.adaptive else "; flipped too"
    return sizes + (", adaptive" if inference.adaptive else "") + (flipped if inference.flip else "")


def _codec_text(codec: Mapping[str, Any]) -> str:
    """Settings of a codec, with a count for lists of limbs and without the points of templates."""
    return _pairs(
        {key: len(value) if key in ("limbs", "parts") else value for key, value in codec.items() if key != "points"}
    )


def _score(record: Mapping[str, Any]) -> str:
    """Such as "keypoints.AP 0.136 (0.0915 to 0.2227): data val.json, images 39"; with whatever else is recorded."""
    rest = {key: value for key, value in record.items() if key not in ("metric", "value", "interval")}
    interval = f" ({_short(record['interval'])})" if "interval" in record else ""
    return f"{record.get('metric', 'score')} {_short(record.get('value', '?'))}{interval}: {_pairs(rest)}"


def _data(record: Mapping[str, Any]) -> str:
    """Such as "lsp 0001-1000, 1000 images: 12 of 14 joints (research use)"."""
    images = f", {record['images']} images" if "images" in record else ""
    return f"{record.get('name', '?')}{images}: {record.get('use', '?')} ({record.get('terms', 'no terms stated')})"


def _pairs(fields: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_short(value)}" for key, value in fields.items())


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, (list, tuple)):
        return " to ".join(map(_short, value)) if len(value) == 2 else " ".join(map(_short, value))
    return str(value)
