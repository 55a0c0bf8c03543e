"""What several tests share: people to detect, a network that makes no mistake, and a small real model file."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Sequence
from dataclasses import asdict, dataclass, field, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import settings
from numpy.typing import NDArray

from poseg.codecs import PersonLabCodec
from poseg.fields import Fields
from poseg.people import People
from poseg.runtime.card import CARD_KEY, Card
from poseg.runtime.inference import InferenceConfig
from poseg.skeletons import COCO17
from poseg.transforms.letterbox import Letterbox, make_letterbox

settings.register_profile("home", max_examples=25, deadline=None)
settings.register_profile("ci", max_examples=25, deadline=None, derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "home")

# Packages of the extras of pyproject.toml, by the names that are imported. A test that needs one which is not installed
# is skipped, wherever it needs it: in its module, a fixture or the code that it calls.
EXTRAS = (
    "accelerate", "av", "fsspec", "huggingface_hub", "matplotlib", "OneEuroFilter", "onnx", "pillow_heif", "pyarrow",
    "ray", "safetensors", "scipy", "skimage", "tensorboard", "tflite", "timm", "torch",
)  # fmt: skip
MISSING = {name for name in EXTRAS if find_spec(name) is None}


def _missing_extra(fault: BaseException | None) -> str:
    """The extra's package that an error comes from; empty where it comes from something else."""
    while fault is not None:
        name = (fault.name or "").partition(".")[0] if isinstance(fault, ModuleNotFoundError) else ""
        if name in MISSING:
            return name
        fault = fault.__cause__ or fault.__context__
    return ""


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, pytest.CollectReport]:
    collect = collector.collect

    def collect_or_skip() -> Any:
        try:
            return list(collect())
        except collector.CollectError as fault:
            if name := _missing_extra(fault):
                pytest.skip(f"needs {name}, which is not installed", allow_module_level=True)
            raise

    if isinstance(collector, pytest.Module):
        collector.collect = collect_or_skip  # type: ignore[method-assign]
    return (yield)


def _skip_without_extra() -> Generator[None, Any, Any]:
    try:
        return (yield)
    except Exception as fault:
        if name := _missing_extra(fault):
            pytest.skip(f"needs {name}, which is not installed")
        raise


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, Any, Any]:
    return (yield from _skip_without_extra())


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, Any, Any]:
    return (yield from _skip_without_extra())


# A standing person in units of the height, x to the right of the centre, facing the camera.
STANDING = np.array(
    [(0, 0.08), (0.03, 0.06), (-0.03, 0.06), (0.06, 0.07), (-0.06, 0.07), (0.12, 0.22), (-0.12, 0.22), (0.17, 0.38),
     (-0.17, 0.38), (0.19, 0.52), (-0.19, 0.52), (0.08, 0.54), (-0.08, 0.54), (0.1, 0.74), (-0.1, 0.74), (0.1, 0.94),
     (-0.1, 0.94)]
)  # fmt: skip


def card_of(codec: PersonLabCodec) -> Card:
    return Card(
        name="test", system="personlab", codec=codec.to_dict(), skeleton=asdict(codec.skeleton),
        inference=InferenceConfig(257),
        size_divisor=codec.stride, size_offset=1, mean=(127.0, 127.0, 127.0), std=(128.0, 128.0, 128.0),
        outputs={spec.name: spec.name for spec in codec.specs}, licences={"code": "Apache-2.0"},
    )  # fmt: skip


def standing(size: tuple[int, int], feet: list[tuple[float, float, float]]) -> People:
    """People at (x of the centre, y of the top, height) in pixels; thick limbs make the mask."""
    points = np.stack([STANDING * height + (x, y) for x, y, height in feet]).astype(np.float32)
    masks = np.zeros((len(feet), *size), np.uint8)
    for mask, joints, (_, _, height) in zip(masks, points, feet, strict=True):
        for a, b in COCO17.indices(COCO17.bones):
            ends = [tuple(int(v) for v in np.rint(joints[end] * 16)) for end in (a, b)]
            cv2.line(mask, *ends, 1, max(2, int(0.1 * height)), shift=4)
        cv2.fillPoly(mask, [np.rint(joints[[5, 6, 12, 11]]).astype(np.int32)], 1)
    return People.from_poses(COCO17, points, np.ones(points.shape[:2]), masks=masks.astype(bool))


def onto_input(people: People, letterbox: Letterbox) -> People:
    """People of an image on the network's input, with masks: what `Letterbox.people_to_image` undoes."""
    assert people.masks is not None
    rows, columns = letterbox.content_size
    masks = np.zeros((len(people), *letterbox.input_size), np.uint8)
    for target, mask in zip(masks, people.masks, strict=True):
        target[:rows, :columns] = cv2.resize(mask.astype(np.uint8) * 255, (columns, rows)) > 127
    return replace(letterbox.people_to_input(people), masks=masks.astype(bool))


@dataclass
class FakeModel:
    """A model that knows the people of the one image it is shown, and notices when the image is flipped.

    The image must be brightest in its top left corner. `inputs` are the sizes that it was run on.
    """

    people: People
    codec: PersonLabCodec = field(default_factory=lambda: PersonLabCodec(stride=8))
    inputs: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.card = card_of(self.codec)

    def prepare(self, image, long_edge_px, crop_xyxy=None):
        return self.card.prepare(image, long_edge_px, crop_xyxy)

    def run(self, tensor: NDArray[np.float32]) -> Fields:
        height, width = tensor.shape[2:]
        self.inputs.append((height, width))
        assert self.people.masks is not None
        rows, columns = self.people.masks.shape[1:]
        letterbox = make_letterbox(
            (rows, columns), max(height, width), size_divisor=self.card.size_divisor, size_offset=1
        )
        assert letterbox.input_size == (height, width)
        people = onto_input(self.people, letterbox)
        if tensor[0, :, 0, 0].sum() < tensor[0, :, 0, -1].sum():
            people = people.flipped(width)
        return self.codec.encode(people, (height, width)).as_fields()

    def run_each(self, tensors: Sequence[NDArray[np.float32]]) -> list[Fields]:
        return [self.run(tensor) for tensor in tensors]


def corner_image(size: tuple[int, int]) -> NDArray[np.uint8]:
    """A grey image with a white corner at the top left."""
    image = np.full((*size, 3), 100, np.uint8)
    image[: size[0] // 8, : size[1] // 8] = 255
    return image


@dataclass(frozen=True)
class Scene:
    """An image, its people, and a model that detects them."""

    image: NDArray[np.uint8]
    people: People
    model: FakeModel


@pytest.fixture(name="standing")
def standing_fixture() -> Callable[..., People]:
    """People in an image of a size, each given by the centre, the top and the height."""
    return standing


@pytest.fixture
def make_scene() -> Callable[..., Scene]:
    """Builds a scene: two people side by side in an image of a size (height, width)."""

    def build(height: int = 480, width: int = 640) -> Scene:
        tall = min(height, width)
        feet = [(0.3 * width, 0.1 * height, 0.8 * tall), (0.72 * width, 0.25 * height, 0.6 * tall)]
        people = standing((height, width), feet)
        return Scene(corner_image((height, width)), people, FakeModel(people))

    return build


# How a coloured spot tells where its centre is: green grows to the right and blue downwards, by this much a pixel.
TINT = 3.0
SPOT_RADIUS_PX = 40
SPOT_JOINTS = (STANDING - (0, 0.5)) * 50


def spot_model(codec: PersonLabCodec, metadata: dict[str, str], **channels: int) -> bytes:
    """A model of one convolution: a person of 50 pixels stands in each red spot (`spots`) of an image.

    Each offset is that of the cell from the spot's centre, which the colour tells, and of the joint from there.
    `channels` overrides how many an output has.
    """
    from onnx import TensorProto, helper, numpy_helper

    targets = {"joint": np.arange(17), "edge": codec.skeleton.edges[:, 1]}
    nodes, weights, outputs = [], [], []
    for spec in codec.specs:
        kernel = np.zeros((spec.channels, 3, 1, 1), np.float32)
        bias = np.zeros(spec.channels, np.float32)
        if spec.unit == "logit":
            kernel[:, 0] = 8
        else:
            kernel[0::2, 1] = kernel[1::2, 2] = -128 / TINT
            bias[:] = SPOT_JOINTS[targets[spec.axes[0]]].reshape(-1)
        count = channels.get(spec.name, spec.channels)
        kernel, bias = kernel[:count], bias[:count]
        weights += [numpy_helper.from_array(kernel, f"{spec.name}.w"), numpy_helper.from_array(bias, f"{spec.name}.b")]
        inputs = ["image", f"{spec.name}.w", f"{spec.name}.b"]
        nodes.append(helper.make_node("Conv", inputs, [spec.name], strides=[codec.stride] * 2))
        outputs.append(helper.make_tensor_value_info(spec.name, TensorProto.FLOAT, [1, count, "rows", "columns"]))
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, "height", "width"])
    graph = helper.make_graph(nodes, "spots", [image], outputs, weights)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, metadata)
    return bytes(model.SerializeToString())


@pytest.fixture
def model_bytes() -> Callable[..., bytes]:
    """Builds a model file whose card has the given changes; `card=None` leaves the card out."""

    def build(card: str | None = "", channels: dict[str, int] | None = None, **changes: object) -> bytes:
        codec = PersonLabCodec()
        text = replace(card_of(codec), **changes).to_json() if card == "" else card
        return spot_model(codec, {} if text is None else {CARD_KEY: text}, **(channels or {}))

    return build


@pytest.fixture
def model_path(tmp_path: Path, model_bytes: Callable[..., bytes]) -> Path:
    """A model that detects people in red spots."""
    path = tmp_path / "spots.onnx"
    path.write_bytes(model_bytes())
    return path


def spots(*centres: tuple[int, int], size: tuple[int, int] = (193, 257)) -> NDArray[np.uint8]:
    """An image with a red spot at each centre (x, y), for the model of `model_path` at the image's own size."""
    image = np.full((*size, 3), (0, 127, 127), np.uint8)
    y, x = np.mgrid[: size[0], : size[1]] + 0.5
    for left, top in centres:
        inside = np.hypot(x - left, y - top) <= SPOT_RADIUS_PX
        image[inside] = np.stack([x * 0 + 255, 127 + TINT * (x - left), 127 + TINT * (y - top)], axis=2)[inside]
    return image


@pytest.fixture(name="spots")
def spots_fixture() -> Callable[..., NDArray[np.uint8]]:
    """Draws images in which the model of `model_path` detects people."""
    return spots
