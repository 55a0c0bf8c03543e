"""The teachers of `examples/teachers` that bring networks: a detector with a crop network, and SAM."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import poseg
from poseg.errors import WeightsError
from poseg.labelling import load_teacher

ROOT = Path(__file__).resolve().parents[2]
TEACHERS = ROOT / "examples" / "teachers"
WEIGHTS = ROOT.parent / "shared" / "data" / "weights_teachers"


@pytest.mark.parametrize("source", ["top_down.py:TopDown", "sam_masks.py:SamMasks"])
@pytest.mark.parametrize("argument", ["one.onnx", "one.onnx,two.onnx", "{text},{text}"])
def test_networks_that_are_none_are_refused(tmp_path, source, argument):
    text = tmp_path / "text.onnx"
    text.write_text("no network")
    with pytest.raises(WeightsError):
        load_teacher(f"{TEACHERS / source}={argument.format(text=text)}")


def test_top_down_detects_the_astronaut():
    astronaut = poseg.examples.astronaut()
    networks = [WEIGHTS / name for name in ("rtmdet_nano_person_640.onnx", "tinypose_256x192.onnx")]
    if not all(path.is_file() for path in networks):
        pytest.skip("the published networks are not beside the checkout")
    teacher = load_teacher(f"{TEACHERS / 'top_down.py'}:TopDown={networks[0]},{networks[1]}", threads=1)
    people = teacher(astronaut)
    nose = people[0]["nose"]
    assert np.hypot(nose[0] - 222, nose[1] - 122) < 12
    left = teacher(np.ascontiguousarray(astronaut[:, 20:]))[0]["nose"]
    assert np.hypot(left[0] + 20 - nose[0], left[1] - nose[1]) < 6
