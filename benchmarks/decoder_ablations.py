"""What each choice of the decoder is worth on real pictures: the network looks once, and is decoded in many ways.

run    python benchmarks/decoder_ablations.py --data ANN.json --images DIR --model small --model bodypix.onnx:801

Every row differs from the default in one choice. Differences of AP come with the 95 % interval of a paired bootstrap
over pictures: both ways of decoding are scored on the same 1,000 draws; an interval without 0 is marked *.
PersonLabDecoder is timed picture by picture, all ways in turn, in milliseconds of the processor (one thread), and the
median is told.
"Every second cell only" leaves fields as the same network with twice the stride would put out. Choose on pictures that
are not the test set.
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
from asking import Asked, ask_for_models, ask_for_pictures, rng
from rich.progress import track
from tables import Grid, ask_for_outputs, put_out, score

import poseg
from poseg.codecs import CORAL, PAPER, TFJS, PersonLabCodec, PersonLabDecoder
from poseg.codecs import DEFAULT as BEST
from poseg.evaluation.ground_truth import GroundTruth, load_ground_truth
from poseg.fields import Fields
from poseg.io.coco_json import coco_results
from poseg.io.images import read_image
from poseg.metrics.average_precision import Matching, match
from poseg.metrics.bootstrap import bootstrap_ap, image_counts, percentile_interval
from poseg.metrics.coco_objects import Kind
from poseg.people import People
from poseg.runtime.models import build_predictor
from poseg.runtime.predictor import Predictor
from poseg.runtime.view import View

KINDS: tuple[Kind, ...] = ("keypoints", "masks")
DEFAULT = "default"
EVERYBODY: Mapping[str, Any] = {"min_score": 0.0, "max_people": 20}

# How a picture is looked at: options of the predictor.
ONCE: Mapping[str, Any] = {"scales": (1.0,), "flip": False}
LOOKS: Mapping[str, Mapping[str, Any]] = {
    "once": ONCE,
    "mirrored too": {**ONCE, "flip": True},
    "sizes 1 and 0.35 agree": {**ONCE, "scales": (1.0, 0.35)},
    "sizes 1 and 0.7 agree": {**ONCE, "scales": (1.0, 0.7)},
    "sizes 1 and 1.4 agree": {**ONCE, "scales": (1.0, 1.4)},
    "sizes 1, 0.7 and 1.4 agree, mirrored too": {"scales": (1.0, 0.7, 1.4), "flip": True},
}


@dataclass(slots=True)
class Way:
    """One way to decode, and what came of it."""

    name: str
    decoding: PersonLabDecoder = BEST
    look: str = "once"
    step: int = 1
    records: list[dict[str, Any]] = field(default_factory=list)
    spent_ms: list[float] = field(default_factory=list)
    matchings: dict[Kind, Matching] = field(default_factory=dict)


def ways() -> list[Way]:
    """The default first; then every choice by itself."""
    one = {
        **{f"mid refined {n} times": {"mid_refine_steps": n} for n in (0, 1, 2, 10)},
        "no Hough votes": {"seed_source": "heatmap"},
        **{f"map of votes every {n} px": {"hough_stride_px": n} for n in (2, 8)},
        **{f"seeds above {t}": {"seed_threshold": t} for t in (0.05, 0.1, 0.4)},
        "heatmap scores": {"keypoint_score": "heatmap"},
        "hard OKS suppression": {"instance_nms": "oks"},
        "people scored by their pose alone": {"instance_score": "pose"},
        **{f"suppression within {r} px": {"nms_radius_px": float(r)} for r in (5, 20)},
        "masks shared, not exclusive": {"exclusive_masks": False},
        **{f"assignment distance {t}": {"max_assignment_distance": t} for t in (0.15, 0.35, 0.5, inf)},
        **{f"mask threshold {p}": {"mask_threshold": p} for p in (0.3, 0.4, 0.6)},
        **{f"long refined {n} times": {"long_refine_steps": n, "long_short_refine_steps": n} for n in (0, 1, 5)},
        "long refined by itself only": {"long_short_refine_steps": 0},
    }
    presets = {"preset paper": PAPER, "preset tfjs": TFJS, "preset coral": CORAL}
    return [
        Way(DEFAULT),
        *(Way(name, replace(BEST, **change)) for name, change in one.items()),
        Way("every second cell only", step=2),
        *(Way(look, look=look) for look in LOOKS if look != "once"),
        *(
            Way(f"{look}, all outlined in 1", replace(BEST, max_person_px=inf), look=look)
            for look, options in LOOKS.items()
            if min(options["scales"]) < 1 and not options["flip"]
        ),
        *(Way(name, decoding) for name, decoding in presets.items()),
    ]


def every(step: int, fields: Fields, codec: PersonLabCodec) -> tuple[Fields, PersonLabCodec]:
    """Every `step`-th cell of the fields, and the codec that reads them."""
    coarse = replace(codec, stride=step * codec.stride)
    thinned = {name: np.ascontiguousarray(fields[name][..., ::step, ::step]) for name in fields}
    return Fields(coarse.specs, thinned), coarse


def filled(masks: Any, size: tuple[int, int]) -> Any:
    """Masks (N, h, w) of `size`: below and beside the last cell of a coarser grid, what it says goes on."""
    missing = [(0, wanted - there) for wanted, there in zip(size, masks.shape[1:], strict=True)]
    return np.pad(masks, [(0, 0), *missing], mode="edge") if np.any(missing) else masks


def decode_thinned(view: View, codec: PersonLabCodec, step: int, decoding: PersonLabDecoder) -> People:
    """The people that every `step`-th cell shows."""
    fields, codec = every(step, view.fields, codec)
    people = codec.decode(fields, decoding)
    masks = filled(np.asarray(people.masks), view.letterbox.input_size)
    return view.letterbox.people_to_image(replace(people, masks=masks))


def decode(model: Predictor, image: Any, views: Sequence[View], way: Way, mark: Mapping[str, int]) -> None:
    """Decode the views of an image in one way; note the time and the people, with `mark` on their records."""
    start = process_time()
    if way.step > 1:
        people = decode_thinned(views[0], model.model.codec, way.step, replace(way.decoding, **EVERYBODY))
    else:
        people = replace(model, decoder=replace(way.decoding, **EVERYBODY)).decode(image, views)
    way.spent_ms.append(1e3 * (process_time() - start))
    way.records += [{**record, **mark} for record in coco_results(people, mark["image_id"])]


def run(model: Predictor, truth: GroundTruth) -> list[Way]:
    """All ways of decoding, scored."""
    tried: list[Way] = ways()
    sizes = {}
    for image_id, path in track(truth.paths.items(), description="pictures", transient=True):
        image = read_image(path)
        sizes[image_id] = (image.shape[0], image.shape[1])
        mark = {"image_id": image_id, "category_id": truth.category_id}
        for look, options in LOOKS.items():
            looking = build_predictor(
                model.model, inference=model.inference, mask_refiner="", adaptive=False, **options
            )
            views = looking.views(image)
            for way in tried:
                if way.look == look:
                    decode(looking, image, views, way, mark)
    coco = truth.to_coco(sizes)
    for way in track(tried, description="scores", transient=True):
        way.matchings = {kind: match(coco, way.records, kind) for kind in KINDS}
    return tried


def measure(tried: list[Way], resamples: int = 1000) -> dict[str, dict[str, Any]]:
    """Numbers of each way: AP, its difference from the default with an interval, people, milliseconds."""
    default, numbers = tried[0], {}
    counts = image_counts(rng(), len(default.matchings["masks"].image_ids), resamples)
    base = {kind: bootstrap_ap(default.matchings[kind], counts)["AP"] for kind in KINDS}
    for way in tried:
        row: dict[str, Any] = {"people": len(way.records), "decode_ms": median(way.spent_ms)}
        for kind in KINDS:
            ap = way.matchings[kind].official["AP"]
            row[kind] = {
                "AP": ap,
                "AP50": way.matchings[kind].official["AP50"],
                "interval": percentile_interval(bootstrap_ap(way.matchings[kind], counts)["AP"]),
                "difference": ap - default.matchings[kind].official["AP"],
                "difference_interval": percentile_interval(
                    bootstrap_ap(way.matchings[kind], counts)["AP"] - base[kind]
                ),
            }
        numbers[way.name] = row
    return numbers


def gain(row: Mapping[str, Any]) -> str:
    """A difference and its interval."""
    low, high = row["difference_interval"]
    return f"{row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]" + ("*" if low > 0 or high < 0 else "")


def tabulate(title: str, numbers: Mapping[str, Mapping[str, Any]]) -> Grid:
    """One model's table."""
    grid = Grid(title, ["", "keypoint AP", "difference", "mask AP", "difference", "people", "decode ms"])
    for name, row in numbers.items():
        scores = [text for kind in KINDS for text in (f"{row[kind]['AP']:.3f}", gain(row[kind]))]
        if name == DEFAULT:
            scores = [text for kind in KINDS for text in (score(row[kind]["AP"], row[kind]["interval"]), "")]
        grid.rows.append([name, *scores, str(row["people"]), f"{row['decode_ms']:.1f}"])
    return grid


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for_pictures(parser)
    ask_for_models(parser)
    ask_for_outputs(parser)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    truth = load_ground_truth(asked.data, asked.images, asked.limit)
    grids, numbers = [], {}
    for one in asked.model or [Asked("small", None)]:
        model = poseg.load(one.model, long_edge_px=one.size_px, threads=1, mask_refiner="")
        card = model.model.card
        title = f"{card.name} at {one.size_px or card.inference.long_edge_px} px, stride {model.model.codec.stride}"
        numbers[title] = measure(run(model, truth))
        grids.append(tabulate(f"{title}; {len(truth.paths)} pictures of {asked.data.name}", numbers[title]))
    put_out(asked, grids, numbers, ["* the interval of the difference leaves out 0"])


if __name__ == "__main__":
    main()
