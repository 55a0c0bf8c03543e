"""What the network of a multi-task run has learned: crops, layers and weights for `analysis.report`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
from poseg.recipes.tasks import train_dataset
from poseg.recipes.train_run import load_recipe
from poseg.skeletons.bones import to_parent_relative
from poseg.systems.multitask import Multitask, PaperNetwork
from poseg.training.checkpoint import read_weights
from poseg.training.crop_targets import CropInput, CropTargets

Floats = NDArray[np.float32]


def analyze_run(
    run: Path, data: Path, out: Path, *, crops: int = 2000, progress: Callable[[int, int], None] | None = None
) -> list[Path]:
    """Figures and tables of a run's averaged weights, in the folder `out`; the files.

    data      the folder that the run learned from; the network runs on its crops without augmentation
    crops     how many of them
    progress  called with (done, all) after each crop

    Raises PosegError for a run of another system, and what reading data and writing files raise.
    """
    recipe = load_recipe(run, find_recipe)
    if not isinstance(recipe.system, Multitask) or not isinstance(recipe.input, CropInput):
        raise PosegError(f"{run} is a run of the recipe {recipe.name}; only multi-task networks are analysed.")
    network = recipe.system.network()
    network.load_state_dict(read_weights(run))
    network.eval()
    plain = replace(recipe.input, zoom=(1.0, 1.0), shift=0.0, rotation_deg=0.0, flip_prob=0.0, cutout_prob=0.0)
    task = BONES if BONES in recipe.system.tasks else JOINTS
    last = _last_layer(network, task)
    encoder = train_dataset(replace(recipe, input=plain), data).encoder
    assert isinstance(encoder, CropTargets)
    targets: list[Floats] = []
    examples = list(_crops(encoder, recipe.seed, task, targets, crops, progress))
    if not examples:
        raise PosegError(f"{data} has no people with joints; give the folder that the run learned from.")
    skeleton = recipe.system.skeleton
    weights, expected = layer_weights(last.weight.detach().numpy(), skeleton), np.stack(targets)
    if task == JOINTS:  # positions of neighbours correlate trivially, limbs do not
        weights, expected = parent_relative(weights, skeleton), to_parent_relative(expected, skeleton)
    assert isinstance(network, PaperNetwork)
    layers = {"conv2": network.backbone.conv2, "conv3": network.backbone.conv3}  # intermediate and high, as published
    # Its ReLU is no module, and its normalisation would widen the receptive field of the layers after it.
    return analyze(
        network, layers, examples, weights, skeleton, expected, out,
        rectified=("conv2",), skip=(network.backbone.norm,),
    )  # fmt: skip


def _crops(
    encoder: CropTargets, seed: int, task: str, targets: list[Floats], crops: int,
    progress: Callable[[int, int], None] | None,
) -> Iterator[Crop]:  # fmt: skip
    """Crops of people with joints; adds to `targets` what the last layer should predict, NaN where not annotated."""
    mean, std = (np.array(v, np.float32) for v in (encoder.input.mean, encoder.input.std))
    for number in range(crops):
        rng = np.random.default_rng((seed, number))
        data, index = encoder.mixture.draw(rng)
        image, person, joints_mm = encoder.crop(data[index], rng)
        visible = (person.keypoint_scores[0] > 0) & np.asarray(data.annotated_joints)
        if progress is not None:
            progress(number + 1, crops)
        if not visible.any():
            continue
        encoded = encoder.codec.encode(person, joints_mm)
        annotated = encoded.weights[task][..., 0] > 0
        targets.append(np.where(annotated, encoded.targets[task][..., 0, 0], np.nan).astype(np.float32))
        tensor = torch.from_numpy(np.ascontiguousarray(((image - mean) / std).transpose(2, 0, 1), np.float32))
        joints = np.where(visible[:, None], person.keypoints[0], np.nan).astype(np.float32)
        yield Crop(image, tensor, data.sample_id(index), joints)


def _last_layer(network: nn.Module, task: str) -> nn.Linear:
    """The layer whose outputs are the numbers. Raises PosegError where there is none."""
    for head in network.get_submodule("heads").children():
        if isinstance(head, FullyConnected) and task in dict(head.outputs.named_children()):
            layer = head.outputs.get_submodule(task)
            assert isinstance(layer, nn.Linear)
            return layer
    raise PosegError(
        "This network regresses no joints, so no last layer has weights for x and y; analyse a run of multitask_paper "
        "or multitask_3d."
    )
