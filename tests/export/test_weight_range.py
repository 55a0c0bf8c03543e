"""INT8 weights whose sums of products cannot saturate on any processor."""

from __future__ import annotations

from importlib.resources import files

import numpy as np
import onnxruntime as ort
import pytest

onnx = pytest.importorskip("onnx")

from poseg.export.weight_range import MAX_WEIGHT, limit_weights, saturating_layers  # noqa: E402
from poseg.runtime.models import card_of, models  # noqa: E402

INT8 = [path.name for path in files("poseg").joinpath("models").iterdir() if path.name.endswith(".onnx")]
SHAPE = (1, 8, 12, 14)


def convolution(groups: int, bias: bool, seed: int = 0):
    """A model of one convolution 3 x 3 with INT8 weights of full range, and its weights as floats."""
    rng = np.random.default_rng(seed)
    weights = rng.normal(0, 1, (6 if groups < 8 else 8, 8 // groups, 3, 3))
    scale = np.abs(weights).max(axis=(1, 2, 3)) / 127
    values = {
        "w8": np.round(weights / scale[:, None, None, None]).astype(np.int8), "scale": scale.astype(np.float32),
        "zeros": np.zeros(len(weights), np.int8),
        "b32": rng.integers(-900, 900, len(weights)).astype(np.int32), "bscale": (scale * 0.01).astype(np.float32),
        "bzeros": np.zeros(len(weights), np.int32),
    }  # fmt: skip
    nodes = [
        onnx.helper.make_node("DequantizeLinear", ["w8", "scale", "zeros"], ["w"], axis=0),
        onnx.helper.make_node("DequantizeLinear", ["b32", "bscale", "bzeros"], ["b"], axis=0),
        onnx.helper.make_node(
            "Conv", ["x", "w", *(["b"] if bias else [])], ["y"], name="conv", group=groups, pads=[1, 1, 1, 1],
            strides=[2, 1], dilations=[1, 2],
        ),
    ]  # fmt: skip
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in "xy"]
    graph = onnx.helper.make_graph(
        nodes, "g", ends[:1], ends[1:], [onnx.numpy_helper.from_array(array, name) for name, array in values.items()]
    )
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)


def inputs(count: int, seed: int = 1):
    """Non-negative features that go together across channels and change slowly, as those of networks do."""
    rng = np.random.default_rng(seed)
    mixed = np.random.default_rng(7).normal(0, 1, (8, 2))
    waves = rng.normal(0, 1, (count, 2, 1, 1)) + 0.2 * rng.normal(0, 1, (count, 2, *SHAPE[2:]))
    return [np.maximum(np.einsum("cd,dhw->chw", mixed, wave)[None], 0).astype(np.float32) for wave in waves]


def run(model, tensor):
    (answer,) = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(
        None, {"x": tensor}
    )
    return answer


def weights_of(model):
    return onnx.numpy_helper.to_array(next(t for t in model.graph.initializer if t.name == "w8")).astype(int)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_limited_weights_answer_alike_and_cannot_saturate(groups, bias):
    model = convolution(groups, bias)
    assert saturating_layers(model) == ["conv"]
    limited, rounded = onnx.ModelProto(), onnx.ModelProto()
    limited.CopyFrom(model)
    limit_weights(limited, lambda names: ({name: tensor for name in names} for tensor in inputs(20)))
    assert np.abs(weights_of(limited)).max() <= MAX_WEIGHT
    assert saturating_layers(limited) == []
    # Plain rounding of the same weights is worse on inputs that did not calibrate.
    rounded.CopyFrom(model)
    halves = {"w8": np.round(weights_of(model) * MAX_WEIGHT / 127).astype(np.int8)}
    halves["scale"] = onnx.numpy_helper.to_array(model.graph.initializer[1]) * np.float32(127 / MAX_WEIGHT)
    for tensor in rounded.graph.initializer:
        if tensor.name in halves:
            tensor.CopyFrom(onnx.numpy_helper.from_array(halves[tensor.name], tensor.name))
    errors = [
        [np.abs(run(other, tensor) - run(model, tensor)).mean() for tensor in inputs(5, seed=2)]
        for other in (limited, rounded)
    ]
    assert np.mean(errors[0]) < 0.8 * np.mean(errors[1])


def test_depthwise_convolutions_stay_as_they_are():
    model = convolution(8, bias=True)
    assert np.abs(weights_of(model)).max() == 127
    assert saturating_layers(model) == []


@pytest.mark.parametrize("file", INT8)
def test_no_bundled_model_can_saturate(file):
    assert saturating_layers(onnx.load_model_from_string(files("poseg").joinpath("models", file).read_bytes())) == []


def test_cards_name_the_precision_of_the_file():
    assert {card.precision for card in models().values()} == {"INT8", "FP16"}
    assert card_of("small").precision == card_of("accurate").precision == "INT8"


def rounded_fields(model) -> list[str]:
    """Nodes that make bytes of what a convolution in FP32 gives: its outputs are fields."""
    made_by = {output: node for node in model.graph.node for output in node.output}
    fields: set[str] = set()
    rounded = []
    for node in model.graph.node:
        in_fp32 = node.op_type == "Conv" and getattr(made_by.get(node.input[1]), "op_type", "") != "DequantizeLinear"
        if in_fp32 or any(name in fields for name in node.input):
            fields.update(node.output)
            rounded += [node.name] * (node.op_type == "QuantizeLinear")
    return rounded


@pytest.mark.parametrize("file", INT8)
def test_fields_of_bundled_models_are_not_rounded(file):
    model = onnx.load_model_from_string(files("poseg").joinpath("models", file).read_bytes())
    assert rounded_fields(model) == []
