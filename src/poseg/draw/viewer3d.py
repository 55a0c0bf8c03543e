"""A 3D viewer of people: a self-contained web page in one file."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from poseg.draw.antialias import Bytes
from poseg.draw.figures import resize_to
from poseg.draw.overlay import overlay
from poseg.draw.page import embedded
from poseg.draw.palette import PAPER, colours, tint
from poseg.draw.scene3d import Scene, place_people
from poseg.errors import ShapeError
from poseg.people import People

RATE = 25.0
PHOTO_PX = 640
_PAGE = Path(__file__).with_name("viewer3d.html")

Frame = People | tuple[Any, ...]


def viewer3d_html(
    people_or_frames: People | Iterable[Frame],
    image: Bytes | None = None,
    *,
    times_s: Sequence[float] | None = None,
    title: str = "People in 3D",
) -> str:
    """A page with 3D people to rotate, zoom and, for several frames, play.

    people_or_frames  people with `keypoints_3d`; or one for each frame, alone or as tuples that end in the time in
                      seconds and the people, as `io.people_jsonl.read_frames` gives them
    image             (H, W, 3) uint8 RGB, shown small in a corner with its people (those of the first frame)
    times_s           of the frames; by default those of the tuples, else 25 frames per second
    title             plain text; it is escaped

    The page is self-contained: no link, no request, and a policy that forbids both. It rotates by mouse, by touch
    (pinch to zoom) and by keyboard (arrows, + and -, space, comma and full stop), and has a light and a dark theme.
    Raises SkeletonError for people without `keypoints_3d`, ShapeError for another number of times than of frames.
    """
    frames, own_times = _frames(people_or_frames)
    times = list(own_times if times_s is None else times_s)
    if len(times) != len(frames):
        raise ShapeError("times_s", expected=(len(frames),), got=(len(times),))
    size = None if image is None else (image.shape[0], image.shape[1])
    scene = _scene_dict(place_people(frames, size), times)
    parts = {
        "TITLE": html.escape(title),
        "SCENE": _embedded_json(scene),
        "PHOTO": "" if image is None else _photo(image, frames[0]),
    }
    # In one pass, so that inserted text is not replaced again.
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda match: parts[match[1]], _PAGE.read_text(encoding="utf-8"))


def _frames(people_or_frames: People | Iterable[Frame]) -> tuple[list[People], list[float]]:
    """The people and the time of each frame."""
    if isinstance(people_or_frames, People):
        return [people_or_frames], [0.0]
    frames, times = [], []
    for number, frame in enumerate(people_or_frames):
        people, time_s = (frame, number / RATE) if isinstance(frame, People) else (frame[-1], float(frame[-2]))
        frames.append(people)
        times.append(time_s)
    return frames, times


def _scene_dict(frames: Sequence[Scene], times_s: Sequence[float]) -> dict[str, Any]:
    """The data of the page: whole millimetres, null for unknown joints."""
    skeleton = frames[0].skeleton
    left = [any(joint.startswith("left_") for joint in bone) for bone in skeleton.bones]
    bones = [
        [int(a), int(b), side] for (a, b), side in zip(skeleton.indices(skeleton.bones), left, strict=True)
    ]  # fmt: skip
    return {
        "joints": list(skeleton.joints),
        "bones": bones,
        "times": [round(time - times_s[0], 4) for time in times_s],
        "frames": [_people(frame) for frame in frames],
    }


def _people(frame: Scene) -> list[dict[str, Any]]:
    strong = colours(frame.ids)
    pale, valid = tint(strong, PAPER, 0.4), frame.valid
    whole = np.rint(np.nan_to_num(frame.joints_mm)).astype(int).tolist()
    return [
        {
            "id": int(number),
            "colour": _hex(strong[row]),
            "pale": _hex(pale[row]),
            "joints": [joint if flag else None for joint, flag in zip(whole[row], valid[row], strict=True)],
        }
        for row, number in enumerate(frame.ids)
    ]


def _hex(colour: Bytes) -> str:
    return "#" + bytes(colour.tolist()).hex()


def _embedded_json(data: dict[str, Any]) -> str:
    """JSON without characters that have a meaning in HTML, so that no name in it can end the script."""
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _photo(image: Bytes, people: People) -> str:
    """The image with its people as a part of the page."""
    small, _ = resize_to(overlay(image, people), min(PHOTO_PX, max(image.shape[:2])))
    element = f'<img alt="The image" src="{embedded(small)}">'
    return f"<details open><summary>Image</summary>{element}</details>"
