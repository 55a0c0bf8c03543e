"""A recipe becomes a run: its folder, network, data and first weights, and what is logged on the way."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from poseg.errors import PosegError
from poseg.evaluation import EvaluationReport
from poseg.io.files import read_json, write_bytes, write_text
from poseg.io.overrides import config_diff, from_dict, to_dict
from poseg.recipes.first_weights import RECIPE_FILE, check_first_weights, first_network
from poseg.recipes.tasks import train_dataset, validate, visualise
from poseg.training.logger import TensorBoardLogger, append_jsonl, read_log
from poseg.training.loop import Progress, train
from poseg.training.recipe import Recipe

SCORES, BEST = "validation.jsonl", "best.safetensors"
# What may change when a run is resumed.
RESUMABLE_FIELDS = ("optim.steps", "optim.checkpoint_every", "validation", "card")


def train_run(
    recipe: Recipe, name: str, data: Path, folder: Path, *, report: Callable[[Progress], None], workers: int = 1,
    max_minutes: float = math.inf, log_images_every: int = 500,
) -> None:  # fmt: skip
    """Train a recipe in a run's folder, from its checkpoint where there is one.

    name              that `recipes.find_recipe` knows it by
    data              folder that the recipe's data sets lie in
    report            called after each step, in the first process
    workers           processes that load images, for each training process
    max_minutes       after these the run stops with a checkpoint
    log_images_every  steps between TensorBoard's images; 0 for none

    Raises PosegError where the folder holds a run of another recipe, and what reading data and training raise.
    """
    check_resumable(folder, recipe)
    check_first_weights(recipe)
    torch.manual_seed(recipe.seed)
    network = first_network(recipe)
    dataset = train_dataset(recipe, data)
    if is_main_process():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / RECIPE_FILE, json.dumps({"recipe": name, "settings": to_dict(recipe)}, indent=1))
    logger = TensorBoardLogger(folder, partial(visualise, recipe), log_images_every=log_images_every)
    patience = recipe.validation.patience

    def score(step: int, state: Mapping[str, Tensor]) -> dict[str, float]:
        scores = _scores(validate(recipe, state, data))
        append_jsonl(folder / SCORES, {"step": step, **scores})
        if patience and best_step(folder) == step:
            write_bytes(folder / BEST, save({name: tensor.cpu().contiguous() for name, tensor in state.items()}))
        return scores

    def on_step(progress: Progress) -> None:
        logger(progress)
        if recipe.validation.every and progress.step % recipe.validation.every == 0:
            scores = score(progress.step, progress.ema.state)
            logger.scalars(progress.step, {f"validation/{name}": value for name, value in scores.items()})
        report(progress)

    if patience and is_main_process() and not (folder / SCORES).exists():
        score(0, network.state_dict())
    if patience and waited(folder) >= patience:
        return
    try:
        train(
            network, recipe.system.loss(), dataset, recipe.optim, folder,
            report=on_step, seed=recipe.seed, workers=workers, max_minutes=max_minutes,
            should_stop=lambda: bool(patience) and is_main_process() and waited(folder) >= patience,
        )  # fmt: skip
    finally:
        logger.close()


def best_step(folder: Path) -> int | None:
    """The step with the best validation score of a run so far, the first of equal ones; None before the first."""
    scores = [(float(line["score"]), -int(line["step"])) for line in read_log(folder / SCORES)]  # type: ignore[arg-type,call-overload]
    return -max(scores)[1] if scores else None


def waited(folder: Path) -> int:
    """How many evaluations of a run came after the best one."""
    best = best_step(folder)
    return 0 if best is None else sum(int(line["step"]) > best for line in read_log(folder / SCORES))  # type: ignore[call-overload]


def is_main_process() -> bool:
    """Whether this is the process of a run that writes; launchers tell each its rank."""
    return int(os.environ.get("RANK", "0")) == 0


def check_resumable(folder: Path, recipe: Recipe) -> None:
    """Raise PosegError where the folder holds a run that this recipe would not resume."""
    if not (folder / RECIPE_FILE).exists():
        return
    _, old = _written(folder)
    changed = [name for name in config_diff(old, to_dict(recipe)) if not name.startswith(RESUMABLE_FIELDS)]
    if changed:
        raise PosegError(
            f"{folder} holds a run with other settings: {', '.join(changed)} differ; "
            "give the settings it began with, or another folder."
        )


def load_recipe(folder: Path, find: Callable[[str], Recipe]) -> Recipe:
    """The recipe that a run was trained with, settings and all. Raises PosegError."""
    if not (folder / RECIPE_FILE).exists():
        raise PosegError(f"{folder} holds no {RECIPE_FILE}; give the folder of a run of `poseg train`.")
    name, settings = _written(folder)
    return from_dict(find(name), settings)


def _written(folder: Path) -> tuple[str, Mapping[str, Any]]:
    """The name and the settings in a run's folder. Raises PosegError."""
    written = read_json(folder / RECIPE_FILE)
    name, settings = (written.get(key) if isinstance(written, Mapping) else None for key in ("recipe", "settings"))
    if not isinstance(name, str) or not isinstance(settings, Mapping):
        raise PosegError(f"{folder / RECIPE_FILE} holds no recipe and settings; train again in a new folder.")
    return name, settings


def _scores(report: EvaluationReport) -> dict[str, float]:
    measured = [ap for ap in (report.keypoints["AP"], report.masks["AP"]) if ap >= 0]
    return {
        "score": sum(measured) / max(len(measured), 1),
        "keypoint_ap": report.keypoints["AP"], "mask_ap": report.masks["AP"], "person_iou": report.person_iou,
        "num_detected": float(report.num_detected),
    }  # fmt: skip
