"""What the neurons of a convolution layer look for: the patches of the pictures that move them most (spec C.8).

Each channel of a layer is one neuron, looking everywhere. In every picture it has one place, where it responds most;
the pictures with the K largest responses are its sources, and the patches it saw there are averaged.

Letters: C channels, K sources, S size of the receptive field, H and W of the crop.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseg.analysis.patches import Peaks, Receptive, StrongestPatches
from poseg.analysis.preference import Preference, preferred_joints
from poseg.analysis.receptive import device_of, has_ceiling, watched
from poseg.errors import FieldError, ShapeError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

STRONGEST = 50
BATCH = 32


class Crop(NamedTuple):
    """A picture as the network sees it.

    image   (H, W, 3) uint8 RGB, as it is drawn
    tensor  (3, H, W) float32, as the network takes it
    id      where it comes from
    joints  (J, 2) in crop pixels, NaN where not known; or None
    """

    image: Bytes
    tensor: Tensor
    id: str
    joints: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """The strongest patches of a layer's channels.

    receptive   the cells' receptive field
    crop_px     height and width of the crops
    ids         of all N crops, in their order
    responses   (C, K) float32, strongest first; NaN where a channel responds in fewer than K crops
    sources     (C, K) int64, numbers of crops; -1 likewise
    places      (C, K, 2) float32, centre of the patch in crop pixels; NaN likewise
    patches     (C, S, S, 3) float32 in 0..255, averaged; NaN where fewer than a fifth of them lie inside their crops
    preference  the joint that each channel prefers; None where no crop comes with joints

    A channel whose response is the same all over a crop has no place there: a dead channel has no sources.
    """

    receptive: Receptive
    crop_px: tuple[int, int]
    ids: tuple[str, ...]
    responses: Floats
    sources: NDArray[np.int64]
    places: Floats
    patches: Floats
    preference: Preference | None

    @property
    def strength(self) -> Floats:
        """(C,) mean response of the sources; NaN for a channel without any."""
        count = (self.sources >= 0).sum(axis=1)
        total = np.where(self.sources >= 0, self.responses, 0).sum(axis=1)
        mean: Floats = np.where(count > 0, total / np.maximum(count, 1), np.nan).astype(np.float32)
        return mean

    @property
    def ranking(self) -> NDArray[np.int64]:
        """(C,) channels, strongest first, those without sources last."""
        return np.argsort(-np.nan_to_num(self.strength, nan=-np.inf), kind="stable").astype(np.int64)


def strongest_patches(
    network: nn.Module,
    layer: nn.Module,
    crops: Iterable[Crop],
    receptive: Receptive,
    *,
    strongest: int = STRONGEST,
    batch: int = BATCH,
    seed: int = 0,
) -> Neurons:
    """What the channels of one layer look for, in one pass over the crops. See `strongest_patches_of`."""
    found = strongest_patches_of(
        network, {"the layer": (layer, receptive)}, crops, strongest=strongest, batch=batch, seed=seed
    )
    return found["the layer"]


def strongest_patches_of(
    network: nn.Module,
    layers: Mapping[str, tuple[nn.Module, Receptive]],
    crops: Iterable[Crop],
    *,
    rectified: Collection[str] = (),
    strongest: int = STRONGEST,
    batch: int = BATCH,
    seed: int = 0,
) -> dict[str, Neurons]:
    """What the channels of several layers look for, in one pass over the crops.

    network    takes (B, 3, H, W); nothing runs beyond the last of the layers
    layers     by name; each puts out (B, C, h, w), such as the nonlinearity after a convolution; of one with a ceiling
               (ReLU6) it is the positive part of what goes in
    crops      all of one size; read once, `batch` at a time; only the strongest patches are kept
    rectified  names of layers whose responses count above 0 only, where the nonlinearity that follows is no module
    strongest  K
    seed       of the draws that say how a place at random would do

    Raises ShapeError for crops of different sizes or none, FieldError for responses that are NaN.
    """
    tops: dict[str, StrongestPatches] = {}
    peaks: dict[str, Peaks] = {}
    ids: list[str] = []
    joints: list[Floats | None] = []
    size = (0, 0)
    modules = {name: layer for name, (layer, _) in layers.items()}
    cut = {*rectified, *(name for name, layer in modules.items() if has_ceiling(layer))}
    # What is kept of an output is taken at once: a nonlinearity that follows may write over it.
    with watched(network, modules, lambda name, output: peaks.update({name: _peaks(name, output, name in cut)})) as run:
        for part in _batches(crops, batch):
            size = size if ids else (part[0].image.shape[0], part[0].image.shape[1])
            _check(part, size)
            with torch.inference_mode():
                run(torch.stack([crop.tensor for crop in part]).to(device_of(network)))
            for name, (_, receptive) in layers.items():
                if name not in tops:
                    tops[name] = StrongestPatches(peaks[name].responses.shape[1], strongest, receptive, size)
                tops[name].add(peaks[name], [crop.image for crop in part], len(ids))
            ids += [crop.id for crop in part]
            joints += [crop.joints for crop in part]
    if not ids:
        raise ShapeError("crops", expected="1 or more", got="none")
    known = _stacked(joints)
    return {name: _neurons(top, tuple(ids), known, seed) for name, top in tops.items()}


def _neurons(top: StrongestPatches, ids: tuple[str, ...], joints: Floats | None, seed: int) -> Neurons:
    places, sources = top.places(), top.sources()
    return Neurons(
        receptive=top.receptive,
        crop_px=top.size,
        ids=ids,
        responses=top.responses(),
        sources=sources,
        places=places,
        patches=top.averaged(),
        preference=None if joints is None else preferred_joints(places, sources, joints, top.anywhere(), seed=seed),
    )


def _batches(crops: Iterable[Crop], size: int) -> Iterator[list[Crop]]:
    rest = iter(crops)
    while part := list(islice(rest, size)):
        yield part


def _check(crops: list[Crop], size: tuple[int, int]) -> None:
    for crop in crops:
        if crop.image.shape != (*size, 3):
            raise ShapeError(f"the image of crop {crop.id}", expected=(*size, 3), got=crop.image.shape)
        if tuple(crop.tensor.shape) != (3, *size):
            raise ShapeError(f"the tensor of crop {crop.id}", expected=(3, *size), got=tuple(crop.tensor.shape))


def _stacked(joints: list[Floats | None]) -> Floats | None:
    """(N, J, 2) with NaN for crops without joints; None where no crop has any. Raises ShapeError."""
    some = next((one for one in joints if one is not None), None)
    if some is None:
        return None
    unknown = np.full(some.shape, np.nan, np.float32)
    for one in joints:
        if one is not None and (one.shape != some.shape or one.shape[-1:] != (2,)):
            raise ShapeError("the joints of a crop", expected=(*some.shape[:1], 2), got=one.shape)
    return np.stack([unknown if one is None else np.asarray(one, np.float32) for one in joints])


def _peaks(name: str, output: Tensor, rectified: bool) -> Peaks:
    """Where the maps (B, C, h, w) are largest. Raises FieldError for NaN."""
    columns = output.shape[3]
    maps = output.detach().float().flatten(2)
    values, places = maps.max(dim=2)
    if bool(torch.isnan(values).any()):
        raise FieldError(f"{name} puts out NaN, so nothing is its largest response; look at the weights and the crops.")
    where = places.cpu().numpy()
    flat = values == maps.amin(dim=2)
    if rectified:
        flat |= values <= 0
    cells = (output.shape[2], columns)
    return Peaks(values.cpu().numpy(), where // columns, where % columns, flat.cpu().numpy(), cells)
