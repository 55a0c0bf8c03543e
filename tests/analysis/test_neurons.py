"""Neurons: planted filters are found with their joints, chance is not selectivity, and every crop counts once."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from poseg.analysis.neurons import Crop, strongest_patches, strongest_patches_of
from poseg.analysis.patches import ReceptiveField
from poseg.analysis.selectivity import joint_selectivity
from poseg.errors import FieldError, ShapeError

SIDE = 48
RED, BLUE, DEAD, NOISE = range(4)


def blobs(count=80, seed=0, side=SIDE):
    """Dark noise with a red blob at joint 0 and a blue one at joint 1; joints 2 and 3 are anywhere."""
    rng = np.random.default_rng(seed)
    crops = []
    for number in range(count):
        joints = rng.uniform(8, side - 8, (4, 2)).astype(np.float32)
        while np.hypot(*(joints[0] - joints[1])) < 10:
            joints[1] = rng.uniform(8, side - 8, 2)
        image = rng.integers(0, 40, (side, side, 3)).astype(np.uint8)
        y, x = np.mgrid[:side, :side] + 0.5
        for joint, channel in ((0, 0), (1, 2)):
            image[np.hypot(x - joints[joint, 0], y - joints[joint, 1]) < 3, channel] = 230
        crops.append(Crop(image, tensor_of(image), f"crop {number}", joints))
    return crops


def tensor_of(image):
    return torch.from_numpy(image.astype(np.float32) / 255).permute(2, 0, 1)


def planted(padding=0):
    """A 5 x 5 layer: a red blob, a blue blob, a dead channel, the noise in green. The next layer works in place."""
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 4, 5, padding=padding)
    with torch.no_grad():
        conv.bias.zero_()
        conv.weight[:3] = 0
        conv.weight[NOISE, [0, 2]] = 0
        for channel, colour in ((RED, 0), (BLUE, 2)):
            conv.weight[channel] = -1
            conv.weight[channel, colour] = 1
    return nn.Sequential(conv, nn.ReLU(inplace=True), nn.Flatten(), nn.LazyLinear(3)), conv


def found(crops, **settings):
    network, conv = planted()
    return strongest_patches(network, conv, crops, ReceptiveField(5, 1, 0), **settings)


def test_planted_neurons_are_selective_for_their_joints():
    neurons = found(blobs())
    selectivity = neurons.selectivity
    assert list(selectivity.joint[[RED, BLUE]]) == [0, 1]
    assert (selectivity.deviation_px[[RED, BLUE]] < 1.5).all()
    assert (selectivity.distance_px[[RED, BLUE]] < 1.5).all()
    assert (selectivity.p[[RED, BLUE]] < 0.01).all()
    assert (selectivity.shuffled_px[[RED, BLUE]] > 6).all()
    assert selectivity.random_px > 6
    assert selectivity.p[NOISE] > 0.01


def test_average_patches_show_the_planted_filters():
    patches = found(blobs()).patches
    assert patches.shape == (4, 5, 5, 3)
    for channel, colour in ((RED, 0), (BLUE, 2)):
        assert patches[channel, 2, 2, colour] > 200
        assert patches[channel, 2, 2, 2 - colour] < 40


def test_a_dead_channel_has_no_sources_and_comes_last():
    neurons = found(blobs(20))
    assert (neurons.sources[DEAD] == -1).all()
    assert np.isnan(neurons.responses[DEAD]).all()
    assert np.isnan(neurons.patches[DEAD]).all()
    assert neurons.selectivity.joint[DEAD] == -1
    assert neurons.ranking[-1] == DEAD
    assert sorted(neurons.ranking) == [0, 1, 2, 3]
    assert np.isnan(neurons.strength[DEAD])


def test_the_strongest_of_all_crops_are_kept_and_each_counts_once():
    crops, (network, conv) = blobs(40), planted()
    with torch.no_grad():
        maps = conv(torch.stack([crop.tensor for crop in crops]))
    best, order = maps[:, RED].flatten(1).max(dim=1).values.sort(descending=True)
    neurons = strongest_patches(network, conv, crops, ReceptiveField(5, 1, 0), strongest=7, batch=9)
    np.testing.assert_allclose(neurons.responses[RED], best[:7], rtol=1e-5)
    np.testing.assert_array_equal(neurons.sources[RED], order[:7])
    assert [neurons.ids[source] for source in neurons.sources[RED][:2]] == [f"crop {order[0]}", f"crop {order[1]}"]
    cell = maps[order[0], RED].flatten().argmax()
    np.testing.assert_array_equal(neurons.positions[RED, 0], [cell % 44 + 2.5, cell // 44 + 2.5])
    strength = maps[:, NOISE].flatten(1).max(dim=1).values.sort(descending=True).values[:7].mean()
    assert neurons.strength[NOISE] == pytest.approx(float(strength), rel=1e-5)


@pytest.mark.parametrize("batch", [1, 7, 100])
def test_batches_change_nothing_even_among_equals(batch):
    crops = [*blobs(12), *blobs(12)]  # every crop twice: equals
    one, other = found(crops, strongest=9), found(crops, strongest=9, batch=batch)
    np.testing.assert_array_equal(one.sources, other.sources)
    np.testing.assert_allclose(one.patches, other.patches)
    np.testing.assert_array_equal(one.selectivity.p, other.selectivity.p)


def test_fewer_crops_than_slots_leave_slots_empty():
    neurons = found(blobs(6), strongest=10)
    assert (neurons.sources[RED] >= 0).sum() == 6
    assert np.isnan(neurons.positions[RED, 6:]).all()
    assert np.isfinite(neurons.patches[RED]).all()


def test_crops_are_read_once():
    assert len(found(iter(blobs(10))).ids) == 10


def test_patches_end_at_the_border():
    image = np.zeros((SIDE, SIDE, 3), np.uint8)
    image[0, 0] = 250  # the corner's field reaches beyond the image
    network, conv = planted(padding=2)
    with torch.no_grad():
        conv.weight[RED] = 0
        conv.weight[RED, :, 2, 2] = 1
    crop = Crop(image, tensor_of(image), "corner")
    neurons = strongest_patches(network, conv, [crop], ReceptiveField(5, 1, -2))
    assert np.isnan(neurons.patches[RED, :2]).all()
    assert np.isnan(neurons.patches[RED, :, :2]).all()
    assert neurons.patches[RED, 2, 2, 0] == 250
    assert not neurons.patches[RED, 3:, 3:].any()
    np.testing.assert_array_equal(neurons.positions[RED, 0], [0.5, 0.5])


def test_the_mean_is_over_the_patches_that_have_the_pixel():
    network, conv = planted(padding=2)
    with torch.no_grad():
        conv.weight[RED] = 0
        conv.weight[RED, :, 2, 2] = 1
    crops = []
    for at, level in ((0, 60), (20, 100)):
        image = np.full((SIDE, SIDE, 3), level, np.uint8)
        image[at, at] = 250
        crops.append(Crop(image, tensor_of(image), str(at)))
    patch = strongest_patches(network, conv, crops, ReceptiveField(5, 1, -2)).patches[RED]
    np.testing.assert_allclose(patch[0, 0], 100)
    np.testing.assert_allclose(patch[4, 4], 80)
    np.testing.assert_allclose(patch[2, 2], 250)


def test_several_layers_are_recorded_in_one_run_before_in_place_operations():
    network, conv = planted()
    crops = blobs(20)
    both = strongest_patches_of(
        network, {"conv": (conv, ReceptiveField(5, 1, 0)), "relu": (network[1], ReceptiveField(5, 1, 0))}, crops
    )
    alone = strongest_patches(network, conv, crops, ReceptiveField(5, 1, 0))
    np.testing.assert_array_equal(both["conv"].sources, alone.sources)
    np.testing.assert_array_equal(both["relu"].sources[RED], alone.sources[RED])


def test_rectified_responses_count_above_0_only():
    network, conv = planted()
    with torch.no_grad():
        conv.bias[RED] = -100
    layers = {"conv": (conv, ReceptiveField(5, 1, 0))}
    plain, rectified = (
        strongest_patches_of(network, layers, blobs(9), rectified=names)["conv"].sources for names in ((), ("conv",))
    )
    assert (plain[RED, :9] >= 0).all()
    assert (rectified[RED] == -1).all()
    np.testing.assert_array_equal(plain[BLUE], rectified[BLUE])


def test_saturated_responses_still_differ():
    _, conv = planted()
    relu6 = nn.ReLU6(inplace=True)
    with torch.no_grad():
        conv.weight[RED] *= 10  # every red blob is beyond 6
    crops = blobs(30)
    saturated = strongest_patches(nn.Sequential(conv, relu6), relu6, crops, ReceptiveField(5, 1, 0), strongest=5)
    plain = strongest_patches(nn.Sequential(conv), conv, crops, ReceptiveField(5, 1, 0), strongest=5)
    assert saturated.responses[RED].min() > 6
    np.testing.assert_array_equal(saturated.positions[RED], plain.positions[RED])
    assert (saturated.sources[DEAD] == -1).all()


def test_pixels_of_few_patches_have_no_average():
    network, conv = planted(padding=2)
    with torch.no_grad():
        conv.weight[RED] = 0
        conv.weight[RED, :, 2, 2] = 1
    crops = []
    for at in (0, 20):
        image = np.full((SIDE, SIDE, 3), 50, np.uint8)
        image[at, at] = 250
        crops.append(Crop(image, tensor_of(image), str(at)))
    corner, centre = crops
    many = strongest_patches(network, conv, [corner, *[centre] * 5], ReceptiveField(5, 1, -2)).patches[RED]
    assert np.isfinite(many).all()
    few = strongest_patches(network, conv, [centre, *[corner] * 5], ReceptiveField(5, 1, -2)).patches[RED]
    assert np.isnan(few[:2]).all()
    assert np.isfinite(few[2:, 2:]).all()


def test_few_positions_have_no_preferred_joint():
    assert (found(blobs(9)).selectivity.joint == -1).all()
    assert found(blobs(10)).selectivity.joint[RED] == 0


def test_crops_without_joints_have_no_selectivity():
    assert found([crop._replace(joints=None) for crop in blobs(5)]).selectivity is None


def test_rarely_annotated_joints_are_never_preferred():
    crops = blobs(30)
    for crop in crops[3:]:
        crop.joints[0] = np.nan
    crops[0] = crops[0]._replace(joints=None)
    assert found(crops).selectivity.joint[RED] != 0


def test_a_neuron_beside_its_joint_has_an_offset():
    rng = np.random.default_rng(0)
    joints = rng.uniform(0, 100, (60, 5, 2)).astype(np.float32)
    positions = (joints[:, 3] + [6, -4] + rng.normal(0, 0.5, (60, 2)))[None].astype(np.float32)
    selectivity = joint_selectivity(positions, np.arange(60)[None], joints, (np.arange(100.0), np.arange(100.0)))
    assert selectivity.joint[0] == 3
    np.testing.assert_allclose(selectivity.offset_xy[0], [6, -4], atol=0.3)
    assert selectivity.deviation_px[0] < 1
    assert selectivity.p[0] < 0.01


def test_a_neuron_with_a_constant_position_is_not_selective():
    rng = np.random.default_rng(0)
    joints = (50 + rng.normal(0, 2, (200, 3, 2))).astype(np.float32)  # people fill their crops similarly
    positions = np.full((1, 50, 2), 50, np.float32)
    selectivity = joint_selectivity(positions, np.arange(50)[None], joints, (np.arange(100.0), np.arange(100.0)))
    assert selectivity.deviation_px[0] < 0.3 * selectivity.random_px
    assert selectivity.p[0] > 0.05


def test_p_values_of_noise_are_uniform():
    rng = np.random.default_rng(1)
    joints = rng.uniform(0, 100, (120, 4, 2)).astype(np.float32)
    positions = rng.uniform(0, 100, (80, 30, 2)).astype(np.float32)
    sources = np.stack([rng.choice(120, 30, replace=False) for _ in range(80)])
    p = joint_selectivity(positions, sources, joints, (np.arange(100.0), np.arange(100.0))).p
    assert 0.4 < p.mean() < 0.6
    assert (p <= 0.1).mean() < 0.2


@pytest.mark.parametrize(
    ("crops", "message"),
    [
        ([], "crops"),
        ([*blobs(1), *blobs(1, side=40)], "image of crop crop 0"),
        ([blobs(1)[0]._replace(tensor=torch.zeros(3, 9, 9))], "tensor"),
        ([blobs(1)[0], blobs(1)[0]._replace(joints=np.zeros((3, 2), np.float32))], "joints"),
    ],
)
def test_crops_that_do_not_fit_together_are_refused(crops, message):
    with pytest.raises(ShapeError, match=message):
        found(crops)


def test_nan_is_refused():
    network, conv = planted()
    with torch.no_grad():
        conv.bias.fill_(float("nan"))
    with pytest.raises(FieldError, match="NaN"):
        strongest_patches(network, conv, blobs(2), ReceptiveField(5, 1, 0))
