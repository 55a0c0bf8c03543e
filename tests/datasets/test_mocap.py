"""Motion capture: one body in every source, no clip on two sides of the split, and what a camera sees of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from poseg.datasets import mocap
from poseg.datasets.mocap import (
    CMU_SOURCES,
    HEAD_TOP_MM,
    NOSE_MM,
    SOURCES,
    Clip,
    MocapPoses,
    project,
    read_mocap,
    split,
)
from poseg.errors import AnnotationError, GeometryError
from poseg.skeletons import BODY17_3D, LSP14, remap
from poseg.skeletons.bones import bone_lengths

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "mocap"
BONES = [child for _, child in BODY17_3D.tree]
CMU_NAMES = [
    "root", "lhipjoint", "rhipjoint", "lowerback", "lfemur", "ltibia", "rfemur", "rtibia", "upperneck", "head",
    "lclavicle", "lhumerus", "lwrist", "rclavicle", "rhumerus", "rwrist",
]  # fmt: skip


def joint(poses, name):
    joints = poses.joints_mm if isinstance(poses, MocapPoses) else poses
    return joints[..., BODY17_3D.index(name), :]


@pytest.fixture(scope="module")
def poses() -> MocapPoses:
    if not FOLDER.is_dir():
        pytest.skip(f"The motion capture files are not in {FOLDER}.")
    return read_mocap(FOLDER)


@pytest.fixture(params=SOURCES)
def source(poses, request) -> MocapPoses:
    return poses[poses.sources == request.param]


def standing_file(folder: Path, **changes) -> Path:
    """A file as that of cmu_asfamc: one body that stands upright and faces along z, in three clips; centimetres."""
    places = {
        "root": (0, 100, 0), "lhipjoint": (9, 90, 0), "rhipjoint": (-9, 90, 0), "lowerback": (0, 110, 0),
        "lfemur": (9, 48, 2), "ltibia": (9, 8, 0), "rfemur": (-9, 48, 2), "rtibia": (-9, 8, 0),
        "upperneck": (0, 150, 0), "head": (0, 160, 0), "lclavicle": (18, 138, 0), "lhumerus": (20, 110, 0),
        "lwrist": (20, 82, 4), "rclavicle": (-18, 138, 0), "rhumerus": (-20, 110, 0), "rwrist": (-20, 82, 4),
    }  # fmt: skip
    arrays = {
        "joints_cm": np.repeat(np.array([places[name] for name in CMU_NAMES], np.float16)[None], 6, axis=0),
        "joint_names": np.array(CMU_NAMES),
        "clip": np.array([0, 0, 1, 1, 2, 2], np.int32),
        "clip_names": np.array(["01_01", "02_01", "03_01"]),
    }
    np.savez(folder / "cmu_asfamc_fk_5fps.npz", **{**arrays, **changes})
    return folder


def test_standing_body_is_upright_about_its_pelvis(tmp_path):
    poses = read_mocap(standing_file(tmp_path), ("cmu_asfamc",))
    assert len(poses) == 6
    assert [clip.subject for clip in poses.clips] == ["01", "02", "03"]
    expected = {
        "pelvis": (0, 0, 0), "left_hip": (90, 0, 0), "right_ankle": (-90, -820, 0), "spine": (0, 200, 0),
        "neck": (0, 480, 0), "nose": (0, 700, NOSE_MM), "head_top": (0, 700 + HEAD_TOP_MM, 0),
        "left_wrist": (200, -80, 40),
    }  # fmt: skip
    for name, place in expected.items():
        np.testing.assert_allclose(joint(poses, name)[0], place, atol=1e-3, err_msg=name)


def test_flipped_files_give_flipped_bodies(tmp_path):
    rng = np.random.default_rng(0)
    moved = rng.normal(0, 40, (6, len(CMU_NAMES), 3))
    swapped = [{"l": "r", "r": "l"}[n[0]] + n[1:] if n[1:] in {m[1:] for m in CMU_NAMES if m != n} else n
               for n in CMU_NAMES]  # fmt: skip
    order = [CMU_NAMES.index(name) for name in swapped]
    assert sorted(order) == list(range(len(order)))
    first = read_mocap(standing_file(tmp_path, joints_cm=moved), ("cmu_asfamc",))
    second = read_mocap(standing_file(tmp_path, joints_cm=moved[:, order] * (-1, 1, 1)), ("cmu_asfamc",))
    np.testing.assert_allclose(second.joints_mm, first.joints_mm[:, BODY17_3D.flip_index] * (-1, 1, 1), atol=0.01)


def test_bones_have_human_lengths(source):
    mean = dict(zip(BONES, bone_lengths(source.joints_mm, BODY17_3D).mean(axis=0).tolist(), strict=True))
    for side in ("left", "right"):
        assert 350 < mean[f"{side}_knee"] < 520
        assert 350 < mean[f"{side}_ankle"] < 480
        assert 220 < mean[f"{side}_elbow"] < 340
        assert 200 < mean[f"{side}_wrist"] < 320
    torso = np.linalg.norm(joint(source, "neck"), axis=1).mean()
    assert 350 < torso < 560
    # How long a leg is tells how long a back is, whoever the person.
    assert 0.4 < torso / (mean["left_knee"] + mean["left_ankle"]) < 0.7


def test_left_and_right_bones_are_equally_long(source):
    lengths = bone_lengths(source.joints_mm, BODY17_3D).mean(axis=0)
    both = dict(zip(BONES, lengths.tolist(), strict=True))
    for bone in BONES:
        if bone.startswith("left_"):
            assert both[bone] == pytest.approx(both[bone.replace("left_", "right_")], rel=0.05)


def test_people_stand_upright_and_face_forward(source):
    up = joint(source, "head_top")[:, 1] - np.minimum(joint(source, "left_ankle"), joint(source, "right_ankle"))[:, 1]
    assert np.median(up) > 1300
    across = joint(source, "left_hip") - joint(source, "right_hip")
    ahead = np.cross(across, joint(source, "neck"))
    knees = (joint(source, "left_knee") + joint(source, "right_knee")) / 2
    middle = (joint(source, "left_ankle") + joint(source, "right_ankle")) / 2
    # Knees bend forwards, before the line from hip to ankle.
    assert (((knees - middle / 2) * ahead).sum(axis=1) > 0).mean() > 0.95
    assert (((joint(source, "nose") - joint(source, "neck")) * ahead).sum(axis=1) > 0).mean() > 0.95


def test_midpoints_equal_those_of_remapped_2d_joints(source):
    some = source.joints_mm[::97]
    flat, scores = some[..., :2], np.ones(some.shape[:2], np.float32)
    joints = [name for name in LSP14.joints if name not in ("neck", "head_top")]
    again, _ = remap(*remap(flat, scores, BODY17_3D, LSP14), LSP14, BODY17_3D)
    for name in (*joints, "pelvis", "neck"):
        np.testing.assert_allclose(joint(again, name), joint(flat, name), atol=1e-3)


def test_walk_in_two_files_is_the_same(poses):
    """The unit and the lost lengths of cmu_subset, put right, against the same recording in cmu_asfamc."""
    numbers = {(clip.source, clip.name): place for place, clip in enumerate(poses.clips)}
    first, second = (
        turned(poses[poses.clip == numbers[key]].joints_mm)
        for key in (("cmu_asfamc", "02_01"), ("cmu_subset", "train/walking/walking_1"))
    )
    apart = np.linalg.norm(first[:, None] - second[None], axis=-1)
    nearest = apart[np.arange(len(first)), apart.mean(axis=2).argmin(axis=1)]
    assert np.median(nearest, axis=0).max() < 30
    assert np.median(nearest) < 15


def turned(joints):
    """Poses turned about the vertical, so that the hips lie along x."""
    across = joint(joints, "left_hip") - joint(joints, "right_hip")
    c, s = (across[:, [0, 2]] / np.hypot(across[:, 0], across[:, 2])[:, None]).T
    x, y, z = np.moveaxis(joints, 2, 0)
    c, s = c[:, None], s[:, None]
    return np.stack([c * x + s * z, y, c * z - s * x], axis=2)


def test_split_shares_no_clip_or_subject(poses):
    parts = split(poses)
    assert sum(map(len, parts)) == len(poses)
    assert all(len(part) > 1000 for part in parts)
    clips = [set(part.clips) for part in parts]
    subjects = [{clip.subject for clip in part.clips if clip.subject} for part in parts]
    for groups in (clips, subjects):
        assert not groups[0] & groups[1]
        assert not groups[0] & groups[2]
        assert not groups[1] & groups[2]
    assert subjects == [{"01"}, {"03"}, {"02"}]
    assert set.union(*clips) == set(poses.clips)


def test_split_shares_no_pose(poses):
    train, val, test = (turned(part[part.sources != "bandai_namco"].joints_mm) for part in split(poses))
    for first, second in ((train, val), (train, test), (val, test)):
        least = min(
            np.abs(first - pose).mean(axis=(1, 2)).min() for pose in second[:: max(1, len(second) // 40)]
        )  # fmt: skip
        assert least > 5


def test_split_is_deterministic(poses):
    first, again = split(poses), split(poses)
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.joints_mm, other.joints_mm)
    some = split(poses[::10])
    assert all(set(few.clips) <= set(many.clips) for few, many in zip(some, first, strict=True))


def test_sources_can_be_chosen(poses):
    ours = read_mocap(FOLDER, CMU_SOURCES)
    assert set(ours.sources.tolist()) == set(CMU_SOURCES)
    np.testing.assert_array_equal(ours.joints_mm, poses[poses.sources != "bandai_namco"].joints_mm)
    assert mocap.Clip("cmu_asfamc", "01_01", subject="01") in ours.clips


def test_project_equals_the_cameras_projection():
    rng = np.random.default_rng(0)
    joints = rng.normal(0, 300, (5, 17, 3)).astype(np.float32)
    seen = project(joints, rng, 3)
    assert seen.pose.tolist() == np.repeat(np.arange(5), 3).tolist()
    np.testing.assert_allclose(seen.keypoints, seen.cameras.project(joints[seen.pose]), rtol=1e-5)
    np.testing.assert_allclose(joint(seen.keypoints, "pelvis"), np.full((15, 2), 500), atol=1e-2)
    np.testing.assert_allclose(
        bone_lengths(seen.joints_mm, BODY17_3D), bone_lengths(joints[seen.pose], BODY17_3D), rtol=1e-3
    )
    again = project(joints, np.random.default_rng(1), 3, roll_deg=0.0)
    assert not np.allclose(again.keypoints, seen.keypoints)


def test_project_rejects_joints_behind_the_camera():
    with pytest.raises(GeometryError, match="in front of the camera"):
        project(np.full((1, 17, 3), 5.0) * np.arange(17)[:, None], np.random.default_rng(0), 40, distance_mm=(10, 20))


def test_indexing_keeps_the_clips_of_the_poses():
    poses = MocapPoses(
        np.zeros((4, 17, 3), np.float32), np.array([0, 1, 1, 2]), tuple(Clip("a", name) for name in "xyz")
    )
    some = poses[[3, 1]]
    assert [some.clips[place].name for place in some.clip] == ["z", "y"]
    assert len(some.clips) == 2
    assert len(poses[0]) == 1


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_poses_must_be_finite(tmp_path, value):
    with np.load(standing_file(tmp_path) / "cmu_asfamc_fk_5fps.npz") as file:
        joints = file["joints_cm"].copy()
    joints[[2, 5], 4, 1] = value
    standing_file(tmp_path, joints_cm=joints)
    with pytest.raises(AnnotationError, match=r"has 2 poses with joints that are not finite numbers, .* clip 02_01"):
        read_mocap(tmp_path, ("cmu_asfamc",))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"joint_names": np.array([n.upper() for n in CMU_NAMES])}, "rhipjoint"),
        ({"clip": np.zeros(2, np.int32)}, "6 poses do not go with 2 numbers"),
        ({"clip": np.full(6, 3)}, "6 numbers of 3 clips"),
        ({"joints_cm": np.array([{}], object)}, "allow_pickle"),
    ],
)
def test_broken_files_are_reported_by_name(tmp_path, changes, message):
    with pytest.raises(AnnotationError, match=message) as caught:
        read_mocap(standing_file(tmp_path, **changes), ("cmu_asfamc",))
    assert "cmu_asfamc_fk_5fps.npz" in str(caught.value)


def test_truncated_file_is_rejected(tmp_path):
    path = tmp_path / "cmu_subset_expmap_fk.npz"
    np.savez(path, clip=np.zeros(1000, np.int64))
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(AnnotationError, match=r"Cannot read .*cmu_subset.*File is not a zip file"):
        read_mocap(tmp_path, ["cmu_subset"])


def test_unknown_sources_and_missing_files_are_reported(tmp_path):
    with pytest.raises(AnnotationError, match="no motion capture called 'h36m'; choose from cmu_asfamc"):
        read_mocap(tmp_path, ("h36m",))
    with pytest.raises(AnnotationError, match=r"There is no .*bandai_namco"):
        read_mocap(tmp_path, ("bandai_namco",))
    with pytest.raises(AnnotationError, match="No source"):
        read_mocap(tmp_path, ())
