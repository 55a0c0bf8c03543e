"""Models in other processes, in copies, and in streams: the same answer everywhere, and nothing hangs."""

from __future__ import annotations

import copy
import multiprocessing
import os
import pickle
import shutil
import signal
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import poseg
from poseg.errors import PosegError
from poseg.people import People
from poseg.runtime.onnx_model import OnnxModel
from poseg.runtime.predictor import Predictor

MODELS = Path(poseg.__file__).parent / "models"
FORK = hasattr(os, "fork")


@pytest.fixture(scope="module")
def predictor() -> Predictor:
    return poseg.load("fast", long_edge_px=193, threads=2)


def same(first: People, second: People) -> None:
    assert len(first) == len(second) > 0
    assert (first.keypoints == second.keypoints).all()
    assert (first.scores == second.scores).all()
    assert (np.asarray(first.masks) == np.asarray(second.masks)).all()


def test_copies_give_the_same(predictor: Predictor) -> None:
    image = poseg.examples.astronaut()
    for other in (pickle.loads(pickle.dumps(predictor)), copy.deepcopy(predictor), copy.copy(predictor)):
        same(predictor(image), other(image))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["fast", "small", "accurate", "poseg"])
def test_any_number_of_threads_gives_the_same(name: str) -> None:
    image = poseg.examples.astronaut()
    alone = poseg.load(name, threads=1, min_score=0.05)(image)
    for threads in range(2, 9):
        same(alone, poseg.load(name, threads=threads, min_score=0.05)(image))


def test_lists_and_streams_are_the_images_one_by_one(predictor: Predictor) -> None:
    astronaut = poseg.examples.astronaut()
    images = [astronaut, astronaut[:, ::-1], astronaut[40:], astronaut]
    alone = [predictor(image) for image in images]
    for together in (predictor(images), list(predictor.stream(iter(images)))):
        assert len(together) == len(alone)
        for one, other in zip(alone, together, strict=True):
            same(one, other)
    assert predictor([]) == []


def test_a_stream_does_not_read_far_ahead_and_may_be_left(predictor: Predictor) -> None:
    taken = []

    def endless():  # type: ignore[no-untyped-def]
        while True:
            taken.append(1)
            yield poseg.examples.astronaut()

    stream = predictor.stream(endless())
    next(stream)
    stream.close()
    assert len(taken) <= 4


def test_the_order_of_channels(predictor: Predictor) -> None:
    image = poseg.examples.astronaut()
    same(predictor(image), predictor(image[..., ::-1], color="bgr"))
    with pytest.raises(PosegError, match="bgr"):
        predictor(image, color="hsv")  # type: ignore[call-overload]


@pytest.mark.skipif(not FORK, reason="this system does not fork")
def test_a_forked_process_gives_the_same(predictor: Predictor) -> None:
    image = poseg.examples.astronaut()
    expected = predictor(image).keypoints.tobytes()
    predictor.model.run_each([np.zeros((1, 3, 65, 65), np.float32)] * 2)
    pid = os.fork()
    if not pid:
        signal.alarm(60)  # ends a process that waits for ever
        code = 1
        try:
            predictor.model.run_each([np.zeros((1, 3, 65, 65), np.float32)] * 2)
            code = 0 if predictor(image).keypoints.tobytes() == expected else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


@pytest.mark.slow
@pytest.mark.parametrize("method", multiprocessing.get_all_start_methods())
def test_workers_of_every_kind_give_the_same(predictor: Predictor, method: str) -> None:
    image = poseg.examples.astronaut()
    expected = predictor(image)
    with ProcessPoolExecutor(2, multiprocessing.get_context(method)) as pool:
        for people in pool.map(predictor, [image, image], timeout=120):
            same(people, expected)


_EMULATED = """
import sys
sys.path[:] = {path!r}
import numpy as np
from poseg.runtime.onnx_model import OnnxModel
fields = OnnxModel({model!r}, threads=1).run(np.load({tensor!r}))
np.savez({out!r}, **dict(fields.arrays))
"""


@pytest.mark.slow
@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="needs qemu-x86_64 (Debian's package qemu-user)")
@pytest.mark.parametrize("name", ["fast", "small", "poseg"])
def test_processors_without_byte_dot_products_give_the_same(name: str, tmp_path: Path) -> None:
    model = OnnxModel(MODELS / f"{name}.onnx", threads=1)
    tensor, _ = model.prepare(poseg.examples.astronaut(), 193)
    np.save(tmp_path / "in.npy", tensor)
    code = _EMULATED.format(
        path=sys.path,
        model=str(MODELS / f"{name}.onnx"),
        tensor=str(tmp_path / "in.npy"),
        out=str(tmp_path / "out.npz"),
    )
    python = str(Path(sys.executable).resolve())
    subprocess.run(["qemu-x86_64", "-cpu", "Haswell", python, "-c", code], check=True, timeout=600, capture_output=True)
    emulated, here = np.load(tmp_path / "out.npz"), model.run(tensor)
    for field, array in here.arrays.items():
        np.testing.assert_allclose(emulated[field], array, atol=1e-4, err_msg=field)  # up to the rounding of floats
