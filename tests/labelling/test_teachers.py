"""Loading teachers, and a poseg model as a teacher."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from poseg.errors import WeightsError
from poseg.geometry import affine
from poseg.labelling import ModelTeacher, Segmenter, load_teacher
from poseg.runtime.onnx_model import OnnxModel

ROOT = Path(__file__).resolve().parents[2]

FACTORY = """
from poseg.people import People
from poseg.skeletons import COCO17

class NoPeople:
    name, licence, sizes = "empty", "CC0", (64,)

    def __init__(self, path="", threads=None):
        self.path, self.threads = path, threads

    def __call__(self, image, size=None):
        return People.empty(COCO17)

def wrong(threads=None):
    return 3
"""


@pytest.fixture
def factory(tmp_path):
    path = tmp_path / "factory.py"
    path.write_text(FACTORY)
    return path


def test_teacher_from_file(factory):
    teacher = load_teacher(f"{factory}:NoPeople=weights.bin", threads=3)
    assert (teacher.name, teacher.path, teacher.threads) == ("empty", "weights.bin", 3)


def test_teacher_from_module(factory, monkeypatch):
    monkeypatch.syspath_prepend(factory.parent)
    assert load_teacher("factory:NoPeople").licence == "CC0"


def test_teacher_from_entry_point(factory, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(factory.parent)
    info = tmp_path / "factory-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: factory\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[poseg.teachers]\nempty = factory:NoPeople\n")
    assert load_teacher("empty=x").path == "x"


@pytest.mark.parametrize(
    "text", ["nothing", "no.such.module:Thing", "{factory}:Absent", "absent.py:Thing", "{factory}:wrong"]
)
def test_what_is_no_teacher_is_refused(text, factory):
    with pytest.raises(WeightsError, match="teacher"):
        load_teacher(text.format(factory=factory))


def test_model_teacher_detects_and_segments(model_path, spots):
    teacher = load_teacher(str(model_path))
    assert isinstance(teacher, Segmenter)
    image = spots((70, 90), (180, 100))
    people = teacher(image, 257)
    assert len(people) == 2
    assert people.masks is None
    masks = teacher.segment(image, people, 257)
    assert masks.shape == (2, *image.shape[:2])
    assert masks.any(axis=(1, 2)).all()
    assert teacher.segment(image, people[:0], 257).shape == (0, *image.shape[:2])


def test_model_teacher_runs_once_per_image(model_path, spots):
    session = OnnxModel(model_path)
    runs = []

    class Counting:
        card, codec, name, prepare = session.card, session.codec, "counting", session.prepare

        def run(self, tensor):
            runs.append(tensor.shape)
            return session.run(tensor)

    teacher = ModelTeacher(Counting(), sizes=(257,))
    image = spots((70, 90))
    teacher.segment(image, teacher(image, 257), 257)
    assert len(runs) == 1
    teacher(np.array(image), 257)
    assert len(runs) == 2


@pytest.mark.parametrize(
    ("file", "factory"), [("movenet_multipose", "MoveNetMultiPose"), ("blazepose_masks", "BlazePoseMasks")]
)
def test_examples_refuse_missing_and_bad_files(file, factory, tmp_path):
    text = f"{ROOT / 'examples' / 'teachers' / file}.py:{factory}="
    with pytest.raises(WeightsError):
        load_teacher(text + str(tmp_path / "absent.tflite"))
    (tmp_path / "bad.tflite").write_bytes(b"no network")
    with pytest.raises(WeightsError):
        load_teacher(text + str(tmp_path / "bad.tflite"))


def test_blazepose_crop_is_upright():
    path = ROOT / "examples" / "teachers" / "blazepose_masks.py"
    spec = importlib.util.spec_from_file_location("blazepose_masks", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(17, 2)).astype(np.float32) * 30 + 200
    crop = module.upright_crop(points, np.ones(17, np.float32))
    moved = affine.apply(crop, points)
    hips, shoulders = moved[[11, 12]].mean(axis=0), moved[[5, 6]].mean(axis=0)
    np.testing.assert_allclose(hips, module.SIDE_PX / 2, atol=1e-2)
    assert shoulders[0] == pytest.approx(hips[0], abs=1e-2)
    assert shoulders[1] < hips[1]
    assert (moved > 0).all()
    assert (moved < module.SIDE_PX).all()
