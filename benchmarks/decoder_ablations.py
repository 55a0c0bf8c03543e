"""Ablations of the decoder on real images: the network runs once, and its fields are decoded with many configs.

run    python benchmarks/decoder_ablations.py --data ANN.json --images DIR --model small --model bodypix.onnx:801

Every row differs from the default in one setting. Differences of AP come with the 95 % interval of a paired bootstrap
over images: both configs are scored on the same 1,000 draws; an interval without 0 is marked *. Decoding is timed image
by image, all configs in turn, in milliseconds of the processor (one thread); the median is printed. "Every second cell"
subsamples the fields, as the same network with twice the stride would predict them. Choose on images that are not the
test set.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import inf
from statistics import median
from time import process_time
from typing import Any

import cv2
import numpy as np
from args import ModelSpec, add_data_args, add_model_arg, rng
from rich.progress import track
from tables import Grid, add_output_args, score, write_outputs

import poseg
from poseg.codecs import CORAL, DEFAULT, PAPER, TFJS, PersonLabCodec, PersonLabDecoder
from poseg.evaluation.ground_truth import GroundTruth, load_ground_truth
from poseg.fields import Fields
from poseg.geometry.masks import Masks
from poseg.io.coco_results import coco_results
from poseg.io.images import read_image
from poseg.metrics.average_precision import Matching, match
from poseg.metrics.bootstrap import bootstrap_ap, image_counts, percentile_interval
from poseg.metrics.coco_objects import Kind
from poseg.people import People
from poseg.runtime.models import build_predictor
from poseg.runtime.multi_scale import View
from poseg.runtime.predictor import Predictor

KINDS: tuple[Kind, ...] = ("keypoints", "masks")
BASE = "default"
ALL_PEOPLE: Mapping[str, Any] = {"min_score": 0.0, "max_people": 20}

# Views: options of the predictor.
ONE_VIEW: Mapping[str, Any] = {"scales": (1.0,), "flip": False}
VIEWS: Mapping[str, Mapping[str, Any]] = {
    "one view": ONE_VIEW,
    "with flip": {**ONE_VIEW, "flip": True},
    "scales 1 and 0.35": {**ONE_VIEW, "scales": (1.0, 0.35)},
    "scales 1 and 0.7": {**ONE_VIEW, "scales": (1.0, 0.7)},
    "scales 1 and 1.4": {**ONE_VIEW, "scales": (1.0, 1.4)},
    "scales 1, 0.7 and 1.4, with flip": {"scales": (1.0, 0.7, 1.4), "flip": True},
}


@dataclass(slots=True)
class Variant:
    """One config of the decoder, and its results."""

    name: str
    decoder: PersonLabDecoder = DEFAULT
    views: str = "one view"
    step: int = 1
    records: list[dict[str, Any]] = field(default_factory=list)
    times_ms: list[float] = field(default_factory=list)
    matchings: dict[Kind, Matching] = field(default_factory=dict)


def variants() -> list[Variant]:
    """The default first; then every setting by itself."""
    settings = {
        **{f"{n} mid refinements": {"mid_refine_steps": n} for n in (0, 1, 2, 10)},
        "no Hough votes": {"seed_source": "heatmap"},
        **{f"Hough map every {n} px": {"hough_stride_px": n} for n in (2, 8)},
        **{f"seed threshold {t}": {"seed_threshold": t} for t in (0.05, 0.1, 0.4)},
        "heatmap scores": {"keypoint_score": "heatmap"},
        "OKS NMS": {"instance_nms": "oks"},
        "instance score by the pose alone": {"instance_score": "pose"},
        **{f"NMS radius {r} px": {"nms_radius_px": float(r)} for r in (5, 20)},
        "overlapping masks": {"exclusive_masks": False},
        **{f"assignment distance {t}": {"max_assignment_distance": t} for t in (0.15, 0.35, 0.5, inf)},
        **{f"mask threshold {p}": {"mask_threshold": p} for p in (0.3, 0.4, 0.6)},
        **{f"{n} long refinements": {"long_refine_steps": n, "long_short_refine_steps": n} for n in (0, 1, 5)},
        "no short refinement of long offsets": {"long_short_refine_steps": 0},
    }
    presets = {"preset paper": PAPER, "preset tfjs": TFJS, "preset coral": CORAL}
    return [
        Variant(BASE),
        *(Variant(name, replace(DEFAULT, **setting)) for name, setting in settings.items()),
        Variant("every second cell", step=2),
        *(Variant(views, views=views) for views in VIEWS if views != "one view"),
        *(
            Variant(f"{views}, all masks at scale 1", replace(DEFAULT, max_person_px=inf), views=views)
            for views, options in VIEWS.items()
            if min(options["scales"]) < 1 and not options["flip"]
        ),
        *(Variant(name, decoder) for name, decoder in presets.items()),
    ]


def subsample(step: int, fields: Fields, codec: PersonLabCodec) -> tuple[Fields, PersonLabCodec]:
    """Every `step`-th cell of the fields, and the codec that decodes them."""
    coarse = replace(codec, stride=step * codec.stride)
    subsampled = {name: np.ascontiguousarray(fields[name][..., ::step, ::step]) for name in fields}
    return Fields(coarse.specs, subsampled), coarse


def pad_masks(masks: Masks, size: tuple[int, int]) -> Masks:
    """Masks of `size`: behind the last cell of a coarser grid, the edge is repeated."""
    missing = [(0, expected - got) for expected, got in zip(size, masks.size, strict=True)]
    return Masks.from_full(np.pad(masks.full(), [(0, 0), *missing], mode="edge")) if np.any(missing) else masks


def decode_subsampled(view: View, codec: PersonLabCodec, step: int, decoder: PersonLabDecoder) -> People:
    """The people decoded from every `step`-th cell."""
    fields, codec = subsample(step, view.fields, codec)
    people = codec.decode(fields, decoder)
    return view.letterbox.people_to_image(replace(people, masks=pad_masks(people.masks, view.letterbox.input_size)))


def decode(model: Predictor, image: Any, views: Sequence[View], variant: Variant, ids: Mapping[str, int]) -> None:
    """Decode the views of an image with one config; record the time and the people, with `ids` in their records."""
    decoder = replace(variant.decoder, **ALL_PEOPLE)
    start = process_time()
    if variant.step > 1:
        people = decode_subsampled(views[0], model.model.codec, variant.step, decoder)
    else:
        people = replace(model, decoder=decoder).decode(image, views)
    variant.times_ms.append(1e3 * (process_time() - start))
    variant.records += [{**record, **ids} for record in coco_results(people, ids["image_id"])]


def run(model: Predictor, truth: GroundTruth) -> list[Variant]:
    """All variants, scored."""
    tried, sizes = variants(), {}
    for image_id, path in track(truth.paths.items(), description="images", transient=True):
        image = read_image(path)
        sizes[image_id] = (image.shape[0], image.shape[1])
        ids = {"image_id": image_id, "category_id": truth.category["id"]}
        for name, options in VIEWS.items():
            predictor = build_predictor(
                model.model, inference=model.inference, pose_refiner="", mask_refiner="", adaptive=False, **options
            )
            views = predictor.views(image)
            for variant in tried:
                if variant.views == name:
                    decode(predictor, image, views, variant, ids)
    coco = truth.to_coco(sizes)
    for variant in track(tried, description="scores", transient=True):
        variant.matchings = {kind: match(coco, variant.records, kind) for kind in KINDS}
    return tried


def measure(tried: list[Variant], resamples: int = 1000) -> dict[str, dict[str, Any]]:
    """Numbers of each variant: AP, its difference from the default with an interval, people, milliseconds."""
    default, numbers = tried[0], {}
    counts = image_counts(rng(), len(default.matchings["masks"].image_ids), resamples)
    base = {kind: bootstrap_ap(default.matchings[kind], counts)["AP"] for kind in KINDS}
    for variant in tried:
        row: dict[str, Any] = {"people": len(variant.records), "decode_ms": median(variant.times_ms)}
        for kind in KINDS:
            ap = variant.matchings[kind].official["AP"]
            row[kind] = {
                "AP": ap,
                "AP50": variant.matchings[kind].official["AP50"],
                "interval": percentile_interval(bootstrap_ap(variant.matchings[kind], counts)["AP"]),
                "difference": ap - default.matchings[kind].official["AP"],
                "difference_interval": percentile_interval(
                    bootstrap_ap(variant.matchings[kind], counts)["AP"] - base[kind]
                ),
            }
        numbers[variant.name] = row
    return numbers


def gain(row: Mapping[str, Any]) -> str:
    """A difference and its interval."""
    low, high = row["difference_interval"]
    return f"{row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]" + ("*" if low > 0 or high < 0 else "")


def tabulate(title: str, numbers: Mapping[str, Mapping[str, Any]]) -> Grid:
    """One model's table."""
    grid = Grid(title, ["", "keypoint AP", "difference", "mask AP", "difference", "detections", "decode ms"])
    for name, row in numbers.items():
        scores = [text for kind in KINDS for text in (f"{row[kind]['AP']:.3f}", gain(row[kind]))]
        if name == BASE:
            scores = [text for kind in KINDS for text in (score(row[kind]["AP"], row[kind]["interval"]), "")]
        grid.rows.append([name, *scores, str(row["people"]), f"{row['decode_ms']:.1f}"])
    return grid


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_data_args(parser)
    add_model_arg(parser)
    add_output_args(parser)
    args = parser.parse_args()
    cv2.setNumThreads(1)
    truth = load_ground_truth(args.data, args.images, args.limit)
    grids, numbers = [], {}
    for spec in args.model or [ModelSpec("small", None)]:
        model = poseg.load(spec.model, long_edge_px=spec.size_px, threads=1, pose_refiner="", mask_refiner="")
        card = model.model.card
        title = f"{card.name} at {spec.size_px or card.inference.long_edge_px} px, stride {model.model.codec.stride}"
        numbers[title] = measure(run(model, truth))
        grids.append(tabulate(f"{title}; {len(truth.paths)} images of {args.data.name}", numbers[title]))
    write_outputs(args, grids, numbers, ["* the interval of the difference does not contain 0"])


if __name__ == "__main__":
    main()
