"""The contract of a system: shapes follow the specs, gradients reach the parameters, targets fit the loss."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.people import People  # noqa: E402
from poseg.skeletons import COCO17  # noqa: E402
from poseg.systems import SYSTEMS  # noqa: E402

SIZE = (97, 129)


def people() -> People:
    rng = np.random.default_rng(0)
    masks = np.zeros((2, *SIZE), bool)
    masks[0, 10:80, 10:50], masks[1, 20:90, 70:120] = True, True
    points = np.stack([rng.uniform((10, 10), (50, 80), (17, 2)), rng.uniform((70, 20), (120, 90), (17, 2))])
    return People.from_poses(COCO17, points, np.ones((2, 17)), masks=masks)


@pytest.fixture(scope="module", params=[(name, stride) for name in SYSTEMS for stride in (8, 16)], ids=str)
def system(request):
    name, stride = request.param
    return SYSTEMS[name](stride=stride)


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
    assert set(terms) == {spec.name for spec in system.codec.specs} | {"total"}
    assert all(torch.isfinite(term) for term in terms.values())


def test_a_gradient_reaches_every_parameter(system):
    torch.manual_seed(0)
    network = system.network().train()
    system.loss()(network(torch.randn(2, 3, *SIZE)), *batch(system, 2))["total"].backward()
    deaf = [name for name, p in network.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert not deaf


def test_the_loss_of_perfect_fields_vanishes(system):
    encoded = system.codec.encode(people(), SIZE)
    perfect = encoded.as_fields(certainty=1e-7)
    flat = {
        s.name: torch.from_numpy(perfect[s.name]).reshape(1, s.channels, *perfect.cells) for s in system.codec.specs
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
