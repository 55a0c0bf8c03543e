"""The `CORAL` preset against the reference results that Google published with its models.

Set POSEG_CORAL_FIXTURES to a folder with files of the folder `posenet` of google-coral/test_data (Apache-2.0):

    NAME_reference.csv     for NAME in MODELS below, as published; so are mask0.bmp and mask1.bmp
    NAME.npz               what NAME.tflite puts out for test_image.bmp (resized bilinearly to the model's input) when
                           its last operator, the custom decoder, is removed: float arrays (h, w, C), with scale and
                           zero point taken out, called heatmaps, short_offsets, mid_offsets and, for BodyPix,
                           long_offsets and segments; and input_size, (height, width)
"""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from poseg.codecs import CORAL, PersonLabCodec
from poseg.codecs.pixel_assignment import coral_distance, geometric_embedding
from poseg.fields import Fields
from poseg.geometry.grid import PIXEL_CENTRE

FIXTURES = os.environ.get("POSEG_CORAL_FIXTURES", "")
MODELS = (
    "bodypix_mobilenet_v1_075_512_512_16_quant_decoder",
    "posenet_mobilenet_v1_075_353_481_16_quant_decoder",
    "posenet_mobilenet_v1_075_481_641_16_quant_decoder",
)
pytestmark = pytest.mark.skipif(not FIXTURES, reason="POSEG_CORAL_FIXTURES names no folder of Coral's fixtures")


def vectors(tensor: np.ndarray) -> np.ndarray:
    """(h, w, 2 C), all y and then all x, as (C, 2, h, w) with x before y."""
    y, x = np.split(np.moveaxis(tensor, -1, 0), 2)
    return np.stack([x, y], axis=1).astype(np.float32)


def load(name: str) -> tuple[PersonLabCodec, Fields, np.ndarray]:
    with np.load(Path(FIXTURES) / f"{name}.npz") as tensors:
        arrays = {
            "heatmap": np.moveaxis(tensors["heatmaps"], -1, 0).astype(np.float32),
            "short_offsets": vectors(tensors["short_offsets"]),
            "mid_offsets": np.concatenate([vectors(half) for half in np.split(tensors["mid_offsets"], 2, axis=-1)]),
        }
        if "long_offsets" in tensors:
            arrays["long_offsets"] = vectors(tensors["long_offsets"])
            arrays["segmentation"] = tensors["segments"][..., 0].astype(np.float32)
        codec = PersonLabCodec(stride=16, fields=tuple(arrays))
        return codec, Fields(codec.specs, arrays), tensors["input_size"]


def reference(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Pose scores (N,) and joints (N, 17, 3): x and y as fractions of the input, score."""
    with (Path(FIXTURES) / f"{name}_reference.csv").open() as file:
        rows = list(csv.DictReader(file))
    joints = [[float(row[f"keypoint_{key}"]) for key in ("x", "y", "score")] for row in rows]
    return np.array([float(row["pose_score"]) for row in rows[::17]]), np.array(joints).reshape(-1, 17, 3)


@pytest.mark.parametrize("name", MODELS)
def test_coral_decoder_gives_the_published_poses_within_the_published_tolerances(name: str) -> None:
    codec, fields, (height, width) = load(name)
    people = codec.decode(fields, CORAL)
    scores, joints = reference(name)
    assert len(people) == len(scores) == 2
    np.testing.assert_allclose(people.scores, scores, atol=0.1)
    points = (people.keypoints - PIXEL_CENTRE) / [width, height]
    both = (people.keypoint_scores > 0.7) & (joints[..., 2] > 0.7)
    assert both.sum(axis=1).min() >= 8
    np.testing.assert_allclose(points[both], joints[both, :2], atol=0.04)


def test_coral_distance_assigns_cells_to_the_published_person() -> None:
    codec, fields, _ = load(MODELS[0])
    people = codec.decode(fields, CORAL)
    cells = fields.grid.positions(*fields.shape_hw).reshape(2, -1).T
    ones = np.ones((len(people), 17), np.float32)
    distances = coral_distance(geometric_embedding(fields, cells, CORAL), people.keypoints, ones, ones[:, 0], np.inf)
    for person in range(2):
        mask = np.asarray(Image.open(Path(FIXTURES) / f"mask{person}.bmp").convert("L")) > 127
        ours = (distances.argmin(axis=1) == person).reshape(mask.shape)
        assert (ours != mask).mean() < 0.05
