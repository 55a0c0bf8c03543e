"""CVAT for images 1.1: one XML file. A person is a skeleton "person" and a mask "person mask" of one group.

Masks are run lengths, so nothing of them is lost; scores are attributes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as Xml

import numpy as np
from numpy.typing import NDArray

from poseg.errors import AnnotationError, SkeletonError
from poseg.geometry.masks import Masks
from poseg.interop.image_people import ImagePeople
from poseg.io.files import write_bytes
from poseg.people import People
from poseg.skeletons import COCO17, Skeleton

SKELETON_LABEL, MASK_LABEL, BOX_LABEL = "person", "person mask", "person box"
MAX_PIXELS = 2**28  # of an image: a stray size would allocate terabytes
Bits = NDArray[np.bool_]


def to_cvat(path: str | Path, images: Iterable[ImagePeople]) -> None:
    """Write the file, whole or not at all. Raises AnnotationError for an image of unknown size, OutputError."""
    root = Xml.Element("annotations")
    Xml.SubElement(root, "version").text = "1.1"
    for number, image in enumerate(images):
        height, width = image.known_size
        about = {"id": str(number), "name": image.name, "width": str(width), "height": str(height)}
        element = Xml.SubElement(root, "image", about)
        for row in range(len(image.people)):
            _append_person(element, image.people, row)
    Xml.indent(root)
    write_bytes(path, Xml.tostring(root, encoding="utf-8", xml_declaration=True))


def from_cvat(path: str | Path, skeleton: Skeleton = COCO17) -> list[ImagePeople]:
    """The images of the file; `ids` are the groups. Raises AnnotationError for another file or skeleton."""
    try:
        root = Xml.fromstring(Path(path).read_bytes())
        return [_read_image(element, skeleton) for element in root.iter("image")]
    except OSError as fault:
        raise AnnotationError(f"Cannot read {path}: {fault.strerror}; check the name.") from None
    except (Xml.ParseError, SkeletonError, KeyError, ValueError, OverflowError) as fault:
        raise AnnotationError(f"{path} is no file of CVAT for images 1.1 ({fault}); export it again.") from None


def _append_person(image: Xml.Element, people: People, row: int) -> None:
    group = str(row + 1 if people.ids is None else people.ids[row])
    common = {"occluded": "0", "source": "auto", "z_order": "0", "group_id": group}
    element = Xml.SubElement(image, "skeleton", {"label": SKELETON_LABEL, **common})
    _set_score(element, float(people.scores[row]), 6)
    for joint, name in enumerate(people.skeleton.joints):
        (x, y), score = people.keypoints[row, joint].tolist(), float(people.keypoint_scores[row, joint])
        outside = "0" if score > 0 else "1"
        point = {"label": name, "outside": outside, "occluded": "0", "source": "auto", "points": f"{x:.2f},{y:.2f}"}
        _set_score(Xml.SubElement(element, "points", point), score, 4)
    x0, y0, x1, y1 = (f"{side:.2f}" for side in people.boxes_xyxy[row].tolist())
    Xml.SubElement(image, "box", {"label": BOX_LABEL, **common, "xtl": x0, "ytl": y0, "xbr": x1, "ybr": y1})
    if people.masks is None or not people.masks.nonempty[row]:
        return
    bits, left, top = people.masks.bitmap(row)
    place = {"left": left, "top": top, "width": bits.shape[1], "height": bits.shape[0]}
    runs = {"rle": ", ".join(map(str, _runs(bits))), **{key: str(value) for key, value in place.items()}}
    Xml.SubElement(image, "mask", {"label": MASK_LABEL, **common, **runs})


def _set_score(element: Xml.Element, score: float, digits: int) -> None:
    Xml.SubElement(element, "attribute", {"name": "score"}).text = str(round(score, digits))


def _score(element: Xml.Element) -> float:
    """The attribute `score`; 1 where an annotator made the shape."""
    texts = [child.text for child in element.findall("attribute") if child.get("name") == "score"]
    return float(texts[0] or 1) if texts else 1.0


def _runs(bits: Bits) -> list[int]:
    """Run lengths along the rows of a mask, the first of zeros."""
    flat = np.concatenate([[False], bits.reshape(-1)])
    edges = np.flatnonzero(flat[1:] != flat[:-1])
    return np.diff(edges, prepend=0, append=bits.size).tolist()  # type: ignore[no-any-return]


def _bits(element: Xml.Element) -> tuple[Bits, int, int]:
    lengths = np.array(element.attrib["rle"].split(","), np.int64)
    left, top, width, height = (int(element.attrib[key]) for key in ("left", "top", "width", "height"))
    if (lengths < 0).any() or not 0 < width * height <= MAX_PIXELS or lengths.sum() != width * height:
        raise ValueError("a mask whose run lengths do not fill its box")
    return np.repeat(np.arange(len(lengths)) % 2 == 1, lengths).reshape(height, width), left, top


def _read_image(image: Xml.Element, skeleton: Skeleton) -> ImagePeople:
    size = int(image.attrib["height"]), int(image.attrib["width"])
    groups = list(dict.fromkeys(_group(element) for element in image if element.tag in ("skeleton", "mask", "box")))
    n, k = len(groups), len(skeleton)
    points, joint_scores = np.zeros((n, k, 2), np.float32), np.zeros((n, k), np.float32)
    scores, boxes = np.ones(n, np.float32), np.zeros((n, 4), np.float32)
    bitmaps: list[tuple[Bits, int, int]] = [(np.zeros((0, 0), np.bool_), 0, 0)] * n
    for element in image:
        if element.tag not in ("skeleton", "mask", "box"):
            continue
        row = groups.index(_group(element))
        if element.tag == "mask":
            bitmaps[row] = _bits(element)
        elif element.tag == "box":
            boxes[row] = [float(element.attrib[key]) for key in ("xtl", "ytl", "xbr", "ybr")]
        else:
            scores[row] = _score(element)
            for point in element.iter("points"):
                joint = skeleton.index(point.attrib["label"])
                x, y = point.attrib["points"].split(",")
                points[row, joint] = float(x), float(y)
                joint_scores[row, joint] = 0 if point.get("outside") == "1" else _score(point)
    people = People.from_poses(skeleton, points, np.clip(joint_scores, 0, 1), scores=scores)
    boxed = (boxes[:, 2:] > boxes[:, :2]).all(axis=1, keepdims=True)
    people = replace(people, boxes_xyxy=np.where(boxed, boxes, people.boxes_xyxy))
    if any(bits.size for bits, _, _ in bitmaps):
        people = people.with_masks(Masks.from_bitmaps(bitmaps, size))
    if groups and all(group.isdigit() for group in groups):
        people = replace(people, ids=np.array(groups, np.int64))
    return ImagePeople(image.attrib["name"], people, size)


def _group(element: Xml.Element) -> str:
    """What tells a person: the group of a shape, or the shape itself without one."""
    return element.get("group_id") or f"alone {id(element)}"
