"""What the benchmarks are asked on the command line, alike everywhere."""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np


@dataclass(frozen=True, slots=True)
class Asked:
    """A model and the long side of its input; None is the size that it is meant for."""

    model: str
    size_px: int | None

    @classmethod
    def parse(cls, text: str) -> Asked:
        """From "NAME", "PATH" or either with ":SIZE" behind it."""
        model, colon, size = text.rpartition(":")
        return cls(model, int(size)) if colon and size.isdecimal() else cls(text, None)


def ask_for_pictures(parser: argparse.ArgumentParser) -> None:
    """Add --data, --images and --limit."""
    parser.add_argument("--data", type=Path, required=True, help="COCO annotation file")
    parser.add_argument("--images", type=Path, required=True, help="folder of its pictures")
    parser.add_argument("--limit", type=int, help="the first pictures only")


def ask_for_models(parser: argparse.ArgumentParser) -> None:
    """Add --model, which may be given several times."""
    parser.add_argument(
        "--model",
        type=Asked.parse,
        action="append",
        metavar="MODEL[:SIZE]",
        help="name or path of a model, with the long side of its input; may be given several times",
    )


def rng() -> np.random.Generator:
    """The same numbers in every benchmark, so that intervals can be compared."""
    return np.random.default_rng(0)
