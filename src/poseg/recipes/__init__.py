"""Recipes: one file a run, with its command, what to expect of it and how long it takes."""
