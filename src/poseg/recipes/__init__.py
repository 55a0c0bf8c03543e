"""Recipes: one file a run. A recipe uses everything; only a face uses a recipe.

Every module named in `RECIPES` holds a `RECIPE`; it is imported when it is asked for, since that takes torch.
"""

from __future__ import annotations

import importlib
import importlib.util
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING

from poseg.errors import PosegError

if TYPE_CHECKING:
    from poseg.training.recipe import Recipe

RECIPES = {
    "lifter": "poseg.recipes.lifter",
    "multitask_3d": "poseg.recipes.multitask_3d",
    "multitask_overfit_tiny": "poseg.recipes.multitask_overfit_tiny",
    "multitask_polish": "poseg.recipes.multitask_polish",
    "multitask_published": "poseg.recipes.multitask_published",
    "multitask_small": "poseg.recipes.multitask_small",
    "overfit_tiny": "poseg.recipes.overfit_tiny",
    "painter_small": "poseg.recipes.painter_small",
    "personlab_coco": "poseg.recipes.personlab_coco",
    "personlab_fast": "poseg.recipes.personlab_fast",
    "personlab_movenet": "poseg.recipes.personlab_movenet",
    "personlab_small": "poseg.recipes.personlab_small",
    "pose2seg_cocopersons": "poseg.recipes.pose2seg_cocopersons",
    "pose2seg_overfit_tiny": "poseg.recipes.pose2seg_overfit_tiny",
    "pose2seg_small": "poseg.recipes.pose2seg_small",
    "poseg_coco": "poseg.recipes.poseg_coco",
    "poseg_overfit_tiny": "poseg.recipes.poseg_overfit_tiny",
    "poseg_small": "poseg.recipes.poseg_small",
}


def find_recipe(name: str) -> Recipe:
    """The recipe of a name in `RECIPES`, or the `RECIPE` in a Python file of the user's. Raises PosegError."""
    if name.endswith(".py"):
        return _from_file(Path(name))
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, n=2) or list(RECIPES)
        raise PosegError(f"There is no recipe {name!r}; did you mean {' or '.join(near)}, or a .py file of your own?")
    recipe: Recipe = importlib.import_module(RECIPES[name]).RECIPE
    return recipe


def _from_file(path: Path) -> Recipe:
    from poseg.training.recipe import Recipe

    spec = importlib.util.spec_from_file_location(path.stem, path)
    if not path.is_file() or spec is None or spec.loader is None:
        raise PosegError(f"There is no file {path}; give a recipe's name or a Python file that holds RECIPE.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    recipe = getattr(module, "RECIPE", None)
    if not isinstance(recipe, Recipe):
        raise PosegError(f"{path} holds no RECIPE; define RECIPE = poseg.training.recipe.Recipe(...) in it.")
    return recipe
