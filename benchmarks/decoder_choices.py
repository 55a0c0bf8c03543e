"""What each choice of the decoder is worth on real pictures: the network runs once, the decoder once for every choice.

run    python benchmarks/decoder_choices.py --data ANN.json --images DIR [--model M] [--size PX]

Choose on pictures that are not the test set.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from math import inf
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.progress import track
from rich.table import Table

import poseg
from poseg.codecs import BEST, CORAL, PAPER, TFJS
from poseg.evaluation.pictures import find_pictures
from poseg.io.coco_json import coco_results
from poseg.metrics.average_precision import match

CHOICES = {
    "default": BEST,
    "preset paper": PAPER,
    "preset tfjs": TFJS,
    "preset coral": CORAL,
    "no Hough votes": replace(BEST, evidence="cell"),
    **{f"seeds above {t}": replace(BEST, seed_threshold=t) for t in (0.05, 0.1, 0.4)},
    **{f"mid refined {n} times": replace(BEST, mid_steps=n) for n in (0, 1, 2)},
    "heatmap scores": replace(BEST, keypoint_score="heatmap"),
    "hard OKS suppression": replace(BEST, instance_nms="oks"),
    "masks shared, not exclusive": replace(BEST, exclusive=False),
    **{f"mask threshold {t}": replace(BEST, mask_threshold=t) for t in (0.15, 0.35, inf)},
    "long offsets not refined": replace(BEST, long_steps=0, long_short_steps=0),
    "long offsets by themselves only": replace(BEST, long_short_steps=0),
}


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="COCO annotation file")
    parser.add_argument("--images", type=Path, required=True, help="folder of its pictures")
    parser.add_argument("--model", help="name or path; the default model where it is not given")
    parser.add_argument("--size", type=int, help="long side of the input in pixels")
    asked = parser.parse_args()

    model = poseg.load(asked.model, size_px=asked.size, min_score=0.0)
    pictures = find_pictures(asked.data, asked.images, None)
    paths = track(pictures.paths.items(), description="network", transient=True)
    seen = {image_id: model.see(path) for image_id, path in paths}
    truth = pictures.truth({image_id: look.image.shape[:2] for image_id, look in seen.items()})
    table = Table(title=f"{model.session.card.name}, {len(seen)} pictures of {asked.data.name}")
    for column in ("", "keypoint AP", "AP50", "mask AP", "AP50", "people", "decode ms"):
        table.add_column(column, justify="left" if not column else "right")
    for name, decoding in track(CHOICES.items(), description="decoder", transient=True):
        chosen, records, spent = replace(model, decoding=decoding), [], []
        for image_id, look in seen.items():
            people = chosen.decode(look)
            spent.append(people.timings.decode_ms)
            records += [{**r, "category_id": pictures.category_id} for r in coco_results(people, image_id)]
        poses, masks = (match(truth, records, kind).official for kind in ("keypoints", "masks"))
        numbers = (poses["AP"], poses["AP50"], masks["AP"], masks["AP50"])
        table.add_row(name, *(f"{n:.3f}" for n in numbers), str(len(records)), f"{median(spent):.1f}")
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
