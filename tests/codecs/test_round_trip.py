"""Decoding undoes encoding on real people: COCO's annotation through perfect fields, scored by COCO's evaluator."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path

import pytest

from poseg.codecs import DEFAULT, PAF_DEFAULT, PersonLabCodec, PoSegCodec
from poseg.io.coco_json import read_coco
from poseg.io.coco_results import coco_results
from poseg.io.files import read_json
from poseg.metrics.average_precision import match

ROOT = Path(__file__).resolve().parents[2]
ANNOTATIONS = ROOT.parent / "shared" / "data" / "coco_val_person_ann" / "person_keypoints_val2017_538.json.gz"


@pytest.mark.slow
@pytest.mark.skipif(not ANNOTATIONS.exists(), reason="needs COCO's person annotation beside the repository")
@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
@pytest.mark.parametrize(
    ("codec", "decoder", "min_pose_ap", "min_mask_ap"),
    [
        (PersonLabCodec(stride=8), DEFAULT, 0.97, 0.80),
        (PoSegCodec(), replace(PAF_DEFAULT, min_joints=1), 0.95, 0.60),  # masks by poses alone: overlaps are guessed
    ],
    ids=["personlab", "poseg"],
)
def test_decode_of_encode_gives_real_people(codec, decoder, min_pose_ap, min_mask_ap):
    benchmark = runpy.run_path(str(ROOT / "benchmarks" / "round_trip.py"))
    data = read_coco(ANNOTATIONS)
    data = replace(data, images=dict(list(data.images.items())[:60]))
    truth = benchmark["labelled_only"](read_json(ANNOTATIONS), data)
    records = []
    for image_id, people, letterbox in benchmark["people_on_inputs"](data, 801):
        fields = benchmark["perfect_fields"](people, codec, letterbox.input_size)
        found = codec.decode(fields, replace(decoder, **benchmark["ALL_PEOPLE"]))
        records += coco_results(letterbox.people_to_image(found), image_id)
    assert match(truth, records, "keypoints").official["AP"] > min_pose_ap
    assert match(truth, records, "masks").official["AP"] > min_mask_ap
