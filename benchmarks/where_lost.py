"""Where average precision is lost: what a model would score if one kind of its mistakes were mended.

run    python benchmarks/where_lost.py --data ANN.json --images DIR --model small --model bodypix.onnx:801

The mistakes of poses (and of masks, with mask IoU in the place of OKS) are mended one at a time:

    order       everybody is scored by how well they fit, doubles and strangers by 0, instead of by the model
    strangers   who fits nobody (OKS or IoU below 0.1) is left out
    doubles     of all who fit the same person best (at least 0.1), only the one who fits best stays
    precision   who fits somebody (at least 0.1) gets that person's true joints, or mask
    missed      people whom nobody fits (0.5 or more) are added, true, with the middle score of those who fit

For masks also: "owners", where each mask is cut anew, the person pixels of all masks together being given to the people
who truly own them; that is what the masks would score if only the outline of everybody together were as it is.
Pixels and joints of people nobody annotated are judged by COCO's rules throughout.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import cv2
import numpy as np
from asking import Asked, ask_for_models, ask_for_pictures
from numpy.typing import NDArray
from rich.progress import track
from tables import Grid, ask_for_outputs, put_out

import poseg
from poseg.evaluation.ground_truth import GroundTruth, load_ground_truth
from poseg.geometry.similarity import mask_iou_matrix, oks_matrix
from poseg.io.coco_json import coco_results
from poseg.metrics.average_precision import match
from poseg.metrics.coco_objects import Kind
from poseg.people import People
from poseg.runtime.predictor import Predictor

SOMEBODY, FOUND = 0.1, 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """People found and true people of one picture, and how well each found one fits each true one: (N, M)."""

    found: People
    true: People
    fit: NDArray[np.float32]

    @property
    def first(self) -> NDArray[np.bool_]:
        """Who of the found fits somebody, and fits better than the others who fit that person best: (N,)."""
        whom, best = self.whom, self.best
        rivals = (whom[:, None] == whom) & (best > best[:, None])
        return np.asarray((whom >= 0) & ~rivals.any(axis=1))

    @property
    def best(self) -> NDArray[np.float32]:
        """How well each of the found fits whom it fits best: (N,)."""
        return self.fit.max(axis=1, initial=0)

    @property
    def whom(self) -> NDArray[np.intp]:
        """Whom each of the found fits best: (N,); -1 where nobody."""
        if not self.fit.shape[1]:
            return np.full(len(self.found), -1)
        return np.where(self.best >= SOMEBODY, self.fit.argmax(axis=1), -1)


def as_found(scene: Scene) -> People:
    return scene.found


def ordered(scene: Scene) -> People:
    return replace(scene.found, scores=np.where(scene.first, scene.best, 0))


def no_strangers(scene: Scene) -> People:
    return scene.found[scene.whom >= 0]


def no_doubles(scene: Scene) -> People:
    return scene.found[(scene.whom < 0) | scene.first]


def precise(scene: Scene) -> People:
    whom = scene.whom
    fits = whom >= 0
    keypoints, masks = scene.found.keypoints.copy(), _masks(scene.found).copy()
    keypoints[fits], masks[fits] = scene.true.keypoints[whom[fits]], _masks(scene.true)[whom[fits]]
    return replace(scene.found, keypoints=keypoints, masks=masks)


def none_missed(scene: Scene) -> People:
    missed = scene.true[scene.fit.max(axis=0, initial=0) < FOUND]
    fitting = scene.found.scores[scene.best >= FOUND]
    middle = float(np.median(fitting)) if len(fitting) else 0.5
    return People(
        scene.found.skeleton,
        np.concatenate([scene.found.keypoints, missed.keypoints]),
        np.concatenate([scene.found.keypoint_scores, missed.keypoint_scores]),
        np.concatenate([scene.found.scores, np.full(len(missed), middle)]),
        np.concatenate([scene.found.boxes_xyxy, missed.boxes_xyxy]),
        np.concatenate([_masks(scene.found), _masks(missed)]),
    )


def owners(scene: Scene) -> People:
    anybody, whom = _masks(scene.found).any(axis=0), scene.whom
    masks = _masks(scene.found).copy()
    masks[whom >= 0] = (_masks(scene.true) & anybody)[whom[whom >= 0]]
    return replace(scene.found, masks=masks)


MENDED: dict[str, Callable[[Scene], People]] = {
    "as it is": as_found,
    "order": ordered,
    "strangers": no_strangers,
    "doubles": no_doubles,
    "precision": precise,
    "missed": none_missed,
    "owners": owners,
}


def _masks(people: People) -> NDArray[np.bool_]:
    assert people.masks is not None
    return people.masks


def scenes(found: People, truth: GroundTruth, image_id: int) -> dict[Kind, Scene]:
    """Poses are compared with people whose joints are annotated, masks with those whose outline is."""
    size = (_masks(found).shape[1], _masks(found).shape[2])
    true, areas = truth.dataset.people(image_id, size), truth.dataset.areas(image_id)
    shown = (true.keypoint_scores > 0).any(axis=1)
    posed, outlined = true[shown], true[_masks(true).any(axis=(1, 2))]
    oks = oks_matrix(
        found.keypoints,
        posed.keypoints,
        areas_px=areas[shown],
        sigmas=true.skeleton.sigmas,
        weights=posed.keypoint_scores > 0,
    )
    iou = mask_iou_matrix(_masks(found), _masks(outlined))
    return {"keypoints": Scene(found, posed, oks), "masks": Scene(found, outlined, iou)}


def mend(model: Predictor, truth: GroundTruth) -> dict[str, dict[str, Any]]:
    """Official numbers of both kinds, for each mended mistake."""
    records: dict[tuple[str, Kind], list[dict[str, Any]]] = {}
    sizes = {}
    for image_id, path in track(truth.paths.items(), description="pictures", transient=True):
        found = model(path)
        sizes[image_id] = (_masks(found).shape[1], _masks(found).shape[2])
        for kind, scene in scenes(found, truth, image_id).items():
            for name, mended in MENDED.items():
                mine = coco_results(mended(scene), image_id)
                into = records.setdefault((name, kind), [])
                into += [{**record, "category_id": truth.category_id} for record in mine]
    coco = truth.to_coco(sizes)
    numbers: dict[str, dict[str, Any]] = {name: {} for name in MENDED}
    for (name, kind), mine in track(records.items(), description="scores", transient=True):
        numbers[name][kind] = match(coco, mine, kind).official
    return numbers


def tabulate(title: str, numbers: dict[str, dict[str, Any]]) -> Grid:
    """One model's table."""
    grid = Grid(title, ["mended", "keypoint AP", "gain", "AP50", "AR", "mask AP", "gain", "AP50", "AR"])
    for name, row in numbers.items():
        cells = []
        for kind, recall in (("keypoints", "AR"), ("masks", "AR100")):
            official, before = row[kind], numbers["as it is"][kind]["AP"]
            gain = f"{official['AP'] - before:+.3f}" if name != "as it is" else ""
            cells += [f"{official['AP']:.3f}", gain, f"{official['AP50']:.3f}", f"{official[recall]:.3f}"]
        grid.rows.append([name, *(["-"] * 4 if name == "owners" else cells[:4]), *cells[4:]])
    return grid


def main() -> None:
    """Print a table for each model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ask_for_pictures(parser)
    ask_for_models(parser)
    ask_for_outputs(parser)
    asked = parser.parse_args()
    cv2.setNumThreads(1)
    truth = load_ground_truth(asked.data, asked.images, asked.limit)
    grids, numbers = [], {}
    for one in asked.model or [Asked("small", None)]:
        model = poseg.load(one.model, size_px=one.size_px, min_score=0.0, threads=1, mask_refiner="")
        title = f"{model.model.card.name} at {one.size_px or model.model.card.size_px} px"
        numbers[title] = mend(model, truth)
        grids.append(tabulate(f"{title}; {len(truth.paths)} pictures of {asked.data.name}", numbers[title]))
    put_out(asked, grids, numbers, [])


if __name__ == "__main__":
    main()
