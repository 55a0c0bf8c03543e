"""Parts of skeletons, and two skeletons as one."""

from __future__ import annotations

import pytest

from poseg.errors import SkeletonError
from poseg.skeletons import COCO17, Skeleton


def test_a_subset_has_the_bones_sigmas_and_pairs_between_its_joints():
    arms = COCO17.subset(["right_wrist", "left_wrist", "left_elbow"])
    assert arms.joints == ("right_wrist", "left_wrist", "left_elbow")
    assert arms.bones == (("left_elbow", "left_wrist"),) or arms.bones == (("left_wrist", "left_elbow"),)
    assert arms.sigmas == tuple(COCO17.sigmas[COCO17.index(joint)] for joint in arms.joints)
    assert arms.flip_index.tolist() == [1, 0, 2]
    assert COCO17.subset(COCO17.joints).flip_index.tolist() == COCO17.flip_index.tolist()


def test_an_extended_skeleton_keeps_the_tree_and_joins_what_is_new():
    other = Skeleton(
        "animal", ("tail", "nose", "left_paw", "right_paw"),
        bones=(("tail", "nose"), ("tail", "left_paw"), ("tail", "right_paw")), sigmas=(0.1, 0.2, 0.3, 0.4),
    )  # fmt: skip
    both = COCO17.extended(other)
    assert both.joints == (*COCO17.joints, "tail", "left_paw", "right_paw")
    assert both.tree[: len(COCO17.tree)] == COCO17.tree
    assert both.tree[len(COCO17.tree) :] == (("nose", "tail"), ("tail", "left_paw"), ("tail", "right_paw"))
    assert both.oks_sigmas[both.index("nose")] == 0.2
    assert both.flip_index[both.index("left_paw")] == both.index("right_paw")
    assert both.flip_index[both.index("left_eye")] == both.index("right_eye")
    again = both.subset(other.joints)
    assert (again.joints, again.sigmas, again.flip_index.tolist()) == (other.joints, other.sigmas, [0, 1, 3, 2])
    with pytest.raises(SkeletonError, match="share no joint"):
        COCO17.extended(Skeleton("boat", ("bow", "stern"), (("bow", "stern"),)))
