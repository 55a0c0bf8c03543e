from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from typer.testing import CliRunner

import poseg
from poseg.cli.main import app
from poseg.errors import PosegError
from poseg.runtime.inference import InferenceConfig

runner = CliRunner(env={"COLUMNS": "150", "POSEG_DEBUG": ""})


def test_version() -> None:
    result = runner.invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout == f"poseg {poseg.__version__}\n"


@pytest.mark.parametrize("command", ["predict", "visualize", "models", "evaluate", "import-google"])
def test_every_command_has_a_help_page(command: str) -> None:
    assert command in runner.invoke(app, ["--help"]).stdout
    result = runner.invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert f"{command} [OPTIONS]" in result.stdout


def test_debug_shows_the_traceback() -> None:
    arguments = ["models", "missing.onnx"]
    assert runner.invoke(app, arguments).exit_code == 2
    for options, env in ((["--debug"], {}), ([], {"POSEG_DEBUG": "1"})):
        assert isinstance(runner.invoke(app, [*options, *arguments], env=env).exception, PosegError)


def test_help_loads_no_heavy_module() -> None:
    """`poseg --help` answers at once since it loads none of these."""
    heavy = {"cv2", "numpy", "onnxruntime", "PIL", "pycocotools", "torch"}
    code = (
        "import sys\nsys.argv = ['poseg', '--help']\nfrom poseg.cli.main import run\n"
        f"try:\n    run()\nexcept SystemExit:\n    pass\nprint('LOADED', sorted({heavy} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.endswith("LOADED []\n")


def test_the_module_is_the_command() -> None:
    result = subprocess.run(
        [sys.executable, "-m", "poseg", "models", "no.onnx"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 2
    assert result.stderr.startswith("poseg: There is no file no.onnx")
    assert result.stderr.count("\n") == 1


def test_visualize_draws_all_fields(model_path: Path, tmp_path: Path, spots: Callable[..., NDArray[np.uint8]]) -> None:
    image, out = tmp_path / "a.png", tmp_path / "out"
    Image.fromarray(spots((60, 70))).save(image)
    result = runner.invoke(app, ["visualize", str(image), "--out", str(out), "--model", str(model_path)])
    assert result.exit_code == 0, result.output
    figures = {"heatmap", "short_offsets", "mid_offsets", "long_offsets", "segmentation", "hough", "overlay"}
    assert {path.name for path in out.iterdir()} == {f"a.{figure}.png" for figure in figures}
    for path in out.iterdir():
        assert np.asarray(Image.open(path)).std() > 5


def test_visualize_rejects_a_bad_image(model_path: Path, tmp_path: Path) -> None:
    result = runner.invoke(
        app, ["visualize", str(tmp_path / "no.png"), "--out", str(tmp_path / "o"), "-m", str(model_path)]
    )
    assert result.exit_code == 2
    assert "There is no file" in result.stderr
    assert not (tmp_path / "o").exists()


def test_models_shows_the_card(tmp_path: Path, model_bytes: Callable[..., bytes]) -> None:
    path = tmp_path / "m.onnx"
    score = {"data": "val", "metric": "keypoint AP", "value": 0.51234, "interval": [0.49, 0.53]}
    path.write_bytes(model_bytes(scores=[score], notes=["Made for a test.", "Second line."]))
    result = runner.invoke(app, ["models", str(path)])
    assert result.exit_code == 0
    for fact in (
        "personlab",
        "coco17, 17 joints",
        "257 px",
        "0.5123",
        "0.49 to 0.53",
        "code: Apache-2.0",
        "Second line.",
    ):
        assert fact in result.stdout


@pytest.mark.parametrize(
    ("inference", "message"),
    [
        (InferenceConfig(257, (1.0, 0.5)), "128, 257 px"),
        (InferenceConfig(257, (1.0, 0.5), adaptive=True), "128, 257 px, adaptive"),
        (InferenceConfig(257, (1.0, 0.5), flip=True, adaptive=True), "adaptive; the largest flipped too"),
        (InferenceConfig(257, flip=True), "257 px; flipped too"),
    ],
)
def test_models_shows_the_scales(
    tmp_path: Path, model_bytes: Callable[..., bytes], inference: InferenceConfig, message: str
) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(model_bytes(inference=inference))
    result = runner.invoke(app, ["models", str(path)])
    assert result.exit_code == 0
    assert message in " ".join(result.output.split())


def test_models_takes_names() -> None:
    result = runner.invoke(app, ["models", "fast"])
    assert result.exit_code == 0
    assert "fast" in result.stdout
    assert "pose2seg" not in result.stdout
    assert runner.invoke(app, ["models", "nosuch"]).exit_code != 0


def test_models_lists_bundled_models() -> None:
    result = runner.invoke(app, ["models"])
    assert result.exit_code == 0
    assert all(name in result.stdout for name in poseg.models())


def test_import_google_rejects_a_bad_file(tmp_path: Path) -> None:
    pytest.importorskip("tflite")
    source = tmp_path / "weights.tflite"
    source.write_bytes(b"nothing")
    result = runner.invoke(app, ["import-google", str(source), "-o", str(tmp_path / "m.onnx")])
    assert result.exit_code == 2
    assert "weights.tflite" in result.stderr
    assert not (tmp_path / "m.onnx").exists()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)

    def needs_torch() -> None:
        import torch  # noqa: F401

    app.command("needs-torch", hidden=True)(needs_torch)
    result = runner.invoke(app, ["needs-torch"])
    app.registered_commands.pop()
    assert result.exit_code == 2
    assert "pip install 'poseg[train]'" in result.stderr
