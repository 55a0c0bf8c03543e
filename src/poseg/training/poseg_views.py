"""Training items for PoSeg: fields of whole views, with a teacher's doubt where labels are not complete."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.poseg import PoSegCodec
from poseg.codecs.targets import Targets
from poseg.fields.segmentation import sample_at_cells
from poseg.geometry.affine import Matrix
from poseg.people import Sample
from poseg.skeletons import COCO17
from poseg.skeletons.remap import remap_weights
from poseg.training.augment import random_view
from poseg.training.distill import PERSON, Lesson
from poseg.training.loader import Share, View, Views, as_tensors, lesson_path
from poseg.transforms.warp import warp

Places = NDArray[np.bool_]

# Of a teacher's heatmap: a joint where it says half is as likely as not, and no background.
DOUBT = 2.0


class PoSegViews(Views):
    """Views of pictures as PoSeg learns from them.

    lessons: folder of a teacher's lessons (`training.distill`), or None for labels alone.
    """

    def __init__(
        self, shares: Sequence[Share], codec: PoSegCodec, view: View, *, length: int, seed: int,
        lessons: Path | None = None,
    ) -> None:  # fmt: skip
        super().__init__(shares, codec.skeleton, view, length=length, seed=seed)
        self.codec, self.lessons = codec, lessons
        # Lessons are on COCO's joints; a joint between two of them is as doubtful as the more doubtful one.
        self._parts = remap_weights(COCO17, codec.skeleton) > 0

    def __getitem__(self, position: int) -> dict[str, Any]:
        rng = np.random.default_rng((self.seed, position))
        data, index = self.draw(rng)
        sample = data[index]
        size = (self.view.side_px, self.view.side_px)
        matrix = random_view(sample, size, rng, self.view.augmentation)
        seen = warp(sample, matrix, size)
        targets = self.codec.encode(seen.people, size, seen.ignore, uncertain=seen.uncertain)
        if not data.complete:
            targets = self._doubted_or_boxed(targets, data.key(index), seen, matrix)
        known = np.asarray(data.known)
        image = self.normalised(seen.image, rng)
        return {"name": data.key(index), "image": image, **as_tensors(_known_only(targets, known, self.codec))}

    def _doubted_or_boxed(self, targets: Targets, key: str, seen: Sample, matrix: Matrix) -> Targets:
        """Targets of a picture in which not everybody is labelled: with a teacher's doubt, or else inside the boxes."""
        labelled = _in_boxes(targets, seen.people.boxes_xyxy, self.codec)
        path = None if self.lessons is None else lesson_path(self.lessons, key)
        if path is None or not path.exists():
            kept = labelled.astype(np.float32)
            return Targets(targets.specs, targets.targets, {name: w * kept for name, w in targets.weights.items()})
        inside = np.ones(labelled.shape, bool)
        if seen.ignore is not None:
            inside = ~sample_at_cells(seen.ignore, self.codec.grid)
        return self._doubted(targets, Lesson.read(path), matrix, inside, labelled)

    def _doubted(self, targets: Targets, lesson: Lesson, matrix: Matrix, inside: Places, labelled: Places) -> Targets:
        """Targets where a teacher who saw people whom nobody labelled takes certainty from what is no joint."""
        cells = targets.targets["segmentation"].shape
        # The teacher's own grid and joints.
        teacher = PersonLabCodec(COCO17, stride=self.codec.stride)
        seen = lesson.seen_through(matrix, teacher, (cells[0], cells[1]))
        doubt = np.stack([seen.heatmap[parts].max(axis=0, initial=0) for parts in self._parts])
        trust = np.clip(1 - DOUBT * doubt, 0, 1)
        heat, weights = targets.targets["heatmap"], targets.weights
        person, person_weight = targets.targets["segmentation"], weights["segmentation"]
        known = person_weight > 0
        unlabelled = (seen.segmentation > PERSON) & (person < PERSON) & ~labelled
        still = ~unlabelled | (np.abs(targets.targets["paf"]).sum(axis=1) > 0)
        return Targets(
            targets.specs,
            targets={
                **targets.targets,
                "segmentation": np.where(known, np.maximum(person, seen.segmentation), seen.segmentation),
            },
            weights={
                "heatmap": np.where(heat > 0, weights["heatmap"], weights["heatmap"] * trust),
                "background": weights["background"] * np.where(heat.max(axis=0) > 0, 1, trust.min(axis=0)),
                "paf": weights["paf"] * still,
                "segmentation": np.where(known | inside, 1, 0).astype(np.float32),
            },
        )


def _known_only(targets: Targets, known: Places, codec: PoSegCodec) -> Targets:
    """No loss on joints that the data set does not name, nor on limbs that end at one."""
    limbs = np.asarray(known[codec.limb_joints].all(axis=1), np.bool_)
    weights = dict(targets.weights)
    weights["heatmap"] = weights["heatmap"] * known[:, None, None].astype(np.float32)
    weights["paf"] = (weights["paf"] * limbs[:, None, None]).astype(np.float32)
    if not known.all():
        weights["background"] = weights["background"] * (targets.targets["heatmap"].max(axis=0) > 0)
    return Targets(targets.specs, targets.targets, {n: np.asarray(w, np.float32) for n, w in weights.items()})


def _in_boxes(targets: Targets, boxes_xyxy: NDArray[np.float32], codec: PoSegCodec) -> Places:
    """(h, w) cells in the boxes of labelled people."""
    x, y = codec.grid.positions(*targets.targets["segmentation"].shape)
    left, top, right, bottom = boxes_xyxy.T[:, :, None, None]
    return np.asarray(((x >= left) & (x <= right) & (y >= top) & (y <= bottom)).any(axis=0))
