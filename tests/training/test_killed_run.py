"""A run killed at any moment, and a run shared by processes, equal the plain one. These start real processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from safetensors.torch import load_file  # noqa: E402

pytestmark = pytest.mark.slow  # every process imports torch

PATIENCE_S = 900  # on a busy machine
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
LONG = ("steps=40", "checkpoint_every=7")


def start(*command: object) -> subprocess.Popen[bytes]:
    line = [sys.executable, *map(str, command)]
    return subprocess.Popen(line, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)


def finish(*command: object) -> None:
    with start(*command) as process:
        output, _ = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, output.decode()


def lines(folder: Path) -> list[str]:
    path = folder / "log.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def losses(folder: Path) -> list[float]:
    steps = [json.loads(line) for line in lines(folder)]
    assert [step["step"] for step in steps] == list(range(1, len(steps) + 1))
    return [step["losses"]["total"] for step in steps]


def test_a_run_killed_twice_has_the_curve_of_the_uninterrupted_one(tiny_path, tmp_path):
    finish(tiny_path, tmp_path / "whole", *LONG)
    seen = []
    for reached in (10, 24):
        deadline = time.monotonic() + PATIENCE_S
        with start(tiny_path, tmp_path / "killed", *LONG) as process:
            while len(lines(tmp_path / "killed")) < reached and process.poll() is None and time.monotonic() < deadline:
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
        seen.append(len(lines(tmp_path / "killed")))
    assert 10 <= seen[0] < 40, "it was killed in the middle"
    finish(tiny_path, tmp_path / "killed", *LONG)
    np.testing.assert_allclose(losses(tmp_path / "killed"), losses(tmp_path / "whole"), rtol=0, atol=1e-6)
    assert len(losses(tmp_path / "killed")) == 40


def test_two_processes_learn_what_one_does(tiny_path, tmp_path):
    finish(tiny_path, tmp_path / "one")
    torchrun = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", 2)
    finish(*torchrun, tiny_path, tmp_path / "two")
    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-5)
    for part in ("weights", "average"):
        one, two = (load_file(tmp_path / name / f"{part}-12.safetensors") for name in ("one", "two"))
        for name, tensor in one.items():
            torch.testing.assert_close(two[name], tensor, atol=1e-5, rtol=1e-4, msg=name)
    # A run of two processes is resumed by one.
    finish(*torchrun, tiny_path, tmp_path / "mixed", "steps=14")
    finish(tiny_path, tmp_path / "mixed", "steps=16")
    assert len(losses(tmp_path / "mixed")) == 16
