"""A run's averaged weights become a model file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from poseg.errors import ImageError, PosegError, WeightsError
from poseg.evaluation import card_scores
from poseg.export.torch_model import make_card
from poseg.export.torch_onnx import ExportResult, export_onnx
from poseg.io.images import read_image
from poseg.io.overrides import apply_overrides
from poseg.recipes import find_recipe
from poseg.recipes.launch import recipe_of
from poseg.training.checkpoint import last_checkpoint
from poseg.training.initial import whole_weights
from poseg.training.recipe import Recipe

COMPARED = 8  # pictures of a folder; every one costs two runs of the network
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")


def export_run(
    run: Path,
    destination: Path,
    *,
    recipe: Recipe | None = None,
    settings: Sequence[str] = (),
    scores: Sequence[Path] = (),
    pictures: Path | None = None,
    share: float = 1.0,
) -> ExportResult:
    """Write the averaged weights of a run as ONNX with a card, once network and file agree (`export.torch_onnx`).

    recipe     for a folder that does not say its own
    settings   of the recipe in another way, such as "system.stride=8" where a dilated network trained at 16
    scores     what `poseg evaluate --json` wrote, for the card
    pictures   folder of pictures to compare network and file on; scikit-image's photograph where it is not given and
               scikit-image is installed
    share      how far to go from the weights that the run started with to those it ended with; on the way lie networks
               that keep more of what the start knew (Wortsman et al., CVPR 2022)

    Raises PosegError where the folder holds no run, and WeightsError where it holds no checkpoint or the file differs.
    """
    recipe = apply_overrides(recipe_of(run, find_recipe) if recipe is None else recipe, settings)
    found = last_checkpoint(run)
    if found is None:
        raise WeightsError(f"There is no checkpoint in {run} yet; train first.")
    if not 0 <= share <= 1 or (share < 1 and not recipe.start.weights):
        raise PosegError(f"A share is a number from 0 to 1, and below 1 for a run with start.weights; got {share}.")
    network = recipe.system.network()
    state = _fitting(found.tensors("average"), network, run)
    if share < 1:
        began = _fitting(whole_weights(Path(recipe.start.weights)), network, Path(recipe.start.weights))
        state = {n: began[n].lerp(t, share) if t.dtype.is_floating_point else t for n, t in state.items()}
    network.load_state_dict(state)
    facts = recipe.facts
    card = make_card(
        recipe.system, name=recipe.name, inference=facts.inference,
        mean=recipe.view.mean, std=recipe.view.std, licences=dict(facts.licences),
        data=facts.data, notes=facts.notes, scores=card_scores(scores, facts.inference.long_edge_px),
    )  # fmt: skip
    return export_onnx(network, recipe.system, card, destination, list(_pictures(pictures)))


def _fitting(state: Mapping[str, Tensor], network: nn.Module, source: Path) -> dict[str, Tensor]:
    """The tensors that a network has, which may be a part of the one that was trained. Raises WeightsError."""
    own = network.state_dict()
    lacking = [name for name, tensor in own.items() if name not in state or state[name].shape != tensor.shape]
    if lacking:
        raise WeightsError(
            f"The weights in {source} do not fit the recipe: {len(lacking)} tensors are missing or of another shape, "
            f"first {lacking[0]}; export with the code and the settings that trained them."
        )
    return {name: state[name] for name in own}


def _pictures(folder: Path | None) -> Iterator[NDArray[np.uint8]]:
    if folder is not None:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in SUFFIXES) if folder.is_dir() else []
        if not paths:
            raise ImageError(f"There are no pictures in {folder}; give a folder with {', '.join(SUFFIXES)} files.")
        yield from (read_image(path) for path in islice(paths, COMPARED))
        return
    try:
        from skimage.data import astronaut
    except ImportError:
        return
    yield astronaut()  # type: ignore[no-untyped-call]
