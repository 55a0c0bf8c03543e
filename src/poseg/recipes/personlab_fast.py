"""PersonLab fast: the part of `personlab_small` that ends at stride 16, and one look at each picture.

run     poseg train personlab_fast --data DATA --out runs/fast --set lessons=LESSONS \
        --set start.published=bodypix_mnv1_075_s16_dequant.npz
then    poseg export runs/fast -o fast.float.onnx
        poseg quantize fast.float.onnx --pictures DATA/people_unlabelled/flickr8k_500 -o fast.onnx
or      cut it out of a trained `small`, as was done for the model that comes along: `stride16_part`
expect  what the card of the model says that comes along (`poseg models`)
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from torch import Tensor

from poseg.recipes.personlab_small import RECIPE as SMALL
from poseg.training.recipe import Recipe

RECIPE: Recipe = replace(
    SMALL,
    name="fast",
    system=replace(SMALL.system, stride=16),
    facts=replace(SMALL.facts, size_px=705, scales=(1.0,)),
)


def stride16_part(small: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a trained `small` (state dict by name) that `fast` has too, under its names.

    Pyramids count their levels from the coarsest, so they keep their numbers; laterals count from the finest.
    """
    wanted = RECIPE.system.network().state_dict()
    part = {}
    for name, tensor in small.items():
        if name.startswith("neck.laterals."):
            number, _, rest = name.removeprefix("neck.laterals.").partition(".")
            name = f"neck.laterals.{int(number) - 1}.{rest}"
        if name in wanted and wanted[name].shape == tensor.shape:
            part[name] = tensor
    return part
