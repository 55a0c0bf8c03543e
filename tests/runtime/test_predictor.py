"""The whole way from an image to its people, with models that make no mistake: not half a pixel is lost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pytest

from poseg.codecs import DEFAULT, PAF_DEFAULT, PersonLabCodec, PoSegCodec
from poseg.errors import FieldError, ImageError, PosegError
from poseg.fields import Fields
from poseg.geometry.grid import PIXEL_CENTRE, pixel_centres
from poseg.geometry.rle import tight_boxes
from poseg.people import People
from poseg.runtime.card import Card
from poseg.runtime.inference import InferenceConfig
from poseg.runtime.models import build_predictor
from poseg.skeletons import Skeleton

MakeScene = Callable[..., Any]


def assert_same_people(predicted: People, true: People, tolerance_px: float) -> None:
    """The same people, in any order."""
    assert len(predicted) == len(true)
    gaps = np.linalg.norm(predicted.keypoints[:, None] - true.keypoints[None], axis=3).max(axis=2)
    match = gaps.argmin(axis=1)
    assert sorted(match) == list(range(len(true)))
    assert gaps[np.arange(len(predicted)), match].max() < tolerance_px
    assert (np.diag(predicted.masks.iou(true.masks[match])) > 0.8).all()
    boxes_xyxy = tight_boxes(np.asarray(true.masks[match]))
    np.testing.assert_allclose(predicted.boxes_xyxy, boxes_xyxy, atol=3 * tolerance_px)


@pytest.mark.parametrize("size", [(480, 640), (640, 480), (350, 700), (333, 333)])
@pytest.mark.parametrize(
    "options", [{}, {"flip": True}, {"scales": (0.75, 1.0), "flip": True}, {"long_edge_px": 641}], ids=str
)
def test_predictor_detects_the_people(make_scene: MakeScene, size: tuple[int, int], options: dict[str, Any]) -> None:
    scene = make_scene(*size)
    predictor = build_predictor(scene.model, **{"long_edge_px": 513, **options})
    assert_same_people(predictor(scene.image), scene.people, tolerance_px=2.0 * max(size) / 513)


def test_predictor_sorts_people_inside_the_image_and_times_them(make_scene: MakeScene) -> None:
    scene = make_scene(240, 700)
    people = build_predictor(scene.model)(scene.image)
    assert people.masks.shape == (2, 240, 700)
    assert (people.boxes_xyxy >= 0).all()
    assert (people.boxes_xyxy <= (700, 240, 700, 240)).all()
    assert (np.diff(people.scores) <= 0).all()
    assert min(people.timings.preprocess_ms, people.timings.inference_ms, people.timings.postprocess_ms) > 0


def test_predictor_runs_every_scale_and_its_flip(make_scene: MakeScene) -> None:
    scene = make_scene()
    predictor = build_predictor(scene.model, long_edge_px=256, scales=(1.0, 0.5, 1.5), flip=True)
    views = predictor.views(scene.image)
    assert [max(size) for size in scene.model.inputs] == [257, 257, 129, 129, 385, 385]
    assert [max(view.letterbox.input_size) for view in views] == [257, 129, 385]
    for view in views:
        assert view.fields.shape_hw == scene.model.codec.grid.shape(*view.letterbox.input_size)


def test_predictor_takes_size_and_views_from_the_card_and_options_change_only_themselves(make_scene: MakeScene) -> None:
    scene = make_scene()
    recommended = InferenceConfig(257, scales=(0.5, 1.0), flip=True)
    scene.model.card = replace(scene.model.card, inference=recommended)
    assert build_predictor(scene.model).inference == recommended
    assert build_predictor(scene.model, long_edge_px=513).inference == replace(recommended, long_edge_px=513)
    assert build_predictor(scene.model, flip=False).inference == replace(recommended, flip=False)
    other = InferenceConfig(321)
    assert build_predictor(scene.model, inference=other, scales=(2.0,)).inference == replace(other, scales=(2.0,))
    build_predictor(scene.model)(scene.image)
    assert [max(size) for size in scene.model.inputs] == [129, 129, 257, 257]


def test_predictor_reads_the_mask_of_a_large_person_in_a_coarser_view(make_scene: MakeScene) -> None:
    scene = make_scene(480, 640)
    run = scene.model.run

    def blind_to_masks_at_a_large_scale(tensor: np.ndarray) -> Fields:
        fields = run(tensor)
        if max(tensor.shape) > 600:
            fields["segmentation"][:] = -20
        return fields

    scene.model.run = blind_to_masks_at_a_large_scale
    people = build_predictor(scene.model, long_edge_px=801, scales=(0.5, 1.0), min_score=0.0)(scene.image)
    large, small = np.argsort(people.keypoints[:, 0, 0])
    assert not people.masks.nonempty[small], "this person fits into the view without masks"
    true = scene.people.keypoints[:, 0, 0].argmin()
    assert people.masks.iou(scene.people.masks)[large, true] > 0.8


def test_predictor_obeys_the_decoders_options(make_scene: MakeScene) -> None:
    scene = make_scene()
    assert build_predictor(scene.model, masks=False)(scene.image).masks is None
    assert len(build_predictor(scene.model, min_score=1.0)(scene.image)) == 0
    strict = replace(scene.model.codec.default_config, seed_threshold=2.0)
    assert len(build_predictor(scene.model, decoder=strict)(scene.image)) == 0


def test_predictor_finds_no_people_in_an_empty_image(make_scene: MakeScene) -> None:
    scene = make_scene()
    scene.model.people = scene.people[:0]
    people = build_predictor(scene.model)(scene.image)
    assert len(people) == 0
    assert people.masks.shape == (0, *scene.image.shape[:2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"long_edge_px": 10}, "10 pixels long"),
        ({"long_edge_px": 100_000}, "100000 pixels long"),
        ({"scales": (1.0, 0.01)}, "3 pixels long"),
        ({"scales": ()}, "Scales"),
        ({"scales": (0.0,)}, "Scales"),
        ({"scales": (float("nan"),)}, "Scales"),
        ({"max_people": 0}, "1 or more"),
        ({"min_score": 1.5}, "between 0 and 1"),
        ({"decoder": PAF_DEFAULT}, "decoded with a PersonLabDecoder, got a PafDecoder"),
        ({"size_px": 257}, "no option size_px; the options are max_people"),
    ],
)
def test_predictor_rejects_settings_out_of_range(make_scene: MakeScene, options: dict[str, Any], message: str) -> None:
    with pytest.raises(PosegError, match=message):
        build_predictor(make_scene().model, **options)


def test_predictor_rejects_bad_images(make_scene: MakeScene, tmp_path: Any) -> None:
    predictor = build_predictor(make_scene().model)
    with pytest.raises(ImageError, match="no file"):
        predictor(tmp_path / "nothing.jpg")
    with pytest.raises(ImageError, match=r"holiday\.jpg"):
        predictor(b"no image", name="holiday.jpg")


def test_predictor_reports_a_network_that_is_not_finite(make_scene: MakeScene) -> None:
    scene = make_scene()
    run = scene.model.run

    def broken(tensor: np.ndarray) -> Fields:
        fields = run(tensor)
        return replace(fields, arrays={**fields.arrays, "heatmap": fields["heatmap"] * np.float32(np.nan)})

    scene.model.run = broken
    with pytest.raises(FieldError, match="not finite"):
        build_predictor(scene.model)(scene.image)


# Laws that hold for every model; `tests/models` checks them for the bundled ones.


def assert_equal_people(some: People, others: People, atol: float = 0.0) -> None:
    np.testing.assert_allclose(some.keypoints, others.keypoints, atol=100 * atol)
    for name in ("keypoint_scores", "scores"):
        np.testing.assert_allclose(getattr(some, name), getattr(others, name), atol=atol)
    differ = np.asarray(some.masks) != np.asarray(others.masks)
    assert differ.sum() <= 1000 * atol * np.asarray(others.masks).sum()


VIEWS = [{}, {"flip": True}, {"scales": (0.5, 1.0)}, {"scales": (0.5, 0.75, 1.5), "adaptive": True}]


@pytest.fixture(params=[PersonLabCodec(stride=8), PoSegCodec()], ids=["personlab", "poseg"])
def crowded(request: pytest.FixtureRequest, make_scene: MakeScene, standing: Callable[..., People]) -> Any:
    """Four people who hide each other, in a model of each system."""
    scene, size = make_scene(480, 640), (480, 640)
    feet = [(150.0, 60.0, 380.0), (230.0, 90.0, 330.0), (400.0, 20.0, 300.0), (470.0, 80.0, 390.0)]
    scene.model.people, scene.model.codec = standing(size, feet), request.param
    codec = request.param
    system = "poseg" if isinstance(codec, PoSegCodec) else "personlab"
    scene.model.card = replace(scene.model.card, system=system, codec=codec.to_dict(), size_divisor=8)
    return scene


@pytest.mark.parametrize("options", VIEWS, ids=str)
def test_max_people_keeps_the_first_of_all_people(crowded: Any, options: dict[str, Any]) -> None:
    if options.get("adaptive") and crowded.model.card.system == "poseg":
        pytest.skip("PoSeg averages fields over whole views")
    everyone = build_predictor(crowded.model, long_edge_px=513, min_score=0.0, **options)(crowded.image)
    assert len(everyone) >= 4
    for count in range(1, len(everyone)):
        some = build_predictor(crowded.model, long_edge_px=513, min_score=0.0, max_people=count, **options)
        assert_equal_people(some(crowded.image), everyone[:count])


def test_two_equal_views_give_the_people_of_one(crowded: Any) -> None:
    one, two = (
        build_predictor(crowded.model, long_edge_px=513, scales=scales)(crowded.image)
        for scales in ((1.0,), (1.0, 1.0))
    )
    assert len(one) >= 3
    assert_equal_people(two, one, atol=1e-5)


def test_the_order_of_views_does_not_matter(crowded: Any) -> None:
    predictor = build_predictor(crowded.model, long_edge_px=513, scales=(0.5, 1.0, 0.75))
    views = predictor.views(crowded.image)
    expected = predictor.decode(crowded.image, views)
    for order in ((1, 0, 2), (2, 1, 0), (1, 2, 0)):
        assert_equal_people(predictor.decode(crowded.image, [views[at] for at in order]), expected, atol=1e-5)


# One white pixel through the whole road: letterbox, network, fields, decoder and back.

DOT = Skeleton("dot", ("dot",), ())
SIDE_PX = 257
FAR = {"max_assignment_distance": 1e3}  # of one joint's own scale, which is nothing
CODECS = {
    "poseg, 8n + 1": (PoSegCodec(DOT), replace(PAF_DEFAULT, min_joints=1, **FAR)),
    "poseg, 8n": (PoSegCodec(DOT, origin_px=4.0), replace(PAF_DEFAULT, min_joints=1, **FAR)),
    "personlab, 8n + 1": (PersonLabCodec(DOT, stride=8), replace(DEFAULT, **FAR)),
    "personlab, 16n + 1": (PersonLabCodec(DOT, stride=16), replace(DEFAULT, **FAR)),
}


@dataclass(frozen=True)
class Brightest:
    """A model that sees a joint at the centre of what is bright, and a person wherever it is."""

    codec: PoSegCodec | PersonLabCodec

    @property
    def card(self) -> Card:
        return Card(
            name="brightest", system="poseg", codec=self.codec.to_dict(), skeleton=asdict(DOT),
            inference=InferenceConfig(SIDE_PX), size_divisor=self.codec.stride,
            size_offset=int(self.codec.grid.origin == PIXEL_CENTRE), mean=(0.0, 0.0, 0.0), std=(255.0,) * 3, outputs={},
        )  # fmt: skip

    def prepare(self, *arguments):
        return self.card.prepare(*arguments)

    def run(self, tensor: np.ndarray) -> Fields:
        bright = tensor[0].mean(axis=0, dtype=np.float64)
        y, x = pixel_centres(np.indices(bright.shape))
        point = np.array([(x * bright).sum(), (y * bright).sum()]) / bright.sum()
        people = People.from_poses(DOT, point[None, None], np.ones((1, 1)), masks=bright[None] > 0.5)
        size = (tensor.shape[2], tensor.shape[3])
        assert self.codec.grid.size(*self.codec.grid.shape(*size)) == size, "the sides that this grid takes"
        return self.codec.encode(people, size).as_fields()

    def run_each(self, tensors: Sequence[np.ndarray]) -> list[Fields]:
        return [self.run(tensor) for tensor in tensors]


def detect_square(codec_name: str, size: tuple[int, int], x: int, y: int, side_px: int, **options) -> People:
    """The person detected in a black image with a white square of odd side around the pixel (x, y)."""
    codec, decoder = CODECS[codec_name]
    image, half = np.zeros((*size, 3), np.uint8), side_px // 2
    image[y - half : y + half + 1, x - half : x + half + 1] = 255
    people = build_predictor(Brightest(codec), **{"masks": False, "decoder": decoder, **options})(image)
    assert len(people) == 1
    return people


@pytest.fixture(params=CODECS)
def codec_name(request) -> str:
    return request.param


@pytest.mark.parametrize("options", [{}, {"flip": True}, {"long_edge_px": 193}], ids=str)
def test_white_pixel_is_detected_at_its_centre(codec_name, options):
    """Where the input is as large as the image, or larger."""
    for size in ((100, 150), (77, 93), (151, 133), (192, 192), (193, 193), (33, 190), (17, 23)):
        rng = np.random.default_rng(sum(size))
        # Half a block from the edge, beyond the last cell of an input of 8 n pixels, a peak has but one side.
        edge = 2 + max(size) // 40
        for _ in range(4):
            x, y = (int(rng.integers(edge, side - edge)) for side in size[::-1])
            detected = detect_square(codec_name, size, x, y, 1, **options).keypoints[0, 0]
            np.testing.assert_allclose(detected, (x + 0.5, y + 0.5), atol=0.1)


def test_white_square_of_a_reduced_image_is_detected_at_its_centre(codec_name):
    """Of a single pixel nothing is left there but which pixels of the input it fell on."""
    for size in ((257, 256), (384, 500), (700, 431), (1001, 640)):
        rng = np.random.default_rng(sum(size))
        for _ in range(4):
            x, y = (int(rng.integers(50, side - 50)) for side in size[::-1])
            detected = detect_square(codec_name, size, x, y, 75).keypoints[0, 0]
            np.testing.assert_allclose(detected, (x + 0.5, y + 0.5), atol=0.1)


@pytest.mark.parametrize(("size", "side_px"), [((60, 80), 21), ((257, 257), 75), ((700, 560), 201)], ids=str)
def test_masks_of_white_squares_lie_around_their_centres(codec_name, size, side_px):
    """Cells are coarser than an edge, so one mask may be a pixel of the input off, but on average they are not."""
    rng, offsets, edge = np.random.default_rng(sum(size)), [], side_px // 2 + 8
    for _ in range(48):
        x, y = (int(rng.integers(edge, side - edge)) for side in size[::-1])
        rows, columns = np.nonzero(detect_square(codec_name, size, x, y, side_px, masks=True).masks[0])
        offsets.append((columns.mean() - x, rows.mean() - y))
    on_input = np.array(offsets) * SIDE_PX / max(size)
    np.testing.assert_allclose(on_input.mean(axis=0), 0, atol=0.2)
    assert np.abs(on_input).max() < 2


def test_views_of_several_scales_agree_on_a_white_pixel(codec_name):
    detected = detect_square(codec_name, (120, 170), 91, 40, 1, scales=(1.0, 1.37, 2.0), flip=True).keypoints[0, 0]
    np.testing.assert_allclose(detected, (91.5, 40.5), atol=0.1)
