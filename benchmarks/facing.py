"""How well fronts and backs are distinguished by predicted joints (`poseg.effects.body`), on Leeds Sports Pose.

run    python benchmarks/facing.py --data LSP [--model small] [--first 1001] [--last 2000] [--step 3]

LSP's joints are those of the person, left and right, so they give the truth: how far left shoulder and hip lie on the
side where they are seen from the front, in lengths of the torso; 0.25 and more is a front, -0.25 and less a back. Of
each image the predicted person whose torso is nearest is taken, if it is nearer than half a torso. The limits of
`effects.body` were chosen on images 1-1000.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

import poseg
from poseg.datasets.lsp import PATTERNS, Lsp
from poseg.effects.body import Body, bodies
from poseg.runtime.predictor import Predictor
from poseg.skeletons import OPENPOSE18

TORSO = ("left_shoulder", "right_shoulder", "left_hip", "right_hip")
CLEAR = 0.25


def true_facing(body: Body) -> tuple[float, NDArray[np.float64], float]:
    """How far a person faces the camera, the centre of the torso, and its length in pixels."""
    left_shoulder, right_shoulder, left_hip, right_hip = (body.points[OPENPOSE18.index(name)] for name in TORSO)
    neck, hips = (left_shoulder + right_shoulder) / 2, (left_hip + right_hip) / 2
    length = max(float(np.linalg.norm(hips - neck)), 1.0)
    down = (hips - neck) / length
    apart = (left_shoulder - right_shoulder + left_hip - right_hip) / 2
    return float(apart @ (down[1], -down[0])) / length, (neck + hips) / 2, length


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with joints.npz and images")
    parser.add_argument("--model", default="small")
    parser.add_argument("--first", type=int, default=1001)
    parser.add_argument("--last", type=int, default=2000)
    parser.add_argument("--step", type=int, default=3)
    args = parser.parse_args()
    model = poseg.load(args.model)
    assert isinstance(model, Predictor)
    samples = Lsp("lsp", args.data, PATTERNS[0], args.first, args.last, include_occluded=True)
    counts = {name: [0, 0, 0] for name in ("front", "side", "back")}
    for index in range(0, len(samples), args.step):
        sample = samples[index]
        facing, centre, length = true_facing(bodies(sample.people)[0])
        predicted = bodies(model(sample.image))
        torsos = [
            np.asarray(body.points[[OPENPOSE18.index(name) for name in TORSO]].mean(axis=0)) for body in predicted
        ]
        distances = [float(np.linalg.norm(torso - centre)) for torso in torsos]
        if not distances or min(distances) > length / 2:
            continue
        body = predicted[int(np.argmin(distances))]
        row = counts["front" if facing >= CLEAR else "back" if facing <= -CLEAR else "side"]
        row[0] += 1
        row[1] += body.seen_from_behind
        row[2] += body.face_turned_away
    table = Table("seen from", "people", "taken for a back", "head taken for one from behind")
    for name, row in counts.items():
        table.add_row(name, *(str(count) for count in row))
    Console().print(table)


if __name__ == "__main__":
    main()
