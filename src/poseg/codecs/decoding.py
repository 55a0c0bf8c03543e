"""The choices of PersonLab's decoder, as one value, and three sets of them: the paper's and the two published decoders.

Change one with `dataclasses.replace(PAPER, max_people=20)`.
"""

from __future__ import annotations

from dataclasses import dataclass

from poseg.errors import PosegError

# The words that a choice may be.
CHOICES = {
    "evidence": ("hough", "cell"),
    "sampling": ("bilinear", "nearest"),
    "keypoint_score": ("expected_oks", "heatmap"),
    "instance_nms": ("soft", "tfjs", "oks"),
    "person_score": ("mask", "pose"),
    "mask_metric": ("paper", "tfjs", "tfjs_webgl", "coral"),
}


@dataclass(frozen=True, slots=True)
class Decoding:
    """How people are read from fields; lengths are pixels of the network's input.

    evidence             "hough": peaks of the votes; "cell": peaks of the heatmap, moved by their short offset
    hough_stride_px      resolution of the map of votes; the paper's 1 costs much and gains nothing measurable
    seed_threshold       least score of a seed: mass of votes in [0, 1] ("hough") or probability ("cell")
    nms_radius_px        r: a seed this near to the same joint of an accepted person starts no new one; also the
                         reach of the soft suppression of joints
    sampling             "bilinear" or "nearest": how offsets and heatmaps are read between cells
    mid_steps            times that a joint found by a mid offset is corrected by short offsets
    keep_inside          move what ends outside the frame of cells to its border: joints, and where pixels point
    accept_score         least mean joint score of a person, for it to suppress later seeds
    max_candidates       people grown at most, before they are scored
    keypoint_score       "expected_oks" (section 3.1) or "heatmap" (the probability at the joint)
    instance_nms         how people who share joints suppress each other: "soft", "tfjs" (soft, in the order of the
                         seeds) or "oks" (hard)
    oks_threshold        "oks" drops a person this similar to a surer one
    person_score         "pose": the mean over joints; "mask": the geometric mean of that and of how sure the mask is
                         (`claiming.mask_scores`), where there are masks
    min_score            people with a lower score are dropped
    max_people           the surest are kept
    masks                False leaves the masks out
    mask_probability     least probability of a pixel that belongs to somebody
    long_steps           times that a long offset is followed by another one
    long_short_steps     times that the place found by long offsets is corrected by short offsets
    mask_metric          distance of a pixel from a person: "paper" (section 3.2), "tfjs", "tfjs_webgl" or "coral"
    mask_threshold       pixels farther away belong to nobody; "tfjs" and "coral" measure in square pixels and use inf
    exclusive            a pixel belongs to the nearest person only; False gives it to all within the threshold
    longest_px           of several looks in different sizes, a person is outlined in the finest where the pose is no
                         longer than this, or else in the coarsest (`suiting_look`)
    """

    evidence: str = "hough"
    hough_stride_px: int = 4
    seed_threshold: float = 0.2
    nms_radius_px: float = 10.0
    sampling: str = "bilinear"
    mid_steps: int = 5
    keep_inside: bool = False
    accept_score: float = 0.0
    max_candidates: int = 100
    keypoint_score: str = "expected_oks"
    instance_nms: str = "soft"
    oks_threshold: float = 0.7
    person_score: str = "mask"
    min_score: float = 0.1
    max_people: int = 50
    masks: bool = True
    mask_probability: float = 0.5
    long_steps: int = 2
    long_short_steps: int = 2
    mask_metric: str = "paper"
    mask_threshold: float = 0.25
    exclusive: bool = True
    longest_px: float = 350.0

    def __post_init__(self) -> None:
        for name, words in CHOICES.items():
            if getattr(self, name) not in words:
                raise PosegError(f"Decoding.{name} is {getattr(self, name)!r}; choose {' or '.join(map(repr, words))}.")


# What finds most, measured on pictures that are not the test set (docs/decoder.md).
BEST = Decoding()

# The paper's own words, but for its seed threshold of 0.01: that is a height of a map of single pixels, this a mass.
PAPER = Decoding(seed_threshold=0.1, mid_steps=2, person_score="pose", exclusive=False)

TFJS = Decoding(
    evidence="cell",
    seed_threshold=0.4,
    nms_radius_px=20.0,
    sampling="nearest",
    mid_steps=2,
    max_candidates=10,
    keypoint_score="heatmap",
    instance_nms="tfjs",
    person_score="pose",
    min_score=0.0,
    max_people=10,
    mask_probability=0.7,
    long_steps=10,
    long_short_steps=0,
    mask_metric="tfjs",
    mask_threshold=float("inf"),
)

CORAL = Decoding(
    evidence="cell",
    seed_threshold=0.2,
    nms_radius_px=10.0,
    mid_steps=5,
    keep_inside=True,
    accept_score=0.2,
    max_candidates=20,
    keypoint_score="heatmap",
    person_score="pose",
    min_score=0.2,
    max_people=20,
    long_steps=2,
    long_short_steps=0,
    mask_metric="coral",
    mask_threshold=float("inf"),
)
