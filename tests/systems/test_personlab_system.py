"""The contract of a system: shapes follow the specs, gradients reach the parameters, targets fit the loss."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.errors import PosegError  # noqa: E402
from poseg.people import People  # noqa: E402
from poseg.skeletons import COCO17  # noqa: E402
from poseg.systems.personlab import PersonLab  # noqa: E402

SIZE = (97, 129)


def people() -> People:
    rng = np.random.default_rng(0)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 10:80, 10:50], masks[1, 20:90, 70:120] = True, True
    points = np.stack([rng.uniform((10, 10), (50, 80), (17, 2)), rng.uniform((70, 20), (120, 90), (17, 2))])
    return People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks)


CONFIGS = {
    "lite0 at 8": PersonLab(),
    "lite0 at 16": PersonLab(stride=16),
    "residual at 8": PersonLab(backbone="mobilenet_v1_075", extra_levels=2, deep_supervision="residual"),
    "residual at 16": PersonLab(backbone="mobilenet_v1_075", stride=16, extra_levels=1, deep_supervision="residual"),
    "residual masks": PersonLab(
        backbone="mobilenet_v1_075",
        extra_levels=1,
        deep_supervision="residual",
        residual_fields=("segmentation", "long_offsets"),
    ),
    "the paper's, small": PersonLab(backbone="resnet50", stride=16, neck_channels=0, deep_supervision="auxiliary"),
}


@pytest.fixture(scope="module", params=CONFIGS)
def system(request):
    return CONFIGS[request.param]


def batch(system, copies: int = 1):
    encoded = system.codec.encode(people(), SIZE)
    stack = lambda arrays: {n: torch.from_numpy(np.stack([a] * copies)) for n, a in arrays.items()}  # noqa: E731
    return stack(encoded.targets), stack(encoded.weights)


def test_fields_have_the_shapes_of_the_specs_and_the_loss_is_finite(system):
    torch.manual_seed(0)
    network = system.network().eval()
    fields = network(torch.randn(2, 3, *SIZE))
    for spec in system.codec.specs:
        assert fields[spec.name].shape == (2, spec.channels, *system.codec.grid.shape(*SIZE))
    terms = system.loss()(fields, *batch(system, 2))
    assert set(terms) - {"coarse"} == {spec.name for spec in system.codec.specs} | {"total"}
    assert all(torch.isfinite(term) for term in terms.values())


def test_a_gradient_reaches_every_parameter(system):
    torch.manual_seed(0)
    network = system.network().train()
    with torch.no_grad():
        for head in network.heads.values():  # silent ones pass no gradient on at the very first step
            torch.nn.init.normal_(head.conv.weight, std=0.01)
    system.loss()(network(torch.randn(2, 3, *SIZE)), *batch(system, 2))["total"].backward()
    deaf = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not deaf


def test_the_loss_of_perfect_fields_vanishes(system):
    encoded = system.codec.encode(people(), SIZE)
    perfect = encoded.as_fields(epsilon=1e-7)
    flat = {
        s.name: torch.from_numpy(perfect[s.name]).reshape(1, s.channels, *perfect.shape_hw) for s in system.codec.specs
    }
    terms = system.loss()(flat, *batch(system))
    assert terms["heatmap"] < 1e-4
    assert terms["short_offsets"] == 0
    # Refinement reads the neighbours of a cell, so at the edges of disks and masks it cannot be perfect.
    assert terms["mid_offsets"] < 0.1
    assert terms["long_offsets"] < 0.5


def test_a_batch_of_two_equals_two_batches_of_one(system):
    torch.manual_seed(0)
    network, images = system.network().eval(), torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        together, apart = network(images), [network(images[i : i + 1]) for i in (0, 1)]
    for name, field in together.items():
        torch.testing.assert_close(field, torch.cat([one[name] for one in apart]), atol=1e-3, rtol=1e-4)


def test_residual_heads_start_at_zero():
    torch.manual_seed(0)
    network = CONFIGS["residual at 8"].network().eval()
    fields = network(torch.randn(1, 3, *SIZE))
    for spec in CONFIGS["residual at 8"].codec.specs:
        torch.testing.assert_close(fields[spec.name][..., ::2, ::2], fields[f"coarse.{spec.name}"])


def test_upsampled_offsets_are_exact_between_the_coarse_cells():
    from poseg.geometry.grid import Grid
    from poseg.systems.personlab import _add_residuals

    def pointing(stride: int) -> torch.Tensor:
        at = Grid(stride).positions((SIZE[0] - 1) // stride + 1, (SIZE[1] - 1) // stride + 1)
        return torch.from_numpy(np.array([40.25, 70.5], np.float32)[:, None, None] - at)[None]

    upsampled = _add_residuals({"short": pointing(16)}, {"short": torch.zeros_like(pointing(8))})["short"]
    torch.testing.assert_close(upsampled, pointing(8), atol=1e-4, rtol=0)


def test_auxiliary_supervision_adds_its_weight_and_is_absent_in_use():
    config = CONFIGS["the paper's, small"]
    torch.manual_seed(0)
    network, image = config.network(), torch.randn(2, 3, *SIZE)
    fields = network.train()(image)
    terms = config.loss()(fields, *batch(config, 2))
    alone = config.loss()({n: f for n, f in fields.items() if not n.startswith("coarse.")}, *batch(config, 2))
    torch.testing.assert_close(terms["total"], alone["total"] + config.aux_weight * terms["coarse"])
    assert not [name for name in network.eval()(image) if name.startswith("coarse.")]


@pytest.mark.parametrize(
    "wrong",
    [{"deep_supervision": "some"}, {"neck_channels": 0, "extra_levels": 1}, {"neck_channels": 0, "backbone": "lite0"},
     {"backbone": "resnet5"}, {"residual_fields": ("masks",)}],
)  # fmt: skip
def test_invalid_settings_are_rejected(wrong):
    with pytest.raises(PosegError, match=r"\w"):
        PersonLab(**wrong).network()


def test_fields_without_residual_heads_are_interpolated():
    torch.manual_seed(0)
    network, image = CONFIGS["residual masks"].network().eval(), torch.randn(1, 3, *SIZE)
    with torch.no_grad():
        for head in network.heads.values():
            torch.nn.init.normal_(head.conv.weight, std=0.1)
        fields, linear = network(image), network.linear_head(network.backbone(image)[-1])
    for name in ("heatmap", "short_offsets", "mid_offsets"):
        torch.testing.assert_close(fields[name][..., ::2, ::2], linear[name])
    assert not torch.allclose(fields["segmentation"][..., ::2, ::2], linear["segmentation"])
