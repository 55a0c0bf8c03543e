"""Published weights become a model that computes what an independent evaluation of the same weights computes."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from poseg.codecs.personlab import PersonLabCodec
from poseg.errors import OutputError, WeightsError
from poseg.export.google_tflite import read_convolutions, read_tflite
from poseg.export.import_google import import_google
from poseg.runtime.card import Card
from poseg.skeletons import COCO17

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

Floats = NDArray[np.float32]
PUBLISHED = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "weights_bodypix_posenet"
BODYPIX_NPZ = PUBLISHED / "bodypix_mnv1_075_s16_dequant.npz"
BODYPIX_TFLITE = PUBLISHED / "bodypix_mobilenet_v1_075_720_1280_16_quant.tflite"
POSENET_NPZ = PUBLISHED / "posenet_mnv1_075_s16_f16.npz"
needs_published = pytest.mark.skipif(
    not PUBLISHED.is_dir(), reason="the published weights are not beside the repository"
)

HEADS = {
    "float_segments": 1, "float_long_offsets": 34, "heatmap_2": 17, "offset_2": 34,
    "displacement_fwd_2": 32, "displacement_bwd_2": 32, "float_part_heatmaps": 24,
}  # fmt: skip


# --- an independent evaluation: NHWC, TensorFlow's padding formula, one tap of the kernel at a time ---------------


def conv(
    x: Floats, kernel: Floats, bias: Floats, *, stride: int = 1, dilation: int = 1, depthwise: bool = False
) -> Floats:
    """SAME convolution of (h, w, in) with (kh, kw, in, out), or depthwise (kh, kw, in, 1)."""
    out = [-(-side // stride) for side in x.shape[:2]]
    span = [(k - 1) * dilation + 1 for k in kernel.shape[:2]]
    total = [max((o - 1) * stride + s - side, 0) for o, s, side in zip(out, span, x.shape[:2], strict=True)]
    x = np.pad(x, [(total[0] // 2, total[0] - total[0] // 2), (total[1] // 2, total[1] - total[1] // 2), (0, 0)])
    result = np.zeros((*out, kernel.shape[2] if depthwise else kernel.shape[3]), np.float64)
    for i in range(kernel.shape[0]):
        for j in range(kernel.shape[1]):
            rows = slice(i * dilation, i * dilation + (out[0] - 1) * stride + 1, stride)
            columns = slice(j * dilation, j * dilation + (out[1] - 1) * stride + 1, stride)
            tap = x[rows, columns]
            result += tap * kernel[i, j, :, 0] if depthwise else tap @ kernel[i, j]
    return (result + bias).astype(np.float32)


def relu6(x: Floats) -> Floats:
    return np.clip(x, 0, 6)


def ours(field: str, google: Mapping[str, Floats]) -> Floats:
    """Our field (K, 2, h, w), x first, spelled out joint by joint from Google's maps (h, w, C)."""

    def pairs(block: Floats, count: int) -> list[list[Floats]]:
        return [[block[..., count + k], block[..., k]] for k in range(count)]

    if field == "mid_offsets":
        both = pairs(google["displacement_fwd_2"], 16) + pairs(google["displacement_bwd_2"], 16)
        return np.array(both).reshape(64, *google["heatmap_2"].shape[:2])
    if field in ("short_offsets", "long_offsets"):
        block = google[{"short_offsets": "offset_2", "long_offsets": "float_long_offsets"}[field]]
        return np.array(pairs(block, 17)).reshape(34, *block.shape[:2])
    return google[{"heatmap": "heatmap_2", "segmentation": "float_segments"}[field]].transpose(2, 0, 1)


# --- a small network of our own, written in the TF.js layout ------------------------------------------------------


def small_weights(seed: int = 0) -> dict[str, Floats]:
    rng = np.random.default_rng(seed)
    shapes = {"c0": (3, 3, 3, 8), "p1": (1, 1, 8, 8), **{f"d{n}": (3, 3, 8, 1) for n in (1, 2, 3, 4)}}
    shapes |= {head: (1, 1, 8, channels) for head, channels in HEADS.items()}
    weights = {}
    for name, shape in shapes.items():
        fan = shape[0] * shape[1] * (1 if shape[3] == 1 and shape[0] == 3 else shape[2])
        weights[f"{name}/w"] = rng.normal(0, 1.4 / fan**0.5, shape).astype(np.float32)
        weights[f"{name}/b"] = rng.normal(0.3, 0.3, shape[2] if name[0] == "d" and name[1:].isdigit() else shape[3])
    return {name: values.astype(np.float32) for name, values in weights.items()}


def evaluate(weights: Mapping[str, Floats], image: Floats) -> dict[str, Floats]:
    """The small network, by hand: strides 2, 2, 2, 2 and a dilated layer."""

    def w(name: str) -> tuple[Floats, Floats]:
        return weights[f"{name}/w"], weights[f"{name}/b"]

    x = relu6(conv(image, *w("c0"), stride=2))
    x = relu6(conv(x, *w("d1"), stride=2, depthwise=True))
    x = relu6(conv(x, *w("p1")))
    x = relu6(conv(x, *w("d2"), stride=2, depthwise=True))
    x = relu6(conv(x, *w("d3"), stride=2, depthwise=True))
    x = relu6(conv(x, *w("d4"), dilation=2, depthwise=True))
    return {head: conv(x, *w(head)) for head in HEADS}


def text(value: str) -> dict[str, str]:
    return {"s": base64.b64encode(value.encode()).decode()}


def node(
    name: str, op: str, inputs: list[str], *, stride: int = 1, padding: str = "SAME", fused: tuple[str, ...] = ()
) -> Any:
    attributes: dict[str, Any] = {}
    if "onv" in op:
        attributes = {"padding": text(padding), "strides": {"list": {"i": ["1", str(stride), str(stride), "1"]}}}
        if fused:
            attributes["fused_ops"] = {"list": {"s": [text(operation)["s"] for operation in fused]}}
    return {"name": name, "op": op, "input": inputs, "attr": attributes}


def small_nodes(weights: Mapping[str, Floats]) -> list[Any]:
    """The same network in several forms: fused and loose operations, explicit padding, blocks for the dilation."""
    every = ("BiasAdd", "Relu6")
    nodes = [
        node("sub_2", "Placeholder", []),
        node("first", "Pad", ["sub_2", "one_more"]),
        node("c0", "_FusedConv2D", ["first", "c0/w", "c0/b"], stride=2, fused=every),
        node("pad1", "Pad", ["c0", "all_round"]),
        node("d1", "DepthwiseConv2dNative", ["pad1", "d1/w"], stride=2, padding="VALID"),
        node("d1/bias", "BiasAdd", ["d1:0", "d1/b"]),
        node("d1/relu", "Relu6", ["d1/bias"]),
        node("p1", "Conv2D", ["d1/relu", "p1/w", "^sub_2"]),
        node("p1/add", "AddV2", ["p1", "p1/b"]),
        node("p1/relu", "Relu6", ["p1/add"]),
        node("d2", "FusedDepthwiseConv2dNative", ["p1/relu", "d2/w", "d2/b"], stride=2, fused=every),
        node("d3", "FusedDepthwiseConv2dNative", ["d2", "d3/w", "d3/b"], stride=2, fused=every),
        node("blocks", "SpaceToBatchND", ["d3", "two", "edges"]),
        node("d4", "DepthwiseConv2dNative", ["blocks", "d4/w"], padding="VALID"),
        node("whole", "BatchToSpaceND", ["d4", "two", "edges"]),
        node("d4/bias", "BiasAdd", ["whole", "d4/b"]),
        node("d4/relu", "Relu6", ["d4/bias"]),
        node("trunk", "Identity", ["d4/relu"]),
    ]
    nodes += [node(head, "_FusedConv2D", ["trunk", f"{head}/w", f"{head}/b"], fused=("BiasAdd",)) for head in HEADS]
    nodes += [node("heat", "Sigmoid", ["heatmap_2"]), node("resized", "ResizeBilinear", ["float_segments", "two"])]
    nodes += [node(name, "Const", []) for name in [*weights, "one_more", "all_round", "two", "edges"]]
    return nodes[::-1]  # the layout promises no order


def store(values: Floats, kind: str) -> tuple[bytes, dict[str, Any], Floats]:
    """Bytes, manifest entry, and what a reader must get back."""
    if kind == "float32":
        return values.tobytes(), {}, values
    if kind == "float16":
        half = values.astype("<f2")
        return half.tobytes(), {"quantization": {"dtype": "float16"}}, half.astype(np.float32)
    steps = np.iinfo(kind).max
    low, scale = float(values.min()), (float(np.ptp(values)) or 1.0) / steps
    numbers = np.rint((values - low) / scale).clip(0, steps).astype(np.dtype(kind).newbyteorder("<"))
    return numbers.tobytes(), {"quantization": {"dtype": kind, "min": low, "scale": scale}}, numbers * scale + low


def write_tfjs(folder: Path, kind: str = "float32") -> dict[str, Floats]:
    """Write the small network; returns its weights as stored. Two groups; the first is cut into two shards."""
    weights = small_weights()
    paddings = {
        "one_more": [[0, 0], [0, 1], [0, 1], [0, 0]], "all_round": [[0, 0], [1, 1], [1, 1], [0, 0]],
        "two": [2, 2], "edges": [[2, 2], [2, 2]],
    }  # fmt: skip
    content, entries, stored = b"", [], {}
    for name, values in weights.items():
        raw, quantization, stored[name] = store(values, kind)
        content += raw
        entries.append({"name": name, "shape": list(values.shape), "dtype": "float32", **quantization})
    (folder / "group1-shard1of2.bin").write_bytes(content[:777])
    (folder / "group1-shard2of2.bin").write_bytes(content[777:])
    numbers = {name: np.array(values, "<i4") for name, values in paddings.items()}
    (folder / "group2.bin").write_bytes(b"".join(values.tobytes() for values in numbers.values()))
    manifest = [
        {"paths": ["group1-shard1of2.bin", "group1-shard2of2.bin"], "weights": entries},
        {"paths": ["group2.bin"],
         "weights": [{"name": n, "shape": list(v.shape), "dtype": "int32"} for n, v in numbers.items()]},
    ]  # fmt: skip
    model = {"format": "graph-model", "modelTopology": {"node": small_nodes(weights)}, "weightsManifest": manifest}
    (folder / "model.json").write_text(json.dumps(model))
    return stored


def edit(folder: Path, change: Any) -> None:
    model = json.loads((folder / "model.json").read_text())
    change(model)
    (folder / "model.json").write_text(json.dumps(model))


def run(model: Path, image: Floats) -> dict[str, Floats]:
    """Fields (C, h, w) of an image (h, w, 3) that is already normalised."""
    session = ort.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    outputs = session.run(names, {"image": image.transpose(2, 0, 1)[None]})
    return {name: output[0] for name, output in zip(names, outputs, strict=True)}


def noise(height: int, width: int) -> Floats:
    return np.random.default_rng(7).uniform(-1, 1, (height, width, 3)).astype(np.float32)


# --- laws ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["float32", "float16", "uint16", "uint8"])
def test_tfjs_model_agrees_with_reference_evaluation(tmp_path: Path, kind: str) -> None:
    weights = write_tfjs(tmp_path, kind)
    card = import_google(tmp_path, tmp_path / "small.onnx")
    image = noise(65, 97)
    fields, expected = run(tmp_path / "small.onnx", image), evaluate(weights, image)
    assert list(fields) == list(card.outputs) == [spec.name for spec in PersonLabCodec().specs]
    for name, field in fields.items():
        assert field.shape[1:] == (5, 7)
        np.testing.assert_allclose(field, ours(name, expected), atol=2e-5)


def test_shift_by_a_stride_shifts_fields_by_a_cell(tmp_path: Path) -> None:
    write_tfjs(tmp_path)
    import_google(tmp_path, tmp_path / "small.onnx")
    image = noise(193, 193)
    whole, shifted = run(tmp_path / "small.onnx", image), run(tmp_path / "small.onnx", image[16:, 16:])
    for name in whole:  # away from the borders, which are padded
        np.testing.assert_allclose(whole[name][:, 5:-4, 5:-4], shifted[name][:, 4:-4, 4:-4], atol=1e-5)


def test_flipped_kernels_and_image_give_flipped_fields(tmp_path: Path) -> None:
    weights = write_tfjs(tmp_path)
    import_google(tmp_path, tmp_path / "small.onnx")
    image = noise(65, 65)
    flipped = {name: values[::-1, ::-1] if values.ndim == 4 else values for name, values in weights.items()}
    there = evaluate(flipped, np.ascontiguousarray(image[::-1, ::-1]))
    back = {head: field[::-1, ::-1] for head, field in there.items()}
    for name, field in run(tmp_path / "small.onnx", image).items():
        np.testing.assert_allclose(field, ours(name, back), atol=2e-5)


def test_card_in_the_file_has_the_input_rule_and_licence(tmp_path: Path) -> None:
    write_tfjs(tmp_path)
    card = import_google(tmp_path / "model.json", tmp_path / "small.onnx")
    metadata = ort.InferenceSession(str(tmp_path / "small.onnx")).get_modelmeta().custom_metadata_map
    read = Card.from_metadata(metadata, source="small.onnx")
    assert read.to_json() == card.to_json()
    assert PersonLabCodec.from_dict(read.codec, COCO17) == PersonLabCodec(stride=16)
    assert (read.size_divisor, read.size_offset, read.inference.long_edge_px % read.size_divisor) == (16, 1, 1)
    assert read.mean == read.std == (127.5,) * 3
    assert read.licences["weights"].startswith("Apache-2.0")


def test_sigmoid_of_the_heatmap_is_removed(tmp_path: Path) -> None:
    weights = write_tfjs(tmp_path)
    edit(tmp_path, lambda model: next(
        n for n in model["modelTopology"]["node"] if n["name"] == "heatmap_2"
    )["attr"]["fused_ops"]["list"]["s"].append(text("Sigmoid")["s"]))  # fmt: skip
    import_google(tmp_path, tmp_path / "small.onnx")
    image = noise(33, 33)
    heatmap = run(tmp_path / "small.onnx", image)["heatmap"]
    np.testing.assert_allclose(heatmap, ours("heatmap", evaluate(weights, image)), atol=2e-5)


def test_network_without_person_map_is_posenet(tmp_path: Path) -> None:
    write_tfjs(tmp_path)

    def drop(model: Any) -> None:
        nodes = model["modelTopology"]["node"]
        nodes[:] = [n for n in nodes if "segments" not in str(n) and "long_offsets" not in n["name"]]

    edit(tmp_path, drop)
    card = import_google(tmp_path, tmp_path / "small.onnx")
    assert list(run(tmp_path / "small.onnx", noise(33, 33))) == ["heatmap", "short_offsets", "mid_offsets"]
    assert card.name == "posenet"
    assert PersonLabCodec.from_dict(card.codec, COCO17).fields == ("heatmap", "short_offsets", "mid_offsets")


# --- published weights --------------------------------------------------------------------------------------------


def photo(side: int) -> NDArray[np.uint8]:
    cv2 = pytest.importorskip("cv2")
    data = pytest.importorskip("skimage.data")
    return np.ascontiguousarray(cv2.resize(data.astronaut(), (side, side)))


def normalised(image: NDArray[np.uint8]) -> Floats:
    """As the input of the INT8 network: zeros (grey 128) at the bottom and right make 16 n pixels 16 n + 1."""
    return np.pad((image.astype(np.float32) - 128) / 128, [(0, 1), (0, 1), (0, 0)])


def correlation(a: Floats, b: Floats) -> float:
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1])


@pytest.fixture(scope="module")
def bodypix(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Floats]:
    model = tmp_path_factory.mktemp("bodypix") / "bodypix.onnx"
    import_google(BODYPIX_NPZ, model)
    return run(model, normalised(photo(384)))


@needs_published
def test_fp32_bodypix_agrees_with_the_published_int8_network(bodypix: dict[str, Floats]) -> None:
    """Every head correlates by 0.99 or more with the network as published, run by its own interpreter."""
    interpreter = pytest.importorskip("ai_edge_litert.interpreter").Interpreter(str(BODYPIX_TFLITE), num_threads=1)
    interpreter.resize_tensor_input(0, (1, 384, 384, 3))
    interpreter.allocate_tensors()
    interpreter.set_tensor(0, photo(384)[None])
    interpreter.invoke()
    published = {}
    for output in interpreter.get_output_details():
        scale, zero = output["quantization"]
        published[output["name"]] = (interpreter.get_tensor(output["index"])[0].astype(np.float32) - zero) * scale
    google = {
        "heatmap_2": published["float_heatmaps"], "offset_2": published["float_short_offsets"],
        "displacement_fwd_2": published["float_mid_offsets"][..., :32],
        "displacement_bwd_2": published["float_mid_offsets"][..., 32:],
        "float_long_offsets": published["float_long_offsets"], "float_segments": published["float_segments"],
    }  # fmt: skip
    for name, field in bodypix.items():
        assert field.shape[1:] == (25, 25)
        assert correlation(field, ours(name, google)) >= 0.99, name


@needs_published
def test_bodypix_detects_the_face(bodypix: dict[str, Floats]) -> None:
    """The nose lies between the eyes; the left eye is on the right of the image; mid offsets lead to the eye."""
    heatmap = bodypix["heatmap"]
    short = bodypix["short_offsets"].reshape(17, 2, 25, 25)
    mid = bodypix["mid_offsets"].reshape(32, 2, 25, 25)
    cell = [np.unravel_index(heatmap[k].argmax(), (25, 25)) for k in range(3)]
    nose, left, right = (16 * np.array([j, i]) + short[k, :, i, j] for k, (i, j) in enumerate(cell))
    assert right[0] + 10 < nose[0] < left[0] - 10
    assert max(left[1], right[1]) < nose[1]
    i, j = cell[0]
    led = 16 * np.array([j, i]) + mid[0, :, i, j]
    assert abs(led - left).max() < 16
    segmentation = bodypix["segmentation"][0]
    assert segmentation[i, j] > 0 > segmentation[3, 1]


@needs_published
def test_tflite_and_npz_give_the_same_bodypix(tmp_path: Path, bodypix: dict[str, Floats]) -> None:
    pytest.importorskip("tflite")
    card = import_google(BODYPIX_TFLITE, tmp_path / "bodypix.onnx")
    assert (card.mean, card.std) == ((128.0,) * 3, (128.0,) * 3)
    for name, field in run(tmp_path / "bodypix.onnx", normalised(photo(384))).items():
        assert correlation(field, bodypix[name]) >= 0.9995, name


@needs_published
def test_read_convolutions_agrees_with_read_tflite() -> None:
    pytest.importorskip("tflite")
    convolutions = read_convolutions(BODYPIX_TFLITE)
    layers = {name: layer for layer in read_tflite(BODYPIX_TFLITE).layers.values() for name in layer.names}
    assert len(layers.keys() & convolutions.keys()) > 27
    for name in layers.keys() & convolutions.keys():  # the network leaves heads out that it does not use
        weight, bias = convolutions[name]
        np.testing.assert_array_equal(weight, layers[name].weight)
        np.testing.assert_array_equal(bias, layers[name].bias)


@needs_published
def test_posenet_agrees_with_reference_evaluation(tmp_path: Path) -> None:
    card = import_google(POSENET_NPZ, tmp_path / "posenet.onnx")
    assert card.name == "posenet"
    image = normalised(photo(128))
    x, google = image, {}
    with np.load(POSENET_NPZ) as archive:
        for _, name, inputs, attributes in json.loads(str(archive["graph"])):
            kernel, bias = (archive[key].astype(np.float32) for key in inputs[1:])
            stride = int(attributes["strides"]["list"]["i"][1])
            result = conv(x, kernel, bias, stride=stride, depthwise=kernel.shape[3] == 1)
            if kernel.shape[3] in (17, 32, 34):
                google[name.split("/")[1]] = result
            else:
                x = relu6(result)
    for name, field in run(tmp_path / "posenet.onnx", image).items():
        np.testing.assert_allclose(field, ours(name, google), atol=2e-2, rtol=1e-3)


# --- bad input ----------------------------------------------------------------------------------------------------


def first_group(model: Any) -> Any:
    return model["weightsManifest"][0]


def find(model: Any, name: str) -> Any:
    return next(n for n in model["modelTopology"]["node"] if n["name"] == name)


BAD_MODELS: dict[str, tuple[Any, str]] = {
    "a path that leaves the folder": (lambda m: first_group(m).update(paths=["../secret.bin"]), "only plain names"),
    "an absolute path": (lambda m: first_group(m).update(paths=["/etc/hostname"]), "only plain names"),
    "a shard that is not there": (lambda m: first_group(m)["paths"].append("other.bin"), "other.bin"),
    "a shard too few": (lambda m: first_group(m)["paths"].pop(), "cut short"),
    "a tensor too few": (lambda m: first_group(m)["weights"].pop(), "do not belong together"),
    "an unknown type": (lambda m: first_group(m)["weights"][0].update(dtype="string"), "one of the types"),
    "an endless scale": (
        lambda m: first_group(m)["weights"][0].update(quantization={"dtype": "uint8", "scale": "inf"}),
        "one of the types",
    ),
    "a negative shape": (lambda m: first_group(m)["weights"][0].update(shape=[-3, -3, 3, 8]), "does not fit"),
    "a huge shape": (lambda m: first_group(m)["weights"][0].update(shape=[10**9] * 4), "does not fit"),
    "no manifest": (lambda m: m.pop("weightsManifest"), "weightsManifest"),
    "no graph": (lambda m: m.update(modelTopology={"model_config": {}}, format="layers-model"), "layers-model"),
    "a foreign node": (lambda m: m["modelTopology"]["node"].append(["Conv2D"]), "A node of model.json"),
    "a cycle": (lambda m: find(m, "c0")["input"].__setitem__(0, "trunk"), "cycle"),
    "an unknown operation": (lambda m: find(m, "d2").update(op="Einsum"), "output of Einsum"),
    "a convolution without inputs": (lambda m: find(m, "d2").update(input=[]), "has 0 inputs"),
    "weights of another layer": (lambda m: find(m, "d2")["input"].__setitem__(1, "p1/w"), "depthwise"),
    "no heatmap": (lambda m: find(m, "heatmap_2").update(op="Identity"), "no heatmap"),
    "a stride of 3": (lambda m: find(m, "d2")["attr"]["strides"]["list"].update(i=["1", "3", "3", "1"]), "stride 3"),
    "uneven strides": (lambda m: find(m, "d2")["attr"]["strides"]["list"].update(i=["1", "1", "2", "1"]), "of d2"),
    "a grid of stride 2": (
        lambda m: [find(m, n)["attr"]["strides"]["list"].update(i=["1"] * 4) for n in ("d1", "d2", "d3")],
        "have strides",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD_MODELS)
def test_bad_tfjs_model_is_refused(tmp_path: Path, case: str) -> None:
    change, words = BAD_MODELS[case]
    write_tfjs(tmp_path)
    edit(tmp_path, change)
    with pytest.raises(WeightsError, match=words):
        import_google(tmp_path, tmp_path / "small.onnx")
    assert not (tmp_path / "small.onnx").exists()


def test_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    write_tfjs(tmp_path / "model")
    (tmp_path / "model" / "group2.bin").rename(tmp_path / "outside.bin")
    (tmp_path / "model" / "group2.bin").symlink_to(tmp_path / "outside.bin")
    with pytest.raises(WeightsError, match="out of its folder"):
        import_google(tmp_path / "model", tmp_path / "small.onnx")


@pytest.mark.parametrize("name", ["model.json", "weights.npz", "network.tflite"])
@pytest.mark.parametrize(
    "content", [b"", b"\x00" * 64, b"PK\x03\x04 not an archive", b"    TFL3" + b"\xff" * 64, b"[1]"]
)
def test_foreign_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    if name.endswith("tflite"):
        pytest.importorskip("tflite")
    (tmp_path / name).write_bytes(content)
    with pytest.raises(WeightsError, match=name):
        import_google(tmp_path / name, tmp_path / "small.onnx")


@needs_published
@pytest.mark.parametrize("source", [BODYPIX_NPZ, POSENET_NPZ, BODYPIX_TFLITE], ids=lambda path: path.suffix)
def test_truncated_file_is_refused(tmp_path: Path, source: Path) -> None:
    if source.suffix == ".tflite":
        pytest.importorskip("tflite")
    content = source.read_bytes()
    for part in (0.1, 0.5, 0.97):
        (tmp_path / source.name).write_bytes(content[: int(len(content) * part)])
        with pytest.raises(WeightsError, match=source.stem):
            import_google(tmp_path / source.name, tmp_path / "small.onnx")


def test_pickles_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "weights.npz", meta=np.array([{"op": "conv"}], object))
    with pytest.raises(WeightsError, match=r"weights\.npz is not a whole NumPy archive"):
        import_google(tmp_path / "weights.npz", tmp_path / "small.onnx")


@pytest.mark.parametrize("meta", ['[{"op": "conv"}]', '[{"op": "pad", "inp": 3, "out": "x"}]', "{}", "[[1]]"])
def test_bad_steps_are_refused(tmp_path: Path, meta: str) -> None:
    np.savez(tmp_path / "weights.npz", meta=meta)
    with pytest.raises(WeightsError, match="meta"):
        import_google(tmp_path / "weights.npz", tmp_path / "small.onnx")


def test_layer_that_takes_its_own_output_is_refused(tmp_path: Path) -> None:
    steps, arrays = [], {}
    for key, channels in (("heatmap", 17), ("short_offset", 34), ("mid_offset", 64)):
        trunk = {"op": "conv", "key": "t", "inp": "trunk", "out": "trunk"}
        head = {"op": "conv", "key": key, "inp": "trunk", "out": key}
        steps += [{**step, "stride": 1, "dilation": 1, "pad": "SAME", "act": None} for step in (trunk, head)]
        arrays |= {f"{key}.weight": np.ones((channels, 1, 1, 3), np.float32), f"{key}.bias": np.ones(channels)}
    arrays |= {"t.weight": np.ones((3, 1, 1, 3), np.float32), "t.bias": np.ones(3)}
    np.savez(tmp_path / "weights.npz", meta=json.dumps(steps), **arrays)
    with pytest.raises(WeightsError, match="takes the output of a later one"):
        import_google(tmp_path / "weights.npz", tmp_path / "small.onnx")


def test_other_formats_and_missing_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match=r"expected \.npz, \.tflite"):
        import_google(tmp_path / "weights.pth", tmp_path / "small.onnx")
    with pytest.raises(WeightsError, match="There is no file"):
        import_google(tmp_path / "weights.npz", tmp_path / "small.onnx")


def test_destination_in_a_missing_folder_is_refused(tmp_path: Path) -> None:
    write_tfjs(tmp_path)
    with pytest.raises(OutputError, match="missing"):
        import_google(tmp_path, tmp_path / "missing" / "small.onnx")
