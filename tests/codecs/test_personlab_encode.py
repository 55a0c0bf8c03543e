"""Laws of PersonLab's targets (spec section 2)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.codecs.personlab import PersonLabCodec
from poseg.errors import ShapeError
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (129, 161)


def people(*persons: dict[str, tuple[float, float]], masks: np.ndarray | None = None) -> People:
    points = np.zeros((len(persons), 17, 2), np.float32)
    sure = np.zeros((len(persons), 17), np.float32)
    for i, joints in enumerate(persons):
        for name, place in joints.items():
            points[i, COCO17.index(name)], sure[i, COCO17.index(name)] = place, 1
    return People.from_poses(COCO17, points, sure, masks=masks)


def edge(source: str, target: str) -> int:
    pair = [COCO17.index(source), COCO17.index(target)]
    return int(np.flatnonzero((COCO17.edges == pair).all(axis=1))[0])


@given(
    st.sampled_from([8, 16]),
    st.floats(1, 160),
    st.floats(1, 128),
)
def test_disk_holds_exactly_the_cells_within_the_radius_and_short_offsets_point_home(stride, x, y):
    codec = PersonLabCodec(stride=stride)
    encoded = codec.encode(people({"nose": (x, y)}), SIZE)
    at = codec.grid.positions(*codec.grid.shape(*SIZE))
    home = np.array([x, y], np.float32)[:, None, None]
    inside = np.hypot(*(at - home)) <= codec.disk_radius_px
    heat = encoded.targets["heatmap"]
    near_border = np.isclose(np.hypot(*(at - home)), codec.disk_radius_px, atol=1e-3)
    assert ((heat[0] > 0) == inside)[~near_border].all()
    assert heat[1:].max() == 0
    arrives = at + encoded.targets["short_offsets"][0]
    np.testing.assert_allclose(arrives[:, heat[0] > 0], np.broadcast_to(home, at.shape)[:, heat[0] > 0], atol=1e-3)


def test_overlapping_disks_belong_to_the_nearest_joint():
    codec = PersonLabCodec(stride=8)
    encoded = codec.encode(people({"nose": (40.5, 64.5)}, {"nose": (72.5, 64.5)}), SIZE)
    row = 8
    arrives = codec.grid.positions(*codec.grid.shape(*SIZE))[0, row] + encoded.targets["short_offsets"][0, 0, row]
    np.testing.assert_allclose(arrives[2:7], 40.5)  # up to the middle, ties to the first
    np.testing.assert_allclose(arrives[8:12], 72.5)


def test_mid_offsets_lead_to_the_same_persons_joint_and_skip_unannotated_ones():
    codec = PersonLabCodec(stride=8)
    two = people(
        {"nose": (40.5, 40.5), "left_eye": (60.5, 30.5)},
        {"nose": (120.5, 80.5)},
    )
    encoded = codec.encode(two, SIZE)
    to_eye = edge("nose", "left_eye")
    weight = encoded.weights["mid_offsets"][to_eye]
    at = codec.grid.positions(*codec.grid.shape(*SIZE))
    arrives = (at + encoded.targets["mid_offsets"][to_eye])[:, weight > 0]
    np.testing.assert_allclose(arrives, np.broadcast_to([[60.5], [30.5]], arrives.shape), atol=1e-3)
    assert weight[10, 15] == 0, "the second person's eye is not annotated"
    assert encoded.targets["heatmap"][0, 10, 15] == 1
    assert encoded.weights["mid_offsets"][edge("left_eye", "nose")].sum() > 0
    assert encoded.weights["mid_offsets"][edge("nose", "left_shoulder")].sum() == 0


def test_long_offsets_count_in_exactly_one_mask_and_for_annotated_joints():
    codec = PersonLabCodec(stride=8)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 20:100, 20:90] = True
    masks[1, 20:100, 70:140] = True
    encoded = codec.encode(
        people({"nose": (40.5, 40.5)}, {"nose": (110.5, 40.5), "left_hip": (112, 90)}, masks=masks), SIZE
    )
    weight, hip = encoded.weights["long_offsets"], COCO17.index("left_hip")
    assert weight[0, 5, 4] == 1
    assert weight[0, 5, 16] == 1
    assert weight[0, 5, 10] == 0, "two masks overlap here"
    assert weight[hip, 5, 4] == 0, "the first person's hip is not annotated"
    assert weight[hip, 5, 16] == 1
    assert weight[0, 0, 0] == 0, "background"
    at = codec.grid.positions(*codec.grid.shape(*SIZE))
    np.testing.assert_allclose((at + encoded.targets["long_offsets"][0])[:, 5, 16], [110.5, 40.5], atol=1e-3)


def test_ignore_rules_of_the_table():
    codec = PersonLabCodec(stride=8)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, :64, :64] = True
    crowd = np.zeros(SIZE, bool)
    crowd[100:] = True
    jointless = people({}, {"nose": (120.5, 40.5)}, masks=masks)
    encoded = codec.encode(jointless, SIZE, crowd)
    heat, person, long = (encoded.weights[name] for name in ("heatmap", "segmentation", "long_offsets"))
    assert (heat[:, 2, 2] == 0).all(), "a person without joints is unknown to the heatmaps"
    assert person[2, 2] == 1
    assert encoded.targets["segmentation"][2, 2] == 1, "but certain to the segmentation"
    assert long[:, 2, 2].max() == 0
    assert (heat[:, 14, 4] == 0).all()
    assert person[14, 4] == 0
    assert person[5, 15] == 0 or encoded.targets["segmentation"][5, 15] == 0
    assert heat[0, 5, 12] == 1


def test_the_box_of_a_person_without_mask_is_unknown_to_the_segmentation():
    codec = PersonLabCodec(stride=8)
    masks = np.zeros((1, *SIZE), bool)
    encoded = codec.encode(people({"nose": (20, 20), "left_ankle": (80, 100)}, masks=masks), SIZE)
    assert encoded.weights["segmentation"][6, 6] == 0
    assert encoded.weights["segmentation"][6, 16] == 1


def test_segmentation_is_the_share_of_the_cell_that_is_covered():
    codec = PersonLabCodec(stride=8)
    masks = np.zeros((1, *SIZE), bool)
    masks[0, :, :64] = True
    covered = codec.encode(people({"nose": (20, 20)}, masks=masks), SIZE).targets["segmentation"]
    assert (covered[:, :7] == 1).all()
    assert (covered[:, 9:] == 0).all()
    np.testing.assert_allclose(covered[4, 8], 4 / 9, atol=1e-6)  # pixels 60..68 around pixel 64, four of nine inside


def test_nobody_is_all_background():
    encoded = PersonLabCodec().encode(People.empty(COCO17, SIZE), SIZE)
    assert encoded.targets["heatmap"].max() == 0
    assert encoded.weights["heatmap"].min() == 1
    assert encoded.weights["segmentation"].min() == 1
    assert encoded.weights["long_offsets"].max() == 0


def test_fields_of_perfect_targets_have_the_shapes_of_the_specs():
    codec = PersonLabCodec(stride=16)
    fields = codec.encode(people({"nose": (20, 20)}), SIZE).as_fields()
    assert fields.shape_hw == (9, 11)
    assert sum(spec.channels for spec in codec.specs) == 150


def test_masks_of_another_size_are_refused():
    with pytest.raises(ShapeError, match=r"people\.masks"):
        PersonLabCodec().encode(people({"nose": (2, 2)}, masks=np.zeros((1, 10, 10), bool)), SIZE)


@pytest.mark.parametrize("stride", [8, 16])
def test_a_place_where_a_joint_may_be_is_no_background_for_that_joint(stride):
    codec = PersonLabCodec(stride=stride)
    one = people({"nose": (40, 60), "left_ear": (60, 60)})
    nose, ear = COCO17.index("nose"), COCO17.index("left_ear")
    sure = codec.encode(one, SIZE)
    open_ = codec.encode(one, SIZE, uncertain=np.array([[nose, 110, 60], [nose, 45, 60]], np.float32))
    at = codec.grid.positions(*codec.grid.shape(*SIZE))
    near = (np.hypot(at[0] - 110, at[1] - 60) <= 32) | (np.hypot(at[0] - 45, at[1] - 60) <= 32)
    labelled = sure.targets["heatmap"][nose] > 0
    np.testing.assert_array_equal(open_.weights["heatmap"][nose] == 0, near & ~labelled)
    np.testing.assert_array_equal(open_.weights["heatmap"][ear], sure.weights["heatmap"][ear])
    for name, target in sure.targets.items():
        np.testing.assert_array_equal(open_.targets[name], target)
