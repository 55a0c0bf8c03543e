"""The tiny run, which other processes start as a script."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def tiny_path() -> Path:
    return Path(__file__).parent / "tiny_run.py"


@pytest.fixture(scope="session")
def tiny(tiny_path: Path) -> ModuleType:
    pytest.importorskip("accelerate")
    spec = importlib.util.spec_from_file_location("tiny_run", tiny_path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
