"""A recipe becomes a run: its folder, network, data and start, and what is written down on the way."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from poseg.errors import PosegError
from poseg.io.files import read_json, write_text
from poseg.io.overrides import config_diff, from_dict, to_dict
from poseg.recipes.google_start import start_from_google
from poseg.recipes.roads import road_of
from poseg.systems.personlab import PersonLabNetwork
from poseg.training.ema import Average
from poseg.training.initial import load_start
from poseg.training.journal import Journal, append_line
from poseg.training.loop import Progress, train
from poseg.training.recipe import Recipe

RECIPE_FILE, SCORES = "recipe.json", "validation.jsonl"
# What may change between two sittings of a run without making it another run.
FREE = ("schedule.steps", "schedule.save_every", "validation", "facts")


def launch(
    recipe: Recipe, name: str, data: Path, folder: Path, *, report: Callable[[Progress], None], workers: int = 1,
    minutes: float = math.inf, pictures_every: int = 500,
) -> None:  # fmt: skip
    """Train a recipe in a run's folder, from its checkpoint where there is one.

    name            that `recipes.find_recipe` knows it by
    data            folder that the recipe's data sets lie in
    report          called after each step, in the first process
    workers         processes that load pictures, for each training process
    minutes         after these the run stops with a checkpoint
    pictures_every  steps between TensorBoard's pictures; 0 for none

    Raises PosegError where the folder holds a run of another recipe, and what reading data and training raise.
    """
    check_folder(folder, recipe)
    torch.manual_seed(recipe.seed)
    network = recipe.system.network()
    if recipe.start.published:
        if not isinstance(network, PersonLabNetwork):
            raise PosegError("start.published fills PersonLab networks; give this one start.backbone or start.weights.")
        start_from_google(network, Path(recipe.start.published))
    load_start(network, recipe.start)
    road = road_of(recipe)
    items = road.items(recipe, data)
    if first_process():
        folder.mkdir(parents=True, exist_ok=True)
        write_text(folder / RECIPE_FILE, json.dumps({"recipe": name, "settings": to_dict(recipe)}, indent=1))
    journal = Journal(folder, lambda progress: road.picture(recipe, progress), pictures_every=pictures_every)

    def told(progress: Progress) -> None:
        journal(progress)
        if recipe.validation.every and progress.step % recipe.validation.every == 0:
            scores = validate(recipe, progress.average, data)
            journal.scalars(progress.step, {f"validation/{name}": score for name, score in scores.items()})
            append_line(folder / SCORES, {"step": progress.step, **scores})
        report(progress)

    try:
        train(
            network, recipe.system.loss(), items, recipe.schedule, folder,
            report=told, seed=recipe.seed, workers=workers, minutes=minutes,
        )  # fmt: skip
    finally:
        journal.close()


def first_process() -> bool:
    """Whether this is the process of a run that writes; launchers tell each its rank."""
    return int(os.environ.get("RANK", "0")) == 0


def check_folder(folder: Path, recipe: Recipe) -> None:
    """Raise PosegError where the folder holds a run that this recipe would not go on with."""
    if not (folder / RECIPE_FILE).exists():
        return
    old = read_json(folder / RECIPE_FILE)["settings"]
    other = [name for name in config_diff(old, to_dict(recipe)) if not name.startswith(FREE)]
    if other:
        raise PosegError(
            f"{folder} holds a run with other settings: {', '.join(other)} differ; "
            "give the settings it began with, or another folder."
        )


def recipe_of(folder: Path, find: Callable[[str], Recipe]) -> Recipe:
    """The recipe that a run was trained with, settings and all. Raises PosegError."""
    if not (folder / RECIPE_FILE).exists():
        raise PosegError(f"{folder} holds no {RECIPE_FILE}; give the folder of a run of `poseg train`.")
    written: Mapping[str, Any] = read_json(folder / RECIPE_FILE)
    return from_dict(find(written["recipe"]), written["settings"])


def validate(recipe: Recipe, average: Average, data: Path) -> dict[str, float]:
    """Scores of averaged weights on the recipe's validation pictures."""
    report = road_of(recipe).measure(recipe, average.state, data)
    return {
        "keypoint_ap": report.keypoints["AP"], "mask_ap": report.masks["AP"], "person_iou": report.person_iou,
        "found": float(report.num_detected),
    }  # fmt: skip
