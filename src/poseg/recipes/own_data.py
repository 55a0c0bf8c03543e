"""A user's annotation file as the training data of a run: its skeleton completed, split by image, labels completed.

Written once into a folder of the run, so that a run that is resumed, and whoever opens it, sees the same labels.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.datasets.coco_people import CocoPeople, LabelConfig
from poseg.datasets.dataset import Dataset
from poseg.errors import AnnotationError, PosegError
from poseg.io.coco_json import CocoDataset, parse_coco, read_coco
from poseg.io.coco_skeleton import coco_category
from poseg.io.coco_table import has_key, people_records, person_category, record_list
from poseg.io.coco_values import canonical_coco
from poseg.io.files import read_json, write_json
from poseg.io.image_names import match_files
from poseg.recipes.own_labels import complete_labels
from poseg.skeletons import COCO17, SKELETONS, Pair, Skeleton
from poseg.skeletons.skeleton import DEFAULT_SIGMA
from poseg.training.dataset import WeightedDataset

TRAIN, VALIDATION, ABOUT = "train.json", "validation.json", "about.json"
VALIDATION_FRACTION, MAX_VALIDATION = 0.2, 500  # of the images with people
MIN_IMAGES = 8
Parts = tuple[WeightedDataset[Dataset], ...]


@dataclass(frozen=True, slots=True)
class OwnData:
    """What was prepared.

    images        folder of the images, absolute
    source        name of the annotation file
    digest        of its content and of how it was prepared
    skeleton      name of the category, and its joints
    train, validation, people   images of both parts, and people in the first
    has_joints, has_masks       what people are annotated with
    notes         sentences about what was estimated, completed and left out
    """

    images: str
    source: str
    digest: str
    joints: tuple[str, ...]
    train: int
    validation: int
    people: int
    has_joints: bool
    has_masks: bool
    notes: tuple[str, ...]


def own_people(folder: Path) -> Parts:
    """The training part that `prepare_own_data` wrote into a folder; heatmaps learn the joints of the file alone."""
    about = read_json(folder / ABOUT)
    data = CocoPeople(
        Path(about["source"]).stem, read_coco(folder / TRAIN), Path(about["images"]),
        labels=LabelConfig(include_empty=True, min_mask_agreement=1.0),
    )  # fmt: skip
    if about["has_joints"]:
        data.annotated_joints &= np.isin(data.skeleton.joints, about["joints"])
    return (WeightedDataset(data, 1.0),)


def own_skeleton(folder: Path) -> Skeleton:
    """The skeleton that a network is trained on with the data that `prepare_own_data` wrote into a folder."""
    return read_coco(folder / TRAIN).skeleton


def prepare_own_data(
    annotations: Path, images: Path, folder: Path, *, source: Skeleton | None = None, seed: int,
    progress: Callable[[int, int | None], None],
) -> OwnData:  # fmt: skip
    """Write TRAIN and VALIDATION of an annotation file into a folder, unless they are there; returns what is in them.

    source     of the network that is trained further: where it shares a joint with the file, all of its joints are
               trained on, so that people are still assembled along its tree; None for the joints of the file alone
    progress   called with (done, all) while labels are completed

    Raises AnnotationError for a file that cannot be used or has too few images, and ImageError.
    """
    raw = read_json(annotations)
    digest = hashlib.sha256(annotations.read_bytes() + str((images.resolve(), source, seed)).encode()).hexdigest()
    if (folder / ABOUT).exists():
        about = read_json(folder / ABOUT)
        if about["digest"] != digest:
            raise PosegError(f"{folder} was prepared from other data ({about['source']}); give another --out.")
        return OwnData(**{**about, "joints": tuple(about["joints"]), "notes": tuple(about["notes"])})
    data = parse_coco(raw, str(annotations))
    records = _people_of(raw, data)
    skeleton, notes = complete_skeleton(data.skeleton, data, any(has_key(r, "keypoints") for r in records))
    train, validation = split_images(data, images, np.random.default_rng(seed))
    has_joints, has_masks = (any(has_key(record, key) for record in records) for key in ("keypoints", "segmentation"))
    has_joints = has_joints and bool((data.table.triplets[..., 2] > 0).any())
    if not (has_joints or has_masks):
        raise AnnotationError(f"{annotations} has neither keypoints nor segmentations; annotate either, or both.")
    trained = skeleton
    if source is not None and set(source.joints) & set(skeleton.joints) and skeleton != source:
        trained = source.extended(skeleton)
    parts = [_part(data, records, own, ids) for own, ids in ((trained, train), (skeleton, validation))]
    if trained != skeleton:
        _widen(parts[0], skeleton, trained)
    parts[0], completed = complete_labels(
        parts[0], images, trained, skeleton.joints, has_joints=has_joints, has_masks=has_masks, progress=progress
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / TRAIN, parts[0])
    write_json(folder / VALIDATION, parts[1])
    people = sum(not record.get("iscrowd") for record in parts[0]["annotations"])
    about = OwnData(
        str(images.resolve()), annotations.name, digest, skeleton.joints, len(train), len(validation), people,
        has_joints, has_masks, (*notes, *completed),
    )  # fmt: skip
    write_json(folder / ABOUT, asdict(about))
    return about


def complete_skeleton(skeleton: Skeleton, data: CocoDataset, named: bool) -> tuple[Skeleton, tuple[str, ...]]:
    """A skeleton with sigmas and a tree, and sentences about what was estimated.

    Sigmas are those of joints of the same name in built-in skeletons, and else their mean. A tree joins the joints
    that lie nearest in the annotated people, relative to the size of each.
    """
    notes = []
    if not named:
        return skeleton, ()
    if not skeleton.sigmas:
        known = _known_sigmas()
        given = [known[joint] for joint in skeleton.joints if joint in known]
        other = float(np.mean(given)) if given else DEFAULT_SIGMA
        skeleton = replace(skeleton, sigmas=tuple(known.get(joint, other) for joint in skeleton.joints))
        missing = [joint for joint in skeleton.joints if joint not in known]
        rest = f"; {other:.3f} for {', '.join(missing)}" if missing else ""
        notes.append(f"No sigmas are given: {len(given)} of {len(skeleton)} joints take those of their name{rest}.")
    if not skeleton.tree and len(skeleton) > 1:
        tree = nearest_tree(data.table.triplets, skeleton)
        skeleton = replace(skeleton, tree=tree, bones=skeleton.bones or tree)
        listed = ", ".join(f"{a}-{b}" for a, b in tree)
        notes.append(f"The bones do not join all joints: a tree is estimated from their distances: {listed}.")
    if len(skeleton) > 1 and (skeleton.flip_index == np.arange(len(skeleton))).all():
        notes.append("No joint has a left and a right: name them so, or give flip_pairs, where a flip swaps any.")
    return skeleton, tuple(notes)


def nearest_tree(triplets: NDArray[np.float32], skeleton: Skeleton) -> tuple[Pair, ...]:
    """The spanning tree (parent, child) over joints that lie nearest in people (N, K, 3): x, y, v; from the first."""
    points, annotated = triplets[..., :2], triplets[..., 2] > 0
    low = np.where(annotated[..., None], points, np.inf).min(axis=1)
    high = np.where(annotated[..., None], points, -np.inf).max(axis=1)
    size = np.maximum(np.where(np.isfinite(high - low), high - low, 0).max(axis=1), 1)
    both = annotated[:, :, None] & annotated[:, None, :]
    apart = np.linalg.norm(points[:, :, None] - points[:, None], axis=-1) / size[:, None, None]
    count = both.sum(axis=0)
    distance = np.where(count > 0, np.where(both, apart, 0).sum(axis=0) / np.maximum(count, 1), 10.0)
    flip = skeleton.flip_index
    distance = (distance + distance[np.ix_(flip, flip)]) / 2
    reached, tree = [0], []
    while len(reached) < len(skeleton):
        rest = [joint for joint in range(len(skeleton)) if joint not in reached]
        parent, child = min(((a, b) for a in reached for b in rest), key=lambda pair: distance[pair])
        tree.append((skeleton.joints[parent], skeleton.joints[child]))
        reached.append(child)
    return tuple(tree)


def split_images(data: CocoDataset, images: Path, rng: np.random.Generator) -> tuple[list[int], list[int]]:
    """Ids of images on disk: those to train on, and a fifth of those with people to validate on.

    Raises AnnotationError where there are too few.
    """
    names = [image.file_name for image in data.images.values()]
    paths = match_files(images, names).paths
    present = [image.id for image in data.images.values() if image.file_name in paths]
    shown = [number for number in present if len(data.rows.get(number, ((), ()))[0])]
    if len(shown) < MIN_IMAGES:
        raise AnnotationError(
            f"{len(shown)} images of {data.path} with people are in {images}, {MIN_IMAGES} or more are needed to train "
            "and to validate; annotate more, or give the folder that `file_name` is relative to."
        )
    count = min(max(round(VALIDATION_FRACTION * len(shown)), 2), MAX_VALIDATION)
    chosen = {shown[index] for index in rng.permutation(len(shown))[:count]}
    return [number for number in present if number not in chosen], [n for n in present if n in chosen]


def _widen(part: dict[str, Any], skeleton: Skeleton, trained: Skeleton) -> None:
    """Put the keypoints of a part's people in the order of a skeleton with more joints; those have v = 0."""
    places = [trained.index(joint) for joint in skeleton.joints]
    for record in part["annotations"]:
        if has_key(record, "keypoints"):
            triplets = np.zeros((len(trained), 3))
            triplets[places] = np.reshape(record["keypoints"], (-1, 3))
            record["keypoints"] = triplets.ravel().tolist()
        record.pop("keypoint_scores", None)


def skeleton_category(skeleton: Skeleton) -> dict[str, Any]:
    """COCO's category of a skeleton with all that it has beside the names, as `io.coco_skeleton` reads it."""
    category = coco_category(skeleton)
    if skeleton in SKELETONS.values():
        return category
    extra = {"tree": skeleton.tree, "flip_pairs": skeleton.flip_pairs, "sigmas": skeleton.sigmas}
    return category | {name: [*value] for name, value in extra.items() if value}


def _known_sigmas() -> Mapping[str, float]:
    """Sigmas by joint name; COCO's before those of other skeletons."""
    measured = [skeleton for skeleton in (*SKELETONS.values(), COCO17) if skeleton.sigmas]
    return {joint: sigma for s in measured for joint, sigma in zip(s.joints, s.sigmas, strict=True)}


def _people_of(raw: object, data: CocoDataset) -> list[Mapping[str, Any]]:
    read = canonical_coco(raw)
    listed = record_list(read, "annotations", data.path)
    return people_records(
        listed, person_category(record_list(read, "categories", data.path), listed, data.path), data.path
    )


def _part(
    data: CocoDataset, records: Sequence[Mapping[str, Any]], skeleton: Skeleton, ids: Sequence[int]
) -> dict[str, Any]:
    """A COCO file of some images."""
    chosen, category = set(ids), skeleton_category(skeleton)
    images = []
    for image in (data.images[number] for number in ids):
        size = {} if image.size is None else {"height": image.size[0], "width": image.size[1]}
        images.append({"id": image.id, "file_name": image.file_name, **size})
    people = [{**r, "category_id": category["id"]} for r in records if r["image_id"] in chosen]
    return {"images": images, "annotations": people, "categories": [category]}
