"""What the benchmarks rest on: thinned fields are coarser fields, mended mistakes are mended, nothing is lost."""

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
    import asking
    import decoder_ablations
    import peers
    import where_lost

    yield SimpleNamespace(asking=asking, ablations=decoder_ablations, peers=peers, where_lost=where_lost)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(BENCHMARKS):
            del sys.modules[name]


def standing(n: int, size: int = 257) -> People:
    rng = np.random.default_rng(n)
    points = rng.uniform(20, size - 20, (n, 17, 2)).astype(np.float32)
    masks = np.zeros((n, size, size), bool)
    for person, (left, top) in enumerate(rng.integers(0, 120, (n, 2))):
        masks[person, top : top + 100, left : left + 80] = True
    return People.from_poses(COCO17, points, np.ones((n, 17)), masks=masks)


def test_every_second_cell_of_stride_8_is_stride_16(benchmarks: SimpleNamespace) -> None:
    people, codec = standing(3), PersonLabCodec(stride=8)
    thinned, coarse = benchmarks.ablations.every(2, codec.encode(people, (257, 257)).as_fields(), codec)
    wanted = PersonLabCodec(stride=16).encode(people, (257, 257)).as_fields()
    assert coarse == PersonLabCodec(stride=16)
    for name in ("heatmap", "short_offsets", "mid_offsets"):
        np.testing.assert_array_equal(thinned[name], wanted[name])
    assert thinned["segmentation"].shape == wanted["segmentation"].shape


def test_a_model_is_asked_for_with_its_size(benchmarks: SimpleNamespace) -> None:
    parse = benchmarks.asking.Asked.parse
    assert (parse("small").model, parse("small").size_px) == ("small", None)
    assert (parse("C:/m.onnx:705").model, parse("C:/m.onnx:705").size_px) == ("C:/m.onnx", 705)
    assert parse("C:/m.onnx").model == "C:/m.onnx"


def test_a_contestant_gives_back_what_it_found(benchmarks: SimpleNamespace) -> None:
    people, image = standing(2), np.arange(257 * 257 * 3, dtype=np.uint32).astype(np.uint8).reshape(257, 257, 3)
    one = benchmarks.peers.Contestant("one", lambda seen: people)
    one.look(image)
    one.run(image)
    one.run(image)
    np.testing.assert_array_equal(one(image).masks, people.masks)
    times = one.times_ms()
    assert np.isnan(times["inference"])
    assert 0 < times["least"] <= times["total"]
    assert benchmarks.peers.squared(image[:100]).shape == (257, 257, 3)


def test_mended_mistakes_are_gone(benchmarks: SimpleNamespace) -> None:
    true = standing(3)
    found = replace(true, keypoints=true.keypoints + np.float32(4), scores=np.array([0.9, 0.5, 0.1]))
    fit = np.array([[0.2, 0.3, 0.0], [0.0, 0.6, 0.0], [0.05, 0.0, 0.05]], np.float32)
    scene = benchmarks.where_lost.Scene(found, true, fit)
    mended = {name: mend(scene) for name, mend in benchmarks.where_lost.MENDED.items()}
    np.testing.assert_allclose(mended["order"].scores, [0, 0.6, 0], atol=1e-6)
    assert len(mended["strangers"]) == 2
    np.testing.assert_allclose(mended["doubles"].scores, [0.5, 0.1])
    np.testing.assert_array_equal(mended["precision"].keypoints[:2], true.keypoints[[1, 1]])
    assert len(mended["missed"]) == 5
    assert not (np.asarray(mended["owners"].masks)[:2] & ~true.masks[1]).any()
