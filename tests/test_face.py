"""The package as its users meet it, and the promise of a light core."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import poseg

# Fails on any import of what the light core does without, wherever it happens.
BLOCKER = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in {'torch', 'onnx', 'tflite', 'safetensors', 'skimage', 'scipy', 'matplotlib'}:
            raise AssertionError(f'{name} was imported')
sys.meta_path.insert(0, Blocker())
"""


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "COLUMNS": "100"}
    return subprocess.run(
        [sys.executable, "-c", BLOCKER + code, *arguments], capture_output=True, text=True, check=False, env=environment
    )


def test_every_name_of_the_face_is_there() -> None:
    assert list(poseg.__all__) == sorted(poseg.__all__)
    for name in poseg.__all__:
        assert getattr(poseg, name) is not None
        assert name in dir(poseg)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        poseg.nothing  # noqa: B018


def test_names_of_the_face_are_those_of_their_homes() -> None:
    from poseg.people import People
    from poseg.runtime.models import load

    assert poseg.People is People
    assert poseg.load is load


def test_importing_the_package_loads_nothing_heavy() -> None:
    result = run("import poseg; print([m for m in ('cv2', 'numpy', 'onnxruntime', 'PIL') if m in sys.modules])")
    assert result.stdout == "[]\n", result.stderr


def test_every_name_comes_without_torch() -> None:
    result = run("import poseg; [getattr(poseg, name) for name in poseg.__all__]; print('torch' in sys.modules)")
    assert result.stdout == "False\n", result.stderr


def test_predicting_and_drawing_need_the_light_core_only(
    model_path: Path, tmp_path: Path, spots: Callable[..., NDArray[np.uint8]]
) -> None:
    picture, out = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(spots((60, 70))).save(picture)
    for command in ("predict", "visualize"):
        result = run(
            "from poseg.cli.main import run; run()",
            command,
            str(picture),
            "--out",
            str(out),
            "--model",
            str(model_path),
        )
        assert result.returncode == 0, result.stderr
    assert (out / "results.json").is_file()
    assert (out / "a.hough.png").is_file()
