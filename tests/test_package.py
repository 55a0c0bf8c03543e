"""The package as its users meet it: public names, light imports, and what a wheel holds."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import poseg

ROOT = Path(__file__).resolve().parents[1]

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


def test_dir_lists_the_public_names_and_no_others() -> None:
    assert dir(poseg) == sorted(poseg.__all__)
    for name in poseg.__all__:
        assert getattr(poseg, name) is not None
    assert dir(poseg) == sorted(poseg.__all__), "also after they were imported"
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        poseg.nothing  # noqa: B018


def test_public_names_are_those_of_their_modules() -> None:
    from poseg.people import People
    from poseg.runtime.models import load

    assert poseg.People is People
    assert poseg.load is load


def test_import_poseg_loads_nothing_heavy() -> None:
    result = run("import poseg; print([m for m in ('cv2', 'numpy', 'onnxruntime', 'PIL') if m in sys.modules])")
    assert result.stdout == "[]\n", result.stderr


def test_public_names_import_without_torch() -> None:
    result = run("import poseg; [getattr(poseg, name) for name in poseg.__all__]; print('torch' in sys.modules)")
    assert result.stdout == "False\n", result.stderr


def test_predict_and_visualize_need_the_light_core_only(
    model_path: Path, tmp_path: Path, spots: Callable[..., NDArray[np.uint8]]
) -> None:
    image, out = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(spots((60, 70))).save(image)
    for command in ("predict", "visualize"):
        result = run(
            "from poseg.cli.main import run; run()",
            command,
            str(image),
            "--out",
            str(out),
            "--model",
            str(model_path),
        )
        assert result.returncode == 0, result.stderr
    assert (out / "results.json").is_file()
    assert (out / "a.hough.png").is_file()


@pytest.mark.slow
def test_wheel_holds_models_types_and_licence(tmp_path: Path) -> None:
    """Build tools leave out what .gitignore matches, without a word: a wheel without its model would still install."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(tmp_path), str(ROOT)],
        check=True,
    )
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name.startswith(f"poseg-{poseg.__version__}-")
    names = set(zipfile.ZipFile(wheel).namelist())
    package = {
        path.relative_to(ROOT / "src").as_posix()
        for path in (ROOT / "src" / "poseg").rglob("*")
        if path.suffix in {".py", ".onnx", ".typed"}
    }
    assert package <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.split()[:2] == ["Apache", "License"]
    assert "END OF TERMS AND CONDITIONS" in text
