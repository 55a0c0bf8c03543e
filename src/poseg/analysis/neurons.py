"""Neurons of a convolution layer and the image patches that they respond to most (spec C.8).

Each channel of a layer is one neuron, applied everywhere. On every image the position of its maximum counts; the
images with the K largest maxima are its sources, and the patches in its receptive field there are averaged.

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

from poseg.analysis.patches import Peaks, ReceptiveField, StrongestPatches
from poseg.analysis.receptive_field import device_of, record_activations, saturates
from poseg.analysis.selectivity import JointSelectivity, joint_selectivity
from poseg.errors import FieldError, ShapeError

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]

STRONGEST = 50
BATCH = 32


class Crop(NamedTuple):
    """An input of the network.

    image   (H, W, 3) uint8 RGB, for drawing
    tensor  (3, H, W) float32, for the network
    id      of the sample
    joints  (J, 2) in crop pixels, NaN if unknown; or None
    """

    image: Bytes
    tensor: Tensor
    id: str
    joints: Floats | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Neurons:
    """The strongest patches of a layer's channels.

    field        the cells' receptive field
    crop_px      height and width of the crops
    ids          of all N crops, in their order
    responses    (C, K) float32, strongest first; NaN where a channel responds on fewer than K crops
    sources      (C, K) int64, indices of crops; -1 for NaN
    positions    (C, K, 2) float32, centre of the patch in crop pixels; or NaN
    patches      (C, S, S, 3) float32 in 0..255, averaged; NaN where fewer than a fifth of them are inside the crops
    selectivity  the preferred joint of each channel; None if no crop has joints

    A channel with a constant response on a crop has no maximum there: a dead channel has no sources.
    """

    field: ReceptiveField
    crop_px: tuple[int, int]
    ids: tuple[str, ...]
    responses: Floats
    sources: NDArray[np.int64]
    positions: Floats
    patches: Floats
    selectivity: JointSelectivity | None

    @property
    def strength(self) -> Floats:
        """(C,) mean response over the sources; NaN without sources."""
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
    field: ReceptiveField,
    *,
    strongest: int = STRONGEST,
    batch: int = BATCH,
    seed: int = 0,
) -> Neurons:
    """The strongest patches of the channels of one layer. See `strongest_patches_of`."""
    layers = {"the layer": (layer, field)}
    return strongest_patches_of(network, layers, crops, strongest=strongest, batch=batch, seed=seed)["the layer"]


def strongest_patches_of(
    network: nn.Module,
    layers: Mapping[str, tuple[nn.Module, ReceptiveField]],
    crops: Iterable[Crop],
    *,
    rectified: Collection[str] = (),
    strongest: int = STRONGEST,
    batch: int = BATCH,
    seed: int = 0,
) -> dict[str, Neurons]:
    """The strongest patches of the channels of several layers, in one pass over the crops.

    network    input (B, 3, H, W); it runs up to the last of the layers
    layers     by name; outputs (B, C, h, w), such as the nonlinearity after a convolution; of a saturating one (ReLU6)
               the positive part of its input counts
    crops      all of one size; read once, `batch` at a time; only the strongest patches are kept
    rectified  names of layers of which only positive responses count, where the next nonlinearity is not a module
    strongest  K
    seed       of the draws that give the chance level

    Raises ShapeError for crops of different sizes or none, FieldError for responses that are NaN.
    """
    tops: dict[str, StrongestPatches] = {}
    peaks: dict[str, Peaks] = {}
    ids: list[str] = []
    joints: list[Floats | None] = []
    size = (0, 0)
    modules = {name: layer for name, (layer, _) in layers.items()}
    cut = {*rectified, *(name for name, layer in modules.items() if saturates(layer))}

    def record(name: str, output: Tensor) -> None:
        peaks[name] = _peaks(name, output, name in cut)  # at once: an in-place nonlinearity may follow

    with record_activations(network, modules, record) as run:
        for part in _batches(crops, batch):
            size = size if ids else (part[0].image.shape[0], part[0].image.shape[1])
            _validate(part, size)
            with torch.inference_mode():
                run(torch.stack([crop.tensor for crop in part]).to(device_of(network)))
            for name, (_, field) in layers.items():
                if name not in tops:
                    tops[name] = StrongestPatches(peaks[name].responses.shape[1], strongest, field, size)
                tops[name].add(peaks[name], [crop.image for crop in part], len(ids))
            ids += [crop.id for crop in part]
            joints += [crop.joints for crop in part]
    if not ids:
        raise ShapeError("crops", expected="1 or more", got="none")
    all_joints = _stacked(joints)
    return {name: _neurons(top, tuple(ids), all_joints, seed) for name, top in tops.items()}


def _neurons(top: StrongestPatches, ids: tuple[str, ...], joints: Floats | None, seed: int) -> Neurons:
    positions, sources = top.positions(), top.sources()
    selectivity = (
        None if joints is None else joint_selectivity(positions, sources, joints, top.possible_xy(), seed=seed)
    )
    return Neurons(
        field=top.field,
        crop_px=top.size,
        ids=ids,
        responses=top.responses(),
        sources=sources,
        positions=positions,
        patches=top.average(),
        selectivity=selectivity,
    )


def _batches(crops: Iterable[Crop], size: int) -> Iterator[list[Crop]]:
    rest = iter(crops)
    while part := list(islice(rest, size)):
        yield part


def _validate(crops: list[Crop], size: tuple[int, int]) -> None:
    for crop in crops:
        if crop.image.shape != (*size, 3):
            raise ShapeError(f"the image of crop {crop.id}", expected=(*size, 3), got=crop.image.shape)
        if tuple(crop.tensor.shape) != (3, *size):
            raise ShapeError(f"the tensor of crop {crop.id}", expected=(3, *size), got=tuple(crop.tensor.shape))


def _stacked(joints: list[Floats | None]) -> Floats | None:
    """(N, J, 2) with NaN for crops without joints; None if no crop has any. Raises ShapeError."""
    first = next((one for one in joints if one is not None), None)
    if first is None:
        return None
    missing = np.full(first.shape, np.nan, np.float32)
    for one in joints:
        if one is not None and (one.shape != first.shape or one.shape[-1:] != (2,)):
            raise ShapeError("the joints of a crop", expected=(*first.shape[:1], 2), got=one.shape)
    return np.stack([missing if one is None else np.asarray(one, np.float32) for one in joints])


def _peaks(name: str, output: Tensor, rectified: bool) -> Peaks:
    """The maxima of maps (B, C, h, w). Raises FieldError for NaN."""
    columns = output.shape[3]
    maps = output.detach().float().flatten(2)
    values, indices = maps.max(dim=2)
    if bool(torch.isnan(values).any()):
        raise FieldError(f"The output of {name} is NaN, so it has no maximum; check the weights and the crops.")
    flat_index = indices.cpu().numpy()
    flat = values == maps.amin(dim=2)
    if rectified:
        flat |= values <= 0
    shape_hw = (output.shape[2], columns)
    return Peaks(values.cpu().numpy(), flat_index // columns, flat_index % columns, flat.cpu().numpy(), shape_hw)
