"""What the network of a multi-task run has learned: crops, layers and weights for `analysis.report`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from poseg.analysis.neurons import Crop
from poseg.analysis.report import analyze
from poseg.analysis.weights import layer_weights, parent_relative
from poseg.codecs.multitask import BONES, JOINTS
from poseg.errors import PosegError
from poseg.networks.heads.crop_heads import FullyConnected
from poseg.recipes import find_recipe
from poseg.recipes.launch import recipe_of
from poseg.recipes.roads import road_of
from poseg.skeletons.bones import to_parent_relative
from poseg.systems.multitask import MapsNetwork, Multitask, PublishedNetwork
from poseg.training.crop_views import CropView, CropViews
from poseg.training.initial import whole_weights

Floats = NDArray[np.float32]


def look_inside(
    run: Path, data: Path, out: Path, *, crops: int = 2000, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Figures and tables of a run's averaged weights, in the folder `out`; the files.

    data      the folder that the run learned from; its crops are shown to the network, not turned or moved
    crops     how many of them
    progress  called with (done, all) after each crop

    Raises PosegError for a run of another system, and what reading data and writing files raise.
    """
    recipe = recipe_of(run, find_recipe)
    if not isinstance(recipe.system, Multitask) or not isinstance(recipe.view, CropView):
        raise PosegError(f"{run} is a run of the recipe {recipe.name}; only multi-task networks are analysed.")
    network = recipe.system.network()
    network.load_state_dict(whole_weights(run))
    network.eval()
    still = replace(recipe.view, zoom=(1.0, 1.0), shift=0.0, rotation_deg=0.0, mirror=0.0, hidden=0.0)
    views = road_of(replace(recipe, view=still)).items(replace(recipe, view=still), data)
    assert isinstance(views, CropViews)
    task = BONES if BONES in recipe.system.tasks else JOINTS
    targets: list[Floats] = []
    shown = list(_people(views, task, targets, crops, progress))
    if not shown:
        raise PosegError(f"{data} shows nobody with joints; give the folder that the run learned from.")
    skeleton = recipe.system.skeleton
    weights, wanted = layer_weights(_last_layer(network, task).weight.detach().numpy(), skeleton), np.stack(targets)
    if task == JOINTS:  # places of neighbours correlate trivially, limbs do not
        weights, wanted = parent_relative(weights, skeleton), to_parent_relative(wanted, skeleton)
    if not isinstance(network, PublishedNetwork):
        return analyze(network, _layers(network), shown, weights, skeleton, wanted, out)
    # Its rectifier is no module, and its normalisation would widen what the layers after it see.
    return analyze(
        network, _layers(network), shown, weights, skeleton, wanted, out,
        rectified=("conv2",), skip=(network.backbone.norm,),
    )  # fmt: skip


def _people(
    views: CropViews, task: str, targets: list[Floats], crops: int, progress: Callable[[int, int], None] | None
) -> Iterator[Crop]:
    """Crops of people with joints, and what the last layer was to say of each, NaN where not known."""
    mean, std = (np.array(v, np.float32) for v in (views.view.mean, views.view.std))
    for number in range(crops):
        rng = np.random.default_rng((views.seed, number))
        data, index = views.draw(rng)
        image, people, joints_mm = views.crop(data[index], rng)
        known = (people.keypoint_scores[0] > 0) & np.asarray(data.known)
        if progress is not None:
            progress(number + 1, crops)
        if not known.any():
            continue
        wanted = views.codec.encode(people, joints_mm)
        targets.append(
            np.where(wanted.weights[task][..., 0] > 0, wanted.targets[task][..., 0, 0], np.nan).astype(np.float32)
        )
        tensor = torch.from_numpy(np.ascontiguousarray(((image - mean) / std).transpose(2, 0, 1), np.float32))
        joints = np.where(known[:, None], people.keypoints[0], np.nan).astype(np.float32)
        yield Crop(image, tensor, data.key(index), joints)


def _layers(network: nn.Module) -> Mapping[str, nn.Module]:
    """Middle and high layers: as published the second and third convolution."""
    if isinstance(network, PublishedNetwork):
        return {"conv2": network.backbone.conv2, "conv3": network.backbone.conv3}
    assert isinstance(network, MapsNetwork)
    return {"merged": network.merge}


def _last_layer(network: nn.Module, task: str) -> nn.Linear:
    """The layer that ends in numbers. Raises PosegError where these come from maps."""
    for head in network.get_submodule("heads").children():
        if isinstance(head, FullyConnected) and task in dict(head.outputs.named_children()):
            layer = head.outputs.get_submodule(task)
            assert isinstance(layer, nn.Linear)
            return layer
    raise PosegError(
        "The joints of this network are mean places of maps, so no last layer has weights for x and y; analyse a run "
        "of multitask_published or multitask_3d, or one that learns bones."
    )
