"""A run's averaged weights become a model file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from poseg.errors import ImageError, PosegError, WeightsError
from poseg.evaluation import card_scores
from poseg.export.torch_model import make_card
from poseg.export.torch_onnx import ExportResult, export_onnx
from poseg.io.images import read_image
from poseg.io.overrides import apply_overrides
from poseg.recipes import find_recipe
from poseg.recipes.first_weights import first_network
from poseg.recipes.train_run import BEST, load_recipe
from poseg.training.checkpoint import last_checkpoint, read_tensors
from poseg.training.recipe import Recipe

PARITY_IMAGES = 8  # of a folder; each costs two runs of the network
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def export_run(
    run: Path,
    destination: Path,
    *,
    recipe: Recipe | None = None,
    settings: Sequence[str] = (),
    scores: Sequence[Path] = (),
    images: Path | None = None,
    wise_ft_alpha: float = 1.0,
) -> ExportResult:
    """Write the averaged weights of a run as ONNX with a card, once network and file agree (`export.torch_onnx`).

    Of a run that stops early they are the best ones (`training.recipe.Validation`).

    recipe         for a folder without a recipe
    settings       overrides of the recipe, such as "system.stride=8" where a dilated network trained at 16
    scores         what `poseg evaluate --json` wrote, for the card
    images         folder of images to compare network and file on; scikit-image's photograph where it is not given and
                   scikit-image is installed
    wise_ft_alpha  weight of the last weights of the run, against those that it started with: between them lie networks
                   that keep more of what the first weights could do (WiSE-FT; Wortsman et al., CVPR 2022)

    Raises PosegError where the folder holds no run, and WeightsError where it holds no checkpoint or the file differs.
    """
    recipe = apply_overrides(load_recipe(run, find_recipe) if recipe is None else recipe, settings)
    checkpoint = last_checkpoint(run)
    if checkpoint is None:
        raise WeightsError(f"There is no checkpoint in {run} yet; train first.")
    if not 0 <= wise_ft_alpha <= 1 or (wise_ft_alpha < 1 and not (recipe.init.checkpoint or recipe.init.tinypose)):
        raise PosegError(
            "wise_ft_alpha is from 0 to 1, and below 1 only for a run with init.checkpoint or init.tinypose; "
            f"got {wise_ft_alpha}."
        )
    network = recipe.system.network()
    best = run / BEST
    trained = read_tensors(best) if recipe.validation.patience and best.exists() else checkpoint.tensors("average")
    state = _select_tensors(trained, network, run)
    if wise_ft_alpha < 1:
        torch.manual_seed(recipe.seed)
        first = first_network(recipe).state_dict()
        state = {n: first[n].lerp(t, wise_ft_alpha) if t.dtype.is_floating_point else t for n, t in state.items()}
    network.load_state_dict(state)
    metadata = recipe.card
    card = make_card(
        recipe.system, name=recipe.name, inference=metadata.inference,
        mean=recipe.input.mean, std=recipe.input.std, licences=dict(metadata.licences),
        data=metadata.data, notes=metadata.notes, scores=card_scores(scores, metadata.inference.long_edge_px),
    )  # fmt: skip
    return export_onnx(network, recipe.system, card, destination, list(_parity_images(images)))


def _select_tensors(state: Mapping[str, Tensor], network: nn.Module, source: Path | str) -> dict[str, Tensor]:
    """The tensors that a network has, which may be a part of the one that was trained. Raises WeightsError."""
    own = network.state_dict()
    missing = [name for name, tensor in own.items() if name not in state or state[name].shape != tensor.shape]
    if missing:
        raise WeightsError(
            f"The weights in {source} do not fit the recipe: {len(missing)} tensors are missing or of another shape, "
            f"first {missing[0]}; export with the code and the settings that trained them."
        )
    return {name: state[name] for name in own}


def _parity_images(folder: Path | None) -> Iterator[NDArray[np.uint8]]:
    if folder is not None:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
        if not paths:
            raise ImageError(f"There are no images in {folder}; give a folder with {', '.join(SUFFIXES)} files.")
        yield from (read_image(path) for path in islice(paths, PARITY_IMAGES))
        return
    try:
        from skimage.data import astronaut
    except ImportError:
        return
    yield astronaut()  # type: ignore[no-untyped-call]
