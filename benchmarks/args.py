"""Command-line arguments that benchmarks share."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """A model and the long edge of its input in pixels; None is the model's own."""

    model: str
    size_px: int | None

    @classmethod
    def parse(cls, text: str) -> ModelSpec:
        """From "NAME", "PATH" or either with ":SIZE" behind it."""
        model, colon, size = text.rpartition(":")
        return cls(model, int(size)) if colon and size.isdecimal() else cls(text, None)


def add_data_args(parser: argparse.ArgumentParser) -> None:
    """Add --data, --images and --limit."""
    parser.add_argument("--data", type=Path, required=True, help="COCO annotation file")
    parser.add_argument("--images", type=Path, required=True, help="folder of its images")
    parser.add_argument("--limit", type=int, help="the first images only")


def add_model_arg(parser: argparse.ArgumentParser) -> None:
    """Add --model, which may be given several times."""
    parser.add_argument(
        "--model",
        type=ModelSpec.parse,
        action="append",
        metavar="MODEL[:SIZE]",
        help="name or path of a model, with the long edge of its input; may be given several times",
    )


def rng() -> np.random.Generator:
    """A generator with the same seed in every benchmark, so that intervals can be compared."""
    return np.random.default_rng(0)
