"""`poseg export --wise-ft-alpha`: on the way from the weights that a run started with to those it ended with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from safetensors.torch import save_file  # noqa: E402

from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.recipes import find_recipe, hand_over  # noqa: E402
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
    """A run that began at one set of weights and ended at another; what export would write."""
    began = random_weights(0, tmp_path / "began.safetensors")
    ended = random_weights(1, tmp_path / "ended.safetensors")

    class Last:
        def tensors(self, which):
            assert which == "average"
            return checkpoint.read_tensors(tmp_path / "ended.safetensors")

    monkeypatch.setattr(hand_over, "last_checkpoint", lambda folder: Last())
    monkeypatch.setattr(hand_over, "export_onnx", lambda network, *others: network.state_dict())

    def export(share, settings=()):
        start = [f"start.weights={tmp_path / 'began.safetensors'}", "start.backbone="]
        return hand_over.export_run(
            tmp_path, tmp_path / "m.onnx", recipe=RECIPE, settings=[*start, *settings], share=share
        )

    return began, ended, export


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_a_share_lies_between_start_and_end(run, share):
    began, ended, export = run
    for name, tensor in export(share).items():
        if tensor.dtype.is_floating_point:
            expected = began[name].double() * (1 - share) + ended[name].double() * share
            np.testing.assert_allclose(tensor.numpy(), expected.numpy(), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_between_0_and_1(run, share):
    with pytest.raises(PosegError, match="from 0 to 1"):
        run[2](share)


def test_weights_of_another_network_are_refused(run, tmp_path):
    began, _, export = run
    lacking = dict(began)
    name = next(iter(lacking))
    del lacking[name]
    save_file(lacking, tmp_path / "began.safetensors")
    with pytest.raises(WeightsError, match=f"began.safetensors do not fit the recipe: 1 tensors.*{name}"):
        export(0.5)
