"""Upper bounds of the codecs: encode annotated people, decode the perfect fields, score the result as COCO does.

run    python benchmarks/round_trip.py ANN.json [--system personlab] [--stride 8 16] [--size 801] [--limit N]

No image and no network is needed. Only people with annotated joints are encoded, and only they are scored, for masks
too. Upper bounds show which step loses how much: the annotated people warped to the network's input and back, and the
same with masks downsampled to cells of one stride, without the decoder.
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

from poseg.codecs import DEFAULT, PAF_DEFAULT, PAPER, BottomUpCodec, PersonLabCodec, PoSegCodec
from poseg.codecs.mask_rendering import upsample_block
from poseg.fields import Fields
from poseg.fields.segmentation import area_downsample
from poseg.geometry import affine
from poseg.geometry.masks import Masks
from poseg.io.coco_json import CocoDataset, read_coco
from poseg.io.coco_results import coco_results
from poseg.io.files import read_json
from poseg.metrics.average_precision import match
from poseg.people import People, Sample
from poseg.skeletons import COCO17, OPENPOSE18
from poseg.transforms.letterbox import Letterbox, make_letterbox
from poseg.transforms.warp import warp

ALL_PEOPLE = {"min_candidate_score": 0.0, "min_score": 0.0, "max_people": 100}


def people_on_inputs(data: CocoDataset, size_px: int) -> Iterator[tuple[int, People, Letterbox]]:
    """The annotated people of each image on the network's input."""
    for image_id in track(list(data.images), description=f"{size_px} px", transient=True):
        people = data.people(image_id)
        people = people[(people.keypoint_scores > 0).any(axis=1)]
        if len(people) == 0:
            continue
        height, width = data.images[image_id].size or people.masks.size
        letterbox = make_letterbox((height, width), size_px, size_divisor=32, size_offset=1)
        blank = Sample(np.zeros((height, width, 3), np.uint8), people)
        scale = affine.identity()
        scale[:, :2] = np.diag(letterbox.scale_xy)
        yield image_id, warp(blank, scale, letterbox.input_size).people, letterbox


def labelled_only(truth: dict[str, Any], data: CocoDataset) -> dict[str, Any]:
    """The COCO dictionary of the data's images; people without joints are regions to ignore."""
    images = {image["id"]: image for image in truth["images"] if image["id"] in data.images}
    people = [
        {**record, "iscrowd": int(record.get("iscrowd") or not record.get("num_keypoints"))}
        for record in truth["annotations"]
        if record["image_id"] in images
    ]
    return {**truth, "images": list(images.values()), "annotations": people}


def downsample_masks(people: People, codec: BottomUpCodec) -> People:
    """The same people, with masks downsampled to cells and upsampled again."""
    masks, grid = np.zeros(people.masks.shape, np.bool_), codec.specs[0].grid
    for mask, restored in zip(people.masks, masks, strict=True):
        restored[:] = upsample_block(area_downsample(mask, grid), grid, 0, 0, *mask.shape) >= 0.5
    return replace(people, masks=Masks.from_full(masks))


def configs_by_codec(system: str, strides: list[int]) -> dict[str, tuple[BottomUpCodec, dict[str, Any]]]:
    """Codecs by their title, each with decoder configs by theirs."""
    if system == "personlab":
        decoders = {
            "default": replace(DEFAULT, **ALL_PEOPLE),
            "paper": replace(PAPER, **ALL_PEOPLE),
            "no mid refinement": replace(DEFAULT, **ALL_PEOPLE, mid_refine_steps=0),
            "no long refinement": replace(DEFAULT, **ALL_PEOPLE, long_refine_steps=0, long_short_refine_steps=0),
        }
        return {f"stride {stride}": (PersonLabCodec(stride=stride), decoders) for stride in strides}
    decoders = {
        "all people": replace(PAF_DEFAULT, **ALL_PEOPLE, min_joints=1),
        "three joints or more": replace(PAF_DEFAULT, **ALL_PEOPLE),
        "redundant limbs only fill": replace(PAF_DEFAULT, **ALL_PEOPLE, min_joints=1, redundant_limbs="fill"),
    }
    codecs = {"34 limbs of COCO's joints": PoSegCodec(COCO17), "19 limbs of OpenPose's": PoSegCodec(OPENPOSE18)}
    spanning = PoSegCodec(COCO17, limbs=COCO17.tree)
    return {name: (codec, decoders) for name, codec in {**codecs, "the tree of COCO's": spanning}.items()}


def perfect_fields(people: People, codec: BottomUpCodec, size: tuple[int, int]) -> Fields:
    """The fields of a network without errors."""
    if isinstance(codec, PersonLabCodec):
        return codec.encode(people, size, impute=True).as_fields()
    assert isinstance(codec, PoSegCodec)
    return codec.encode(people.remap_to(codec.skeleton), size).as_fields()


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("annotations")
    parser.add_argument("--system", choices=("personlab", "poseg"), default="personlab")
    parser.add_argument("--stride", type=int, nargs="+", default=[8, 16])
    parser.add_argument("--size", type=int, default=801, help="long edge of the network's input in pixels")
    parser.add_argument("--limit", type=int, help="the first images only")
    args = parser.parse_args()
    data = read_coco(args.annotations)
    if args.limit:
        data = replace(data, images=dict(list(data.images.items())[: args.limit]))
    truth = labelled_only(read_json(args.annotations), data)

    tried = configs_by_codec(args.system, args.stride)
    records: dict[str, list[dict[str, Any]]] = {"annotation, warped to the input and back": []}
    persons = 0
    for image_id, people, letterbox in people_on_inputs(data, args.size):
        persons += len(people)
        records["annotation, warped to the input and back"] += coco_results(letterbox.people_to_image(people), image_id)
        for title, (codec, decoders) in tried.items():
            cells = records.setdefault(f"{title}: masks downsampled to cells", [])
            cells += coco_results(letterbox.people_to_image(downsample_masks(people, codec)), image_id)
            fields = perfect_fields(people, codec, letterbox.input_size)
            for name, decoding in decoders.items():
                decoded = letterbox.people_to_image(codec.decode(fields, decoding)).remap_to(COCO17)
                records.setdefault(f"{title}: decoded, {name}", []).extend(coco_results(decoded, image_id))

    table = Table(title=f"{len(data)} images, {persons} persons with annotated joints, input {args.size} px")
    for column in ("", "keypoint AP", "AP50", "APm", "APl", "mask AP", "AP50", "APs", "APm", "APl", "detections"):
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
