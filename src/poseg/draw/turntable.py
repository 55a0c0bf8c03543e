"""A web page in which people in space can be turned: one file that needs nothing else."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from poseg.draw.figures import fit
from poseg.draw.ink import Bytes
from poseg.draw.overlay import overlay
from poseg.draw.palette import PAPER, colours, tint
from poseg.draw.scene3d import Scene, scenes
from poseg.errors import ShapeError
from poseg.people import People

RATE = 25.0
PHOTO_PX = 640
_PAGE = Path(__file__).with_name("turntable.html")

Frame = People | tuple[Any, ...]


def turntable_html(
    people_or_frames: People | Iterable[Frame],
    image: Bytes | None = None,
    *,
    times_s: Sequence[float] | None = None,
    title: str = "People in space",
) -> str:
    """A page with people that can be turned, zoomed and, where there are several frames, played.

    people_or_frames  people with `keypoints_3d`; or those of frame after frame, alone or as tuples that end in the
                      time in seconds and the people, as `io.frames_json.read_frames` gives them
    image             the picture, (H, W, 3) uint8 RGB, shown small in a corner with its people (the first frame's)
    times_s           of the frames; by default those they bring, else 25 a second
    title             plain text; whatever is in it stays text

    The page is complete in itself: no link, no request, a policy that forbids both. It turns by mouse, by touch
    (pinch to zoom) and by keyboard (arrows, + and -, space, comma and full stop), and follows light and dark.
    Raises SkeletonError for people without joints in space, ShapeError for times that do not go with the frames.
    """
    frames, brought = _frames(people_or_frames)
    times = list(brought if times_s is None else times_s)
    if len(times) != len(frames):
        raise ShapeError("times_s", expected=(len(frames),), got=(len(times),))
    size = None if image is None else (image.shape[0], image.shape[1])
    plain = _plain(scenes(frames, size), times)
    parts = {
        "TITLE": html.escape(title),
        "SCENE": _embedded(plain),
        "PHOTO": "" if image is None else _photo(image, frames[0]),
    }
    # In one pass, so that what is put in is not looked at again.
    return re.sub(r"\{\{([A-Z]+)\}\}", lambda found: parts[found[1]], _PAGE.read_text(encoding="utf-8"))


def _frames(given: People | Iterable[Frame]) -> tuple[list[People], list[float]]:
    """The people of each frame, and when it was."""
    if isinstance(given, People):
        return [given], [0.0]
    frames, times = [], []
    for number, frame in enumerate(given):
        people, time_s = (frame, number / RATE) if isinstance(frame, People) else (frame[-1], float(frame[-2]))
        frames.append(people)
        times.append(time_s)
    return frames, times


def _plain(frames: Sequence[Scene], times_s: Sequence[float]) -> dict[str, Any]:
    """What the page draws, as plain data: whole millimetres, null for a joint that nobody knows."""
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
    pale, known = tint(strong, PAPER, 0.4), frame.known
    whole = np.rint(np.nan_to_num(frame.joints_mm)).astype(int).tolist()
    return [
        {
            "id": int(number),
            "colour": _hex(strong[row]),
            "pale": _hex(pale[row]),
            "joints": [joint if there else None for joint, there in zip(whole[row], known[row], strict=True)],
        }
        for row, number in enumerate(frame.ids)
    ]


def _hex(colour: Bytes) -> str:
    return "#" + bytes(colour.tolist()).hex()


def _embedded(plain: dict[str, Any]) -> str:
    """JSON that no name in it can end early: it has no character that HTML gives a meaning to."""
    text = json.dumps(plain, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _photo(image: Bytes, people: People) -> str:
    """The picture with its people as a part of the page."""
    small, _ = fit(overlay(image, people), min(PHOTO_PX, max(image.shape[:2])))
    _, data = cv2.imencode(".jpg", small[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 85])
    source = base64.b64encode(data.tobytes()).decode("ascii")
    picture = f'<img alt="The picture" src="data:image/jpeg;base64,{source}">'
    return f"<details open><summary>Picture</summary>{picture}</details>"
