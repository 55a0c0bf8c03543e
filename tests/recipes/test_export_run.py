"""`poseg export --wise-ft-alpha`: between the first weights of a run and its last."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from safetensors.torch import save_file  # noqa: E402

from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.recipes import export_run, find_recipe  # noqa: E402
from poseg.training import checkpoint  # noqa: E402

RECIPE = find_recipe("overfit_tiny")


def random_weights(seed: int, path: Path):
    """A network's tensors, as a file and as they are."""
    torch.manual_seed(seed)
    state = RECIPE.system.network().state_dict()
    save_file(state, path)
    return state


@pytest.fixture
def run(tmp_path, monkeypatch):
    """First and last weights of a run, and what export would write."""
    first = random_weights(0, tmp_path / "first.safetensors")
    last = random_weights(1, tmp_path / "last.safetensors")

    class Last:
        def tensors(self, which):
            assert which == "average"
            return checkpoint.read_tensors(tmp_path / "last.safetensors")

    monkeypatch.setattr(export_run, "last_checkpoint", lambda folder: Last())
    monkeypatch.setattr(export_run, "export_onnx", lambda network, *others: network.state_dict())

    def export(alpha):
        settings = [f"init.checkpoint={tmp_path / 'first.safetensors'}", "init.backbone="]
        return export_run.export_run(
            tmp_path, tmp_path / "m.onnx", recipe=RECIPE, settings=settings, wise_ft_alpha=alpha
        )

    return first, last, export


@pytest.mark.parametrize("alpha", [0.0, 0.25, 1.0])
def test_export_interpolates_between_first_and_last_weights(run, alpha):
    first, last, export = run
    for name, tensor in export(alpha).items():
        if tensor.dtype.is_floating_point:
            expected = first[name].double() * (1 - alpha) + last[name].double() * alpha
            np.testing.assert_allclose(tensor.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("alpha", [-0.1, 1.5, float("nan")])
def test_export_rejects_alpha_outside_0_to_1(run, alpha):
    with pytest.raises(PosegError, match="from 0 to 1"):
        run[2](alpha)


def test_weights_of_another_network_are_refused(run, tmp_path):
    first, _, export = run
    incomplete = dict(first)
    name = next(iter(incomplete))
    del incomplete[name]
    save_file(incomplete, tmp_path / "first.safetensors")
    with pytest.raises(WeightsError, match=name):
        export(0.5)
