"""Mutated files of every kind end in a result or in a sentence; `run.py` beside this file does it by the thousand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

for package in ("av", "onnx", "torch"):
    pytest.importorskip(package)


@pytest.mark.parametrize(("count", "seed"), [(25, 0), pytest.param(1000, 1, marks=pytest.mark.slow)])
def test_mutated_files_give_no_traceback_no_hang_and_no_half_written_file(count, seed, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    command = [sys.executable, str(Path(__file__).with_name("run.py")), "--count", str(count), "--seed", str(seed)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{count} cases of seed {seed}" in done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("job", ["images", "video", "training", "labelling"])
def test_killed_jobs_lose_nothing_and_a_repeat_ends_the_same(job):
    command = [sys.executable, str(Path(__file__).with_name("kill.py")), "--kills", "2", "--job", job]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
