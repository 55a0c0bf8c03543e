"""Recipes: named values, one file for each system, and what runs, exports and analyses them.

A module named in `RECIPES` is imported when its recipe is used, since that imports torch.
"""

from __future__ import annotations

import importlib
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from poseg.errors import PosegError
from poseg.io.python_file import load_python_file

if TYPE_CHECKING:
    from poseg.training.recipe import Recipe

RECIPES = {
    "lifter": "poseg.recipes.lifter:RECIPE",
    "mask_refiner_small": "poseg.recipes.mask_refiner:RECIPE",
    "multitask": "poseg.recipes.multitask:RECIPE",
    "multitask_3d": "poseg.recipes.multitask:IN_3D",
    "multitask_overfit_tiny": "poseg.recipes.overfit_tiny:MULTITASK",
    "multitask_paper": "poseg.recipes.multitask:PAPER",
    "overfit_tiny": "poseg.recipes.overfit_tiny:PERSONLAB",
    "personlab_coco": "poseg.recipes.personlab:COCO",
    "personlab_fast": "poseg.recipes.personlab:FAST",
    "personlab_movenet": "poseg.recipes.personlab:ON_MOVENET",
    "personlab_small": "poseg.recipes.personlab:SMALL",
    "pose2seg_cocopersons": "poseg.recipes.pose2seg:COCOPERSONS",
    "pose2seg_overfit_tiny": "poseg.recipes.overfit_tiny:POSE2SEG",
    "pose2seg_small": "poseg.recipes.pose2seg:SMALL",
    "poseg_coco": "poseg.recipes.poseg:COCO",
    "poseg_overfit_tiny": "poseg.recipes.overfit_tiny:POSEG",
    "poseg_small": "poseg.recipes.poseg:SMALL",
}


def find_recipe(name: str) -> Recipe:
    """The recipe of a name in `RECIPES`, or the `RECIPE` in a Python file of the user's. Raises PosegError."""
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name not in RECIPES:
        similar = get_close_matches(name, RECIPES, n=2) or list(RECIPES)
        raise PosegError(
            f"There is no recipe {name!r}; did you mean {' or '.join(similar)}, or a .py file? "
            f"On data of your own: poseg train --data ANNOTATIONS.json --images DIR --init {_start(name)} --out RUN."
        )
    module, _, attribute = RECIPES[name].partition(":")
    recipe: Recipe = getattr(importlib.import_module(module), attribute)
    return recipe


def _start(name: str) -> str:
    """The bundled model that a word names, for messages."""
    return name if name in ("small", "fast", "poseg", "pose2seg", "multitask") else "fast"


def _from_file(path: Path) -> Recipe:
    from poseg.training.recipe import Recipe

    module = load_python_file(path, path.stem)
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise PosegError(f"{path} holds no RECIPE; define RECIPE = poseg.training.recipe.Recipe(...) in it.")
    return recipe
