"""How far a reader of one prediction has to walk: files and functions entered, and changes from file to file.

python benchmarks/call_profile.py [--model small]
"""

from __future__ import annotations

import argparse
import sys
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import skimage.data

import poseg

PACKAGE = str(Path(poseg.__file__).parent)


def main() -> None:
    """Trace one prediction of scikit-image's astronaut, after one that warms up."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", action="append", help="bundled name or path; small and fast by default")
    for name in parser.parse_args().model or ["small", "fast"]:
        model, image = poseg.load(name), np.asarray(skimage.data.astronaut())  # type: ignore[no-untyped-call]
        model(image)
        calls: list[tuple[str, str]] = []

        def trace(frame: FrameType, event: str, _: Any, calls: list[tuple[str, str]] = calls) -> None:
            code = frame.f_code
            if event == "call" and code.co_filename.startswith(PACKAGE) and not code.co_name.startswith("<"):
                calls.append((code.co_filename, code.co_qualname if hasattr(code, "co_qualname") else code.co_name))

        sys.setprofile(trace)
        model(image)
        sys.setprofile(None)
        files = [file for file, _ in calls]
        changes = sum(a != b for a, b in pairwise(files))
        entered = f"{len(set(files))} files, {len(set(calls))} functions"
        print(f"{name}: {entered}, {len(calls)} calls, {changes} changes of file")


if __name__ == "__main__":
    main()
