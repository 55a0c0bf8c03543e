"""Human3.6M in a sample made in its own layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseg.datasets.human36m import JOINTS_OF_32, TEST_SUBJECTS, TRAIN_SUBJECTS, recordings
from poseg.errors import AnnotationError

CAMERAS = ("54138969", "60457274")


def marked(frames, axes=3):
    """Positions that tell their frame and their joint: frame + joint / 100."""
    numbers = np.arange(frames)[:, None] + np.arange(32) / 100
    return np.repeat(numbers[..., None], axes, axis=2)


@pytest.fixture(params=["MyPoseFeatures/D3_Positions_mono", ""], ids=["official", "short"])
def sample(tmp_path: Path, request) -> Path:
    """Seven subjects, two takes, two cameras, as the archives unpack; flat (T, 96) as the CDF files hold them."""
    for subject in (*TRAIN_SUBJECTS, *TEST_SUBJECTS):
        place = tmp_path / subject / request.param
        place.mkdir(parents=True)
        walk = "WalkingDog" if subject == "S1" else "WalkDog"
        for take in ("Walking 1", "Walking", walk):
            for camera in CAMERAS:
                np.savez_compressed(place / f"{take}.{camera}.npz", positions_3d=marked(5).reshape(5, 96))
    return tmp_path


def test_17_of_32_joints_in_the_order_of_the_skeleton(sample):
    poses = recordings(sample, ["S1"])[0].read()
    assert poses.joints_mm.shape == (5, 17, 3)
    np.testing.assert_allclose(poses.joints_mm, marked(5)[:, JOINTS_OF_32], rtol=1e-6)
    assert poses.keypoints is None


def test_train_and_test_subjects_are_disjoint_and_complete(sample):
    train, test = recordings(sample, TRAIN_SUBJECTS), recordings(sample, TEST_SUBJECTS)
    assert not {r.subject for r in train} & {r.subject for r in test}
    assert len(train) + len(test) == 7 * 3 * 2
    assert {r.camera for r in train} == set(CAMERAS)


def test_actions_have_one_name_for_all_subjects(sample):
    dogs = recordings(sample, ["S1", "S9"], actions=["WalkingDog"])
    assert [(r.subject, r.subaction) for r in dogs[::2]] == [("S1", "WalkingDog"), ("S9", "WalkDog")]
    walks = recordings(sample, ["S5"], actions=["Walking"])
    assert {r.subaction for r in walks} == {"Walking", "Walking 1"}


def test_2d_points_and_images_are_optional(sample):
    found = recordings(sample, ["S1"])[0]
    assert found.images() == ()
    folder = sample / "S1" / "Images" / f"{found.subaction}.{found.camera}"
    folder.mkdir(parents=True)
    for number in (2, 1):
        (folder / f"{number:06d}.jpg").touch()
    (folder / "notes.txt").touch()
    assert [path.name for path in found.images()] == ["000001.jpg", "000002.jpg"]
    np.savez(found.path, positions_3d=marked(5), positions_2d=marked(5, 2))
    np.testing.assert_allclose(found.read().keypoints, marked(5, 2)[:, JOINTS_OF_32], rtol=1e-6)


def test_2d_points_may_be_in_their_own_folder(tmp_path):
    for kind, axes in (("D3_Positions_mono", 3), ("D2_Positions", 2)):
        place = tmp_path / "S9" / "MyPoseFeatures" / kind
        place.mkdir(parents=True)
        np.savez(place / "Eating.54138969.npz", **{f"positions_{axes}d": marked(4, axes).reshape(4, -1)})
    poses = recordings(tmp_path, ["S9"])[0].read()
    assert poses.keypoints.shape == (4, 17, 2)


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"positions_3d": np.full((3, 32, 3), np.nan)}, "3 poses of 3 in `positions_3d` that are not finite"),
        ({"positions_3d": np.zeros((3, 17, 3))}, r"shape \(3, 17, 3\), expected \(frames, 32, 3\)"),
        ({"poses": np.zeros((3, 32, 3))}, "no `positions_3d`"),
        ({"positions_3d": np.zeros((3, 32, 3)), "positions_2d": np.zeros((2, 32, 2))}, "3 poses in 3D, 2"),
        ({"positions_3d": np.array([{"a": 1}], object)}, "allow_pickle"),
    ],
)
def test_broken_recordings_are_reported_by_name(tmp_path, arrays, message):
    (tmp_path / "S1").mkdir()
    np.savez(tmp_path / "S1" / "Eating 2.54138969.npz", **arrays)
    with pytest.raises(AnnotationError, match=message) as caught:
        recordings(tmp_path, ["S1"])[0].read()
    assert "Eating 2.54138969.npz" in str(caught.value)


def test_missing_recordings_are_reported(sample):
    with pytest.raises(AnnotationError, match=r"no recording of Flying; it has Walking, WalkingDog\."):
        recordings(sample, ["S1"], actions=["Flying"])
    with pytest.raises(AnnotationError, match=r"no recordings in .*S4"):
        recordings(sample, ["S4"])
    (sample / "S3").mkdir()
    (sample / "S3" / "walking.npz").touch()
    with pytest.raises(AnnotationError, match="ACTION NUMBER"):
        recordings(sample, ["S3"])
