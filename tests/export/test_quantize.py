"""A model in INT8 has the same fields up to rounding, in a smaller file."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from poseg.errors import WeightsError  # noqa: E402
from poseg.export.quantize import last_layers, quantize  # noqa: E402
from poseg.export.torch_onnx import export_onnx  # noqa: E402
from poseg.runtime.inference import InferenceConfig  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.systems.personlab import PersonLab  # noqa: E402

pytestmark = pytest.mark.slow  # exports a network

SYSTEM = PersonLab(backbone="mobilenet_v1_075", extra_levels=1, deep_supervision="residual")


def images(count: int, seed: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    return [rng.normal(0, 0.5, (1, 3, 97, 129)).astype(np.float32) for _ in range(count)]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    from poseg.export.torch_model import make_card

    torch.manual_seed(0)
    network = SYSTEM.network().eval()
    with torch.no_grad():
        for head in network.heads.values():
            torch.nn.init.normal_(head.conv.weight, std=0.1)
        for module in network.backbone.modules():  # features that differ between cells, unlike those of random layers
            if isinstance(module, torch.nn.Conv2d):
                torch.nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
                torch.nn.init.zeros_(module.bias)
    path = tmp_path_factory.mktemp("model") / "fp32.onnx"
    mean, std = SYSTEM.normalisation
    card = make_card(
        SYSTEM,
        name="fresh",
        inference=InferenceConfig(129),
        mean=mean,
        std=std,
        licences={"code": "Apache-2.0", "weights": "Apache-2.0"},
    )
    export_onnx(network, SYSTEM, card, path)
    return path


def test_int8_fields_equal_fp32_up_to_rounding(exported, tmp_path):
    card = quantize(exported, ({"image": image} for image in images(8, seed=0)), tmp_path / "int8.onnx")
    fp32, int8 = OnnxModel(exported), OnnxModel(tmp_path / "int8.onnx")
    assert int8.card == card
    assert "INT8" in card.notes[-1]
    assert int8.codec == fp32.codec
    (image,) = images(1, seed=1)
    ours, theirs = fp32.run(image), int8.run(image)
    for name, field in ours.arrays.items():
        error = np.abs(field - theirs[name]).mean() / np.abs(field - field.mean()).mean()
        assert error < 0.8, name  # other fields would differ by 1.4; random weights make rounding large
    assert (tmp_path / "int8.onnx").stat().st_size < exported.stat().st_size
    assert rounded_nodes(tmp_path / "int8.onnx") == []


def rounded_nodes(path) -> list[str]:
    """Nodes that make bytes of fields, which are what lies behind the last convolutions."""
    model = onnx.load(path)
    behind: set[str] = set()
    last = set(last_layers(model))
    for node in model.graph.node:
        if node.name in last or any(name in behind for name in node.input):
            behind.update(node.output)
    return [n.name for n in model.graph.node if n.op_type == "QuantizeLinear" and n.input[0] in behind]


def test_last_layers_are_the_heads(exported):
    model = onnx.load(exported)
    last = set(last_layers(model))
    channels = {t.name: t.dims[0] for t in model.graph.initializer}
    heads = [n for n in model.graph.node if n.op_type == "Conv" and n.name in last]
    assert len(heads) == 3, "of stride 16, of stride 8, and the linear ones"
    fields = sum(spec.channels for spec in SYSTEM.codec.specs)
    for head in heads:
        assert channels.get(head.input[1], channels.get(f"{head.input[1]}.half")) == fields


def test_too_few_images_and_int8_models_are_refused(exported, tmp_path):
    with pytest.raises(WeightsError, match="7 images"):
        quantize(exported, ({"image": image} for image in images(7, seed=0)), tmp_path / "few.onnx")
    quantize(exported, ({"image": image} for image in images(8, seed=0)), tmp_path / "int8.onnx")
    with pytest.raises(WeightsError, match="already"):
        quantize(tmp_path / "int8.onnx", ({"image": image} for image in images(8, seed=0)), tmp_path / "twice.onnx")
    assert not (tmp_path / "twice.onnx").exists()
