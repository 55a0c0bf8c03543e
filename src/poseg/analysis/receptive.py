"""What part of a picture one cell of a layer sees, found by running the network.

Cell i of a layer sees the pixels start + jump * i to start + jump * i + size - 1 on each axis: its receptive field.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from poseg.analysis.patches import Receptive
from poseg.errors import PosegError, ShapeError

Doubles = NDArray[np.float64]

_CALM = 8  # draws in a row that must show no new pixel
_NOISE = (1.0, 0.1, 100.0)  # networks expect inputs around 1 or up to 255; too small and biases shut every ReLU
LARGEST_PX = 1024
_WIDER_PX = 480  # a multiple of every jump that is in use


class _SeenEnoughError(Exception):
    """Ends a network's run early; never leaves `watched`."""


@contextmanager
def watched(
    network: nn.Module, layers: dict[str, nn.Module], take: Callable[[str, Tensor], None]
) -> Iterator[Callable[[Tensor], None]]:
    """Hand what `layers` put out to `take`, by name; call what is given to run the network on pictures.

    Of a nonlinearity with a ceiling (ReLU6) it is what goes in: beyond the ceiling all responses look alike.
    What follows the last of the layers never runs, so pictures may have sizes that only the layers can deal with. The
    network is in evaluation mode meanwhile. Raises PosegError when a run does not come to all of the layers.
    """
    runner = _Watched(network, len(layers))
    hooks = [runner.attach(layer, name, take) for name, layer in layers.items()]
    modes = {module: module.training for module in network.modules()}
    network.eval()
    try:
        yield runner
    finally:
        for module, training in modes.items():
            module.training = training
        for hook in hooks:
            hook.remove()


class _Watched:
    """A network up to the last of some layers."""

    def __init__(self, network: nn.Module, layers: int) -> None:
        self.network, self.layers = network, layers
        self.seen: set[str] = set()

    def attach(self, layer: nn.Module, name: str, take: Callable[[str, Tensor], None]) -> RemovableHandle:
        """Hand what the layer puts out to `take` in every run, and end the run when it was the last."""

        def see(output: object) -> None:
            if not isinstance(output, Tensor) or output.ndim != 4:
                shape = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
                raise ShapeError(f"the output of {name}", expected=("batch", "channels", "height", "width"), got=shape)
            if name not in self.seen:
                self.seen.add(name)
                take(name, output)
            if len(self.seen) == self.layers:
                raise _SeenEnoughError

        if has_ceiling(layer):
            return layer.register_forward_pre_hook(lambda _, inputs: see(inputs[0]))
        return layer.register_forward_hook(lambda _, inputs, output: see(output))

    def __call__(self, images: Tensor) -> None:
        self.seen.clear()
        try:
            self.network(images)
        except _SeenEnoughError:
            return
        raise PosegError(
            f"The network ran through without {self.layers - len(self.seen)} of the layers to be looked at; "
            "give modules that it calls."
        )


def trace_receptive_field(
    network: nn.Module,
    layer: nn.Module,
    *,
    side_px: int = 112,
    largest_px: int = LARGEST_PX,
    share: float = 1.0,
    skip: Collection[nn.Module] = (),
    seed: int = 0,
) -> Receptive:
    """The receptive field of a layer's cells: gradients of its middle cell by noise at the input, (1, 3, side, side).

    side_px     of the noise
    largest_px  that it may grow to: it is doubled while the field reaches its border
    share       of the gradient that the field must hold on each axis: 1 for every pixel with any influence, 0.9 for
                those that matter, which is the way to look at layers deep enough to see the whole picture; measured
                with noise of deviation 1, what normalised pictures have
    skip        modules that pass their input on unchanged meanwhile: those that divide by the strength of a
                neighbourhood see farther than what they put out can come from

    Raises PosegError where a cell sees however large a picture (global pooling), where fields are not square, and where
    neighbouring fields are not a whole number of pixels apart.
    """
    hooks = [module.register_forward_hook(_passed_on) for module in skip]
    try:
        return _traced(network, layer, side_px, largest_px, share, seed)
    finally:
        for hook in hooks:
            hook.remove()


def _passed_on(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
    return inputs[0]


def _traced(network: nn.Module, layer: nn.Module, side_px: int, largest_px: int, share: float, seed: int) -> Receptive:
    jump = _jump(network, layer, side_px)
    while True:
        cell, profiles = _profiles(network, layer, side_px, _NOISE if share == 1 else _NOISE[:1], seed)
        # What matters differs a little between the axes; what has any influence must not.
        ends = [_holding(profile if share == 1 else profiles[0] + profiles[1], share) for profile in profiles]
        if share < 1 or all(low > 0 and high < side_px for low, high in ends):
            break
        side_px *= 2
        if side_px > largest_px:
            raise PosegError(
                f"One cell of the layer sees all of {side_px // 2} x {side_px // 2} pixels; "
                "give share=0.9 for the part that matters, or a layer before any global pooling."
            )
    fields = [(high - low, low - jump * place) for (low, high), place in zip(ends, cell, strict=True)]
    if fields[0] != fields[1]:
        raise PosegError(
            f"The receptive field is not square: size and first pixel are {fields[0]} in x, {fields[1]} in y."
        )
    return Receptive(fields[0][0], jump, fields[0][1])


def _jump(network: nn.Module, layer: nn.Module, side_px: int) -> int:
    """Pixels between the fields of neighbouring cells: how many more cells a larger picture has."""
    columns: list[int] = []
    with watched(network, {"the layer": layer}, lambda _, output: columns.append(output.shape[3])) as run:
        for side in (side_px, side_px + _WIDER_PX):
            with torch.no_grad():
                run(torch.zeros(1, 3, side, side, device=device_of(network)))
    more = columns[1] - columns[0]
    if more <= 0 or _WIDER_PX % more:
        raise PosegError(
            f"A picture {_WIDER_PX} pixels wider gives the layer {more} more columns: its cells are not a whole number "
            "of pixels apart, so they have no receptive field of one size; give a layer of a convolution trunk."
        )
    return _WIDER_PX // more


def _profiles(
    network: nn.Module, layer: nn.Module, side_px: int, deviations: tuple[float, ...], seed: int
) -> tuple[tuple[int, int], tuple[Doubles, Doubles]]:
    """The middle cell (x, y) and how strongly each column, and each row, of the input moves it."""
    rng = torch.Generator().manual_seed(seed)
    outputs: list[Tensor] = []
    total = np.zeros((side_px, side_px))
    calm, turn = 0, 0
    with watched(network, {"the layer": layer}, lambda _, output: outputs.append(output)) as run, torch.enable_grad():
        # Pooling passes the gradient to the largest value alone, so the field is the union over many draws.
        while calm < _CALM:
            noise = torch.randn((1, 3, side_px, side_px), generator=rng) * deviations[turn % len(deviations)]
            images = noise.to(device_of(network)).requires_grad_()
            run(images)
            output = outputs.pop()
            row, column = output.shape[2] // 2, output.shape[3] // 2
            (gradient,) = torch.autograd.grad(output[:, :, row, column].sum(), images)
            # Every draw counts alike, however steep the network is there.
            seen = gradient.abs().sum(dim=(0, 1)).double().cpu().numpy()
            wider = bool(((seen > 0) & (total == 0)).any())
            total += seen / max(float(seen.sum()), 1e-300)
            calm, turn = (0 if wider else calm + 1), turn + 1
    if not total.any():
        raise PosegError("Nothing at the input moves the layer; give a layer that follows from the picture.")
    return (column, row), (total.sum(axis=0), total.sum(axis=1))


def _holding(profile: Doubles, share: float) -> tuple[int, int]:
    """First and past the last place of the shortest piece around the middle that holds a share of a profile (n,)."""
    there = np.flatnonzero(profile)
    if share >= 1:
        return int(there[0]), int(there[-1]) + 1
    middle = float((np.arange(len(profile)) + 0.5) @ profile / profile.sum())
    for size in range(1, 2 * len(profile)):
        low = round(middle - size / 2)
        if profile[max(low, 0) : max(low + size, 0)].sum() >= share * profile.sum():
            return low, low + size
    return 0, len(profile)


def has_ceiling(layer: nn.Module) -> bool:
    """True for a nonlinearity that cuts large responses off."""
    return isinstance(layer, nn.Hardtanh)  # ReLU6 is one


def device_of(network: nn.Module) -> torch.device:
    """Where the network's weights are."""
    first = next(network.parameters(), None)
    return torch.device("cpu") if first is None else first.device
