"""The multi-task system: outputs of its networks, and its loss."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.codecs.multitask import BONES, HEATMAP, JOINT_WINDOWS, JOINTS, PART_WINDOWS  # noqa: E402
from poseg.errors import PosegError  # noqa: E402
from poseg.people import People  # noqa: E402
from poseg.skeletons import BODY17_3D, LSP14  # noqa: E402
from poseg.systems.multitask import Multitask  # noqa: E402

SMALL = {"regression_hidden": (16, 8), "detection_hidden": (16, 8)}
PAPER = Multitask(**SMALL)
MAPS = Multitask(
    tasks=(HEATMAP, JOINT_WINDOWS, PART_WINDOWS), backbone="lite_hrnet", crop_size_px=(96, 64), window_px=20,
    window_stride_px=12, blocks=1, **SMALL,
)  # fmt: skip
IN_3D = Multitask(
    skeleton=BODY17_3D, tasks=(JOINTS, BONES, JOINT_WINDOWS, PART_WINDOWS), window_px=10, window_stride_px=10, **SMALL
)


def crops(system: Multitask, n: int, seed: int = 0) -> tuple[dict, dict]:
    """Targets and weights of n crops, as a batch."""
    rng, codec = np.random.default_rng(seed), system.codec
    k = len(codec.skeleton)
    points = rng.uniform(2, np.array(codec.crop_size_px[::-1]) - 2, (n, k, 2))
    people = People.from_poses(codec.skeleton, points, rng.random((n, k)) < 0.8)
    targets = codec.encode(people, rng.normal(0, 300, (n, k, 3)))
    both = []
    for arrays in (targets.targets, targets.weights):
        both.append(
            {a: torch.from_numpy(np.moveaxis(v[..., 0], -1, 0).copy())[..., None, None] for a, v in arrays.items()}
        )
    return both[0], both[1]


@pytest.mark.parametrize("system", [PAPER, MAPS, IN_3D], ids=["published", "heatmaps", "3D"])
@pytest.mark.parametrize("removed", [None, JOINT_WINDOWS, PART_WINDOWS, JOINTS])
def test_network_has_the_outputs_of_its_tasks(system, removed):
    system = replace(system, tasks=tuple(task for task in system.tasks if task != removed))
    network = system.network().eval()
    with torch.no_grad():
        outputs = network(torch.randn(2, 3, *system.crop_size_px))
    assert {name: tuple(v.shape) for name, v in outputs.items()} == {
        spec.name: (2, spec.channels, 1, 1) for spec in system.codec.specs
    }


def test_paper_network_has_the_published_sizes():
    system = Multitask()
    codec = system.codec
    assert [spec.channels for spec in codec.specs] == [28, 14 * 64, 14 * 64]
    with torch.device("meta"):
        network = system.network()
    layers = {name: tuple(v.shape) for name, v in network.named_parameters() if name.endswith("weight")}
    assert layers["heads.regression.hidden1.weight"] == (1024, 6400)
    assert layers["heads.regression.outputs.joints.weight"] == (28, 2048)
    assert layers["heads.detection.outputs.joint_windows.weight"] == (896, 1024)


@pytest.mark.parametrize("system", [PAPER, MAPS], ids=["published", "heatmaps"])
def test_shared_features_get_the_mean_of_the_tasks_gradients(system):
    """As eq. 6's text says; a plain sum is what `average_task_gradients=False` gives."""
    torch.manual_seed(0)
    network = replace(system, average_task_gradients=True, dropout=0.0).network().train()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    summed = replace(system, average_task_gradients=False, dropout=0.0).network().train()
    summed.load_state_dict(network.state_dict())
    for module in summed.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.eval()
    image = torch.randn(2, 3, *system.crop_size_px)
    targets, weights = crops(system, 2)
    for net in (network, summed):
        system.loss()(net(image), targets, weights)["total"].backward()
    grads = [dict((n, p.grad) for n, p in net.named_parameters() if p.grad is not None) for net in (network, summed)]
    backbone = [name for name in grads[0] if name.startswith("backbone")]
    assert backbone
    for name in backbone:
        torch.testing.assert_close(2 * grads[0][name], grads[1][name], rtol=1e-3, atol=1e-5)
    heads = [name for name in grads[0] if name.startswith("heads")]
    for name in heads:
        torch.testing.assert_close(grads[0][name], grads[1][name], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("system", [PAPER, IN_3D, MAPS, replace(PAPER, positive_weight=3.0)])
def test_losses_of_micro_batches_add_up_to_that_of_the_batch(system):
    loss, (targets, weights) = system.loss(), crops(system, 6)
    fields = {s.name: torch.randn(6, s.channels, 1, 1) for s in system.codec.specs}
    whole = loss(fields, targets, weights)
    counts = loss.normalisers(weights)
    assert float(counts) == 6
    parts = [
        loss(*({n: v[part] for n, v in kind.items()} for kind in (fields, targets, weights)), counts)
        for part in (slice(0, 2), slice(2, 6))
    ]
    for name, term in whole.items():
        torch.testing.assert_close(term, parts[0][name] + parts[1][name])


def test_the_loss_is_the_published_objective():
    targets, weights = crops(PAPER, 3)
    fields = {s.name: torch.randn(3, s.channels, 1, 1) for s in PAPER.codec.specs}
    terms = PAPER.loss()(fields, targets, weights)
    gap = (fields[JOINTS].reshape(3, 14, 2) - targets[JOINTS][..., 0, 0]) * weights[JOINTS][:, :, None, 0, 0]
    torch.testing.assert_close(terms[JOINTS], (gap**2).sum() / 3)
    p = torch.sigmoid(fields[JOINT_WINDOWS].reshape(3, 14, 64))
    h, w = targets[JOINT_WINDOWS][..., 0, 0], weights[JOINT_WINDOWS][..., 0, 0]
    entropy = -(w * (h * p.log() + (1 - h) * (1 - p).log())).sum() / 3
    torch.testing.assert_close(terms[JOINT_WINDOWS], entropy, rtol=1e-4, atol=1e-3)
    torch.testing.assert_close(terms["total"], 0.5 * (terms[JOINTS] + terms[JOINT_WINDOWS] + terms[PART_WINDOWS]))


def test_the_loss_of_heatmaps_is_their_mean_squared_error():
    targets, weights = crops(MAPS, 3)
    fields = {s.name: torch.randn(3, s.channels, 1, 1) for s in MAPS.codec.specs}
    gap = (fields[HEATMAP].reshape(3, 14, 24, 16) - targets[HEATMAP][..., 0, 0]) ** 2
    expected = (gap.mean(dim=(2, 3)) * weights[HEATMAP][..., 0, 0]).sum() / 3
    torch.testing.assert_close(MAPS.loss()(fields, targets, weights)[HEATMAP], expected)


def test_heatmaps_do_not_depend_on_the_detectors():
    torch.manual_seed(0)
    both, alone = MAPS.network().eval(), replace(MAPS, tasks=(HEATMAP,)).network().eval()
    alone.load_state_dict(both.state_dict(), strict=False)
    image = torch.randn(2, 3, *MAPS.crop_size_px)
    with torch.no_grad():
        torch.testing.assert_close(alone(image)[HEATMAP], both(image)[HEATMAP])


def test_what_is_not_annotated_has_no_gradient():
    targets, weights = crops(IN_3D, 3)
    fields = {s.name: torch.randn(3, s.channels, 1, 1, requires_grad=True) for s in IN_3D.codec.specs}
    IN_3D.loss()(fields, targets, weights)["total"].backward()
    for name in (JOINTS, BONES):
        gradient = fields[name].grad.reshape(3, 17, -1).abs().sum(dim=2)
        valid = weights[name][..., 0, 0] > 0
        assert (gradient[~valid] == 0).all()
        assert (gradient[valid] > 0).all() or name == BONES
    windows = fields[JOINT_WINDOWS].grad.reshape(3, 17, -1)
    assert (windows[weights[JOINT_WINDOWS][..., 0, 0] == 0] == 0).all()


def test_the_loss_of_perfect_fields_is_near_zero():
    targets, weights = crops(PAPER, 2)
    fields = {}
    for spec in PAPER.codec.specs:
        t = targets[spec.name][..., 0, 0]
        t = torch.logit(t, 1e-5) if spec.unit == "logit" else t
        fields[spec.name] = t.reshape(2, -1, 1, 1)
    assert PAPER.loss()(fields, targets, weights)["total"] < 0.1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"backbone": "resnet50"}, "li2014, lite_hrnet"),
        ({"crop_size_px": (128, 128)}, "112 x 112 px"),
        ({"backbone": "lite_hrnet", "tasks": (HEATMAP,), "crop_size_px": (193, 193)}, "32 n x 32 m"),
        ({"tasks": (HEATMAP,)}, "Heatmaps are the task of lite_hrnet"),
        ({"backbone": "lite_hrnet", "tasks": (JOINT_WINDOWS,)}, "cannot have the tasks joint_windows"),
    ],
)
def test_invalid_settings_are_rejected(settings, words):
    with pytest.raises(PosegError, match=words):
        Multitask(**settings)


def test_the_default_skeleton_is_lsps():
    assert Multitask().skeleton == LSP14
