"""Networks for another skeleton keep the channels of the joints that both have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.recipes import find_recipe  # noqa: E402
from poseg.skeletons import COCO17, LSP14, Skeleton  # noqa: E402
from poseg.systems.multitask import Multitask  # noqa: E402
from poseg.systems.personlab import PersonLab  # noqa: E402
from poseg.systems.poseg import PoSeg  # noqa: E402
from poseg.training.kept_channels import channel_matrix, transfer  # noqa: E402

# Two joints of COCO's and one that it does not have; the nose is joined to a hip, which COCO's tree does not do.
SMALL3 = Skeleton("three", ("nose", "tail", "left_hip"), bones=(("nose", "left_hip"), ("left_hip", "tail")))
SHUFFLED = Skeleton("shuffled", COCO17.joints[::-1], COCO17.bones, COCO17.tree, COCO17.sigmas)
CROPS = pytest.param("multitask", marks=pytest.mark.slow)  # its network takes seconds to build


def small_system(kind, skeleton):
    if kind == "personlab":
        return PersonLab(skeleton, "mobilenet_v3_small", 16, neck_channels=16, deep_supervision="residual")
    if kind == "poseg":
        limbs = COCO17.tree if len(skeleton) == len(COCO17) else ()
        return PoSeg(skeleton, limbs, "mobilenet_v3_small", widths=(8, 8, 8, 8), channels=16)
    return replace(find_recipe("multitask").system, skeleton=skeleton, tasks=("heatmap",), parts=())


def outputs(system, network):
    height, width = system.crop_size_px if isinstance(system, Multitask) else (97, 97)
    image = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        fields = network.eval()(image)
    return {
        spec.name: fields[spec.name].reshape(*spec.shape, *fields[spec.name].shape[-2:]).numpy()
        for spec in system.codec.specs
    }


def transferred(kind, skeleton):
    theirs, ours = small_system(kind, COCO17), small_system(kind, skeleton)
    torch.manual_seed(0)
    source, network = theirs.network(), ours.network()
    for tensor in source.state_dict().values():
        if tensor.dtype.is_floating_point and tensor.ndim > 1:
            torch.nn.init.normal_(tensor, std=0.1)
    transfer(network, source, ours.codec, theirs.codec)
    return outputs(ours, network), outputs(theirs, source)


@pytest.mark.parametrize("kind", ["personlab", CROPS])
def test_joints_that_both_skeletons_have_give_the_same_fields(kind):
    ours, theirs = transferred(kind, SMALL3)
    for name in ("heatmap", *(["short_offsets", "long_offsets"] if kind == "personlab" else [])):
        for joint in ("nose", "left_hip"):
            mine, other = ours[name][SMALL3.index(joint)], theirs[name][COCO17.index(joint)]
            np.testing.assert_allclose(mine, other, rtol=1e-4, atol=1e-4)
    if kind == "personlab":
        np.testing.assert_allclose(ours["segmentation"], theirs["segmentation"], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", ["personlab", "poseg", CROPS])
def test_the_same_joints_in_another_order_give_the_same_fields(kind):
    ours, theirs = transferred(kind, SHUFFLED)
    order = [COCO17.index(joint) for joint in SHUFFLED.joints]
    np.testing.assert_allclose(ours["heatmap"], theirs["heatmap"][order], rtol=1e-3, atol=1e-3)


def test_edges_of_another_tree_follow_from_long_offsets():
    codec, source = PersonLab(SMALL3).codec, PersonLab(COCO17).codec
    names = ["mid_offsets", "long_offsets"]
    matrix = channel_matrix(names, codec, source)
    fields = np.random.default_rng(0).normal(size=(sum(s.channels for s in source.specs if s.name in names),))
    mid, long = np.split(matrix @ fields, [2 * len(SMALL3.edges)])
    long = long.reshape(3, 2)
    for (_, target), offset in zip(SMALL3.edges, mid.reshape(-1, 2), strict=True):
        np.testing.assert_allclose(offset, long[target])
    assert not long[SMALL3.index("tail")].any()


def test_long_offsets_of_a_mean_are_the_mean_of_long_offsets():
    matrix = channel_matrix(["long_offsets"], PersonLab(LSP14).codec, PersonLab(COCO17).codec)
    row = matrix.reshape(len(LSP14), 2, len(COCO17), 2)[LSP14.index("neck")]
    shoulders = [COCO17.index("left_shoulder"), COCO17.index("right_shoulder")]
    np.testing.assert_allclose(row[:, shoulders], 0.5 * np.stack([np.eye(2)] * 2, axis=1))
    assert row.sum() == 2


def test_a_limb_that_runs_the_other_way_has_the_opposite_field():
    ours = Skeleton("pair", ("nose", "left_eye"), (("left_eye", "nose"),), (("left_eye", "nose"),))
    theirs = Skeleton("pair", ("nose", "left_eye"), (("nose", "left_eye"),))
    np.testing.assert_array_equal(channel_matrix(["paf"], PoSeg(ours).codec, PoSeg(theirs).codec), -np.eye(2))
