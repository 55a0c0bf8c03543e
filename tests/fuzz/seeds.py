"""Valid files of every kind that poseg reads: what the mutations start from."""

from __future__ import annotations

import json
import shutil
import sys
from fractions import Fraction
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image, features
from typer.testing import CliRunner

from poseg.cli.main import app
from poseg.geometry.rle import encode_rle
from poseg.io.coco_results import coco_results
from poseg.io.people_jsonl import FramesWriter
from poseg.io.video_writer import VideoWriter
from poseg.people import People
from poseg.skeletons import COCO17

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from conftest import STANDING, card_of, spot_model, spots

from poseg.codecs import PersonLabCodec
from poseg.runtime.card import CARD_KEY

SIZE = (192, 256)

RUN = "pose2seg_overfit_tiny"
RUN_OPTIONS = ("--set", "optim.steps=1", "--set", "optim.warmup_steps=1", "--log-images-every", "0", "--workers", "0")
RECIPE = """from dataclasses import replace

from poseg.recipes.overfit_tiny import PERSONLAB

STEPS = 12
RECIPE = replace(PERSONLAB, name="mine", optim=replace(PERSONLAB.optim, steps=STEPS, lr=1e-3))
"""
TOML = """name = "dog5"
joints = ["nose", "port", "starboard", "ping", "pong"]
bones = [["nose", "port"], ["nose", "starboard"], ["port", "ping"], ["starboard", "pong"]]
tree = [[1, 2], [1, 3], [2, 4], [3, 5]]
flip_pairs = [["port", "starboard"], ["ping", "pong"]]
sigmas = [0.1, 0.2, 0.2, 0.3, 0.3]
"""
SETTINGS = (
    "optim.steps=100", "optim.lr=1e-3", "system.stride=8", "input.side_px=161", "optim.freeze_bn=true",
    "input.mean=1,2,3", "system.backbone=mobilenet_v2", "card.notes=a", "input.augmentation.image_px=3,4",
)  # fmt: skip


def photo() -> Image.Image:
    """Two red spots, in which `model` detects people."""
    return Image.fromarray(spots((60, 100), (190, 90), size=SIZE))


def people() -> People:
    points = np.stack([STANDING * 120 + (x, 40) for x in (60, 190)]).astype(np.float32)
    masks = np.zeros((2, *SIZE), np.bool_)
    masks[0, 40:160, 40:80] = masks[1, 40:160, 170:210] = True
    return People.from_poses(COCO17, points, np.full((2, 17), 0.6), masks=masks)


def images() -> dict[str, bytes]:
    """One of each format and mode, by file name."""
    rgb = photo()
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    deep = Image.fromarray(np.asarray(rgb.convert("L")).astype(np.uint16) * 257)
    rgba = rgb.convert("RGBA")
    kinds: dict[str, tuple[Image.Image, str, dict[str, Any]]] = {
        "rgb.png": (rgb, "PNG", {}), "grey.png": (rgb.convert("L"), "PNG", {}), "rgba.png": (rgba, "PNG", {}),
        "palette.png": (rgb.convert("P"), "PNG", {}), "deep.png": (deep, "PNG", {}),
        "bits.png": (rgb.convert("1"), "PNG", {}), "exif.png": (rgb, "PNG", {"exif": exif}),
        "animated.png": (rgb, "PNG", {"save_all": True, "append_images": [rgb.rotate(9)]}),
        "rgb.jpg": (rgb, "JPEG", {}), "progressive.jpg": (rgb, "JPEG", {"progressive": True, "exif": exif}),
        "grey.jpg": (rgb.convert("L"), "JPEG", {}), "cmyk.jpg": (rgb.convert("CMYK"), "JPEG", {}),
        "rgb.webp": (rgb, "WEBP", {"exif": exif}), "lossless.webp": (rgba, "WEBP", {"lossless": True}),
        "animated.webp": (rgb, "WEBP", {"save_all": True, "append_images": [rgb.rotate(9)]}),
        "animated.gif": (rgb, "GIF", {"save_all": True, "append_images": [rgb.rotate(9)]}), "rgb.bmp": (rgb, "BMP", {}),
        "rgb.tif": (rgb, "TIFF", {"compression": "tiff_lzw", "exif": exif}), "deep.tif": (deep, "TIFF", {}),
        "pages.tif": (rgb, "TIFF", {"save_all": True, "append_images": [rgb]}),
        "packed.tif": (rgb, "TIFF", {"compression": "tiff_adobe_deflate"}), "rgb.ppm": (rgb, "PPM", {}),
        "bits.pbm": (rgb.convert("1"), "PPM", {}), "two.mpo": (rgb, "MPO", {"save_all": True, "append_images": [rgb]}),
    }  # fmt: skip
    if features.check("jpg_2000"):
        kinds["rgb.jp2"] = (rgb, "JPEG2000", {})
    if find_spec("pillow_heif") is not None:
        import pillow_heif

        pillow_heif.register_heif_opener()
        kinds["rgb.heic"] = (rgb, "HEIF", {})
    if features.check("avif"):
        kinds["rgb.avif"] = (rgb, "AVIF", {"speed": 10})
    return {name: _encoded(*kind) for name, kind in kinds.items()}


def videos(folder: Path) -> dict[str, bytes]:
    """Six frames in each container."""
    frames = [spots((60 + 3 * n, 100), (190, 90), size=SIZE) for n in range(6)]
    for name in ("a.mp4", "a.mkv", "a.webm", "a.mov"):
        with VideoWriter(folder / name, SIZE, rate=10) as writer:
            for frame in frames:
                writer.write(frame)
    for name, codec in (("a.avi", "mpeg4"), ("a.mpg", "mpeg2video"), ("a.ts", "mpeg2video"), ("a.flv", "flv")):
        with av.open(str(folder / name), "w") as file:
            stream = file.add_stream(codec, rate=Fraction(25))
            stream.height, stream.width, stream.pix_fmt = *SIZE, "yuv420p"
            for frame in frames:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(frame, "rgb24")))
            file.mux(stream.encode(None))
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def coco() -> dict[str, Any]:
    """An annotation file with all that one may hold."""
    records = [{**record, "iscrowd": 0, "num_keypoints": 17} for record in coco_results(people(), 1)]
    polygon = [20, 20, 50, 20, 50, 80, 20, 80]
    crowd = {"size": list(SIZE), "counts": [40000, 100, 9052]}
    return {
        "info": {"description": "two people"},
        "images": [
            {"id": 1, "file_name": "a.png", "height": SIZE[0], "width": SIZE[1]},
            {"id": 2, "file_name": "b.png", "height": SIZE[0], "width": SIZE[1]},
        ],
        "categories": [
            {"id": 1, "name": "person", "keypoints": list(COCO17.joints),
             "skeleton": (COCO17.indices(COCO17.bones) + 1).tolist()},
            {"id": 3, "name": "dog"},
        ],
        "annotations": [
            *records,
            {**records[0], "id": 3, "image_id": 2, "segmentation": [polygon]},
            {"id": 4, "image_id": 2, "category_id": 1, "iscrowd": 1, "bbox": [90, 3, 9, 9], "segmentation": crowd},
            {"id": 5, "image_id": 2, "category_id": 3, "bbox": [1, 2, 3, 4]},
        ],
    }  # fmt: skip


def five_joints() -> dict[str, Any]:
    """An annotation file whose joints only a TOML file describes."""
    plain = coco()
    plain["categories"] = [{"id": 1, "name": "person"}]
    for record in plain["annotations"]:
        record["keypoints"] = record.get("keypoints", [])[:15]
        record["keypoint_scores"] = record.get("keypoint_scores", [])[:5]
    return plain


def ochuman() -> dict[str, Any]:
    mask = encode_rle(np.ones((3, 3), np.bool_))
    segms = {"outer": [[20, 20, 50, 20, 50, 80, 20, 80]], "inner": [], "height": SIZE[0], "width": SIZE[1]}
    person = {"bbox": [20, 20, 50, 80], "max_iou": 0.6, "keypoints": [30, 30, 1] * 19, "segms": segms}
    image = {"image_id": "1", "file_name": "a.png", "height": SIZE[0], "width": SIZE[1], "annotations": [person]}
    return {"keypoint_names": [], "keypoint_visible": {}, "images": [image], "unused": mask}


def results() -> list[dict[str, Any]]:
    return [record for number, name in enumerate(("a.png", "b.png"), 1)
            for record in coco_results(people(), number, file_name=name)]  # fmt: skip


def frames(folder: Path) -> bytes:
    with FramesWriter(folder / "a.people.jsonl", COCO17, source="a.mp4", rate=10) as writer:
        for number in range(3):
            writer.write(number, number / 10, people(), SIZE)
    return (folder / "a.people.jsonl").read_bytes()


def run(folder: Path) -> Path:
    """The folder of a run of one step, without what it logged."""
    done = CliRunner().invoke(
        app, ["train", RUN, "--data", str(folder / "synthetic"), "--out", str(folder / "run"), *RUN_OPTIONS]
    )
    assert done.exit_code == 0, done.output
    shutil.rmtree(folder / "run" / "board")
    return folder / "run"


def card() -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(card_of(PersonLabCodec()).to_json())
    return plain


def model(text: str | None = None) -> bytes:
    """The model of red spots, with a card of one's own."""
    return spot_model(PersonLabCodec(), {CARD_KEY: json.dumps(card()) if text is None else text})


def _encoded(image: Image.Image, kind: str, options: dict[str, Any]) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()
