"""Fine-tuning from an annotation file to a model: prepare, train, export, evaluate, report. Each step is done once."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from poseg.evaluation import EvaluationReport, Model, evaluate, ground_truth_people
from poseg.evaluation.ground_truth import load_ground_truth, read_images
from poseg.io.files import write_json
from poseg.io.overrides import apply_overrides
from poseg.io.sources import IMAGE_SUFFIXES
from poseg.people import People
from poseg.recipes.export_run import export_run
from poseg.recipes.own import DATA, base_recipe, joints_to_keep, kept_and_new, own_recipe
from poseg.recipes.own_data import OwnData, prepare_own_data
from poseg.recipes.own_report import Compared, compare, write_report
from poseg.recipes.tasks import TASKS
from poseg.recipes.train_run import best_step, check_resumable, train_run, waited
from poseg.runtime.models import load
from poseg.runtime.predictor import Predictor
from poseg.training.checkpoint import last_checkpoint
from poseg.training.loop import Progress as Step
from poseg.training.recipe import Recipe

Progress = Callable[[int, int | None], None]
MODEL, SCORES, PAGE = "own.onnx", "scores.json", "report.html"


@dataclass(frozen=True, slots=True, eq=False)
class OwnRun:
    """A run on own data, ready to train: its recipe, what was prepared, and sentences about both."""

    folder: Path
    base: str
    recipe: Recipe
    about: OwnData
    facts: tuple[str, ...]

    @property
    def data(self) -> Path:
        """The folder of the prepared data."""
        return self.folder / DATA


def plan(
    annotations: Path, images: Path, init: str, folder: Path, settings: Sequence[str], *, progress: Progress
) -> OwnRun:
    """Prepare the data and choose the recipe. Raises PosegError, AnnotationError and ImageError."""
    base = base_recipe(init)
    about = prepare_own_data(annotations, images, folder / DATA, source=joints_to_keep(init), seed=0, progress=progress)
    recipe = apply_overrides(own_recipe(init, about, folder / DATA), settings)
    check_resumable(folder, recipe)
    optim = recipe.optim
    facts = (
        f"{about.train} images with {about.people} people to train on, {about.validation} to validate on.",
        kept_and_new(init, about.joints),
        *about.notes,
        f"{optim.steps} steps of {optim.batch_size} images at a learning rate of {optim.lr:g}; it ends after "
        f"{recipe.validation.patience} evaluations without gain, one every {recipe.validation.every} steps.",
    )
    return OwnRun(folder, base, recipe, about, facts)


def train_own(run: OwnRun, *, report: Callable[[Step], None], workers: int = 1, max_minutes: float = math.inf,
              log_images_every: int = 500) -> bool:  # fmt: skip
    """Train from the last checkpoint; returns whether the run is complete, and not stopped by `max_minutes`."""
    train_run(
        run.recipe, run.base, run.data, run.folder, report=report, workers=workers, max_minutes=max_minutes,
        log_images_every=log_images_every,
    )  # fmt: skip
    checkpoint = last_checkpoint(run.folder)
    done = checkpoint is not None and checkpoint.step >= run.recipe.optim.steps
    patience = run.recipe.validation.patience
    return done or bool(patience and waited(run.folder) >= patience)


def finish(run: OwnRun, *, progress: Progress) -> EvaluationReport:
    """Export the best weights, evaluate them, and write the report; returns the scores."""
    init, model = run.recipe.init.checkpoint, run.folder / MODEL
    export_run(run.folder, model, recipe=run.recipe, images=Path(run.about.images) if _has_images(run) else None)
    after = _evaluated(run, str(model), progress)
    before = _evaluated(run, init, progress) if init else after
    write_json(run.folder / SCORES, {"before": before.to_dict(), "after": after.to_dict()})
    best = best_step(run.folder)
    chosen = f"The weights of step {best} had the best validation score and are exported."
    if best == 0:
        chosen = "No step had a better validation score than the first weights, which are exported as they were."
    facts = (*run.facts, *([chosen] if best is not None else []))
    write_report(run.folder / PAGE, run.folder, before, after, _compared(run, str(model)), facts)
    return after


def _has_images(run: OwnRun) -> bool:
    """Whether the folder itself holds images, beside those in folders of it."""
    return any(path.suffix.lower() in IMAGE_SUFFIXES for path in Path(run.about.images).iterdir())


def _model(run: OwnRun, name: str) -> tuple[Model, bool]:
    """A model as `poseg predict` runs it, and whether it takes the people of the file."""
    task = TASKS[type(run.recipe.system)]
    loaded: Any = load(name)
    if isinstance(loaded, Predictor):
        return load(name, min_score=0.0), False
    assert task.model is not None
    return task.model(loaded.model), task.provided_poses


def _evaluated(run: OwnRun, name: str, progress: Progress) -> EvaluationReport:
    model, provided = _model(run, name)
    annotations = run.data / run.recipe.validation.annotations
    people = ground_truth_people(annotations) if provided else None
    return evaluate(model, annotations, run.about.images, people=people, progress=progress)


def _compared(run: OwnRun, name: str) -> Iterator[Compared]:
    """The validation images with the people of file and model."""
    model, provided = _model(run, name)
    truth = load_ground_truth(run.data / run.recipe.validation.annotations, run.about.images)
    people = ground_truth_people(run.data / run.recipe.validation.annotations) if provided else {}
    for image_id, image in read_images(truth, []):
        given = (people.get(image_id, People.empty(truth.dataset.skeleton)),) if provided else ()
        annotated = truth.dataset.people(image_id, image.shape[:2])
        one = compare(truth.dataset.images[image_id].file_name, image, annotated, model(image, *given))
        if one is not None:
            yield one
