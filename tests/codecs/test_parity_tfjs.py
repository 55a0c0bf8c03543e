"""The `TFJS` preset against the published TensorFlow.js decoder, run by node on the same tensors.

Set POSEG_TFJS_BODYPIX to a folder that holds the unpacked npm package @tensorflow-models/body-pix 2.2.1 (Apache-2.0),
the one with `dist/multi_person/decode_multiple_poses.js` in it; node must be on the path. Neither weights nor other
packages are needed: the tensors are encoded people with noise.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from poseg.codecs import TFJS, PersonLabCodec
from poseg.codecs.pixel_assignment import geometric_embedding, tfjs_distance
from poseg.codecs.pose_scoring import keypoint_probabilities
from poseg.fields import Fields, sigmoid
from poseg.geometry.grid import PIXEL_CENTRE
from poseg.people import People

PACKAGE = os.environ.get("POSEG_TFJS_BODYPIX", "")
pytestmark = pytest.mark.skipif(
    not PACKAGE or shutil.which("node") is None,
    reason="POSEG_TFJS_BODYPIX does not name the unpacked body-pix 2.2.1 package, or node is missing",
)


def noisy(people: People, stride: int, seed: int) -> Fields:
    """Encoded people with noise, so that there are false ones, near ties and joints outside the image."""
    codec, rng = PersonLabCodec(stride=stride), np.random.default_rng(seed)
    fields = codec.encode(people, (257, 321)).as_fields(epsilon=0.1)
    sigmas = {"heatmap": 1.2, "short_offsets": 3.0, "mid_offsets": 6.0, "long_offsets": 5.0, "segmentation": 0.2}
    noise = {name: rng.normal(0, sigmas[name], fields[name].shape).astype(np.float32) for name in fields}
    return Fields(fields.specs, {name: fields[name] + noise[name] for name in fields})


def channels_last(array: np.ndarray) -> dict[str, Any]:
    """(C, h, w), or (C, 2, h, w) as all y, then all x: shape and values as TensorFlow.js has them."""
    if array.ndim == 4:
        array = np.concatenate([array[:, 1], array[:, 0]])
    moved = np.ascontiguousarray(np.moveaxis(array, 0, -1), np.float32)
    return {"shape": moved.shape, "values": [float(value) for value in moved.ravel()]}


def published(fields: Fields, **more: Any) -> dict[str, Any]:
    forward, backward = np.split(fields["mid_offsets"], 2)
    given = {
        "heatmap": channels_last(sigmoid(fields["heatmap"])),
        "short": channels_last(fields["short_offsets"]),
        "forward": channels_last(forward),
        "backward": channels_last(backward),
        "stride": fields.grid.stride,
        "most": TFJS.max_people,
        "threshold": TFJS.seed_threshold,
        "radius": TFJS.nms_radius_px,
        **more,
    }
    script = Path(__file__).with_name("tfjs_decode.js")
    run = subprocess.run(
        ["node", str(script), PACKAGE], input=json.dumps(given), capture_output=True, text=True, check=True
    )
    return json.loads(run.stdout)


@pytest.mark.parametrize(("stride", "n", "seed"), [(16, 1, 0), (16, 3, 1), (8, 4, 2), (16, 8, 3), (8, 8, 4)])
def test_tfjs_decoder_gives_the_published_poses_and_scores(
    crowd: Callable[..., People], stride: int, n: int, seed: int
) -> None:
    fields = noisy(crowd(n, (257, 321), 100), stride, seed)
    ours = PersonLabCodec(stride=stride).decode(fields, replace(TFJS, masks=False))
    theirs = published(fields)["poses"]
    assert len(ours) == len(theirs) >= n
    joints = np.array([pose["keypoints"] for pose in theirs])
    # Pixel numbers there, continuous pixels here.
    apart = np.abs(ours.keypoints[:, None] - PIXEL_CENTRE - joints[None, :, :, :2]).max(axis=(2, 3))
    match = apart.argmin(axis=1)
    assert sorted(match) == list(range(len(ours)))
    assert apart.min(axis=1).max() < 1e-3
    np.testing.assert_allclose(ours.keypoint_scores, joints[match, :, 2], atol=1e-6)
    np.testing.assert_allclose(ours.scores, [theirs[i]["score"] for i in match], atol=1e-6)


def test_tfjs_distance_assigns_cells_to_the_published_person(crowd: Callable[..., People]) -> None:
    fields = noisy(crowd(3, (257, 321), 100), 16, 5)
    size, (rows, columns) = (257, 321), fields.shape_hw
    theirs = published(
        fields, long=channels_last(fields["long_offsets"]), size=size, person=[1] * (size[0] * size[1]), steps=10
    )
    masks = np.array(theirs["masks"]).reshape(-1, *size)[:, ::16, ::16].reshape(-1, rows * columns)
    joints = np.array([pose["keypoints"] for pose in theirs["poses"]], np.float32)
    keypoints = joints[..., :2] + np.float32(PIXEL_CENTRE)
    weights = keypoint_probabilities(fields, keypoints, "nearest")
    np.copyto(weights, joints[..., 2])
    embedding = geometric_embedding(fields, fields.grid.positions(rows, columns).reshape(2, -1).T, TFJS)
    distances = tfjs_distance(embedding, keypoints, weights, np.ones(len(joints), np.float32), np.inf)
    # There, a position left of or above the image is read outside the tensor; such cells are left out.
    inside = masks.sum(axis=0) == 1
    assert inside.mean() > 0.7
    agree = masks.argmax(axis=0)[inside] == distances.argmin(axis=1)[inside]
    assert agree.mean() > 0.97
