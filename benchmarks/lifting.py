"""How far joints in space are from the truth when a lifter makes them of noisy joints in a picture.

run    python benchmarks/lifting.py --mocap DATA/mocap [--model lifter | --run RUN] [--noise 0.01] [--part test|val]

Poses of motion capture that were held out of training by subject and by action (`datasets.mocap.split`) stand before
four random cameras each. Their joints come as networks find them: on COCO's skeleton, which has no spine and no top of
the head, each moved by a normal noise whose standard deviation is a part of the person's longer side. Errors are in mm
with 95 % bootstrap intervals over clips; every line says its protocol. "mean pose" is the mean of the training poses as
their cameras see them, and "flat" lays the joints of the picture into a plane at the true scale: what knows nothing of
space.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import poseg
from poseg.datasets.mocap import CMU_SOURCES, Poses, read_mocap, split, views
from poseg.metrics.bootstrap import image_counts
from poseg.metrics.mpjpe import mpjpe, n_mpjpe, pa_mpjpe, pck3d
from poseg.metrics.pairs import make_pairs
from poseg.people import People
from poseg.runtime.lifter import Lifter
from poseg.skeletons import BODY17_3D, COCO17, SKELETONS, Skeleton

Floats = NDArray[np.float32]
CAMERAS = 4


def as_found(points: Floats, skeleton: Skeleton, noise: float, rng: np.random.Generator) -> People:
    """Joints (N, 17, 2) as a network on a skeleton finds them."""
    side = np.ptp(points, axis=1).max(axis=1)[:, None, None]
    moved = points + rng.normal(size=points.shape) * noise * side
    return People.from_poses(BODY17_3D, moved, np.ones(points.shape[:2])).remap_to(skeleton)


def flat(points: Floats, joints_mm: Floats) -> Floats:
    """Joints of the picture in a plane, as large as they truly are."""
    centred = points - points[:, :1]
    scale = np.linalg.norm(joints_mm, axis=2).mean(axis=1) / np.maximum(
        np.linalg.norm(centred, axis=2).mean(axis=1), 1e-6
    )
    return np.concatenate([centred * scale[:, None, None], np.zeros((*points.shape[:2], 1))], axis=2).astype(np.float32)


def mean_pose(train: Poses, rng: np.random.Generator) -> Floats:
    """(17, 3) of training poses before random cameras."""
    return views(train.joints_mm, rng).joints_mm.mean(axis=0)


def lifter_of(given: argparse.Namespace) -> Lifter:
    """The lifter of a run, or the one that is named."""
    if given.run is None:
        return poseg.load(given.model)  # type: ignore[return-value]
    from poseg.export.torch_model import TorchModel, make_card
    from poseg.recipes import find_recipe
    from poseg.recipes.train_run import load_recipe
    from poseg.training.checkpoint import read_weights

    recipe = load_recipe(given.run, find_recipe)
    network = recipe.system.network()
    network.load_state_dict(read_weights(given.run))
    card = make_card(recipe.system, name="run", size_px=1, mean=recipe.input.mean, std=recipe.input.std)
    return Lifter(TorchModel(network.eval(), recipe.system.codec, card))


def asked() -> argparse.Namespace:
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
    given, rng = asked(), np.random.default_rng(0)
    train, val, test = split(read_mocap(given.mocap, CMU_SOURCES))
    poses = {"val": val, "test": test}[given.part]
    seen = views(poses.joints_mm, rng, CAMERAS)
    true = seen.joints_mm - seen.joints_mm[:, :1]
    people = as_found(seen.keypoints, SKELETONS[given.skeleton], given.noise, rng)
    centre = mean_pose(train, rng)
    found = {
        "lifter": lifter_of(given)(people).keypoints_3d,
        "flat": flat(seen.keypoints, true),
        "mean pose": np.repeat((centre - centre[:1])[None], len(true), axis=0),
    }
    clips = poses.clip[seen.pose]
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
        title=f"{len(true):,} views of {len(poses):,} poses: {'; '.join(sorted(names))}",
    )
    protocol = ""
    for name, joints in found.items():
        pairs = make_pairs(BODY17_3D, true, joints, image_index=clips, num_images=len(poses.clips))
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
    console.print(f"noise {given.noise} of the longer side, {given.skeleton}\n{protocol}")


if __name__ == "__main__":
    main()
