"""Figures of fields that were encoded from ground truth."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from poseg.codecs.personlab import PersonLabCodec
from poseg.draw import fields as draw
from poseg.draw import offsets as draw_offsets
from poseg.draw.field_canvas import FieldCanvas
from poseg.errors import PosegError, ShapeError, SkeletonError
from poseg.fields import Fields
from poseg.geometry.grid import Grid
from poseg.people import People
from poseg.skeletons import COCO17, LSP14, Skeleton

SIZE = (161, 241)


@pytest.fixture(scope="module")
def image() -> np.ndarray:
    image = np.random.default_rng(0).integers(60, 200, (*SIZE, 3), np.uint8)
    image.flags.writeable = False
    return image


def empty(skeleton: Skeleton = COCO17, stride: int = 8) -> Fields:
    """Fields without people."""
    codec = PersonLabCodec(skeleton=skeleton, stride=stride)
    cells = codec.grid.shape(*SIZE)
    fill = {"logit": -9.0, "px": 0.0}
    arrays = {spec.name: np.full((*spec.shape, *cells), fill[spec.unit], np.float32) for spec in codec.specs}
    return Fields(codec.specs, arrays)


def one_person(skeleton: Skeleton = COCO17) -> tuple[Fields, np.ndarray]:
    """Fields of one person whose joints are on a circle, made by hand; and the joints."""
    fields, angle = empty(skeleton), np.linspace(0, 2 * np.pi, len(skeleton), endpoint=False)
    joints = np.stack([120 + 50 * np.cos(angle), 80 + 50 * np.sin(angle)], axis=1).astype(np.float32)
    cells = fields.grid.positions(*fields.shape_hw)
    towards = joints[:, :, None, None] - cells
    arrays = {
        "heatmap": 20 - np.hypot(towards[:, 0], towards[:, 1]),
        "short_offsets": towards,
        "mid_offsets": joints[skeleton.edges[:, 1], :, None, None] - cells,
        "segmentation": 60 - np.hypot(cells[0] - 120, cells[1] - 80),
        "long_offsets": towards,
    }
    return Fields(fields.specs, {name: array.astype(np.float32) for name, array in arrays.items()}), joints


def hough(fields: Fields) -> np.ndarray:
    maps = np.zeros((len(fields["heatmap"]), *SIZE), np.float32)
    maps[:, 80, 120] = 1
    return maps


FIGURES = {
    "heatmap": draw.heatmap_figure,
    "short": draw_offsets.short_offset_figure,
    "mid": draw_offsets.mid_offset_figure,
    "long": draw_offsets.long_offset_figure,
    "segmentation": draw.segmentation_figure,
    "hough": lambda image, fields, skeleton: draw.hough_figure(image, hough(fields), skeleton),
}
each_figure = pytest.mark.parametrize("figure", FIGURES.values(), ids=FIGURES)


@each_figure
@pytest.mark.parametrize("skeleton", [COCO17, LSP14], ids=lambda skeleton: skeleton.name)
def test_figures_are_images_and_do_not_modify_their_input(figure: Callable, skeleton: Skeleton, image: np.ndarray):
    fields, _ = one_person(skeleton)
    before = {name: fields[name].copy() for name in fields}
    for name in fields:
        fields[name].flags.writeable = False
    page = figure(image, fields, skeleton)
    assert page.dtype == np.uint8
    assert page.ndim == 3
    assert page.shape[2] == 3
    for name in fields:
        np.testing.assert_array_equal(fields[name], before[name])


@each_figure
def test_fields_without_people(figure: Callable, image: np.ndarray):
    assert figure(image, empty(), COCO17).std() > 0


def test_figures_are_deterministic(image: np.ndarray):
    """The axes of the embedding are found by an eigensolver, whose signs are arbitrary."""
    fields, _ = one_person()
    once, again = (draw_offsets.long_offset_tiles(image, fields, COCO17, ["nose"]) for _ in range(2))
    for title, tile in once.items():
        np.testing.assert_array_equal(tile, again[title])


def test_numbers_of_tiles(image: np.ndarray):
    fields, _ = one_person()
    assert len(draw.heatmap_tiles(image, fields, COCO17)) == 18
    assert len(draw.hough_tiles(image, hough(fields), COCO17)) == 18
    assert len(draw_offsets.short_offset_tiles(image, fields, COCO17)) == 2 + 6
    assert len(draw_offsets.short_offset_tiles(image, fields, COCO17, ["nose"])) == 2 + 1
    assert len(draw_offsets.mid_offset_tiles(image, fields, COCO17)) == 1 + 7
    assert len(draw_offsets.mid_offset_tiles(image, fields, COCO17, [("left_elbow", "left_wrist")])) == 1 + 1
    assert len(draw_offsets.long_offset_tiles(image, fields, COCO17, ["nose", "left_hip"])) == 2 + 2
    assert len(draw.segmentation_tiles(image, fields)) == 3


def brightest(tile: np.ndarray, background: np.ndarray) -> np.ndarray:
    """Centre (x, y) of what a tile adds to its background, in pixels of the network's input."""
    added = np.abs(tile.astype(int) - background).sum(axis=2)
    rows, columns = np.nonzero(added > 0.7 * added.max())
    return (np.array([columns.mean(), rows.mean()]) + 0.5) * SIZE[1] / tile.shape[1]


def test_a_heatmap_is_bright_at_its_joint():
    image = np.full((*SIZE, 3), 100, np.uint8)
    fields, joints = one_person()
    tiles, bare = draw.heatmap_tiles(image, fields, COCO17), draw.heatmap_tiles(image, empty(), COCO17)
    for joint in (0, 5, 12):
        name = COCO17.joints[joint].replace("_", " ")
        np.testing.assert_allclose(brightest(tiles[name], bare[name]), joints[joint], atol=2)


def test_hough_maps_are_bright_at_the_votes():
    image = np.full((*SIZE, 3), 100, np.uint8)
    maps = np.zeros((17, *SIZE), np.float32)
    maps[3, 40, 200] = 0.5
    tiles, bare = draw.hough_tiles(image, maps, COCO17), draw.hough_tiles(image, 0 * maps, COCO17)
    np.testing.assert_allclose(brightest(tiles["left ear"], bare["left ear"]), (200.5, 40.5), atol=1.5)
    np.testing.assert_array_equal(tiles["nose"], bare["nose"])


def test_the_long_offsets_of_one_person_point_at_the_joints():
    image = np.full((*SIZE, 3), 100, np.uint8)
    fields, joints = one_person()
    title = "where all person pixels point"
    tile = draw_offsets.long_offset_tiles(image, fields, COCO17)[title].astype(int)
    background = draw_offsets.long_offset_tiles(image, empty(), COCO17)[title].astype(int)
    scale = tile.shape[1] / SIZE[1]
    columns, rows = (joints * scale).astype(int).T
    assert (np.abs(tile - background)[rows, columns].sum(axis=1) > 150).all()
    assert np.abs(tile - background)[80 * 2 - 10 : 80 * 2 + 10, 120 * 2 - 10 : 120 * 2 + 10].max() < 3


def test_the_embedding_has_one_colour_for_each_person():
    """Two people beside each other, through the codec's own encoder."""
    image = np.full((*SIZE, 3), 100, np.uint8)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 20:140, 20:100], masks[1, 20:140, 140:220] = True, True
    rng = np.random.default_rng(0)
    points = rng.uniform(30, 90, (1, 17, 2)) + np.array([[[0, 20]], [[120, 20]]])
    people = People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks)
    fields = PersonLabCodec(stride=8).encode(people, SIZE).as_fields()
    tile = draw_offsets.long_offset_tiles(image, fields, COCO17)["embedding: similar where pixels agree"].astype(int)
    scale = tile.shape[1] / SIZE[1]
    left, right = (tile[int(40 * scale) : int(120 * scale), int(x * scale) : int((x + 40) * scale)] for x in (40, 160))
    assert max(np.ptp(side, axis=(0, 1)).max() for side in (left, right)) < 12
    assert np.abs(left.mean(axis=(0, 1)) - right.mean(axis=(0, 1))).sum() > 100


def test_the_person_pixels_are_those_of_the_image(image: np.ndarray):
    fields, _ = one_person()
    tiles = draw.segmentation_tiles(image, fields)
    scale = tiles["image"].shape[1] / SIZE[1]
    centre = np.s_[int(60 * scale) : int(100 * scale), int(100 * scale) : int(140 * scale)]
    np.testing.assert_array_equal(tiles["person pixels"][centre], tiles["image"][centre])
    assert tiles["person pixels"][:20].mean() < 0.5 * tiles["image"][:20].mean()


@pytest.mark.parametrize(("stride", "origin"), [(8, 0.5), (16, 0.5), (8, 4.0)])
def test_a_canvas_upsamples_linear_fields_exactly(stride: int, origin: float, image: np.ndarray):
    grid = Grid(stride, origin)
    cells = grid.shape(*SIZE)
    canvas = FieldCanvas(np.zeros((322, 482, 3), np.uint8), np.full(2, 2, np.float32), grid, cells)
    upsampled, expected = canvas.upsample(grid.positions(*cells)), canvas.pixel_positions()
    inner = np.s_[:, 2 * stride : -2 * stride, 2 * stride : -2 * stride]
    np.testing.assert_allclose(upsampled[inner], expected[inner], atol=1e-3)
    assert upsampled.min() >= origin - 1e-3


def test_fields_of_another_image_are_refused(image: np.ndarray):
    with pytest.raises(ShapeError, match="cells"):
        draw.heatmap_figure(image[:80], empty(), COCO17)


def test_unknown_joints_edges_and_maps_are_refused(image: np.ndarray):
    fields, _ = one_person()
    with pytest.raises(SkeletonError, match="tail"):
        draw_offsets.short_offset_figure(image, fields, COCO17, ["tail"])
    with pytest.raises(PosegError, match="along the tree"):
        draw_offsets.mid_offset_figure(image, fields, COCO17, [("nose", "left_ankle")])
    with pytest.raises(ShapeError, match="hough_maps"):
        draw.hough_figure(image, np.zeros((3, 4, 4), np.float32), COCO17)
