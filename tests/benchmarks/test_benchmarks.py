"""Subsampled fields are coarser fields, corrected errors are gone, and timed models keep their people."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from poseg.codecs import PersonLabCodec
from poseg.people import People
from poseg.skeletons import COCO17

BENCHMARKS = str(Path(__file__).resolve().parents[2] / "benchmarks")


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    monkeypatch.syspath_prepend(BENCHMARKS)
    before = set(sys.modules)
    import args
    import baselines
    import decoder_ablations
    import error_analysis

    yield SimpleNamespace(args=args, ablations=decoder_ablations, baselines=baselines, errors=error_analysis)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(BENCHMARKS):
            del sys.modules[name]


def random_people(n: int, size: int = 257) -> People:
    rng = np.random.default_rng(n)
    points = rng.uniform(20, size - 20, (n, 17, 2)).astype(np.float32)
    masks = np.zeros((n, size, size), bool)
    for person, (left, top) in enumerate(rng.integers(0, 120, (n, 2))):
        masks[person, top : top + 100, left : left + 80] = True
    return People.from_poses(COCO17, points, np.ones((n, 17)), masks=masks)


def test_every_second_cell_of_stride_8_is_stride_16(benchmarks: SimpleNamespace) -> None:
    people, codec = random_people(3), PersonLabCodec(stride=8)
    fields, coarse = benchmarks.ablations.subsample(2, codec.encode(people, (257, 257)).as_fields(), codec)
    expected = PersonLabCodec(stride=16).encode(people, (257, 257)).as_fields()
    assert coarse == PersonLabCodec(stride=16)
    for name in ("heatmap", "short_offsets", "mid_offsets"):
        np.testing.assert_array_equal(fields[name], expected[name])
    assert fields["segmentation"].shape == expected["segmentation"].shape


def test_model_spec_parses_the_size(benchmarks: SimpleNamespace) -> None:
    parse = benchmarks.args.ModelSpec.parse
    assert (parse("small").model, parse("small").size_px) == ("small", None)
    assert (parse("C:/m.onnx:705").model, parse("C:/m.onnx:705").size_px) == ("C:/m.onnx", 705)
    assert parse("C:/m.onnx").model == "C:/m.onnx"


def test_timed_model_returns_its_cached_people(benchmarks: SimpleNamespace) -> None:
    people, image = random_people(2), np.arange(257 * 257 * 3, dtype=np.uint32).astype(np.uint8).reshape(257, 257, 3)
    model = benchmarks.baselines.TimedModel("model", lambda image: people)
    model.warm_up(image)
    model.run(image)
    model.run(image)
    assert model(image) is people
    times = model.times_ms()
    assert np.isnan(times["inference"])
    assert 0 < times["min"] <= times["total"]
    assert benchmarks.baselines.pad_to_square(image[:100]).shape == (257, 257, 3)


def test_corrected_errors_are_gone(benchmarks: SimpleNamespace) -> None:
    truth = random_people(3)
    predicted = replace(truth, keypoints=truth.keypoints + np.float32(4), scores=np.array([0.9, 0.5, 0.1]))
    similarity = np.array([[0.2, 0.3, 0.0], [0.0, 0.6, 0.0], [0.05, 0.0, 0.05]], np.float32)
    comparison = benchmarks.errors.Comparison(predicted, truth, similarity)
    corrected = {name: correct(comparison) for name, correct in benchmarks.errors.CORRECTIONS.items()}
    np.testing.assert_allclose(corrected["score order"].scores, [0, 0.6, 0], atol=1e-6)
    assert len(corrected["background FP"]) == 2
    np.testing.assert_allclose(corrected["duplicates"].scores, [0.5, 0.1])
    np.testing.assert_array_equal(corrected["localisation"].keypoints[:2], truth.keypoints[[1, 1]])
    assert len(corrected["misses"]) == 5
    assert not (np.asarray(corrected["assignment"].masks)[:2] & ~truth.masks[1]).any()
