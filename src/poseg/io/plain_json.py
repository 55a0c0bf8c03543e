"""JSON files, gzipped where the name ends in .gz."""

from __future__ import annotations

import gzip
import json
import zlib
from pathlib import Path
from typing import Any

from poseg.errors import AnnotationError
from poseg.io.atomic import write_bytes


def read_json(path: str | Path) -> Any:
    """What a JSON file holds. Raises AnnotationError, with the place of the fault, where it cannot be read."""
    path = Path(path)
    try:
        data = path.read_bytes()
        return json.loads(gzip.decompress(data) if path.suffix == ".gz" else data)
    except FileNotFoundError:
        raise AnnotationError(f"There is no file {path}; check the name.") from None
    except (OSError, EOFError, zlib.error) as fault:
        raise AnnotationError(f"Cannot read {path}: {fault}; check that it is a whole file we may read.") from None
    except json.JSONDecodeError as fault:
        raise AnnotationError(f"{path} is not JSON: {fault}; give a COCO annotation or result file.") from None
    except (UnicodeDecodeError, RecursionError):
        raise AnnotationError(f"{path} is not JSON text; give a COCO annotation or result file.") from None


def write_json(path: str | Path, value: object) -> None:
    """Write plain data as compact JSON, whole or not at all; the same data gives the same bytes.

    Raises OutputError, and AnnotationError for numbers that JSON cannot hold (NaN, infinity).
    """
    try:
        data = json.dumps(value, allow_nan=False, separators=(",", ":")).encode("ascii")
    except ValueError as fault:
        raise AnnotationError(f"Cannot write {path}: {fault}; every number must be finite.") from None
    write_bytes(path, gzip.compress(data, mtime=0) if Path(path).suffix == ".gz" else data)
