"""What the fields can hold: encode annotated people, decode the perfect fields, score the result as COCO does.

run    python benchmarks/round_trip.py ANN.json [--system personlab] [--stride 8 16] [--size 801] [--limit N]

No picture and no network is needed. Only people with annotated joints are painted, and only they are scored, for
masks too. Beside the whole, three upper bounds tell which step loses what is lost: the people annotated, their masks
after the trip to the network's input and back, and the same through cells of one stride without the decoder.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from poseg.codecs import BEST, PAF, PAPER, Finder, PersonLabCodec, PoSegCodec
from poseg.codecs.claiming import interpolate
from poseg.fields import Fields
from poseg.fields.segmentation import area_downsample
from poseg.geometry import affine
from poseg.io.coco_json import CocoDataset, coco_results, read_coco
from poseg.io.files import read_json
from poseg.metrics.average_precision import match
from poseg.people import People, Sample
from poseg.skeletons import COCO17, OPENPOSE18
from poseg.transforms.letterbox import Letterbox, plan
from poseg.transforms.warp import warp

EVERYBODY = {"min_score": 0.0, "max_people": 100}


def placed(data: CocoDataset, size_px: int) -> Iterator[tuple[int, People, Letterbox]]:
    """The annotated people of each picture on the network's input."""
    for image_id in track(list(data.images), description=f"{size_px} px", transient=True):
        people = data.people(image_id)
        people = people[(people.keypoint_scores > 0).any(axis=1)]
        if len(people) == 0:
            continue
        height, width = data.images[image_id].size or people.masks.shape[1:]
        box = plan((height, width), size_px, multiple=32, remainder=1)
        blank = Sample(np.zeros((height, width, 3), np.uint8), people)
        scale = affine.identity()
        scale[:, :2] = np.diag(box.scale_xy)
        yield image_id, warp(blank, scale, box.input_size).people, box


def labelled_only(truth: dict[str, Any], data: CocoDataset) -> dict[str, Any]:
    """The COCO dictionary of the data's pictures; unlabelled people neither wanted nor wrong."""
    images = {image["id"]: image for image in truth["images"] if image["id"] in data.images}
    people = [
        {**record, "iscrowd": int(record.get("iscrowd") or not record.get("num_keypoints"))}
        for record in truth["annotations"]
        if record["image_id"] in images
    ]
    return {**truth, "images": list(images.values()), "annotations": people}


def through_cells(people: People, codec: Finder) -> People:
    """The same people, masks seen through cells: what area_downsample and interpolation keep of them."""
    masks, grid = np.zeros_like(np.asarray(people.masks)), codec.specs[0].grid
    for mask, kept in zip(people.masks, masks, strict=True):
        kept[:] = interpolate(area_downsample(mask, grid), grid, 0, 0, *mask.shape) >= 0.5
    return replace(people, masks=masks)


def trips(system: str, strides: list[int]) -> dict[str, tuple[Finder, dict[str, Any]]]:
    """What is tried: a codec by its title, and decoders by theirs."""
    if system == "personlab":
        decoders = {
            "default": replace(BEST, **EVERYBODY),
            "paper": replace(PAPER, **EVERYBODY),
            "no mid refinement": replace(BEST, **EVERYBODY, mid_steps=0),
            "no long refinement": replace(BEST, **EVERYBODY, long_steps=0, long_short_steps=0),
        }
        return {f"stride {stride}": (PersonLabCodec(stride=stride), decoders) for stride in strides}
    decoders = {
        "everybody": replace(PAF, **EVERYBODY, min_joints=1),
        "three joints or more": replace(PAF, **EVERYBODY),
        "closing limbs only fill": replace(PAF, **EVERYBODY, min_joints=1, closing="fill"),
    }
    codecs = {"34 limbs of COCO's joints": PoSegCodec(COCO17), "19 limbs of OpenPose's": PoSegCodec(OPENPOSE18)}
    spanning = PoSegCodec(COCO17, limbs=COCO17.tree)
    return {name: (codec, decoders) for name, codec in {**codecs, "a tree of COCO's": spanning}.items()}


def painted(people: People, codec: Finder, size: tuple[int, int]) -> Fields:
    """The fields of a network that makes no mistake."""
    if isinstance(codec, PersonLabCodec):
        return codec.encode(people, size, bridge=True).as_fields()
    assert isinstance(codec, PoSegCodec)
    return codec.encode(people.remap_to(codec.skeleton), size).as_fields()


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations")
    parser.add_argument("--system", choices=("personlab", "poseg"), default="personlab")
    parser.add_argument("--stride", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--size", type=int, default=801, help="long side of the network's input in pixels")
    parser.add_argument("--limit", type=int, help="the first pictures only")
    asked = parser.parse_args()
    data = read_coco(asked.annotations)
    if asked.limit:
        data = replace(data, images=dict(list(data.images.items())[: asked.limit]))
    truth = labelled_only(read_json(asked.annotations), data)

    tried = trips(asked.system, asked.stride)
    records: dict[str, list[dict[str, Any]]] = {"annotation, to the input and back": []}
    persons = 0
    for image_id, people, box in placed(data, asked.size):
        persons += len(people)
        records["annotation, to the input and back"] += coco_results(box.undo(people), image_id)
        for title, (codec, decoders) in tried.items():
            cells = records.setdefault(f"{title}: masks through cells", [])
            cells += coco_results(box.undo(through_cells(people, codec)), image_id)
            fields = painted(people, codec, box.input_size)
            for name, decoding in decoders.items():
                found = box.undo(codec.decode(fields, decoding)).remap_to(COCO17)
                records.setdefault(f"{title}: decoded, {name}", []).extend(coco_results(found, image_id))

    table = Table(title=f"{len(data)} pictures, {persons} persons with annotated joints, input {asked.size} px")
    for column in ("", "keypoint AP", "AP50", "APm", "APl", "mask AP", "AP50", "APs", "APm", "APl", "found"):
        table.add_column(column, justify="left" if not column else "right")
    for name in sorted(records, key=lambda n: (":" in n, len(n.split(":")[0]), n)):
        poses = match(truth, records[name], "keypoints").official
        masks = match(truth, records[name], "masks").official
        numbers = [poses[n] for n in ("AP", "AP50", "APm", "APl")]
        numbers += [masks[n] for n in ("AP", "AP50", "APs", "APm", "APl")]
        table.add_row(name, *(f"{number:.3f}" for number in numbers), str(len(records[name])))
    Console(width=150).print(table)


if __name__ == "__main__":
    main()
