"""3D joints from images by both strategies of the paper and without: trained and measured side by side.

run    python benchmarks/multitask_3d.py --data DATA --out RUNS [--set optim.steps=1000]
           [--num-images 2000] [--measure]

    alone      regression from random weights
    together   strategy 1: regression and detection together
    after      strategy 2: the backbone trains by detection alone for as many steps, then regression from its weights

Motion capture poses are rendered as figures (`datasets.render_3d`); those measured were held out by subject and by
action. Existing runs are resumed; `--measure` trains nothing. Errors are in mm with 95 % bootstrap intervals over
clips; then MPJPE by action, with the standard deviation over poses, as in the paper. The last column is the variance of
predictions relative to that of the ground truth: 0 for the mean of these poses, whose errors are the last row.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from multitask_lsp import train
from rich.console import Console
from rich.table import Table

from poseg.codecs.multitask import BONES, JOINT_WINDOWS
from poseg.datasets.mocap import Clip, MocapPoses, read_mocap, split
from poseg.datasets.synthetic_people import render_3d
from poseg.export.torch_model import TorchModel, make_card
from poseg.geometry import boxes
from poseg.io.overrides import apply_overrides
from poseg.metrics.bootstrap import image_counts
from poseg.metrics.mpjpe import PELVIS, mpjpe, pa_mpjpe, rooted_errors
from poseg.metrics.pairs import PosePairs, make_pairs
from poseg.recipes import find_recipe
from poseg.runtime.crop_pose import TopDownPose
from poseg.skeletons import BODY17_3D
from poseg.skeletons.bones import from_parent_relative
from poseg.training.checkpoint import read_weights
from poseg.training.recipe import Recipe

NAME = "multitask_3d"
# The tasks of each run, and the run whose backbone it starts from.
RUNS = {
    "alone": ((BONES,), ""),
    "together": ((BONES, JOINT_WINDOWS), ""),
    "windows": ((JOINT_WINDOWS,), ""),
    "after": ((BONES,), "windows"),
}


def overrides(run: str, settings: list[str], folder: Path) -> list[str]:
    """The `--set` of one of `RUNS`."""
    tasks, start = RUNS[run]
    return [*settings, f"system.tasks={','.join(tasks)}", *([f"init.backbone={folder / start}"] if start else [])]


def evaluate(recipe: Recipe, folder: Path, poses: MocapPoses, rows: np.ndarray) -> tuple[PosePairs, float]:
    """Pairs of true and predicted poses of rendered images, and the relative variance of the predictions."""
    network = recipe.system.network()
    network.load_state_dict(read_weights(folder))
    view, codec = recipe.input, recipe.system.codec
    card = make_card(recipe.system, name=NAME, inference=recipe.card.inference, mean=view.mean, std=view.std)
    runner = TorchModel(network.eval(), codec, card)
    poser, truth, predicted = TopDownPose(runner), [], []
    for number, row in enumerate(rows):
        sample = render_3d(poses.joints_mm[row], np.random.default_rng((7, number)))
        box = boxes.boxes_from_points(sample.people.keypoints, np.ones((1, 17), bool))
        maps = codec.crops(box)
        fields = runner.run(poser.crops(sample.image, maps))
        bones = fields[BONES][..., 0, 0].astype(np.float64) * codec.bone_scale_mm
        predicted.append(from_parent_relative(bones, BODY17_3D))
        truth.append(sample.people.keypoints_3d[0])
    pairs = make_pairs(BODY17_3D, truth, predicted, image_index=poses.clip[rows], num_images=len(poses.clips))
    return pairs, float(np.var(predicted, axis=0).sum() / np.var(truth, axis=0).sum())


def action_of(clip: Clip) -> str:
    """The action of a clip; clips of a held-out subject are one group."""
    return f"subject {clip.subject}" if clip.subject else clip.action


def row_of(name: str, pairs: PosePairs, variance: float, groups: np.ndarray) -> tuple[list[str], str]:
    """A run's row, and how its numbers are defined."""
    draws = image_counts(np.random.default_rng(0), pairs.num_images, 500)
    scores = (mpjpe(pairs, draws=draws), pa_mpjpe(pairs, draws=draws))
    cells = []
    for score in scores:
        low, high = score.overall.interval or (np.nan, np.nan)
        cells.append(f"{score.overall.value:.1f} ({low:.0f}-{high:.0f})")
    errors = np.nanmean(rooted_errors(pairs, PELVIS), axis=1)
    for group in sorted(set(groups)):
        cells.append(f"{errors[groups == group].mean():.1f} ({errors[groups == group].std():.1f})")
    protocol = "\n".join(f"{score.name}: {score.protocol}" for score in scores)
    return [name, *cells, f"{variance:.2f}"], protocol


def parse_args() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="holds mocap")
    parser.add_argument("--out", type=Path, required=True, help="a folder for all runs")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="FIELD=VALUE")
    parser.add_argument("--num-images", type=int, default=2000)
    parser.add_argument("--measure", action="store_true", help="measure existing runs; train nothing")
    return parser.parse_args()


def main() -> None:
    """Train, measure, print."""
    args = parse_args()
    test = split(read_mocap(args.data / "mocap"))[2]
    rows = np.sort(np.random.default_rng(0).choice(len(test), min(args.num_images, len(test)), replace=False))
    groups = np.array([action_of(test.clips[clip]) for clip in test.clip[rows]])
    table = Table(
        "", "MPJPE", "PA-MPJPE", *sorted(set(groups)), "variance",
        title=f"{len(rows):,} rendered images of {len(test.clips)} clips",
    )  # fmt: skip
    protocol = ""
    for run in RUNS:
        settings, folder = overrides(run, args.settings, args.out), args.out / run
        recipe = apply_overrides(find_recipe(NAME), settings)
        if not args.measure:
            train(NAME, settings, args.data, folder)
        if BONES not in recipe.system.tasks:
            continue
        pairs, variance = evaluate(recipe, folder, test, rows)
        cells, protocol = row_of(run, pairs, variance, groups)
        table.add_row(*cells)
    mean = replace(pairs, predicted=np.broadcast_to(pairs.truth.mean(axis=0), pairs.truth.shape))
    table.add_row(*row_of("mean pose", mean, 0.0, groups)[0])
    console = Console(width=160)
    console.print(table)
    console.print(protocol)


if __name__ == "__main__":
    main()
