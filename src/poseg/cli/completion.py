"""What a shell completes: names of effects, recipes and models. `poseg --install-completion` sets it up."""

from __future__ import annotations


def complete_effect(incomplete: str) -> list[str]:
    """Effects; after a + the next one of a chain."""
    from poseg.effects import EFFECTS

    chain, plus, last = incomplete.rpartition("+")
    return [chain + plus + name for name in EFFECTS if name.startswith(last)]


def complete_model(incomplete: str) -> list[str]:
    """Bundled models. Files are completed by the shell."""
    from poseg.runtime.models import model_names

    return [name for name in model_names() if name.startswith(incomplete)]


def complete_recipe(incomplete: str) -> list[str]:
    """Recipes by name."""
    from poseg.recipes import RECIPES

    return [name for name in RECIPES if name.startswith(incomplete)]
