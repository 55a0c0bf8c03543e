"""What is built from the repository and handed to users."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

import poseg

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.slow
def test_the_wheel_holds_models_types_and_licence(tmp_path: Path) -> None:
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


def test_the_licence_is_whole() -> None:
    text = (ROOT / "LICENSE").read_text()
    assert text.split()[:2] == ["Apache", "License"]
    assert "END OF TERMS AND CONDITIONS" in text
