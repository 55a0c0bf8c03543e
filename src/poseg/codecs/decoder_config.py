"""The settings of the two bottom-up decoders, as values: PersonLab's, with three published sets of them, and PoSeg's.

Change one with `dataclasses.replace(PAPER, max_people=20)`.
"""

from __future__ import annotations

from dataclasses import dataclass

from poseg.errors import PosegError

# The values that a setting may have.
ENUMS = {
    "seed_source": ("hough", "heatmap"),
    "sampling": ("bilinear", "nearest"),
    "keypoint_score": ("expected_oks", "heatmap"),
    "instance_nms": ("soft", "tfjs", "oks"),
    "instance_score": ("pose+mask", "pose"),
    "assignment_distance": ("paper", "tfjs", "tfjs_webgl", "coral"),
}


@dataclass(frozen=True, slots=True)
class PersonLabDecoder:
    """How people are read from PersonLab's fields; lengths are pixels of the network's input.

    seed_source              "hough": peaks of the votes; "heatmap": peaks of the heatmap, moved by their short offset
    hough_stride_px          resolution of the map of votes; the paper's 1 costs much and gains nothing measurable
    seed_threshold           minimum score of a seed: mass of votes in [0, 1] ("hough") or probability ("heatmap")
    nms_radius_px            r: a seed this near to the same joint of an accepted person starts no new one; also the
                             radius of the soft suppression of joints
    sampling                 "bilinear" or "nearest": how offsets and heatmaps are read between cells
    mid_refine_steps         times that a joint predicted by a mid offset is corrected by short offsets
    clamp_to_grid            move what ends outside the frame of cells to its border: joints, and where pixels point
    min_pose_score           minimum mean joint score of a person, for it to suppress later seeds
    max_candidates           people grown at most, before they are scored
    keypoint_score           "expected_oks" (section 3.1) or "heatmap" (the probability at the joint)
    instance_nms             how people who share joints suppress each other: "soft", "tfjs" (soft, in the order of the
                             seeds) or "oks" (hard)
    min_candidate_score      poses with a lower score are dropped before pixels are assigned
    oks_threshold            "oks" drops a person this similar to one with a higher score
    instance_score           "pose": the mean over joints; "pose+mask": the geometric mean of that and of the confidence
                             of the mask (`instances.mask_scores`), where there are masks
    min_score                people with a lower score are dropped
    max_people               those with the highest scores are kept
    masks                    False leaves the masks out
    mask_threshold           minimum person probability of a mask's pixel
    long_refine_steps        times that a long offset is followed by another one
    long_short_refine_steps  times that the position reached by long offsets is corrected by short offsets
    assignment_distance      of a pixel from a person: "paper" (section 3.2), "tfjs", "tfjs_webgl" or "coral"
    max_assignment_distance  pixels farther away are background; "paper" measures in sizes of the person (root of the
                             area of their pose), "tfjs" and "coral" in square pixels, and use inf
    exclusive_masks          a pixel belongs to the nearest person only; False gives it to all within the distance
    max_person_px            of several views, a person's mask is read in the finest where the pose is no longer than
                             this, or else in the coarsest (`scale_selection`)
    """

    seed_source: str = "hough"
    hough_stride_px: int = 4
    seed_threshold: float = 0.2
    nms_radius_px: float = 10.0
    sampling: str = "bilinear"
    mid_refine_steps: int = 5
    clamp_to_grid: bool = False
    min_pose_score: float = 0.0
    max_candidates: int = 100
    keypoint_score: str = "expected_oks"
    instance_nms: str = "soft"
    oks_threshold: float = 0.7
    min_candidate_score: float = 0.0
    instance_score: str = "pose+mask"
    min_score: float = 0.1
    max_people: int = 50
    masks: bool = True
    mask_threshold: float = 0.5
    long_refine_steps: int = 2
    long_short_refine_steps: int = 2
    assignment_distance: str = "paper"
    max_assignment_distance: float = 0.25
    exclusive_masks: bool = True
    max_person_px: float = 350.0

    def __post_init__(self) -> None:
        for name, words in ENUMS.items():
            _check_word(self, name, words)


@dataclass(frozen=True, slots=True)
class PafDecoder:
    """How people are read from heatmaps, part affinity fields and the person map.

    peak_threshold           minimum height of a heatmap's peak
    max_peaks                of each joint, the highest
    samples                  positions between two peaks at which the limb's field is read
    min_alignment            minimum component of the field along the limb for such a position to be an inlier
    min_inlier_fraction      of these positions
    redundant_limbs          what limbs do that connect what others have connected already: "join" people as all limbs
                             do, or only "fill" joints that a person lacks, as published
    min_joints               people with fewer are dropped
    min_candidate_score      poses with a lower score are dropped before pixels are assigned
    instance_score           "pose": the sum of joint and limb scores over all that the skeleton has; "pose+mask": the
                             geometric mean of that and of the confidence of the mask (`instances.mask_scores`)
    min_score                people with a lower score are dropped
    max_people               those with the highest scores are kept
    masks                    False leaves the masks out
    mask_threshold           minimum person probability of a mask's pixel
    max_assignment_distance  pixels farther from a person's limbs, in units of the person's scale, are background
    exclusive_masks          a pixel belongs to the nearest person only; False gives it to all within the distance
    max_person_px            of several views, a person's mask is read in the finest where the pose is no longer than
                             this; since the person map is the mean of all views, in the finest at any length
    """

    peak_threshold: float = 0.1
    max_peaks: int = 100
    samples: int = 10
    min_alignment: float = 0.05
    min_inlier_fraction: float = 0.8
    redundant_limbs: str = "join"
    min_joints: int = 3
    min_candidate_score: float = 0.08
    instance_score: str = "pose+mask"
    min_score: float = 0.1
    max_people: int = 50
    masks: bool = True
    mask_threshold: float = 0.5
    max_assignment_distance: float = 0.5
    exclusive_masks: bool = True
    max_person_px: float = float("inf")

    def __post_init__(self) -> None:
        _check_word(self, "instance_score", ENUMS["instance_score"])
        _check_word(self, "redundant_limbs", ("join", "fill"))
        if self.samples < 2:
            raise PosegError(f"PafDecoder.samples is {self.samples}; a limb has two ends, so take 2 or more.")


def _check_word(config: object, name: str, words: tuple[str, ...]) -> None:
    value = getattr(config, name)
    if value not in words:
        raise PosegError(f"{type(config).__name__}.{name} is {value!r}; choose {' or '.join(map(repr, words))}.")


DecoderConfig = PersonLabDecoder | PafDecoder

# What detects most, measured on images that are not the test set (docs/decoder.md).
DEFAULT = PersonLabDecoder()
PAF_DEFAULT = PafDecoder()

# The paper's settings, but for its seed threshold of 0.01, which is a height in a map of single pixels, not a mass.
PAPER = PersonLabDecoder(seed_threshold=0.1, mid_refine_steps=2, instance_score="pose", exclusive_masks=False)

TFJS = PersonLabDecoder(
    seed_source="heatmap",
    seed_threshold=0.4,
    nms_radius_px=20.0,
    sampling="nearest",
    mid_refine_steps=2,
    max_candidates=10,
    keypoint_score="heatmap",
    instance_nms="tfjs",
    instance_score="pose",
    min_score=0.0,
    max_people=10,
    mask_threshold=0.7,
    long_refine_steps=10,
    long_short_refine_steps=0,
    assignment_distance="tfjs",
    max_assignment_distance=float("inf"),
)

CORAL = PersonLabDecoder(
    seed_source="heatmap",
    seed_threshold=0.2,
    nms_radius_px=10.0,
    mid_refine_steps=5,
    clamp_to_grid=True,
    min_pose_score=0.2,
    max_candidates=20,
    keypoint_score="heatmap",
    instance_score="pose",
    min_score=0.2,
    max_people=20,
    long_refine_steps=2,
    long_short_refine_steps=0,
    assignment_distance="coral",
    max_assignment_distance=float("inf"),
)
