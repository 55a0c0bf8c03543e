"""A card whose values have not the types of its fields is refused by all that read it."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

import poseg
from poseg.cli.main import app
from poseg.errors import PosegError

WRONG = {
    "system": [], "codec": 3, "skeleton": [1], "inference": 5, "size_divisor": 0, "size_offset": 2**63, "mean": [1, 2],
    "std": [0, 1, 1], "outputs": [], "data": [3], "scores": {"a": 1}, "notes": 7, "version": "new", "unknown": 1,
}  # fmt: skip


@pytest.mark.parametrize("name", [*WRONG, "deep", "bytes"])
def test_broken_cards_are_refused_in_one_sentence(tmp_path, model_bytes, name):
    path = tmp_path / "a.onnx"
    if name == "deep":
        path.write_bytes(model_bytes(card="[" * 100_000))
    elif name == "bytes":
        data = model_bytes()
        path.write_bytes(data.replace(b"Apache-2.0", b"Apache\xff2.0"))
    else:
        model_path = tmp_path / "good.onnx"
        model_path.write_bytes(model_bytes())
        plain = json.loads(poseg.load(model_path).model.card.to_json())
        path.write_bytes(model_bytes(card=json.dumps({**plain, name: WRONG[name]})))
    with pytest.raises(PosegError, match=r"a\.onnx"):
        poseg.load(path)
    done = CliRunner().invoke(app, ["models", str(path)])
    assert (done.exit_code, done.output.count("\n")) == (2, 1)


@pytest.mark.parametrize(
    ("part", "changes"),
    [
        ("codec", {"stride": 0}), ("codec", {"stride": -16}), ("codec", {"disk_radius_px": "nan"}),
        ("codec", {"disk_radius_px": 1e9}), ("codec", {"disk_radius_px": 0}), ("skeleton", {"sigmas": [0.0] * 17}),
        ("skeleton", {"sigmas": [float("nan")] * 17}), ("inference", {"long_edge_px": 10**9}),
        ("inference", {"scales": [float("nan")]}),
    ],
)  # fmt: skip
def test_settings_that_no_model_has_are_refused(tmp_path, model_bytes, part, changes):
    path = tmp_path / "a.onnx"
    path.write_bytes(model_bytes())
    plain = json.loads(poseg.load(path).model.card.to_json())
    path.write_bytes(model_bytes(card=json.dumps({**plain, part: {**plain[part], **changes}})))
    with pytest.raises(PosegError):
        poseg.load(path)
