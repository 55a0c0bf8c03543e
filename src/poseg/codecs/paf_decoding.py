"""The choices of PoSeg's decoder, as one value."""

from __future__ import annotations

from dataclasses import dataclass

from poseg.errors import PosegError


@dataclass(frozen=True, slots=True)
class PafDecoding:
    """How people are read from heatmaps, part affinity fields and the person map.

    peak_threshold    least height of a heatmap's peak
    max_peaks         of each joint, the highest
    samples           places on the way from one peak to another at which the limb's field is read
    least_agreement   least part of the field in the limb's direction for such a place to agree
    least_share       of these places that must agree
    closing           what limbs do that join what others have joined already: "join" people as all limbs do, or only
                      "fill" joints that somebody lacks, as published
    min_joints        people with fewer are dropped
    person_score      "pose": how sure joints and limbs are, over all that the skeleton has; "mask": the geometric mean
                      of that and of how sure the mask is (`claiming.mask_scores`)
    min_score         people with a lower score are dropped
    max_people        the surest are kept
    masks             False leaves the masks out
    mask_probability  least probability of a pixel that belongs to somebody
    mask_threshold    pixels farther from a person's limbs, in units of the person's scale, belong to nobody
    exclusive         a pixel belongs to the nearest person only; False gives it to all within the threshold
    longest_px        of several looks in different sizes, a person is outlined in the finest where the pose is no
                      longer than this; since the person map is the mean of all looks, in the finest at any length
    """

    peak_threshold: float = 0.1
    max_peaks: int = 100
    samples: int = 10
    least_agreement: float = 0.05
    least_share: float = 0.8
    closing: str = "join"
    min_joints: int = 3
    person_score: str = "mask"
    min_score: float = 0.1
    max_people: int = 50
    masks: bool = True
    mask_probability: float = 0.5
    mask_threshold: float = 0.5
    exclusive: bool = True
    longest_px: float = float("inf")

    def __post_init__(self) -> None:
        if self.person_score not in ("pose", "mask"):
            raise PosegError(f"PafDecoding.person_score is {self.person_score!r}; choose 'pose' or 'mask'.")
        if self.closing not in ("join", "fill"):
            raise PosegError(f"PafDecoding.closing is {self.closing!r}; choose 'join' or 'fill'.")
        if self.samples < 2:
            raise PosegError(f"PafDecoding.samples is {self.samples}; a limb has two ends, so take 2 or more.")


PAF = PafDecoding()
