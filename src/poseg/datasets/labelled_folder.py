"""Pictures with a COCO-format file that people or networks wrote: real labels and pseudo-labels alike.

Beyond COCO proper it knows what labels made by networks need (spec data, pseudo_labels): a joint counts only where its
visibility is at least `least_visibility`, an annotation marked `ignore` is a region about which nothing is known, and
the picture is stretched to the size that the file states where it was stored squashed.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from poseg.geometry import boxes
from poseg.geometry.grid import pixel_centres
from poseg.geometry.masks import segmentation_mask
from poseg.io.images import read_image
from poseg.io.plain_json import read_json
from poseg.people import People, Sample
from poseg.skeletons import COCO17


class LabelledFolder:
    """COCO-17 people of a folder of pictures.

    annotations       COCO-format JSON, gzipped or not
    pictures          folder that `file_name` is relative to
    complete          whether every person of a picture is labelled
    least_visibility  joints below it are not annotated
    least_score       people scored lower by the labelling networks become regions to ignore
    """

    def __init__(
        self,
        name: str,
        annotations: Path,
        pictures: Path,
        *,
        complete: bool,
        least_visibility: int = 1,
        least_score: float = 0.0,
    ) -> None:
        plain = read_json(annotations)
        people: dict[int, list[dict[str, Any]]] = defaultdict(list)
        for record in plain["annotations"]:
            people[record["image_id"]].append(record)
        self.name, self.complete = name, complete
        self.known = np.ones(len(COCO17), bool)
        self._pictures = pictures
        self._least_visibility, self._least_score = least_visibility, least_score
        self._images = [i for i in plain["images"] if people[i["id"]] and (pictures / i["file_name"]).exists()]
        self._people = people

    def __len__(self) -> int:
        return len(self._images)

    def key(self, index: int) -> str:
        """File name with the set's name before it."""
        return f"{self.name}/{self._images[index]['file_name']}"

    def __getitem__(self, index: int) -> Sample:
        entry = self._images[index]
        width, height = entry["width"], entry["height"]
        image = read_image(self._pictures / entry["file_name"])
        if image.shape[:2] != (height, width):
            image = np.asarray(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), np.uint8)
        records = self._people[entry["id"]]
        ignore = np.zeros((height, width), bool)
        people = []
        for record in records:
            if record.get("iscrowd"):
                ignore |= segmentation_mask(record["segmentation"], (height, width))
            elif record.get("ignore") or record.get("score", 1.0) < self._least_score:
                _fill(ignore, record["bbox"])
            else:
                people.append(record)
        return Sample(image, self._gather(people, (height, width)), ignore, entry["file_name"])

    def _gather(self, records: list[dict[str, Any]], size: tuple[int, int]) -> People:
        k = len(COCO17)
        flat = [record.get("keypoints") or [0] * 3 * k for record in records]
        xyv = np.array(flat, np.float32).reshape(-1, k, 3)
        masks = [segmentation_mask(record.get("segmentation"), size) for record in records]
        return People(
            COCO17,
            pixel_centres(xyv[..., :2]),
            (xyv[..., 2] >= self._least_visibility).astype(np.float32),
            np.array([record.get("score", 1.0) for record in records], np.float32),
            boxes.xywh_to_xyxy([record["bbox"] for record in records] or np.zeros((0, 4))),
            np.stack(masks) if masks else np.zeros((0, *size), bool),
        )


def _fill(region: NDArray[np.bool_], box_xywh: list[float]) -> None:
    x0, y0, x1, y1 = np.round(boxes.xywh_to_xyxy(box_xywh)[0]).astype(int).clip(0)
    region[y0:y1, x0:x1] = True
