"""Receptive fields of layers, measured by running the network.

The receptive field of cell i are the pixels start + jump * i to start + jump * i + size - 1 on each axis.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from poseg.analysis.patches import ReceptiveField
from poseg.errors import PosegError, ShapeError

Doubles = NDArray[np.float64]

MAX_SIDE_PX = 1024
_PATIENCE = 8  # consecutive draws without a new pixel that end the search
_NOISE = (1.0, 0.1, 100.0)  # networks expect inputs around 1 or up to 255; for small ones biases close every ReLU
_EXTRA_PX = 480  # a multiple of all common jumps


class _StopForwardError(Exception):
    """Ends a forward pass early; caught by `record_activations`."""


@contextmanager
def record_activations(
    network: nn.Module, layers: dict[str, nn.Module], record: Callable[[str, Tensor], None]
) -> Iterator[Callable[[Tensor], None]]:
    """Pass the outputs of `layers` to `record`, by name; call the yielded function to run the network on images.

    Of a saturating nonlinearity (ReLU6) the input is recorded: all responses beyond saturation are equal.
    Modules after the last of the layers never run, so images may have sizes that only the layers accept. The network
    is in evaluation mode meanwhile. Raises PosegError when a run does not reach all of the layers.
    """
    runner = _Recorder(network, len(layers))
    hooks = [runner.attach(layer, name, record) for name, layer in layers.items()]
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield runner
    finally:
        for module, training in modes.items():
            module.training = training
        for hook in hooks:
            hook.remove()


class _Recorder:
    """A network up to the last of some layers."""

    def __init__(self, network: nn.Module, layers: int) -> None:
        self.network, self.layers = network, layers
        self.reached: set[str] = set()

    def attach(self, layer: nn.Module, name: str, record: Callable[[str, Tensor], None]) -> RemovableHandle:
        """Pass the layer's output to `record` in every run, and end the run after the last layer."""

        def hook(output: object) -> None:
            if not isinstance(output, Tensor) or output.ndim != 4:
                shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise ShapeError(f"the output of {name}", expected=("batch", "channels", "height", "width"), got=shape)
            if name not in self.reached:
                self.reached.add(name)
                record(name, output)
            if len(self.reached) == self.layers:
                raise _StopForwardError

        if saturates(layer):
            return layer.register_forward_pre_hook(lambda _, inputs: hook(inputs[0]))
        return layer.register_forward_hook(lambda _, inputs, output: hook(output))

    def __call__(self, images: Tensor) -> None:
        self.reached.clear()
        try:
            self.network(images)
        except _StopForwardError:
            return
        raise PosegError(
            f"The network ran without {self.layers - len(self.reached)} of the layers; give modules that it calls."
        )


def trace_receptive_field(
    network: nn.Module,
    layer: nn.Module,
    *,
    side_px: int = 112,
    max_side_px: int = MAX_SIDE_PX,
    fraction: float = 1.0,
    skip: Collection[nn.Module] = (),
    seed: int = 0,
) -> ReceptiveField:
    """The receptive field of a layer's cells: gradients of its centre cell with respect to noise (1, 3, side, side).

    side_px      of the noise
    max_side_px  limit of its growth: it is doubled while the field reaches its border
    fraction     of the gradient inside the field on each axis: 1 for every pixel with any influence, 0.9 for the
                 effective field, for deep layers that depend on the whole image; measured with noise of
                 standard deviation 1, as normalised images have
    skip         modules that are replaced by the identity meanwhile, such as normalisation over a neighbourhood

    Raises PosegError where a cell depends on images of any size (global pooling), where fields are not square, and
    where neighbouring fields are not a whole number of pixels apart.
    """
    hooks = [module.register_forward_hook(_identity) for module in skip]
    try:
        return _trace(network, layer, side_px, max_side_px, fraction, seed)
    finally:
        for hook in hooks:
            hook.remove()


def _identity(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return inputs[0]


def _trace(
    network: nn.Module, layer: nn.Module, side_px: int, max_side_px: int, fraction: float, seed: int
) -> ReceptiveField:
    jump = _jump(network, layer, side_px)
    while True:
        cell, profiles = _profiles(network, layer, side_px, _NOISE if fraction == 1 else _NOISE[:1], seed)
        # Effective fields differ a little between the axes; full ones must not.
        ends = [_central(profile if fraction == 1 else profiles[0] + profiles[1], fraction) for profile in profiles]
        if fraction < 1 or all(low > 0 and high < side_px for low, high in ends):
            break
        side_px *= 2
        if side_px > max_side_px:
            raise PosegError(
                f"One cell of the layer depends on all of {side_px // 2} x {side_px // 2} pixels; "
                "give fraction=0.9 for the effective field, or a layer before any global pooling."
            )
    fields = [(high - low, low - jump * index) for (low, high), index in zip(ends, cell, strict=True)]
    if fields[0] != fields[1]:
        raise PosegError(
            f"The receptive field is not square: size and first pixel are {fields[0]} in x, {fields[1]} in y."
        )
    return ReceptiveField(fields[0][0], jump, fields[0][1])


def _jump(network: nn.Module, layer: nn.Module, side_px: int) -> int:
    """Pixels between the fields of neighbouring cells, from the extra cells of a wider image."""
    columns: list[int] = []
    with record_activations(network, {"the layer": layer}, lambda _, output: columns.append(output.shape[3])) as run:
        for side in (side_px, side_px + _EXTRA_PX):
            with torch.no_grad():
                run(torch.zeros(1, 3, side, side, device=device_of(network)))
    more = columns[1] - columns[0]
    if more <= 0 or _EXTRA_PX % more:
        raise PosegError(
            f"An image {_EXTRA_PX} pixels wider gives the layer {more} more columns: its cells are not a whole number "
            "of pixels apart, so their receptive fields have no common size; give a layer of a convolutional backbone."
        )
    return _EXTRA_PX // more


def _profiles(
    network: nn.Module, layer: nn.Module, side_px: int, deviations: tuple[float, ...], seed: int
) -> tuple[tuple[int, int], tuple[Doubles, Doubles]]:
    """The centre cell (x, y) and its total gradient for each column, and each row, of the input."""
    rng = torch.Generator().manual_seed(seed)
    outputs: list[Tensor] = []
    total = np.zeros((side_px, side_px))
    unchanged, draw = 0, 0
    with (
        record_activations(network, {"the layer": layer}, lambda _, output: outputs.append(output)) as run,
        torch.enable_grad(),
    ):
        # Pooling passes the gradient to the largest value alone, so the field is the union over many draws.
        while unchanged < _PATIENCE:
            noise = torch.randn((1, 3, side_px, side_px), generator=rng) * deviations[draw % len(deviations)]
            images = noise.to(device_of(network)).requires_grad_()
            run(images)
            output = outputs.pop()
            row, column = output.shape[2] // 2, output.shape[3] // 2
            (gradient,) = torch.autograd.grad(output[:, :, row, column].sum(), images)
            # Every draw counts equally, whatever the magnitude of its gradient.
            magnitude = gradient.abs().sum(dim=(0, 1)).double().cpu().numpy()
            wider = bool(((magnitude > 0) & (total == 0)).any())
            total += magnitude / max(float(magnitude.sum()), 1e-300)
            unchanged, draw = (0 if wider else unchanged + 1), draw + 1
    if not total.any():
        raise PosegError("The layer does not depend on the input; give a layer that does.")
    return (column, row), (total.sum(axis=0), total.sum(axis=1))


def _central(profile: Doubles, fraction: float) -> tuple[int, int]:
    """Start and stop of the shortest range around the centroid that holds a fraction of a profile (n,)."""
    nonzero = np.flatnonzero(profile)
    if fraction >= 1:
        return int(nonzero[0]), int(nonzero[-1]) + 1
    centroid = float((np.arange(len(profile)) + 0.5) @ profile / profile.sum())
    for size in range(1, 2 * len(profile)):
        low = round(centroid - size / 2)
        if profile[max(low, 0) : max(low + size, 0)].sum() >= fraction * profile.sum():
            return low, low + size
    return 0, len(profile)


def saturates(layer: nn.Module) -> bool:
    """True for a nonlinearity that clips large responses."""
    return isinstance(layer, nn.Hardtanh)  # ReLU6 is one


def device_of(network: nn.Module) -> torch.device:
    """The device of the network's weights."""
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device
