"""Devices are names of providers: which one is taken, and what is said where it is not there."""

from __future__ import annotations

from pathlib import Path

import pytest

import poseg
from poseg.errors import DeviceError, DeviceWarning
from poseg.runtime.devices import CPU, DEVICES, check_loaded, choose_providers
from poseg.runtime.onnx_model import OnnxModel


@pytest.mark.parametrize("name", DEVICES)
def test_a_device_is_its_provider_with_the_cpu_behind(name: str) -> None:
    provider = DEVICES[name].provider
    available = [provider, CPU]
    assert choose_providers(name, available) == choose_providers(provider, available)
    assert choose_providers(name, available)[0] == provider
    assert choose_providers(name, available)[-1] == CPU


@pytest.mark.parametrize("name", sorted(set(DEVICES) - {"cpu"}))
def test_a_device_that_is_not_there_names_its_package(name: str) -> None:
    with pytest.raises(DeviceError, match=DEVICES[name].package):
        choose_providers(name, [CPU])


def test_auto_takes_what_is_there() -> None:
    assert choose_providers("auto", [CPU]) == [CPU]
    assert choose_providers("auto", ["CUDAExecutionProvider", CPU])[0] == "CUDAExecutionProvider"
    assert choose_providers("QNNExecutionProvider", ["QNNExecutionProvider", CPU]) == ["QNNExecutionProvider", CPU]


def test_a_fallback_gives_a_warning_or_an_error() -> None:
    wanted = ["CUDAExecutionProvider", CPU]
    with pytest.warns(DeviceWarning, match="CUDA"):
        check_loaded("auto", wanted, [CPU])
    with pytest.raises(DeviceError, match="CUDA"):
        check_loaded("cuda", wanted, [CPU])
    check_loaded("cuda", wanted, wanted)


def test_models_run_on_the_device_that_is_given(model_path: Path) -> None:
    assert OnnxModel(model_path, device="cpu").providers == (CPU,)
    for device in ("warp", "NoSuchExecutionProvider"):
        with pytest.raises(DeviceError, match=device):
            poseg.load("fast", device=device)
