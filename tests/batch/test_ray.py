"""The law of a job: whatever is killed, the same command ends with the same files, equal to `poseg.load`."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest

import poseg
from poseg.batch.job import Job, run_batch
from poseg.batch.plan import make_plan
from poseg.batch.rows import read_shard
from poseg.people import People

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # Ray's own
]
pytest.importorskip("ray")
IMAGES, SHARD = 24, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("images")
    photo = poseg.examples.astronaut()
    for number in range(IMAGES):
        cv2.imwrite(str(folder / f"{number:02d}.jpg"), np.roll(photo, 8 * number, axis=1)[..., ::-1])
    (folder / "05.jpg").write_bytes(b"not an image")
    return folder


def command(folder: Path, out: Path) -> list[str]:
    return [sys.executable, "-m", "poseg", "batch", str(folder), "--out", str(out), "--model", "fast",
            "--workers", "2", "--shard", str(SHARD)]  # fmt: skip


def digests(out: Path) -> dict[str, str]:
    files = [*out.glob("people/[0-9]*"), *out.glob("coco/[0-9]*"), out / "job.json"]
    return {str(path.relative_to(out)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def undisturbed(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("out") / "undisturbed"
    done = subprocess.run(command(folder, out), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2, done.stderr  # one image has an error
    return out


def test_results_equal_prediction_of_each_image(undisturbed):
    predictor = poseg.load("fast", threads=1)
    rows = [row for path in sorted(undisturbed.glob("people/*.parquet")) for row in read_shard(path)]
    assert [Path(row.name).stem for row in rows] == [f"{number:02d}" for number in range(IMAGES)]
    for row in rows:
        assert (row.error is None) == (Path(row.name).stem != "05")
        if row.people is None:
            continue
        people: People = predictor(row.name)
        for name in ("keypoints", "keypoint_scores", "scores", "boxes_xyxy"):
            np.testing.assert_array_equal(getattr(row.people, name), getattr(people, name))
        np.testing.assert_array_equal(np.asarray(row.people.masks), np.asarray(people.masks))


@pytest.mark.parametrize("finished", [0, 1, 3])
def test_a_killed_run_resumes_to_the_same_files(folder, undisturbed, tmp_path, finished):
    out = tmp_path / "out"
    run = subprocess.Popen(
        command(folder, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    while run.poll() is None and len(list(out.glob("people/[0-9]*.parquet"))) < finished:
        time.sleep(0.05)
    if run.poll() is None:
        # The driver; its workers end when they notice, and what one of them finishes until then is the same.
        os.killpg(run.pid, signal.SIGKILL)
    run.wait()
    kept = {path: path.stat().st_mtime_ns for path in out.glob("people/[0-9]*.parquet")}
    done = subprocess.run(command(folder, out), capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 2, done.stderr
    assert digests(out) == digests(undisturbed)
    assert kept == {path: path.stat().st_mtime_ns for path in kept}, "a finished shard was written again"


def test_a_node_of_a_cluster_is_killed_and_nothing_is_lost(folder, undisturbed, tmp_path):
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    second = cluster.add_node(num_cpus=1)
    out, killed = tmp_path / "out", []

    def kill(done: int, total: int) -> None:
        if done and not killed:
            killed.append(done)
            cluster.remove_node(second, allow_graceful=False)

    try:
        ray.init(address=cluster.address, log_to_driver=False)
        plan = make_plan([str(folder)], shard_items=SHARD)
        build = partial(poseg.load, "fast", threads=1)
        result = run_batch(Job(plan, build, {}, out, workers=2, address=cluster.address), kill)
    finally:
        ray.shutdown()
        cluster.shutdown()
    assert killed
    assert (result.items, result.errors, result.unfinished) == (IMAGES, 1, [])
    expected = {name: digest for name, digest in digests(undisturbed).items() if name != "job.json"}
    assert {name: digest for name, digest in digests(out).items() if name != "job.json"} == expected
