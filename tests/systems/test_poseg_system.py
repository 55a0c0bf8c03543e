"""The contract of PoSeg: both tasks from one backbone, each trained only by images that have labels for it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.codecs import PoSegCodec  # noqa: E402
from poseg.errors import PosegError, SkeletonError  # noqa: E402
from poseg.export.torch_model import make_card  # noqa: E402
from poseg.people import People  # noqa: E402
from poseg.runtime.card import Card  # noqa: E402
from poseg.runtime.inference import InferenceConfig  # noqa: E402
from poseg.runtime.onnx_model import build_codec  # noqa: E402
from poseg.skeletons import COCO17, LSP14, OPENPOSE18, Skeleton  # noqa: E402
from poseg.systems import SYSTEMS  # noqa: E402
from poseg.systems.poseg import AUXILIARY, LOG_VARIANCES, PoSeg  # noqa: E402

SIZE = (97, 129)
TINY = PoSeg(backbone="mobilenet_v3_small", widths=(8, 8, 8, 8), channels=32)
CONFIGS = {
    "light": TINY,
    "dense, three stages": replace(TINY, pose_branch="dense", refinement_stages=2),
    "published": replace(TINY, pose_branch="paper", skeleton=LSP14),
    "learned balance, groups": replace(TINY, loss_balance="learned", norm="group", refinement_stages=0),
    "no auxiliary map": replace(TINY, aux_weight=0.0, skeleton=OPENPOSE18),
}
POSES, MASKS = ("paf", "heatmap", "background"), ("segmentation",)
LEARNED = replace(TINY, loss_balance="learned")


@pytest.fixture(scope="module", params=CONFIGS)
def system(request) -> PoSeg:
    return CONFIGS[request.param]


def people(config: PoSeg = TINY) -> People:
    rng = np.random.default_rng(0)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 10:80, 10:50], masks[1, 20:90, 70:120] = True, True
    points = np.stack([rng.uniform((10, 10), (50, 80), (17, 2)), rng.uniform((70, 20), (120, 90), (17, 2))])
    return People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks).remap_to(config.skeleton)


def without_masks() -> People:
    """Two poses in an image that a person's box fills."""
    return replace(people(), masks=None, boxes_xyxy=np.array([(0, 0, SIZE[1], SIZE[0])] * 2, np.float32))


def without_joints() -> People:
    """Two masks that fill the image between them."""
    masks = np.zeros((2, *SIZE), bool)
    masks[0, :, :60], masks[1, :, 60:] = True, True
    return replace(people(), masks=masks, keypoint_scores=np.zeros((2, 17)))


def batch_of(config: PoSeg, *images: People):
    """Targets and weights of a batch of images."""
    encoded = [config.codec.encode(one, SIZE) for one in images]
    names = [spec.name for spec in config.codec.specs]
    targets = {name: torch.from_numpy(np.stack([one.targets[name] for one in encoded])) for name in names}
    weights = {name: torch.from_numpy(np.stack([one.weights[name] for one in encoded])) for name in names}
    return targets, weights


def outputs(config: PoSeg, images: int = 1, seed: int = 0) -> dict[str, torch.Tensor]:
    """Outputs of a network in training: every stage, the auxiliary map, the log variances; all with a gradient."""
    generator = torch.Generator().manual_seed(seed)
    cells = config.codec.grid.shape(*SIZE)
    pose = {spec.name: spec.channels for spec in config.codec.specs if spec.name in POSES}
    channels = {**pose, **{f"stage0.{name}": n for name, n in pose.items()}, "segmentation": 1, AUXILIARY: 1}
    fields = {name: torch.randn(images, n, *cells, generator=generator) for name, n in channels.items()}
    if config.loss_balance == "learned":
        fields[LOG_VARIANCES] = torch.tensor([0.7, -0.4])
    return {name: field.requires_grad_() for name, field in fields.items()}


def cut(tensors: Mapping[str, torch.Tensor], which: slice) -> dict[str, torch.Tensor]:
    return {name: tensor if name == LOG_VARIANCES else tensor[which] for name, tensor in tensors.items()}


def gradients(config: PoSeg, fields, targets, weights) -> dict[str, torch.Tensor]:
    total = config.loss()(fields, targets, weights)["total"]
    found = torch.autograd.grad(total, list(fields.values()))
    return dict(zip(fields, found, strict=True))


# The network.


def test_fields_have_the_shapes_of_the_specs_and_the_loss_is_finite(system):
    torch.manual_seed(0)
    with torch.no_grad():
        fields = system.network().eval()(torch.randn(2, 3, *SIZE))
    cells = system.codec.grid.shape(*SIZE)
    assert {name: field.shape for name, field in fields.items()} == {
        spec.name: (2, spec.channels, *cells) for spec in system.codec.specs
    }
    terms = system.loss()(fields, *batch_of(system, people(system), people(system)))
    assert set(terms) == {*POSES, *MASKS, "total"}
    assert all(torch.isfinite(term) for term in terms.values())


def test_training_adds_fields_of_stages_the_auxiliary_map_and_log_variances(system):
    torch.manual_seed(0)
    fields = system.network().train()(torch.randn(2, 3, *SIZE))
    early = {f"stage{stage}.{name}" for stage in range(system.refinement_stages) for name in POSES}
    extra = (
        early
        | ({AUXILIARY} if system.aux_weight else set())
        | ({LOG_VARIANCES} if system.loss_balance == "learned" else set())
    )
    assert set(fields) == {*POSES, *MASKS} | extra
    for name in early:
        assert fields[name].shape == fields[name.partition(".")[2]].shape
    terms = system.loss()(fields, *batch_of(system, people(system), people(system)))
    assert ("early" in terms, "auxiliary" in terms) == (bool(early), bool(system.aux_weight))
    assert all(torch.isfinite(term) for term in terms.values())


def test_a_gradient_reaches_every_parameter(system):
    torch.manual_seed(0)
    network = system.network().train()
    with torch.no_grad():  # the published rows begin almost silent, and a hundredth of a hundredth vanishes
        for module in network.pose.modules():
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight)
    fields = network(torch.randn(2, 3, *SIZE))
    system.loss()(fields, *batch_of(system, people(system), people(system)))["total"].backward()
    assert not [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def test_a_batch_of_two_equals_two_batches_of_one(system):
    torch.manual_seed(0)
    network, images = system.network().eval(), torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        together, apart = network(images), [network(images[i : i + 1]) for i in (0, 1)]
    for name, field in together.items():
        torch.testing.assert_close(field, torch.cat([one[name] for one in apart]), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(
    ("config", "size"),
    [(PoSeg(), (385, 641)), (PoSeg(pose_branch="dense", backbone="resnet50", widths=(64, 64, 64, 64)), (257, 193)),
     (PoSeg(OPENPOSE18, backbone="vgg19", widths=(64, 256), pose_branch="paper", refinement_stages=5), (368, 368))],
    ids=["small", "dilated", "as published"],
)  # fmt: skip
def test_networks_of_full_size_have_the_cells_of_their_codec(config, size):
    with torch.device("meta"):
        fields = config.network().eval()(torch.empty(1, 3, *size))
    for spec in config.codec.specs:
        assert fields[spec.name].shape == (1, spec.channels, *config.codec.grid.shape(*size))
    assert config.codec.grid.size(*config.codec.grid.shape(*size)) == size


# The loss.


def test_perfect_fields_have_the_lowest_loss(system):
    targets, weights = batch_of(system, people(system))
    encoded = system.codec.encode(people(system), SIZE).as_fields(epsilon=1e-7)
    best = {
        spec.name: torch.from_numpy(encoded[spec.name]).reshape(1, spec.channels, *encoded.shape_hw)
        for spec in system.codec.specs
    }
    terms = system.loss()(best, targets, weights)
    assert all(terms[name] == 0 for name in POSES)
    share = targets["segmentation"].clamp(1e-7, 1 - 1e-7)
    at_edges = -(share * share.log() + (1 - share) * (1 - share).log()).mean()  # cells half a person are uncertain
    torch.testing.assert_close(terms["segmentation"], at_edges, atol=1e-5, rtol=0)
    for name, field in best.items():
        for amount in (-0.1, 0.1):
            noise = amount * torch.rand(field.shape, generator=torch.Generator().manual_seed(1))
            worse = system.loss()({**best, name: field + noise}, targets, weights)
            assert worse["total"] > terms["total"]
            assert worse[name] > terms[name]


@pytest.mark.parametrize("config", [TINY, LEARNED], ids=["fixed", "learned"])
def test_images_without_masks_do_not_train_the_person_map_nor_those_without_joints_poses(config):
    fields = outputs(config, 2)
    found = gradients(config, fields, *batch_of(config, without_masks(), without_joints()))
    for name, gradient in found.items():
        if name == LOG_VARIANCES:
            continue
        blind = 1 if name.split(".")[-1] in POSES else 0
        assert not gradient[blind].any(), name
        assert gradient[1 - blind].abs().max() > 0, name


@pytest.mark.parametrize("config", [TINY, LEARNED], ids=["fixed", "learned"])
def test_gradients_of_an_image_do_not_depend_on_others_without_its_labels(config):
    """So the loss of both together is the sum, and each has a gradient for the log variance of its own task alone."""
    fields, targets, weights = outputs(config, 2), *batch_of(config, without_masks(), without_joints())
    alone = [[cut(part, slice(i, i + 1)) for part in (fields, targets, weights)] for i in (0, 1)]
    totals = [config.loss()(*parts)["total"] for parts in alone]
    torch.testing.assert_close(config.loss()(fields, targets, weights)["total"], sum(totals))
    together = gradients(config, fields, targets, weights)
    apart = [gradients(config, *parts) for parts in alone]
    if LOG_VARIANCES in fields:
        assert [(one[LOG_VARIANCES] != 0).tolist() for one in apart] == [[True, False], [False, True]]
    for name, gradient in together.items():
        expected = apart[0][name] + apart[1][name] if name == LOG_VARIANCES else torch.cat([one[name] for one in apart])
        torch.testing.assert_close(gradient, expected, msg=name)


def test_only_cells_of_positive_weight_have_gradients():
    targets, weights = batch_of(TINY, people())
    generator = torch.Generator().manual_seed(3)
    weights = {n: w * (torch.rand(w.shape, generator=generator) > 0.5) for n, w in weights.items()}
    fields = outputs(TINY)
    for name, gradient in gradients(TINY, fields, targets, weights).items():
        if name == AUXILIARY or name.startswith("stage"):
            continue
        weight = weights[name].unsqueeze(2) if name == "paf" else weights[name]
        counts = torch.broadcast_to(weight, targets[name].shape) > 0
        np.testing.assert_array_equal(gradient.reshape(targets[name].shape) != 0, counts, err_msg=name)


@pytest.mark.parametrize("config", [TINY, LEARNED], ids=["fixed", "learned"])
def test_an_image_without_labels_has_no_gradient(config):
    targets, weights = batch_of(config, people())
    nothing = {name: torch.zeros_like(weight) for name, weight in weights.items()}
    fields = outputs(config)
    assert config.loss()(fields, targets, nothing)["total"] == 0
    assert not any(gradient.any() for gradient in gradients(config, fields, targets, nothing).values())


@pytest.mark.parametrize("config", [TINY, LEARNED], ids=["fixed", "learned"])
@pytest.mark.parametrize("ends", [(1, 4), (2, 4), (1, 2, 3, 4)], ids=str)
def test_micro_batches_of_a_batch_add_up_to_it(config, ends):
    """Images of all kinds, so that micro-batches have different normalisers."""
    lone = replace(people(), masks=None)
    fields = outputs(config, 4)
    targets, weights = batch_of(config, without_joints(), people(), without_masks(), lone)
    loss, whole = config.loss(), gradients(config, fields, targets, weights)
    counts = loss.normalisers(weights)
    starts, seen = (0, *ends[:-1]), []
    for start, end in zip(starts, ends, strict=True):
        part = [cut(tensors, slice(start, end)) for tensors in (fields, targets, weights)]
        seen.append((loss(*part, counts), loss.normalisers(part[2])))
    torch.testing.assert_close(sum(count for _, count in seen), counts)
    for name, term in loss(fields, targets, weights).items():
        torch.testing.assert_close(sum(terms[name] for terms, _ in seen), term, msg=name)
    together = torch.autograd.grad(sum(terms["total"] for terms, _ in seen), list(fields.values()))
    for name, gradient in zip(fields, together, strict=True):
        torch.testing.assert_close(gradient, whole[name], msg=name)
    # Slices that do not know of each other do not add up: what the counts are for.
    blind = sum(
        loss(*[cut(t, slice(a, b)) for t in (fields, targets, weights)])["total"]
        for a, b in zip(starts, ends, strict=True)
    )
    assert abs(blind - loss(fields, targets, weights)["total"]) > 0.1


def test_the_total_is_the_weighted_sum_of_pose_map_and_auxiliary_map():
    targets, weights = batch_of(TINY, people(), people())
    for changes in ({}, {"pose_weight": 3.0}, {"aux_weight": 1.5}):
        config = replace(TINY, **changes)
        terms = config.loss()(outputs(config, 2), targets, weights)
        pose = terms["paf"] + terms["heatmap"] + terms["background"] / 17 + terms["early"]
        expected = config.pose_weight * pose + terms["segmentation"] + config.aux_weight * terms["auxiliary"]
        torch.testing.assert_close(terms["total"], expected)


def test_every_stage_has_the_loss_of_the_last_one():
    targets, weights = batch_of(TINY, people())
    fields = outputs(TINY)
    swapped = {**fields}
    for name in POSES:
        swapped[name], swapped[f"stage0.{name}"] = fields[f"stage0.{name}"], fields[name]
    one, other = (TINY.loss()(each, targets, weights) for each in (fields, swapped))
    torch.testing.assert_close(other["total"], one["total"])
    assert one["early"] != other["early"]


def test_a_learned_balance_starts_as_the_fixed_one_and_learns_the_variance_of_each_task():
    targets, weights = batch_of(LEARNED, people(), people())
    fields = {name: field.detach() for name, field in outputs(LEARNED, 2).items()}
    fixed = {name: field for name, field in fields.items() if name != LOG_VARIANCES}
    terms = TINY.loss()(fixed, targets, weights)
    even = LEARNED.loss()({**fixed, LOG_VARIANCES: LEARNED.network().log_variances}, targets, weights)
    torch.testing.assert_close(even["total"], terms["total"])
    mask = terms["segmentation"] + LEARNED.aux_weight * terms["auxiliary"]
    noise = torch.stack([terms["total"] - mask, mask]).log().requires_grad_()
    LEARNED.loss()({**fixed, LOG_VARIANCES: noise}, targets, weights)["total"].backward()
    torch.testing.assert_close(noise.grad, torch.zeros(2), atol=1e-4, rtol=0)


def test_a_person_map_of_another_grid_is_resized_to_the_targets():
    """A backbone may end at a coarser stride than the branches; corners of both grids are the same pixels."""
    targets, weights = batch_of(TINY, people())
    rows, columns = (cells // 2 + 1 for cells in targets["segmentation"].shape[-2:])
    slope = torch.arange(float(columns)).repeat(rows, 1)[None, None]
    fine = torch.arange(float(2 * columns - 1)).repeat(2 * rows - 1, 1)[None, None] / 2
    fields = outputs(TINY)
    coarse = TINY.loss()({**fields, AUXILIARY: slope}, targets, weights)["auxiliary"]
    torch.testing.assert_close(coarse, TINY.loss()({**fields, AUXILIARY: fine}, targets, weights)["auxiliary"])


# The codec, the card and the settings.


def test_the_codec_has_the_settings_of_the_system():
    limbs = (*LSP14.tree, ("left_wrist", "right_wrist"))
    config = PoSeg(LSP14, limbs=limbs, sigma_px=5.0, width_px=6.0)
    assert config.codec == PoSegCodec(LSP14, 8, sigma_px=5.0, width_px=6.0, limbs=limbs)
    assert replace(config, backbone="vgg19").codec.origin_px == 4.0
    assert SYSTEMS["poseg"] is PoSeg
    for values in config.normalisation:
        assert len(values) == 3


@pytest.mark.parametrize("skeleton", [COCO17, OPENPOSE18, LSP14], ids=lambda skeleton: skeleton.name)
@pytest.mark.parametrize("backbone", ["mobilenet_v1_075", "vgg19"])
def test_a_card_gives_the_codec_again(skeleton, backbone):
    limbs = (*skeleton.tree, ("left_wrist", "right_wrist")) if skeleton is LSP14 else ()
    config = PoSeg(skeleton, limbs=limbs, backbone=backbone, sigma_px=6.5, width_px=9.25)
    mean, std = config.normalisation
    card = make_card(
        config, name="fresh", inference=InferenceConfig(384), mean=mean, std=std, licences={"code": "Apache-2.0"}
    )
    read = Card.from_json(card.to_json(), source="the test")
    assert read.to_json() == card.to_json()
    assert (read.mean, read.std) == (mean, std)
    codec = build_codec(read, "the test")
    assert codec == config.codec
    assert codec.skeleton == skeleton
    assert codec.limbs == config.codec.limbs
    height, width = (3 * read.size_divisor + read.size_offset, 4 * read.size_divisor + read.size_offset)
    assert codec.grid.size(*codec.grid.shape(height, width)) == (height, width)


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"pose_branch": "heavy"}, "`pose_branch` is one of light, dense, paper, got 'heavy'"),
        ({"loss_balance": "even"}, "`loss_balance` is one of fixed, learned, got 'even'"),
        ({"norm": "layer"}, "`norm` is one of batch, group, got 'layer'"),
        ({"widths": (32, 64)}, "give as many widths, got 2"),
        ({"widths": ()}, "give as many widths, got 0"),
        ({"backbone": "resnet5"}, "resnet5"),
        ({"refinement_stages": -1}, "refinement_stages.*0 or more"),
    ],
    ids=str,
)
def test_invalid_settings_are_rejected(wrong, sentence):
    with pytest.raises(PosegError, match=sentence):
        PoSeg(**wrong).network()


def test_limbs_that_leave_joints_out_are_rejected():
    dog = Skeleton(
        "dog",
        ("nose", "left_ear", "right_ear", "tail"),
        (("nose", "left_ear"), ("nose", "right_ear"), ("nose", "tail")),
    )
    with pytest.raises(SkeletonError, match="2 parts"):
        PoSeg(dog, limbs=dog.tree[:2]).network()
