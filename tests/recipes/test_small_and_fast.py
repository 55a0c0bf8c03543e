"""`fast` is a part of `small`: the same weights put out the same fields, at its stride."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from poseg.recipes import find_recipe  # noqa: E402


def test_fast_puts_out_what_small_corrects():
    torch.manual_seed(0)
    small, fast = (find_recipe(f"personlab_{name}").system.network().eval() for name in ("small", "fast"))
    with torch.no_grad():
        for head in small.heads.values():
            torch.nn.init.normal_(head.conv.weight, std=0.1)
        fast.load_state_dict({name: small.state_dict()[name] for name in fast.state_dict()})
        image = torch.randn(1, 3, 97, 129)
        inner, fields = small(image), fast(image)
    for name, field in fields.items():
        torch.testing.assert_close(field, inner[f"coarse.{name}"])
