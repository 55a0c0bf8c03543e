"""Poses of detected people refined by a crop network, one crop for each person.

A bottom-up network tells people apart, but its joints are coarse; a crop network sees one person at a fixed size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.pose_fusion import without_duplicates
from poseg.errors import SkeletonError
from poseg.geometry.pose_size import body_boxes
from poseg.people import People
from poseg.runtime.crop_pose import TopDownPose

MIN_SCORE = 0.03  # people that were detected with a lower score are left out: hardly one of them is worth its crop
MIN_JOINT_SCORE = 0.2  # below, a joint of the detector with a higher score stays
MAX_OKS = 0.8  # two detections whose crops gave poses more similar than this are one person


@dataclass(frozen=True, slots=True, eq=False)
class PoseRefiner:
    """Refines the poses of detected people: `refiner(image, people)`.

    A person's score is the square root of the detector's score, times the mean score of the joints that the crop shows:
    it rises where that mean is above the root.
    """

    pose_model: TopDownPose

    def __call__(self, image: NDArray[np.uint8], people: People) -> People:
        """The people of an image (H, W, 3) uint8 RGB, highest score first, each once, without masks.

        Joints that the crop network does not have stay. Raises SkeletonError where the skeletons share no joint, and
        FieldError where the network's outputs are not finite.
        """
        size, people = (image.shape[0], image.shape[1]), people[people.scores >= MIN_SCORE]
        if not len(people):
            return people
        boxes_xyxy = body_boxes(people.keypoints, people.keypoint_scores, size)
        cropped = replace(self.pose_model, min_score=0.0)(image, boxes_xyxy)
        refined = replace(_merge_joints(people, cropped), scores=np.sqrt(people.scores) * cropped.scores, masks=None)
        return without_duplicates(refined, MAX_OKS)


def _merge_joints(people: People, cropped: People) -> People:
    """People with the joints of their crops, but where these are uncertain and the detector is less so."""
    shared = [name for name in people.skeleton.joints if name in cropped.skeleton.joints]
    if not shared:
        raise SkeletonError(
            f"The skeletons {people.skeleton.name} and {cropped.skeleton.name} share no joint, so poses of the one "
            "cannot be refined by a model of the other; use models with the same names of joints."
        )
    ours = [people.skeleton.joints.index(name) for name in shared]
    theirs = [cropped.skeleton.joints.index(name) for name in shared]
    scores = cropped.keypoint_scores[:, theirs]
    stays = (scores < MIN_JOINT_SCORE) & (people.keypoint_scores[:, ours] > scores)
    keypoints, keypoint_scores = people.keypoints.copy(), people.keypoint_scores.copy()
    keypoints[:, ours] = np.where(stays[..., None], keypoints[:, ours], cropped.keypoints[:, theirs])
    keypoint_scores[:, ours] = np.where(stays, keypoint_scores[:, ours], scores)
    return replace(people, keypoints=keypoints, keypoint_scores=keypoint_scores)
