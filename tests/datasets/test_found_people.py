"""People found, on disk and back."""

from __future__ import annotations

import numpy as np
import pytest

from poseg.datasets.found_people import FoundPeople, FoundPerson, write_found
from poseg.errors import AnnotationError
from poseg.skeletons import COCO17, LSP14


def somebody(seed: int, side: int = 24) -> FoundPerson:
    rng = np.random.default_rng(seed)
    evidence = np.stack([rng.uniform(0, 1, (side, side)), rng.uniform(-1, 1, (side, side))]).astype(np.float32)
    return FoundPerson(
        rng.integers(0, 256, (side, side, 3), np.uint8), evidence, rng.uniform(0, side, (17, 3)).astype(np.float32),
        rng.uniform(0, 1, (side, side)).astype(np.float32), rng.random((side, side)) > 0.5, f"picture {seed}.jpg",
    )  # fmt: skip


def test_what_is_written_is_read(tmp_path):
    people = [somebody(seed) for seed in range(3)]
    write_found(tmp_path / "set.npz", people, 0.2)
    found = FoundPeople("set", tmp_path / "set.npz")
    assert (len(found), found.side_px, found.key(1)) == (3, 24, "set/picture 1.jpg")
    assert found.margin == pytest.approx(0.2)
    for index, person in enumerate(people):
        again = found[index]
        np.testing.assert_array_equal(again.picture, person.picture)
        np.testing.assert_array_equal(again.known, person.known)
        np.testing.assert_array_equal(again.joints, person.joints)
        np.testing.assert_allclose(again.mask, person.mask, atol=0.5 / 255)
        np.testing.assert_allclose(again.evidence[0], person.evidence[0], atol=0.51 / 255)
        np.testing.assert_allclose(again.evidence[1], person.evidence[1], atol=1.01 / 255)
        assert again.name == person.name


def test_bad_files_get_a_sentence(tmp_path):
    with pytest.raises(AnnotationError, match="Nobody"):
        write_found(tmp_path / "set.npz", [], 0.2)
    with pytest.raises(AnnotationError, match="no set of people found"):
        FoundPeople("set", tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(AnnotationError, match="no set of people found"):
        FoundPeople("set", tmp_path / "text.npz")
    np.savez(tmp_path / "objects.npz", pictures=np.array([{}], object))
    with pytest.raises(AnnotationError, match="no set of people found"):
        FoundPeople("set", tmp_path / "objects.npz")
    write_found(tmp_path / "set.npz", [somebody(0)], 0.2)
    with pytest.raises(AnnotationError, match="other shapes"):
        FoundPeople("set", tmp_path / "set.npz", LSP14)
    assert FoundPeople("set", tmp_path / "set.npz").skeleton == COCO17
