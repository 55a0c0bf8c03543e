"""PoSeg: people to heatmaps, part affinity fields and a person map, and back (Cao et al., CVPR 2017, for the poses).

Letters: N people, K joints, L limbs, h x w cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.codec import FlipRules
from poseg.codecs.decoder_config import PAF_DEFAULT, PafDecoder
from poseg.codecs.instances import decode
from poseg.codecs.limb_assignment import assign_by_limbs
from poseg.codecs.paf_matching import assemble, connect
from poseg.codecs.pixel_assignment import PixelAssignment
from poseg.codecs.targets import Targets
from poseg.errors import FieldError, ShapeError
from poseg.fields import Fields, FieldSpec
from poseg.fields.heatmap import disk_assignment, gaussian_heatmaps, heatmap_peaks
from poseg.fields.paf import Limb, default_limbs, encode_pafs, limb_flip, redundant_limbs
from poseg.fields.segmentation import area_downsample, sample_at_cells
from poseg.geometry.grid import PIXEL_CENTRE, Grid
from poseg.people import People
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float32]

UNCERTAIN_SIGMAS = 3.0  # cells within this many sigmas of an uncertain joint are not supervised


@dataclass(frozen=True)
class PoSegCodec:
    """How people are encoded as PoSeg's fields, and decoded.

    skeleton   the joints
    stride     pixels between cells
    origin_px  position of the first cell on each axis: 0.5 is the first pixel's centre, stride / 2 the centre of the
               first block
    sigma_px   of the Gaussians around joints
    width_px   half the width of a limb's field
    limbs      pairs of joints that people are assembled from, in this order; by default `default_limbs`
    """

    skeleton: Skeleton = COCO17
    stride: int = 8
    origin_px: float = PIXEL_CENTRE
    sigma_px: float = 7.0
    width_px: float = 8.0
    limbs: tuple[Limb, ...] = ()

    def __post_init__(self) -> None:
        if not self.limbs:
            object.__setattr__(self, "limbs", default_limbs(self.skeleton))
        redundant_limbs(self.skeleton, self.limbs)
        if not (self.stride >= 1 and 0 <= self.origin_px < self.stride and self.sigma_px > 0 and self.width_px > 0):
            raise FieldError(
                f"The PoSeg codec needs a stride of 1 or more, an origin_px from 0 to below it, sigma_px and width_px "
                f"above 0; got {self.stride}, {self.origin_px}, {self.sigma_px} and {self.width_px}."
            )

    @property
    def default_config(self) -> PafDecoder:
        """The default settings of the decoder."""
        return PAF_DEFAULT

    @property
    def grid(self) -> Grid:
        """The positions of the cells."""
        return Grid(self.stride, self.origin_px)

    @cached_property
    def limb_joints(self) -> NDArray[np.intp]:
        """(L, 2) indices of the joints that each limb connects."""
        return self.skeleton.indices(self.limbs)

    @cached_property
    def redundant(self) -> NDArray[np.bool_]:
        """(L,) limbs whose joints are connected by earlier limbs already."""
        return redundant_limbs(self.skeleton, self.limbs)

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """Part affinity fields first, as in the paper; then heatmaps, background and person map."""
        k, n, grid = len(self.skeleton), len(self.limbs), self.grid
        return (
            FieldSpec("paf", ("limb", "xy"), (n, 2), "scalar", grid),
            FieldSpec("heatmap", ("joint",), (k,), "scalar", grid),
            FieldSpec("background", (), (), "scalar", grid),
            FieldSpec("segmentation", (), (), "logit", grid),
        )

    @property
    def flip_rules(self) -> FlipRules:
        """How a flip permutes the axes of fields. Raises SkeletonError for limbs without a flipped counterpart."""
        joints = self.skeleton.flip_index
        return {"joint": (joints, np.ones(len(joints), np.float32)), "limb": limb_flip(self.skeleton, self.limbs)}

    @property
    def scale_averaged_fields(self) -> tuple[str, ...]:
        """The person map: its context features segment large people better at smaller scales."""
        return ("segmentation",)

    def fields_from_outputs(self, outputs: Mapping[str, Floats]) -> Fields:
        """Fields of one image from a network's outputs (1, C, h, w) by name."""
        return Fields.from_flat(self.specs, {name: array[0] for name, array in outputs.items()})

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for a model's card; the skeleton is stored beside them."""
        numbers = {name: getattr(self, name) for name in ("stride", "origin_px", "sigma_px", "width_px")}
        return {**numbers, "limbs": [list(limb) for limb in self.limbs]}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], skeleton: Skeleton) -> PoSegCodec:
        """The codec that `to_dict` described. Raises FieldError where a setting is missing."""
        try:
            lengths = {name: float(plain[name]) for name in ("origin_px", "sigma_px", "width_px")}
            limbs = tuple((str(a), str(b)) for a, b in plain["limbs"])
            return cls(skeleton, int(plain["stride"]), limbs=limbs, **lengths)
        except (KeyError, TypeError, ValueError) as fault:
            raise FieldError(
                f"The settings of the PoSeg codec lack a valid stride, origin_px, sigma_px, width_px or limbs "
                f"({fault!r}); export the model again."
            ) from None

    def encode(
        self, people: People, size: tuple[int, int], ignore: NDArray[np.bool_] | None = None, *,
        uncertain: Floats | None = None,
    ) -> Targets:  # fmt: skip
        """The targets of people, in pixels of a network input of `size` (height, width).

        ignore     (height, width) pixels that are not annotated
        uncertain  (M, 3) joint index, x, y of positions where a joint may or may not be

        A joint is annotated where its score is above 0. Supervised cells:

        paf         all but those in `ignore`, in the masks of people without any annotated joint and, off the annotated
                    limbs, in the boxes of people with just one annotated end of the limb, which may run there
        heatmap     all but those in `ignore`, in the masks of people without any annotated joint and, away from the
                    annotated joints, near the `uncertain` ones
        background  those where all heatmaps are supervised
        segment.    all but those in `ignore` and in the boxes of people without a mask

        So images with poses only, or with masks only, supervise what they have. Raises ShapeError for masks of another
        size.
        """
        if len(people) and people.masks is not None and people.masks.shape[1:] != size:
            raise ShapeError("people.masks", expected=(len(people), *size), got=people.masks.shape)
        cells = self.grid.shape(*size)
        annotated = people.keypoint_scores > 0
        masks = np.zeros((len(people), *size), bool) if people.masks is None else people.masks.full()
        ignored = np.zeros(cells, bool) if ignore is None else sample_at_cells(ignore, self.grid)
        without_keypoints = sample_at_cells(np.asarray(masks[~annotated.any(axis=1)].any(axis=0)), self.grid)

        heat = gaussian_heatmaps(people.keypoints, annotated, self.grid, cells, self.sigma_px)
        background: Floats = (1 - heat).min(axis=0)
        paf, on_limb = encode_pafs(people.keypoints, annotated, self.limb_joints, self.grid, cells, self.width_px)
        heat_weight = np.broadcast_to(~(ignored | without_keypoints), heat.shape)
        if uncertain is not None and len(uncertain):
            heat_weight = heat_weight & ~(self._uncertain_cells(uncertain, cells) & (heat == 0))
        paf_weight = ~(ignored | without_keypoints) & ~(self._partial_limbs(people, annotated, cells) & ~on_limb)
        union = np.asarray(masks.any(axis=0), np.bool_)
        no_mask = sample_at_cells(_box_mask(people, masks) & ~union, self.grid) | ignored
        return Targets(
            self.specs,
            targets={
                "paf": paf,
                "heatmap": heat,
                "background": background,
                "segmentation": area_downsample(union, self.grid),
            },
            weights={
                "paf": paf_weight.astype(np.float32),
                "heatmap": heat_weight.astype(np.float32),
                "background": np.asarray(heat_weight.all(axis=0), np.float32),
                "segmentation": (~no_mask).astype(np.float32),
            },
        )

    def _uncertain_cells(self, uncertain: Floats, cells: tuple[int, int]) -> NDArray[np.bool_]:
        """(K, h, w) cells near one of the uncertain joints (M, 3): joint index, x, y."""
        points = np.zeros((len(uncertain), len(self.skeleton), 2), np.float32)
        present = np.zeros(points.shape[:2], bool)
        row, joint = np.arange(len(uncertain)), uncertain[:, 0].astype(np.intp)
        points[row, joint], present[row, joint] = uncertain[:, 1:], True
        return disk_assignment(points, present, self.grid, cells, UNCERTAIN_SIGMAS * self.sigma_px) >= 0

    def _partial_limbs(self, people: People, annotated: NDArray[np.bool_], cells: tuple[int, int]) -> NDArray[np.bool_]:
        """(L, h, w) cells in the boxes of people with just one annotated end of the limb."""
        partial = annotated[:, self.limb_joints].sum(axis=2) == 1
        in_box = np.zeros((len(self.limbs), *cells), bool)
        corners = self.grid.to_cells(people.boxes_xyxy.reshape(-1, 2, 2))
        first = np.maximum(np.ceil(corners[:, 0]), 0).astype(int)
        last = np.maximum(np.floor(corners[:, 1]) + 1, 0).astype(int)
        for person, ((x0, y0), (x1, y1)) in enumerate(zip(first, last, strict=True)):
            in_box[partial[person], y0:y1, x0:x1] = True
        return in_box

    def detect(self, fields: Fields, config: PafDecoder = PAF_DEFAULT) -> People:
        """All poses, highest score first, in pixels of the network's input: find peaks, integrate, match, assemble.

        A joint that was not detected has score 0. Raises FieldError for fields that are not finite.
        """
        fields.check_finite()
        peaks = heatmap_peaks(fields["heatmap"], self.grid, config.peak_threshold, config.max_peaks)
        connections = connect(peaks, fields["paf"], self.limb_joints, self.grid, config)
        assembled = assemble(peaks, connections, self.redundant & (config.redundant_limbs == "fill"))
        assembled = [person for person in assembled if len(person[0]) >= config.min_joints]
        keypoints = np.zeros((len(assembled), len(self.skeleton), 2), np.float32)
        keypoint_scores = np.zeros(keypoints.shape[:2], np.float32)
        for person, (detected, _) in enumerate(assembled):
            joints, rows = list(detected), list(detected.values())
            keypoints[person, joints], keypoint_scores[person, joints] = peaks.points[rows], peaks.scores[rows]
        max_score = len(self.skeleton) + int((~self.redundant).sum())
        scores = np.clip([score / max_score for _, score in assembled], 0, 1).astype(np.float32)
        people = People.from_poses(self.skeleton, keypoints, np.clip(keypoint_scores, 0, 1), scores=scores.reshape(-1))
        return people.top(len(people))

    def assign(self, fields: Fields, people: People, config: PafDecoder = PAF_DEFAULT) -> PixelAssignment | None:
        """The cells of people, who are in pixels of the network's input, by their limbs."""
        return assign_by_limbs(fields, people, config)

    def decode(self, fields: Fields, config: PafDecoder = PAF_DEFAULT) -> People:
        """People of one view with masks, highest score first (`instances.decode`)."""
        return decode(self, fields, config)


def _box_mask(people: People, masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """(H, W) pixels in the boxes of people without a mask."""
    in_box = np.zeros(masks.shape[1:], bool)
    for box in people.boxes_xyxy[~masks.any(axis=(1, 2))]:
        x0, y0 = np.maximum(np.floor(box[:2]), 0).astype(int)
        x1, y1 = np.maximum(np.ceil(box[2:]), 0).astype(int)
        in_box[y0:y1, x0:x1] = True
    return in_box
