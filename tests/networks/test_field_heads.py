"""Stages of the pose branch: names and shapes of their fields, their inputs, and the size of the published one."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")

from poseg.codecs.poseg import PoSegCodec  # noqa: E402
from poseg.networks.heads.field_heads import DenseBlock, LightPafStages, PaperPafStages  # noqa: E402
from poseg.skeletons import OPENPOSE18  # noqa: E402

PAF, HEATMAP, BACKGROUND, _ = PoSegCodec(OPENPOSE18).specs
GROUPS = ((PAF,), (HEATMAP, BACKGROUND))
WANTED = {"paf": 38, "heatmap": 18, "background": 1}
MAKERS = {
    "light": lambda stages: LightPafStages(16, GROUPS, refinement_stages=stages - 1, hidden=24),
    "dense": lambda stages: LightPafStages(16, GROUPS, refinement_stages=stages - 1, hidden=24, dense=True),
    "published": lambda stages: PaperPafStages(16, GROUPS, stages=stages, width=8),
}


@pytest.fixture(params=MAKERS)
def make(request):
    torch.manual_seed(0)
    return MAKERS[request.param]


def features(batch: int = 2):
    return torch.randn(batch, 16, 9, 11, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("stages", [1, 2, 3])
def test_each_stage_predicts_every_field_by_name(make, stages):
    said = make(stages).eval()(features())
    assert len(said) == stages
    for fields in said:
        assert {name: field.shape[1] for name, field in fields.items()} == WANTED
        assert all(field.shape == (2, WANTED[name], 9, 11) for name, field in fields.items())


def test_a_fresh_branch_predicts_almost_zero(make):
    """So that the first loss on nearly empty targets is low."""
    for fields in make(2).eval()(features()):
        assert all(field.abs().max() < 0.5 for field in fields.values())


def test_a_later_stage_has_the_features_and_the_stage_before_as_input(make):
    branch, x = make(2).eval(), features(1).requires_grad_()
    first, last = branch(x)
    for fields in first.values():
        fields.retain_grad()
    sum(field.square().sum() for field in last.values()).backward()
    assert x.grad.abs().sum() > 0
    for field in first.values():
        assert field.grad.abs().sum() > 0


def test_gradients_reach_every_parameter(make):
    branch = make(3).train()
    sum(((field - 1) ** 2).mean() for fields in branch(features()) for field in fields.values()).backward()
    assert not [name for name, p in branch.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]


def count(module) -> int:
    return sum(p.numel() for p in module.parameters())


def convolution(channels_in: int, channels_out: int, side: int) -> int:
    return channels_in * channels_out * side**2 + channels_out


def test_the_published_branch_is_as_large_as_its_layers():
    """Stage 1: three 3x3 of 128, 1x1 of 512; then five 7x7 of 128 and a 1x1, on 128 + 38 + 19 = 185 channels."""
    branch = PaperPafStages(128, GROUPS)
    assert len(branch.stages) == 6
    first = sum(3 * convolution(128, 128, 3) + convolution(128, 512, 1) + convolution(512, out, 1) for out in (38, 19))
    later = sum(
        convolution(185, 128, 7) + 4 * convolution(128, 128, 7) + convolution(128, 128, 1) + convolution(128, out, 1)
        for out in (38, 19)
    )
    assert count(branch.stages[0]) == first
    assert [count(stage) for stage in branch.stages[1:]] == [later] * 5
    assert count(branch) == first + 5 * later


def test_the_published_branch_starts_as_published():
    branch = PaperPafStages(128, GROUPS, stages=2)
    convolutions = [m for m in branch.modules() if isinstance(m, torch.nn.Conv2d)]
    assert len(convolutions) == 2 * 5 + 2 * 7
    assert not [m for m in branch.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    for layer in convolutions:
        assert float(layer.weight.detach().std()) == pytest.approx(0.01, rel=0.1)
        assert not layer.bias.any()


def test_the_two_stacks_of_a_published_stage_do_not_mix():
    torch.manual_seed(0)
    other = MAKERS["published"](1).eval()
    torch.manual_seed(0)
    same = MAKERS["published"](1).eval()
    for parameter in same.stages[0][0].parameters():
        parameter.data.add_(1)
    one, two = other(features())[0], same(features())[0]
    assert not torch.allclose(one["paf"], two["paf"])
    torch.testing.assert_close(one["heatmap"], two["heatmap"], atol=0, rtol=0)


def test_a_dense_block_keeps_the_shape_and_has_a_reach_of_three_cells():
    block, x = DenseBlock(4).eval(), torch.randn(1, 4, 15, 15, requires_grad=True)
    y = block(x)
    assert y.shape == x.shape
    y[0, :, 7, 7].sum().backward()
    rows = torch.nonzero(x.grad.abs().sum(dim=(0, 1, 3)))[:, 0]
    assert rows.min() >= 7 - 3
    assert rows.max() <= 7 + 3
