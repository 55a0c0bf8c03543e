"""Devices by name, and the execution providers of ONNX Runtime that they are. Names in, names out."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import NamedTuple

from poseg.errors import DeviceError, DeviceWarning

CPU = "CPUExecutionProvider"


class Device(NamedTuple):
    """The provider of a device, and the package that brings it in place of `onnxruntime`."""

    provider: str
    package: str


DEVICES = {
    "cpu": Device(CPU, "onnxruntime"),
    "cuda": Device("CUDAExecutionProvider", "onnxruntime-gpu"),
    "tensorrt": Device("TensorrtExecutionProvider", "onnxruntime-gpu"),
    "openvino": Device("OpenVINOExecutionProvider", "onnxruntime-openvino"),
    "coreml": Device("CoreMLExecutionProvider", "onnxruntime"),
    "directml": Device("DmlExecutionProvider", "onnxruntime-directml"),
}
_FALLBACKS = {"tensorrt": ("cuda",)}  # before the CPU, for the layers that a device does not have
# What "auto" takes, the first that is there: TensorRT and CoreML compile each size of input first.
_AUTO = ("cuda", "directml", "cpu")
_SYSTEMS = {"coreml": " on macOS", "directml": " on Windows"}


def choose_providers(device: str, available: Sequence[str]) -> list[str]:
    """The providers of a device, preferred first, the CPU last. Raises DeviceError.

    device     "auto", a name of DEVICES, or of a provider such as "CUDAExecutionProvider"
    available  the providers of the installed ONNX Runtime
    """
    if device == "auto":
        device = next(name for name in _AUTO if DEVICES[name].provider in available or name == "cpu")
    by_provider = {entry.provider: name for name, entry in DEVICES.items()}
    name = by_provider.get(device, device)
    if name not in DEVICES:
        if device in available:
            return [device, CPU]
        raise DeviceError(
            f"There is no device {device!r}; the devices are auto, {', '.join(DEVICES)}, and the providers of the "
            f"installed ONNX Runtime ({', '.join(available)})."
        )
    provider, package = DEVICES[name]
    if provider not in available:
        raise DeviceError(
            f"The device {name!r} needs {package}{_SYSTEMS.get(name, '')}, and the installed ONNX Runtime is without "
            f"it; run `pip uninstall onnxruntime` and `pip install {package}`, or take another device."
        )
    beside = [DEVICES[other].provider for other in _FALLBACKS.get(name, ()) if DEVICES[other].provider in available]
    return list(dict.fromkeys([provider, *beside, CPU]))


def check_loaded(device: str, wanted: Sequence[str], loaded: Sequence[str]) -> None:
    """Say where a session was opened without the provider that it was to run on, as ONNX Runtime does in silence.

    With "auto" a DeviceWarning; with a device that was named a DeviceError.
    """
    if not wanted or wanted[0] in loaded:
        return
    reason = f"{wanted[0]} could not be started: its driver or libraries are missing or of another version"
    if device != "auto":
        raise DeviceError(f"The device {device!r} cannot be used: {reason}; mend them, or take the device cpu.")
    warnings.warn(f"{reason}; the model runs on {', '.join(loaded)}.", DeviceWarning, stacklevel=2)
