"""People found, on disk and back."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.datasets.refiner_samples import RefinerSample, RefinerSamples, write_samples
from poseg.errors import AnnotationError
from poseg.skeletons import COCO17, LSP14


def make_sample(seed: int, side: int = 24) -> RefinerSample:
    rng = np.random.default_rng(seed)
    cues = np.stack([rng.uniform(0, 1, (side, side)), rng.uniform(-1, 1, (side, side))]).astype(np.float32)
    return RefinerSample(
        rng.integers(0, 256, (side, side, 3), np.uint8), cues, rng.uniform(0, side, (17, 3)).astype(np.float32),
        rng.uniform(0, 1, (side, side)).astype(np.float32), rng.random((side, side)) > 0.5, f"image {seed}.jpg",
    )  # fmt: skip


def test_write_samples_round_trips(tmp_path):
    people = [make_sample(seed) for seed in range(3)]
    write_samples(tmp_path / "set.npz", people, 0.2)
    found = RefinerSamples("set", tmp_path / "set.npz")
    assert (len(found), found.side_px, found.sample_id(1)) == (3, 24, "set/image 1.jpg")
    assert found.padding == pytest.approx(0.2)
    for index, person in enumerate(people):
        again = found[index]
        np.testing.assert_array_equal(again.image, person.image)
        np.testing.assert_array_equal(again.valid, person.valid)
        np.testing.assert_array_equal(again.joints, person.joints)
        np.testing.assert_allclose(again.mask, person.mask, atol=0.5 / 255)
        np.testing.assert_allclose(again.cues[0], person.cues[0], atol=0.51 / 255)
        np.testing.assert_allclose(again.cues[1], person.cues[1], atol=1.01 / 255)
        assert again.name == person.name


def test_invalid_files_are_reported(tmp_path):
    with pytest.raises(AnnotationError, match="No people"):
        write_samples(tmp_path / "set.npz", [], 0.2)
    with pytest.raises(AnnotationError, match="There is no"):
        RefinerSamples("set", tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(AnnotationError, match="Cannot read"):
        RefinerSamples("set", tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", images=np.array([{}], object))
    with pytest.raises(AnnotationError, match="Cannot read"):
        RefinerSamples("set", tmp_path / "objects.npz")
    write_samples(tmp_path / "set.npz", [make_sample(0)], 0.2)
    with pytest.raises(AnnotationError, match="other shapes"):
        RefinerSamples("set", tmp_path / "set.npz", LSP14)
    assert RefinerSamples("set", tmp_path / "set.npz").skeleton == COCO17
