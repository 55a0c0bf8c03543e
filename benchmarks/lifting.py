"""Errors of 3D joints that a lifter predicts from noisy 2D joints.

run    python benchmarks/lifting.py --mocap DATA/mocap [--model lifter | --run RUN] [--noise 0.01] [--part test|val]

Motion capture poses that were held out of training by subject and by action (`datasets.mocap.split`) are projected by
four random cameras each. The 2D joints are like those of a network: on COCO's skeleton, without spine and top of the
head, each with normal noise whose standard deviation is a fraction of the person's longer side. Errors are in mm with
95 % bootstrap intervals over clips, with their protocols. Two baselines: "mean pose" is the mean of the training
poses in camera coordinates, and "flat" places the 2D joints in a plane at the true scale.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import poseg
from poseg.datasets.mocap import CMU_SOURCES, MocapPoses, project, read_mocap, split
from poseg.metrics.bootstrap import image_counts
from poseg.metrics.mpjpe import mpjpe, n_mpjpe, pa_mpjpe, pck3d
from poseg.metrics.pairs import make_pairs
from poseg.people import People
from poseg.runtime.lifter import Lifter
from poseg.skeletons import BODY17_3D, COCO17, SKELETONS, Skeleton

Floats = NDArray[np.float32]
CAMERAS = 4


def as_detected(points: Floats, skeleton: Skeleton, noise: float, rng: np.random.Generator) -> People:
    """Joints (N, 17, 2) as a network with this skeleton predicts them."""
    side = np.ptp(points, axis=1).max(axis=1)[:, None, None]
    noisy = points + rng.normal(size=points.shape) * noise * side
    return People.from_poses(BODY17_3D, noisy, np.ones(points.shape[:2])).remap_to(skeleton)


def flat(points: Floats, joints_mm: Floats) -> Floats:
    """The 2D joints in a plane, at the true scale."""
    centred = points - points[:, :1]
    scale = np.linalg.norm(joints_mm, axis=2).mean(axis=1) / np.maximum(
        np.linalg.norm(centred, axis=2).mean(axis=1), 1e-6
    )
    return np.concatenate([centred * scale[:, None, None], np.zeros((*points.shape[:2], 1))], axis=2).astype(np.float32)


def mean_pose(train: MocapPoses, rng: np.random.Generator) -> Floats:
    """(17, 3) mean of training poses in coordinates of random cameras."""
    return project(train.joints_mm, rng).joints_mm.mean(axis=0)


def load_lifter(args: argparse.Namespace) -> Lifter:
    """The lifter of --run, or of --model."""
    if args.run is None:
        return poseg.load(args.model)  # type: ignore[return-value]
    from poseg.export.torch_model import TorchModel, make_card
    from poseg.recipes import find_recipe
    from poseg.recipes.train_run import load_recipe
    from poseg.runtime.inference import InferenceConfig
    from poseg.training.checkpoint import read_weights

    recipe = load_recipe(args.run, find_recipe)
    network = recipe.system.network()
    network.load_state_dict(read_weights(args.run))
    card = make_card(
        recipe.system, name="run", inference=InferenceConfig(1), mean=recipe.input.mean, std=recipe.input.std
    )
    return Lifter(TorchModel(network.eval(), recipe.system.codec, card))


def parse_args() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mocap", type=Path, required=True)
    parser.add_argument("--model", default="lifter")
    parser.add_argument("--run", type=Path)
    parser.add_argument("--noise", type=float, default=0.01)
    parser.add_argument("--skeleton", default=COCO17.name, choices=sorted(SKELETONS))
    parser.add_argument("--part", default="test", choices=("val", "test"))
    return parser.parse_args()


def main() -> None:
    """Print the table."""
    args, rng = parse_args(), np.random.default_rng(0)
    train, val, test = split(read_mocap(args.mocap, CMU_SOURCES))
    poses = {"val": val, "test": test}[args.part]
    projected = project(poses.joints_mm, rng, CAMERAS)
    truth = projected.joints_mm - projected.joints_mm[:, :1]
    people = as_detected(projected.keypoints, SKELETONS[args.skeleton], args.noise, rng)
    centre = mean_pose(train, rng)
    predictions = {
        "lifter": load_lifter(args)(people).keypoints_3d,
        "flat": flat(projected.keypoints, truth),
        "mean pose": np.repeat((centre - centre[:1])[None], len(truth), axis=0),
    }
    clips = poses.clip[projected.pose]
    draws = image_counts(np.random.default_rng(0), len(poses.clips), 500)
    names = {
        clip.source + (f", subject {clip.subject}" if clip.subject else f", {clip.action}") for clip in poses.clips
    }
    table = Table(
        "",
        "MPJPE",
        "N-MPJPE",
        "PA-MPJPE",
        "3DPCK@150",
        title=f"{len(truth):,} views of {len(poses):,} poses: {'; '.join(sorted(names))}",
    )
    protocol = ""
    for name, joints in predictions.items():
        pairs = make_pairs(BODY17_3D, truth, joints, image_index=clips, num_images=len(poses.clips))
        scores = [
            mpjpe(pairs, draws=draws),
            n_mpjpe(pairs, draws=draws),
            pa_mpjpe(pairs, draws=draws),
            pck3d(pairs, draws=draws),
        ]
        cells = []
        for score in scores:
            unit = 100 if score.unit == "fraction" else 1
            low, high = score.overall.interval or (np.nan, np.nan)
            cells.append(f"{score.overall.value * unit:.1f} ({low * unit:.0f}-{high * unit:.0f})")
        table.add_row(name, *cells)
        protocol = "\n".join(f"{score.name}: {score.protocol}" for score in scores)
    console = Console(width=140)
    console.print(table)
    console.print(f"noise {args.noise} of the longer side, {args.skeleton}\n{protocol}")


if __name__ == "__main__":
    main()
