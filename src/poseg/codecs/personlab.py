"""PersonLab: people to fields and back (Papandreou et al., ECCV 2018).

Letters: N people, K joints, E = 2 (K - 1) directed tree edges, h x w cells.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.codec import FlipRules
from poseg.codecs.decoder_config import DEFAULT, PersonLabDecoder
from poseg.codecs.instances import decode
from poseg.codecs.pixel_assignment import PixelAssignment, assign_by_offsets
from poseg.codecs.pose_growing import GrownPoses, grow_poses
from poseg.codecs.pose_scoring import (
    MIN_BOX_JOINTS,
    expected_oks,
    kappas,
    keypoint_probabilities,
    oks_nms,
    person_scales,
    sequential_nms,
    soft_nms,
    with_seed_scores,
)
from poseg.codecs.targets import Targets, impute_missing_joints
from poseg.errors import FieldError, ShapeError
from poseg.fields import Fields, FieldSpec
from poseg.fields.heatmap import disk_assignment
from poseg.fields.hough import (
    Seeds,
    Votes,
    accumulate_votes,
    cast_votes,
    cell_peaks,
    hough_peaks,
    refined_grid,
)
from poseg.fields.segmentation import area_downsample, nearest_person, sample_at_cells
from poseg.geometry.grid import Grid
from poseg.geometry.pose_size import pose_boxes
from poseg.people import People
from poseg.skeletons import COCO17, Skeleton

Floats = NDArray[np.float32]

POSE_FIELDS = ("heatmap", "short_offsets", "mid_offsets")
MASK_FIELDS = ("segmentation", "long_offsets")


@dataclass(frozen=True, slots=True)
class PersonLabCodec:
    """How people are encoded as PersonLab's fields, and decoded.

    skeleton        joints and tree; its directed edges are the channels of the mid offsets
    stride          pixels between cells
    disk_radius_px  radius R of the disk around a joint, the same for every person (section 3.1)
    fields          names of the fields that the network outputs; without `MASK_FIELDS` people have no masks
    """

    skeleton: Skeleton = COCO17
    stride: int = 16
    disk_radius_px: float = 32.0
    fields: tuple[str, ...] = POSE_FIELDS + MASK_FIELDS

    def __post_init__(self) -> None:
        missing = [name for name in POSE_FIELDS if name not in self.fields]
        unknown = [name for name in self.fields if name not in POSE_FIELDS + MASK_FIELDS]
        if missing or unknown:
            raise FieldError(
                f"PersonLab reads {', '.join(POSE_FIELDS)} and, for masks, {', '.join(MASK_FIELDS)}; "
                f"these fields lack {', '.join(missing) or 'none'} and have the unknown {', '.join(unknown) or 'none'}."
            )
        if not (self.stride >= 1 and self.disk_radius_px > 0):
            raise FieldError(
                "The PersonLab codec needs a stride of 1 or more and a disk_radius_px above 0; "
                f"got {self.stride} and {self.disk_radius_px}."
            )

    @property
    def default_config(self) -> PersonLabDecoder:
        """The default settings of the decoder."""
        return DEFAULT

    @property
    def flip_rules(self) -> FlipRules:
        """How a flip permutes the axes of fields. Raises SkeletonError for edges without a flipped counterpart."""
        orders = {"joint": self.skeleton.flip_index}
        if "mid_offsets" in self.fields:
            orders["edge"] = self.skeleton.edge_flip_index
        return {axis: (order, np.ones(len(order), np.float32)) for axis, order in orders.items()}

    @property
    def grid(self) -> Grid:
        """Cell 0 lies on the first pixel's centre."""
        return Grid(self.stride)

    @property
    def specs(self) -> tuple[FieldSpec, ...]:
        """The five fields of the paper's figure 2, in that order, or those of them in `fields`."""
        k, e, grid = len(self.skeleton), len(self.skeleton.edges), self.grid
        every = (
            FieldSpec("heatmap", ("joint",), (k,), "logit", grid),
            FieldSpec("short_offsets", ("joint", "xy"), (k, 2), "px", grid),
            FieldSpec("mid_offsets", ("edge", "xy"), (e, 2), "px", grid),
            FieldSpec("segmentation", (), (), "logit", grid),
            FieldSpec("long_offsets", ("joint", "xy"), (k, 2), "px", grid),
        )
        return tuple(spec for spec in every if spec.name in self.fields)

    @property
    def scale_averaged_fields(self) -> tuple[str, ...]:
        """None: each mask is read in the view where the person has a size that the network was trained on."""
        return ()

    def fields_from_outputs(self, outputs: Mapping[str, Floats]) -> Fields:
        """Fields of one image from a network's outputs (1, C, h, w) by name."""
        return Fields.from_flat(self.specs, {name: array[0] for name, array in outputs.items()})

    def to_dict(self) -> dict[str, Any]:
        """The settings as plain data for a model's card; the skeleton is stored beside them."""
        return {"stride": self.stride, "disk_radius_px": self.disk_radius_px, "fields": list(self.fields)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], skeleton: Skeleton) -> PersonLabCodec:
        """The codec that `to_dict` described. Raises FieldError where a setting is missing."""
        try:
            stride, radius, fields = int(plain["stride"]), float(plain["disk_radius_px"]), tuple(plain["fields"])
        except (KeyError, TypeError, ValueError) as fault:
            raise FieldError(
                f"The settings of the PersonLab codec lack a valid stride, disk_radius_px or fields ({fault!r}); "
                "export the model again."
            ) from None
        return cls(skeleton, stride, radius, fields)

    def encode(
        self,
        people: People,
        size: tuple[int, int],
        ignore: NDArray[np.bool_] | None = None,
        *,
        uncertain: Floats | None = None,
        impute: bool = False,
    ) -> Targets:
        """The targets of people, in pixels of a network input of `size` (height, width) (spec section 2).

        ignore     (height, width) pixels that are not annotated: crowds, padding
        uncertain  (M, 3) joint index, x, y of positions where a joint may or may not be
        impute     extend short and mid offsets, unsupervised, through guessed positions of missing joints
                   (`targets.impute_missing_joints`): for fields to decode, not to train on

        A joint is annotated where its score is above 0. Supervised cells:

        heatmap   all but those in `ignore`, in the masks of people without any annotated joint and, outside the
                  annotated disks, in the disks of `uncertain` joints
        short     inside the disks; mid likewise, where the target joint of that person is annotated too
        segment.  all but those in `ignore` and in the boxes of people without a mask
        long      in exactly one person's mask, for that person's annotated joints, outside `ignore`

        Outside their supervised cells the long offsets continue with the nearest mask's owner, so that they can be
        interpolated across its edge. Raises ShapeError for masks of another size.
        """
        if len(people) and people.masks is not None and people.masks.shape[1:] != size:
            raise ShapeError("people.masks", expected=(len(people), *size), got=people.masks.shape)
        cells = self.grid.shape(*size)
        at = self.grid.positions(*cells)
        ignored = np.zeros(cells, bool) if ignore is None else sample_at_cells(ignore, self.grid)
        annotated = people.keypoint_scores > 0
        owner = disk_assignment(people.keypoints, annotated, self.grid, cells, self.disk_radius_px)
        masks = np.zeros((len(people), *size), bool) if people.masks is None else people.masks.full()

        heat_weight = ~(ignored | sample_at_cells(_any(masks[~annotated.any(axis=1)]), self.grid))
        heat_weight = np.broadcast_to(heat_weight, owner.shape)
        if uncertain is not None and len(uncertain):
            heat_weight = heat_weight & ~((owner < 0) & self._uncertain_disks(uncertain, at))
        short, mid, mid_weight = self._encode_disks(people.keypoints, annotated, owner, at)
        if impute:
            points, placed = impute_missing_joints(people.keypoints, annotated, self.skeleton.edges)
            guessed = disk_assignment(points, placed & ~annotated, self.grid, cells, self.disk_radius_px)
            short, mid, _ = self._encode_disks(points, placed, np.where(owner >= 0, owner, guessed), at)
        person, person_weight = self._encode_segmentation(people, masks, ignored)
        long, long_weight = self._encode_long(
            people.keypoints, annotated, sample_at_cells(masks, self.grid), ignored, at
        )
        return Targets(
            self.specs,
            targets={
                "heatmap": (owner >= 0).astype(np.float32),
                "short_offsets": short,
                "mid_offsets": mid,
                "segmentation": person,
                "long_offsets": long,
            },
            weights={
                "heatmap": heat_weight.astype(np.float32),
                "short_offsets": (owner >= 0).astype(np.float32),
                "mid_offsets": mid_weight,
                "segmentation": person_weight,
                "long_offsets": long_weight,
            },
        )

    def _encode_disks(
        self, keypoints: Floats, annotated: NDArray[np.bool_], owner: NDArray[np.intp], at: Floats
    ) -> tuple[Floats, Floats, Floats]:
        """Short offsets (K, 2, h, w), mid offsets (E, 2, h, w) and the weight of the latter (E, h, w)."""
        edges = self.skeleton.edges
        short = np.zeros((len(owner), 2, *owner.shape[1:]), np.float32)
        mid = np.zeros((len(edges), 2, *owner.shape[1:]), np.float32)
        weight = np.zeros((len(edges), *owner.shape[1:]), np.float32)
        joint, row, column = np.nonzero(owner >= 0)
        short[joint, :, row, column] = keypoints[owner[joint, row, column], joint] - at[:, row, column].T
        edge, row, column = np.nonzero(owner[edges[:, 0]] >= 0)
        source, target = edges[edge].T
        person = owner[source, row, column]
        both = annotated[person, target]
        edge, row, column, person, target = (a[both] for a in (edge, row, column, person, target))
        mid[edge, :, row, column] = keypoints[person, target] - at[:, row, column].T
        weight[edge, row, column] = 1
        return short, mid, weight

    def _uncertain_disks(self, uncertain: Floats, at: Floats) -> NDArray[np.bool_]:
        """(K, h, w) cells in the disk of one of the uncertain joints (M, 3): joint index, x, y."""
        x, y = at[0, 0], at[1, :, 0]
        squared = (x - uncertain[:, 1:2])[:, None, :] ** 2 + (y - uncertain[:, 2:3])[:, :, None] ** 2  # (M, h, w)
        disks = np.zeros((len(self.skeleton), *at.shape[1:]), np.bool_)
        np.logical_or.at(disks, uncertain[:, 0].astype(np.intp), squared <= self.disk_radius_px**2)
        return disks

    def _encode_segmentation(
        self, people: People, masks: NDArray[np.bool_], ignored: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Person coverage (h, w) and its weight, 0 off the masks in the box of a person without a mask."""
        union = _any(masks)
        maskless = np.zeros(masks.shape[1:], bool)
        for box in people.boxes_xyxy[~masks.any(axis=(1, 2))]:
            x0, y0 = np.maximum(np.floor(box[:2]), 0).astype(int)
            x1, y1 = np.maximum(np.ceil(box[2:]), 0).astype(int)
            maskless[y0:y1, x0:x1] = True
        person = area_downsample(union, self.grid)
        unsupervised = sample_at_cells(maskless & ~union, self.grid) | ignored
        return person, (~unsupervised).astype(np.float32)

    def _encode_long(
        self,
        keypoints: Floats,
        annotated: NDArray[np.bool_],
        masks: NDArray[np.bool_],
        ignored: NDArray[np.bool_],
        at: Floats,
    ) -> tuple[Floats, Floats]:
        """Long offsets (K, 2, h, w) to the joints of the nearest mask's person, and their weight (K, h, w)."""
        owner = nearest_person(masks)
        if (owner < 0).any():
            k = keypoints.shape[1]
            return np.zeros((k, 2, *owner.shape), np.float32), np.zeros((k, *owner.shape), np.float32)
        has_joint = annotated[owner].transpose(2, 0, 1)
        long = np.where(has_joint[:, None], keypoints[owner].transpose(2, 3, 0, 1) - at, 0).astype(np.float32)
        unique = (masks.sum(axis=0) == 1) & ~ignored
        return long, (has_joint & unique).astype(np.float32)

    def detect(self, fields: Fields, config: PersonLabDecoder = DEFAULT) -> People:
        """All poses, highest score first, in pixels of the network's input: vote, find peaks, grow, score, suppress.

        Every person has all K joints; those that are not visible have a low score. Raises FieldError for fields that
        are not finite.
        """
        fields.check_finite()
        votes = cast_votes(fields["heatmap"], fields["short_offsets"], fields.grid, self.disk_radius_px)
        poses = grow_poses(self._seeds(fields, votes, config), fields, self.skeleton, config)
        probability = keypoint_probabilities(fields, poses.keypoints, config.sampling)
        scales = person_scales(poses.keypoints, probability)
        keypoint_scores = self._score(fields, votes, poses, probability, scales, config)
        scores = self._suppress(poses.keypoints, keypoint_scores, scales, config)
        boxes_xyxy = pose_boxes(poses.keypoints, probability, min_joints=MIN_BOX_JOINTS)
        people = People(self.skeleton, poses.keypoints, keypoint_scores, scores, boxes_xyxy)
        return people.top(len(people))

    def assign(self, fields: Fields, people: People, config: PersonLabDecoder = DEFAULT) -> PixelAssignment | None:
        """The cells of people, who are in pixels of the network's input; None without `MASK_FIELDS`."""
        if not all(name in fields for name in MASK_FIELDS):
            return None
        return assign_by_offsets(fields, people, config)

    def decode(self, fields: Fields, config: PersonLabDecoder = DEFAULT) -> People:
        """People of one view with masks, highest score first (`instances.decode`)."""
        return decode(self, fields, config)

    def hough_maps(self, fields: Fields, stride_px: int = 4) -> Floats:
        """Mass of the votes for each joint on a grid of `stride_px`, for drawing: (K, H, W)."""
        votes = cast_votes(fields["heatmap"], fields["short_offsets"], fields.grid, self.disk_radius_px)
        framed = accumulate_votes(votes, len(self.skeleton), *refined_grid(fields.grid, fields.shape_hw, stride_px))
        return framed[:, 1:-1, 1:-1].astype(np.float32)

    def _seeds(self, fields: Fields, votes: Votes, config: PersonLabDecoder) -> Seeds:
        if config.seed_source == "heatmap":
            return cell_peaks(fields["heatmap"], fields["short_offsets"], fields.grid, config.seed_threshold)
        grid, cells = refined_grid(fields.grid, fields.shape_hw, config.hough_stride_px)
        return hough_peaks(accumulate_votes(votes, len(self.skeleton), grid, cells), grid, config.seed_threshold)

    def _score(
        self,
        fields: Fields,
        votes: Votes,
        poses: GrownPoses,
        probability: Floats,
        scales: Floats,
        config: PersonLabDecoder,
    ) -> Floats:
        """The scores of joints: (N, K)."""
        if config.keypoint_score == "expected_oks":
            joint = np.tile(np.arange(len(self.skeleton)), len(probability))
            keypoints = np.column_stack([poses.keypoints.reshape(-1, 2), joint])
            reach = (scales[:, None] * kappas(self.skeleton)).reshape(-1)
            expected = expected_oks(votes, fields, keypoints, reach, self.disk_radius_px)
            return expected.reshape(probability.shape) * probability
        if config.sampling == "nearest":
            return with_seed_scores(probability, poses.seeds)
        return probability

    def _suppress(self, keypoints: Floats, keypoint_scores: Floats, scales: Floats, config: PersonLabDecoder) -> Floats:
        """The scores of people after suppression by others: (N,)."""
        if config.instance_nms == "oks":
            reach = scales[:, None] * kappas(self.skeleton)
            return oks_nms(keypoints, keypoint_scores, reach, config.oks_threshold)
        rescore = sequential_nms if config.instance_nms == "tfjs" else soft_nms
        return rescore(keypoints, keypoint_scores, config.nms_radius_px)


def _any(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The union (H, W) of masks (N, H, W)."""
    return np.asarray(masks.any(axis=0), np.bool_)
