"""Images with people in COCO's format, on any skeleton: published sets, custom ones and pseudo-labels.

What is annotated of a person decides what is learnt (PersonLab, and spec section 2):

crowds                      pixels to ignore
a mask without joints       person pixels; no background for any joint inside the mask (COCO's small people)
joints without a mask       joints; it is unknown which pixels of the box are person
a box and nothing else      pixels to ignore, the whole box
a score below `min_score`   pixels to ignore, the whole box
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, ImageWarning
from poseg.geometry.masks import Masks
from poseg.io.coco_json import CocoDataset, fill_boxes, read_coco
from poseg.io.coco_table import CocoImage
from poseg.io.image_names import match_files
from poseg.io.images import read_image
from poseg.people import People, Sample
from poseg.skeletons import COCO17, Skeleton, remap_weights

MAX_NAMED = 5  # images in a warning
CUTOUT_AGREEMENT = 0.8  # of the networks that labelled a mask: above it edges are good enough to be seen elsewhere


@dataclass(frozen=True, slots=True)
class LabelConfig:
    """Which images and labels of a file are used.

    use_keypoints   False: no joint counts as annotated, so only masks are learnt
    include_empty   include images without annotations: pure background
    prefixes        only images whose file name starts with one of these
    min_visibility  joints with a lower v are not annotated but uncertain; pseudo-labels use 1 for uncertain joints
    min_score       people with a lower `score` become pixels to ignore; pseudo-labels have scores
    resize          resize images whose size differs from the file's, instead of raising AnnotationError
    min_mask_agreement  masks with a lower `mask_agreement` are not cut out and pasted elsewhere (`Sample.exact_masks`)
    skip_every      leave out images whose id is a multiple of this, which are kept for choosing; 0 for none
    """

    use_keypoints: bool = True
    include_empty: bool = False
    prefixes: tuple[str, ...] = ("",)
    min_visibility: int = 1
    min_score: float = 0.0
    resize: bool = False
    min_mask_agreement: float = 0.0
    skip_every: int = 0


class CocoPeople:
    """The images of an annotation file that exist on disk.

    image_dir   folder that `file_name` is relative to
    skeleton    of the samples; the file's own by default. Joints that the file lacks are not annotated
    exhaustive  whether every person of an image is annotated, so that the rest is background

    `left_out` names the images that are there but cannot be used, such as links that lead nowhere, with the reason;
    an ImageWarning names the first of them.
    """

    def __init__(
        self,
        name: str,
        data: CocoDataset,
        image_dir: Path,
        *,
        skeleton: Skeleton | None = None,
        exhaustive: bool = True,
        labels: LabelConfig = LabelConfig(),
    ) -> None:
        self.name, self.exhaustive = name, exhaustive
        self.skeleton = data.skeleton if skeleton is None else skeleton
        self._weights = remap_weights(data.skeleton, self.skeleton)
        self.annotated_joints: NDArray[np.bool_] = (self._weights.sum(axis=1) > 0) & labels.use_keypoints
        self._data, self._labels = data, labels
        labelled = [
            image
            for image in data.images.values()
            if (labels.include_empty or image.id in data.rows)
            and image.file_name.startswith(labels.prefixes)
            and not (labels.skip_every and image.id % labels.skip_every == 0)
        ]
        files = match_files(image_dir, (image.file_name for image in labelled))
        self._paths = files.paths
        self.left_out = tuple(f"{name}: {fault}" for name, fault in files.faults.items())
        if self.left_out:
            named = "; ".join([*self.left_out[:MAX_NAMED], *["..."] * (len(self.left_out) > MAX_NAMED)])
            message = f"{data.path}: {len(self.left_out)} of {len(labelled)} images are left out: {named}."
            warnings.warn(message, ImageWarning, stacklevel=2)
        self._images = [image for image in labelled if image.file_name in self._paths]
        if not self._images:
            example = f", such as {self.left_out[0] if self.left_out else labelled[0].file_name}," if labelled else ""
            raise AnnotationError(
                f"None of the {len(labelled)} labelled images of {data.path}{example} is in {image_dir}; "
                "give the folder that `file_name` is relative to."
            )

    def __len__(self) -> int:
        return len(self._images)

    def sample_id(self, index: int) -> str:
        """The set's name and the file name."""
        return f"{self.name}/{self._images[index].file_name}"

    def __getitem__(self, index: int) -> Sample:
        entry = self._images[index]
        image = self._read(entry)
        size = (image.shape[0], image.shape[1])
        people = self._people(entry.id, size)
        ignore = self._data.ignore(entry.id, size)
        ignore = np.zeros(size, np.bool_) if ignore is None else ignore
        low_score = people.scores < self._labels.min_score
        ignore = fill_boxes(ignore, np.round(people.boxes_xyxy[low_score]))
        assert people.masks is not None
        box_only = ~low_score & ~(people.keypoint_scores > 0).any(axis=1) & ~people.masks.nonempty
        ignore = fill_boxes(ignore, people.boxes_xyxy[box_only])
        kept = ~low_score & ~box_only
        people, exact = people[kept], self._data.mask_agreement(entry.id)[kept] >= self._labels.min_mask_agreement
        if self.skeleton != people.skeleton:
            people = people.remap_to(self.skeleton)
        return Sample(image, people, ignore, entry.file_name, self._uncertain(entry.id), exact)

    def _read(self, entry: CocoImage) -> NDArray[np.uint8]:
        image = read_image(self._paths[entry.file_name])
        if not self._labels.resize or entry.size in (None, image.shape[:2]):
            return image
        return np.asarray(cv2.resize(image, entry.size[::-1], interpolation=cv2.INTER_CUBIC), np.uint8)

    def _people(self, image_id: int, size: tuple[int, int]) -> People:
        """The people of an image, with masks; joints below the minimum visibility have score 0."""
        people = self._data.people(image_id, size)
        scores = people.keypoint_scores if self._labels.use_keypoints else np.zeros_like(people.keypoint_scores)
        if self._labels.min_visibility > 1:
            scores = np.where(self._data.visibility(image_id) >= self._labels.min_visibility, scores, 0)
        masks = Masks.empty(len(people), size) if people.masks is None else people.masks
        return replace(people, keypoint_scores=scores, masks=masks)

    def _uncertain(self, image_id: int) -> NDArray[np.float32]:
        """(M, 3) joint index, x, y of joints that the file gives coordinates for but does not annotate."""
        if not self._labels.use_keypoints:
            return np.zeros((0, 3), np.float32)
        points = self._data.uncertain_keypoints(image_id, self._labels.min_visibility)
        row, joint = np.nonzero(self._weights[:, points[:, 0].astype(np.intp)].T == 1)
        return np.column_stack([joint, points[row, 1:]]).astype(np.float32)


def custom_coco(
    annotations: Path,
    image_dir: Path | None = None,
    *,
    name: str | None = None,
    skeleton: Skeleton | None = None,
    exhaustive: bool = True,
    include_empty: bool = False,
) -> CocoPeople:
    """People of a custom COCO-format file, on its own skeleton or remapped by joint names to another one.

    image_dir  folder that `file_name` is relative to; searched near the file by default
    name       the file's name without its suffix by default

    The file's skeleton is that of its category, or of a TOML file beside it (`io.coco_skeleton`). `poseg data check`
    explains what is wrong with a file. Raises AnnotationError, also where the file has no joint of `skeleton`.
    """
    data = read_coco(annotations)
    people = CocoPeople(
        name or annotations.name.partition(".")[0], data, image_dir or find_image_dir(annotations, data),
        skeleton=skeleton, exhaustive=exhaustive, labels=LabelConfig(include_empty=include_empty),
    )  # fmt: skip
    if not people.annotated_joints.any():
        raise AnnotationError(
            f"{annotations} has the joints {', '.join(data.skeleton.joints)}, none of which is a joint of "
            f"{people.skeleton.name}; rename them, or train on the file's own skeleton."
        )
    return people


def coco_masks(
    annotations: Path,
    image_dir: Path | None = None,
    *,
    name: str | None = None,
    skeleton: Skeleton = COCO17,
    exhaustive: bool = True,
    include_empty: bool = False,
) -> CocoPeople:
    """People with masks of a COCO-format file; no joint counts as annotated, so only masks are learnt.

    image_dir  folder that `file_name` is relative to; searched near the file by default
    name       the file's name without its suffix by default
    """
    data = read_coco(annotations)
    return CocoPeople(
        name or annotations.name.partition(".")[0], data, image_dir or find_image_dir(annotations, data),
        skeleton=skeleton, exhaustive=exhaustive,
        labels=LabelConfig(use_keypoints=False, include_empty=include_empty),
    )  # fmt: skip


def pseudo_labels(
    name: str,
    annotations: Path,
    image_dir: Path,
    *,
    exhaustive: bool,
    min_score: float = 0.0,
    prefixes: tuple[str, ...] = ("",),
    skip_every: int = 0,
) -> CocoPeople:
    """People on COCO17 that networks labelled: only joints with v = 2 count, and squeezed images are resized."""
    labels = LabelConfig(
        prefixes=prefixes, min_visibility=2, min_score=min_score, resize=True, min_mask_agreement=CUTOUT_AGREEMENT,
        skip_every=skip_every,
    )  # fmt: skip
    return CocoPeople(
        name, read_coco(annotations), image_dir, skeleton=COCO17, exhaustive=exhaustive, labels=labels
    )  # fmt: skip


def find_image_dir(annotations: Path, data: CocoDataset) -> Path:
    """The folder that an annotation file's `file_name` is relative to, found by its first labelled image.

    Searched beside the file and one folder up: the folder itself, `images`, and folders named after the last word of
    the file's name (`person_keypoints_val2017.json`: `val2017`, `images/val2017`). Raises AnnotationError.
    """
    file_name = next((image.file_name for image in data.images.values() if image.id in data.rows), "")
    split = annotations.name.partition(".")[0].rpartition("_")[2]
    parents = (annotations.parent, annotations.parent.parent)
    candidates = [parent / name for parent in parents for name in ("", "images", split, f"images/{split}")]
    matches = {folder: match_files(folder, [file_name]).paths.get(file_name) for folder in candidates}
    exact = [folder for folder, path in matches.items() if path is not None and path == folder / file_name]
    for folder in exact or [folder for folder, path in matches.items() if path is not None]:
        return folder
    tried = ", ".join(str(folder) for folder in candidates)
    raise AnnotationError(f"The image {file_name!r} of {annotations} is in none of {tried}; give its folder.")
