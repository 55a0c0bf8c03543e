"""How teachers are found, and that a poseg model is one."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from poseg.errors import WeightsError
from poseg.geometry import affine
from poseg.labelling import ModelTeacher, Outliner, find_teacher
from poseg.runtime.onnx_model import OnnxModel

ROOT = Path(__file__).resolve().parents[2]

MAKER = """
from poseg.people import People
from poseg.skeletons import COCO17

class Nobody:
    name, licence, sizes = "nobody", "CC0", (64,)

    def __init__(self, path="", threads=None):
        self.path, self.threads = path, threads

    def __call__(self, image, size=None):
        return People.empty(COCO17)

def wrong(threads=None):
    return 3
"""


@pytest.fixture
def maker(tmp_path):
    path = tmp_path / "maker.py"
    path.write_text(MAKER)
    return path


def test_a_file_makes_a_teacher(maker):
    teacher = find_teacher(f"{maker}:Nobody=weights.bin", threads=3)
    assert (teacher.name, teacher.path, teacher.threads) == ("nobody", "weights.bin", 3)


def test_a_module_makes_a_teacher(maker, monkeypatch):
    monkeypatch.syspath_prepend(maker.parent)
    assert find_teacher("maker:Nobody").licence == "CC0"


def test_an_entry_point_makes_a_teacher(maker, monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(maker.parent)
    home = tmp_path / "maker-1.0.dist-info"
    home.mkdir()
    (home / "METADATA").write_text("Metadata-Version: 2.1\nName: maker\nVersion: 1.0\n")
    (home / "entry_points.txt").write_text("[poseg.teachers]\nnobody = maker:Nobody\n")
    assert find_teacher("nobody=x").path == "x"


@pytest.mark.parametrize(
    "text", ["nothing", "no.such.module:Thing", "{maker}:Absent", "absent.py:Thing", "{maker}:wrong"]
)
def test_what_is_no_teacher_is_told(text, maker):
    with pytest.raises(WeightsError, match="teacher"):
        find_teacher(text.format(maker=maker))


def test_a_model_finds_and_outlines(model_path, spots):
    teacher = find_teacher(str(model_path))
    assert isinstance(teacher, Outliner)
    image = spots((70, 90), (180, 100))
    people = teacher(image, 257)
    assert len(people) == 2
    assert people.masks is None
    masks = teacher.outline(image, people, 257)
    assert masks.shape == (2, *image.shape[:2])
    assert masks.any(axis=(1, 2)).all()
    assert teacher.outline(image, people[:0], 257).shape == (0, *image.shape[:2])


def test_a_model_is_asked_once_for_a_picture(model_path, spots):
    session = OnnxModel(model_path)
    asked = []

    class Counting:
        card, codec, name = session.card, session.codec, "counting"

        def run(self, tensor):
            asked.append(tensor.shape)
            return session.run(tensor)

    teacher = ModelTeacher(Counting(), sizes=(257,))
    image = spots((70, 90))
    teacher.outline(image, teacher(image, 257), 257)
    assert len(asked) == 1
    teacher(np.array(image), 257)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("file", "maker"), [("movenet_multipose", "MoveNetMultiPose"), ("blazepose_outlines", "BlazePoseOutlines")]
)
def test_the_examples_say_what_is_missing(file, maker, tmp_path):
    text = f"{ROOT / 'examples' / 'teachers' / file}.py:{maker}="
    with pytest.raises(WeightsError):
        find_teacher(text + str(tmp_path / "absent.tflite"))
    (tmp_path / "bad.tflite").write_bytes(b"no network")
    with pytest.raises(WeightsError):
        find_teacher(text + str(tmp_path / "bad.tflite"))


def test_a_crop_stands_upright():
    path = ROOT / "examples" / "teachers" / "blazepose_outlines.py"
    spec = importlib.util.spec_from_file_location("blazepose_outlines", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    rng = np.random.default_rng(0)
    points = rng.normal(size=(17, 2)).astype(np.float32) * 30 + 200
    crop = module.upright_crop(points, np.ones(17, np.float32))
    seen = affine.apply(crop, points)
    hips, shoulders = seen[[11, 12]].mean(axis=0), seen[[5, 6]].mean(axis=0)
    np.testing.assert_allclose(hips, module.SIDE_PX / 2, atol=1e-2)
    assert shoulders[0] == pytest.approx(hips[0], abs=1e-2)
    assert shoulders[1] < hips[1]
    assert (seen > 0).all()
    assert (seen < module.SIDE_PX).all()
