"""A checkout without the optional extras can be tested: what needs one is skipped, with the reason."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
EXTRAS = re.search(r"^EXTRAS = \((.*?)\)", (ROOT / "tests/conftest.py").read_text(), re.DOTALL | re.MULTILINE)
WITHOUT = """
import sys
sys.modules |= dict.fromkeys(sys.argv.pop(1).split())  # as if they were not installed
import pytest
sys.exit(pytest.main(sys.argv[1:]))
"""


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    assert EXTRAS is not None
    extras = " ".join(re.findall(r'"(\w+)"', EXTRAS[1]))
    command = [sys.executable, "-c", WITHOUT, extras, "-q", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("marker", ["slow", "not slow"])
def test_all_modules_are_collected_without_extras(marker):
    done = run("--collect-only", "-m", marker)
    assert done.returncode == 0, done.stdout[-2000:]


@pytest.mark.slow
def test_what_needs_an_extra_is_skipped_with_a_reason():
    done = run("-rs", "tests/metrics/test_mpjpe.py", "tests/runtime/test_onnx_model.py")
    assert done.returncode in (0, pytest.ExitCode.NO_TESTS_COLLECTED), done.stdout[-2000:]
    for name in ("scipy", "onnx"):
        assert f"needs {name}, which is not installed" in done.stdout
