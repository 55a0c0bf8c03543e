"""The contract of Pose2Seg: masks of the people provided, and a loss that adds up."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.codecs.pose2seg import Pose2SegCodec, paper_templates  # noqa: E402
from poseg.errors import PosegError  # noqa: E402
from poseg.geometry import affine  # noqa: E402
from poseg.people import People  # noqa: E402
from poseg.skeletons import COCO17, LSP14, OCHUMAN19  # noqa: E402
from poseg.systems import SYSTEMS  # noqa: E402
from poseg.systems.pose2seg import Pose2Seg, Pose2SegLoss  # noqa: E402

SIZE = (97, 129)
NARROW = {"crop_px": 32, "stem_width": 12, "width": 4, "blocks": 2, "out_width": 4, "neck_channels": 16}
CONFIGS = {
    "light": Pose2Seg(backbone="mobilenet_v3_small", neck="separable", extra_levels=1, padding=0.1, **NARROW),
    "as published, narrow": Pose2Seg(backbone="mobilenet_v3_small", **NARROW),
}


def people(skeleton=COCO17) -> People:
    """Three people that overlap, with masks."""
    poses = paper_templates().points[0] + np.random.default_rng(0).normal(0, 0.03, (3, 17, 2))
    motions = [affine.similarity(90, t, (0.5, 0.5), (x, 48)) for t, x in ((0, 30), (0.3, 60), (-0.4, 95))]
    masks = np.zeros((3, *SIZE), bool)
    for mask, x in zip(masks, (15, 45, 75), strict=True):
        mask[10:85, x : x + 32] = True
    points = np.stack([affine.apply(motion, pose) for motion, pose in zip(motions, poses, strict=True)])
    return People.from_poses(COCO17, points, np.ones((3, 17)), masks=masks).remap_to(skeleton)


def network_inputs(config, people_, copies: int = 1) -> dict[str, torch.Tensor]:
    inputs = config.codec.network_inputs(people_, config.codec.crops(people_, SIZE))
    return {name: torch.from_numpy(np.stack([array] * copies)) for name, array in inputs.items()}


def learned(config, copies: int = 1):
    encoded = config.codec.encode(people(), config.codec.crops(people(), SIZE))
    stack = lambda arrays: {n: torch.from_numpy(np.stack([a] * copies)) for n, a in arrays.items()}  # noqa: E731
    return stack(encoded.targets), stack(encoded.weights)


def images(count: int = 1) -> torch.Tensor:
    return torch.randn(count, 3, *SIZE, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module", params=CONFIGS)
def config(request) -> Pose2Seg:
    return CONFIGS[request.param]


@pytest.fixture(scope="module")
def network(config):
    """Random weights with batch statistics that fit them, so that outputs differ."""
    torch.manual_seed(0)
    network = config.network().train()
    norms = [module for module in network.modules() if isinstance(module, torch.nn.BatchNorm2d)]
    for norm in norms:
        norm.momentum = 1.0
    run(network, images(2), network_inputs(config, people(), 2))
    return network.eval()


def run(network, image, inputs) -> torch.Tensor:
    with torch.no_grad():
        return network(image, **inputs)["mask"]


def test_all_people_of_all_images_get_a_mask(config, network):
    masks = run(network, images(2), network_inputs(config, people(), 2))
    assert masks.shape == (6, 1, 32, 32)
    assert torch.isfinite(masks).all()
    assert masks.std() > 0.1


def test_outputs_are_those_that_the_codec_decodes(config, network):
    masks = run(network, images(), network_inputs(config, people())).numpy()
    windows = config.codec.crops(people(), SIZE)
    found = config.codec.decode(config.codec.fields_from_outputs({"mask": masks}), people(), windows, SIZE)
    assert found.masks.shape == (3, *SIZE)
    assert len(found) == 3


def test_a_mask_does_not_depend_on_other_people_nor_on_their_order(config, network):
    together = run(network, images(), network_inputs(config, people()))
    for which in ([0], [1], [2], [2, 0], [2, 1, 0]):
        fewer = run(network, images(), network_inputs(config, people()[which]))
        torch.testing.assert_close(fewer, together[which], atol=1e-4, rtol=1e-4)
    assert (together[0] - together[1]).abs().max() > 0.1


def test_a_batch_of_two_images_equals_two_batches_of_one(config, network):
    batch, inputs = images(2), network_inputs(config, people(), 2)
    apart = [run(network, batch[i : i + 1], {name: array[i : i + 1] for name, array in inputs.items()}) for i in (0, 1)]
    torch.testing.assert_close(run(network, batch, inputs), torch.cat(apart), atol=1e-4, rtol=1e-4)
    assert (apart[0] - apart[1]).abs().max() > 0.1


def test_no_people_give_no_masks(config, network):
    assert run(network, images(), network_inputs(config, people()[:0])).shape == (0, 1, 32, 32)


def test_two_people_at_one_position_differ_by_their_joints(config, network):
    inputs = network_inputs(config, people()[[0, 0]])
    inputs["joints"][0, 1] = torch.rand(17, 3, generator=torch.Generator().manual_seed(1)) * 32
    inputs["joints"][0, 1, :, 2] = 1
    first, second = run(network, images(), inputs)
    assert (first - second).abs().max() > 0.1


def test_poses_of_another_skeleton_are_remapped_by_name(config, network):
    expected = run(network, images(), network_inputs(config, people()))
    torch.testing.assert_close(
        run(network, images(), network_inputs(config, people(OCHUMAN19))), expected, atol=1e-4, rtol=1e-4
    )


def test_a_gradient_reaches_every_parameter(config):
    torch.manual_seed(0)
    network = config.network().train()
    fields = network(images(2), **network_inputs(config, people(), 2))
    config.loss()(fields, *learned(config, 2))["total"].backward()
    deaf = {name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0}
    # Batch normalisation takes the mean away, and with it what a bias of the head's convolutions does.
    assert not [name for name in deaf if not (name.startswith("head.") and name.endswith("bias"))]


def test_the_loss_of_perfect_masks_vanishes_and_is_a_mean_over_weighted_pixels(config):
    targets, weights = learned(config)
    truth = (targets["mask"] > 0.5).float()
    perfect = {"mask": (truth.reshape(3, 1, 32, 32) * 2 - 1) * 30}
    assert config.loss()(perfect, {"mask": truth}, weights)["total"] < 1e-6
    nothing = {"mask": torch.zeros(3, 1, 32, 32)}
    for share in (1.0, 0.5):
        weight = weights["mask"] * (torch.rand(weights["mask"].shape) < share)
        terms = config.loss()(nothing, targets, {"mask": weight})
        assert terms["mask"] == terms["total"] == pytest.approx(np.log(2), rel=1e-5)


def test_pixels_of_weight_zero_do_not_matter(config):
    targets, weights = learned(config)
    weights = {"mask": weights["mask"].clone()}
    weights["mask"][0, 1] = 0
    fields = {"mask": torch.randn(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))}
    spoiled = {"mask": fields["mask"].clone()}
    spoiled["mask"][1] = 1e4
    assert config.loss()(fields, targets, weights)["total"] == config.loss()(spoiled, targets, weights)["total"]
    nobody = {"mask": torch.zeros_like(weights["mask"])}
    assert config.loss()(fields, targets, nobody)["total"] == 0


def test_the_losses_of_micro_batches_add_up_to_that_of_the_batch(config):
    generator = torch.Generator().manual_seed(0)
    targets = {"mask": torch.rand(4, 3, 32, 32, generator=generator)}
    weights = {"mask": (torch.rand(4, 3, 32, 32, generator=generator) > torch.rand(4, 3, 1, 1)).float()}
    fields = {"mask": torch.randn(12, 1, 32, 32, generator=generator)}
    loss = config.loss()
    whole = loss(fields, targets, weights)["total"]
    counts, parts = loss.normalisers(weights), []
    for first, last in ((0, 1), (1, 4)):
        cut = [{"mask": t["mask"][first:last]} for t in (targets, weights)]
        parts.append((loss({"mask": fields["mask"][3 * first : 3 * last]}, *cut, counts), loss.normalisers(cut[1])))
    torch.testing.assert_close(sum(terms["total"] for terms, _ in parts), whole)
    torch.testing.assert_close(sum(count for _, count in parts), counts)


def test_the_default_network_has_the_size_of_the_papers():
    with torch.device("meta"):
        network = Pose2Seg().network().eval()
    backbone = sum(p.numel() for part in (network.backbone, network.neck) for p in part.parameters())
    assert backbone == pytest.approx(26.9e6 - 3 * (9 * 256 * 256 + 256), rel=0.03)  # without the three unused outputs
    head = sum(p.numel() for p in network.head.parameters())
    assert head == pytest.approx(16_030_978, rel=0.003)


@pytest.mark.parametrize("skeleton", [LSP14, OCHUMAN19])
def test_a_system_of_another_skeleton_has_its_own_skeleton_features(skeleton):
    config = replace(CONFIGS["light"], skeleton=skeleton)
    torch.manual_seed(0)
    assert run(config.network().eval(), images(), network_inputs(config, people())).shape == (3, 1, 32, 32)


def test_the_codec_has_the_settings_of_the_system():
    config = Pose2Seg(skeleton=OCHUMAN19, crop_px=48, padding=0.05, min_keypoint_score=0.3)
    assert config.codec == Pose2SegCodec(OCHUMAN19, crop_px=48, padding=0.05, min_keypoint_score=0.3, stride=4)
    assert isinstance(config.loss(), Pose2SegLoss)
    assert SYSTEMS["pose2seg"] is Pose2Seg
    mean, std = config.normalisation
    assert len(mean) == len(std) == 3


@pytest.mark.parametrize(
    "wrong", [{"neck": "fancy"}, {"neck": "plain", "extra_levels": 1}, {"backbone": "resnet5"}]
)  # fmt: skip
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(PosegError, match=r"\w"):
        Pose2Seg(**wrong).network()
