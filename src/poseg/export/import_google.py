"""Published PoseNet and BodyPix weights as a poseg model, from NumPy archives, TF.js models and TensorFlow Lite files.

Google's networks (MobileNetV1; PoseNet: poses; BodyPix: poses, person map and long offsets) predict the fields of
PersonLab, so that its codec decodes them. They are free to use under the Apache licence 2.0.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.codecs.personlab import PersonLabCodec
from poseg.errors import WeightsError
from poseg.export.google_network import IMAGE, MAX_BYTES, ConvLayer, GoogleNetwork, assemble, same_padding, to_onnx
from poseg.export.google_tf_graph import Node, fold_graph
from poseg.export.google_tflite import read_tflite
from poseg.export.onnx_card import save_with_card
from poseg.runtime.card import Card
from poseg.runtime.inference import InferenceConfig

SIZE_PX = 513
_FORMATS = {".npz": "NumPy archive", ".tflite": "TensorFlow Lite file", ".json": "TF.js graph model"}

MAX_JSON_BYTES = 32 * 2**20
_DTYPES = {"float32": "<f4", "int32": "<i4", "uint8": "u1", "uint16": "<u2", "float16": "<f2", "bool": "u1"}

# What zipfile and NumPy raise on bytes that are no archive, or one that is cut short or lies about its contents.
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, OSError, NotImplementedError, MemoryError,
)  # fmt: skip

Array = NDArray[Any]


def import_google(source: Path, destination: Path) -> Card:
    """Write published weights as an ONNX file with a card; returns the card.

    source       a .npz or .tflite file, a TF.js `model.json` with its weights beside it, or the folder of one
    destination  the .onnx file to write; it appears whole or not at all

    The model reads `image` (1, 3, H, W) float32, (RGB - mean) / std, any H and W of stride * n + 1 pixels, and
    predicts each field as (1, C, n + 1, n + 1), named by field, offsets x before y (see `codecs.personlab`). Raises
    WeightsError for a file that cannot be used and OutputError for a destination that cannot be written.
    """
    source, destination = Path(source), Path(destination)
    network, kind = _read(source)
    return save_with_card(to_onnx(network), _card(network, source, kind), destination)


def _read(source: Path) -> tuple[GoogleNetwork, str]:
    suffix = ".json" if source.is_dir() else source.suffix.lower()
    if suffix not in _FORMATS:
        raise WeightsError(
            f"{source.name} is not a kind of file that can be imported; expected .npz, .tflite, or a TF.js model.json."
        )
    if not source.exists():
        raise WeightsError(f"There is no file {source}; check the path.")
    read = {".npz": read_npz, ".tflite": read_tflite, ".json": read_tfjs}[suffix]
    return read(source), _FORMATS[suffix]


def _card(network: GoogleNetwork, source: Path, kind: str) -> Card:
    codec = PersonLabCodec(stride=network.stride, fields=network.fields)
    family = "BodyPix" if "segmentation" in network.fields else "PoseNet"
    return Card(
        name=family.lower(),
        system="personlab",
        codec=codec.to_dict(),
        skeleton=asdict(codec.skeleton),
        inference=InferenceConfig(SIZE_PX),
        size_divisor=network.stride,
        size_offset=1,
        mean=(network.mean,) * 3,
        std=(network.std,) * 3,
        outputs={field: field for field in network.fields},
        licences={"code": "Apache-2.0", "weights": "Apache-2.0 (Google)"},
        notes=(
            f"{family} by Google, MobileNetV1, stride {network.stride}; imported from the {kind} {source.name}.",
            "Poses only: no person map and no long offsets."
            if family == "PoseNet"
            else "The body part maps are left out.",
        ),
    )


def read_npz(path: Path) -> GoogleNetwork:
    """The network in a NumPy archive of one of two layouts. Raises WeightsError.

    One names its layers `NN.weight` (out, kh, kw, in; depthwise 1, kh, kw, channels) and `NN.bias`, with a JSON list
    `meta` of the steps. The other is a TF.js graph: its constants, and a JSON list `graph` of [operation, name, inputs,
    attributes].
    """
    arrays = _load(path)
    if "meta" in arrays:
        layers = _from_steps(_json_list(arrays, "meta", path), arrays)
        return assemble(layers, mean=128.0, std=128.0, source=path.name)
    if "graph" in arrays:
        nodes = _graph_nodes(_json_list(arrays, "graph", path), path)
        return assemble(fold_graph(nodes, arrays), mean=127.5, std=127.5, source=path.name)
    raise WeightsError(
        f"{path.name} has neither `meta` nor `graph` among its {len(arrays)} arrays, so its layers have no order; "
        "give an archive of PoseNet or BodyPix weights."
    )


def _load(path: Path) -> dict[str, Array]:
    """All arrays, once the archive's own list says that they fit into memory."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_BYTES:
            raise WeightsError(
                f"{path.name} unpacks to {size >> 20} MiB, more than the {MAX_BYTES >> 20} MiB that are read."
            )
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except WeightsError:
        raise
    except _UNREADABLE as error:
        raise WeightsError(f"{path.name} is not a whole NumPy archive ({error}); fetch it again.") from None


def _json_list(arrays: dict[str, Array], name: str, path: Path) -> list[Any]:
    try:
        entries = json.loads(str(arrays[name][()]))
    except (ValueError, RecursionError):
        entries = None
    if not isinstance(entries, list) or not entries:
        raise WeightsError(f"`{name}` of {path.name} is not a JSON list of layers; fetch the file again.")
    return entries


def _from_steps(steps: list[Any], arrays: dict[str, Array]) -> dict[str, ConvLayer]:
    """Layers of the first layout; `pad` is the pixel at the bottom and right that our inputs already have."""
    layers: dict[str, ConvLayer] = {}
    alias: dict[str, str] = {}
    for step in steps:
        try:
            operation, source, output = step["op"], step["inp"], step["out"]
            if operation in ("quantize", "pad"):
                alias[output] = alias.get(source[0], IMAGE if not layers else source[0])
            elif operation in ("conv", "dw"):
                layers[output] = _step_layer(step, alias.get(source, source), arrays)
        except WeightsError:
            raise
        except (TypeError, KeyError, IndexError, AttributeError, ValueError) as error:
            raise WeightsError(f"A step of `meta` cannot be used ({error!r}); the file is damaged.") from None
    return layers


def _step_layer(step: dict[str, Any], source: str, arrays: dict[str, Array]) -> ConvLayer:
    name, depthwise = step["out"].split(";")[0], step["op"] == "dw"
    weight = arrays[f"{step['key']}.weight"].astype(np.float32)
    if weight.ndim != 4 or step["pad"] != "SAME":
        raise WeightsError(
            f"Layer {name} has weights {weight.shape} and padding {step['pad']}; expected 4 axes and SAME."
        )
    weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
    kernel = (weight.shape[2], weight.shape[3])
    return ConvLayer(
        names=(name,), input=source, weight=weight, bias=arrays[f"{step['key']}.bias"].astype(np.float32),
        stride=step["stride"], dilation=step["dilation"], groups=len(weight) if depthwise else 1,
        padding=same_padding(kernel, step["dilation"], layer=name), activation=step["act"],
    )  # fmt: skip


def _graph_nodes(entries: list[Any], path: Path) -> list[Node]:
    """Nodes of the second layout. It lacks the fused operations; in MobileNetV1 all but the heads have a ReLU6."""
    try:
        nodes = [
            Node(str(op), str(name), tuple(map(str, inputs)), attributes) for op, name, inputs, attributes in entries
        ]
        used = {name for node in nodes for name in node.inputs}
        images = used - {node.name for node in nodes} - {name for node in nodes for name in node.inputs[1:]}
        fused = [
            Node(node.operation, node.name, node.inputs, {**node.attributes, **_fused_ops(node.name in used)})
            for node in nodes
        ]
    except (TypeError, ValueError):
        raise WeightsError(
            f"`graph` of {path.name} is not a list of [operation, name, inputs, attributes]; fetch the file again."
        ) from None
    return [*(Node("Placeholder", name, ()) for name in images), *fused]


def _fused_ops(is_used: bool) -> dict[str, Any]:
    base64_texts = ["Qmlhc0FkZA==", "UmVsdTY="] if is_used else ["Qmlhc0FkZA=="]  # BiasAdd, Relu6
    return {"fused_ops": {"list": {"s": base64_texts}}}


def read_tfjs(path: Path) -> GoogleNetwork:
    """The network of a TF.js graph model, `model.json` with its weights ("shards") beside it, or of its folder.

    The weights manifest lists groups; the bytes of a group's files, one after the other, hold its tensors in order. A
    quantized tensor is stored as uint8 or uint16 with value = min + scale * number, or as float16. Raises WeightsError.
    """
    path = path / "model.json" if path.is_dir() else path
    model = _read_json(path)
    topology, manifest = model.get("modelTopology"), model.get("weightsManifest")
    if not isinstance(topology, Mapping) or not isinstance(topology.get("node"), list):
        raise WeightsError(
            f"{path.name} holds no TensorFlow graph (format {model.get('format')!r}); "
            "expected a TF.js graph model of PoseNet or BodyPix."
        )
    if not isinstance(manifest, list):
        raise WeightsError(f"{path.name} has no weightsManifest, so its weights cannot be found; fetch it again.")
    constants: dict[str, Array] = {}
    for group in manifest:
        constants.update(_read_group(group, path))
    nodes = [_node(entry, path) for entry in topology["node"]]
    return assemble(fold_graph(nodes, constants), mean=127.5, std=127.5, source=path.name)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > MAX_JSON_BYTES:
            raise WeightsError(f"{path.name} is too large for a list of layers: over {MAX_JSON_BYTES >> 20} MiB.")
        model = json.loads(path.read_bytes())
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); give a model.json or its folder.") from None
    except WeightsError:
        raise
    except (ValueError, RecursionError):
        raise WeightsError(f"{path.name} is not readable JSON; fetch it again.") from None
    if not isinstance(model, dict):
        raise WeightsError(f"{path.name} is not a TF.js model: its JSON is not an object.")
    return model


def _node(entry: Any, path: Path) -> Node:
    try:
        # "^name" only orders execution; "name:0" is the node's first result.
        inputs = tuple(name.partition(":")[0] for name in entry.get("input", []) if not name.startswith("^"))
        node = Node(entry["op"], entry["name"], inputs, entry.get("attr", {}))
    except (AttributeError, KeyError, TypeError):
        node = None
    if (
        node is None
        or not (isinstance(node.operation, str) and isinstance(node.name, str))
        or not isinstance(node.attributes, Mapping)
    ):
        raise WeightsError(f"A node of {path.name} lacks its name, op, input or attr; fetch the file again.")
    return node


def _read_group(group: Any, path: Path) -> Iterator[tuple[str, Array]]:
    try:
        names, entries = list(group["paths"]), list(group["weights"])
    except (TypeError, KeyError):
        raise WeightsError(f"A group of the weightsManifest in {path.name} lacks `paths` or `weights`.") from None
    content = _read_shards(names, path)
    at = 0
    for entry in entries:
        name, array, at = _tensor(entry, content, at, path)
        yield name, array
    if at != len(content):
        raise WeightsError(
            f"The weights {', '.join(names)} have {len(content)} bytes, {path.name} describes {at}; "
            "they do not belong together."
        )


def _read_shards(names: list[Any], path: Path) -> bytes:
    """The bytes of all shards; they must lie beside the model file, under plain names."""
    parts: list[bytes] = []
    for name in names:
        if not isinstance(name, str) or name in ("", ".", "..") or any(sign in name for sign in "/\\\0:"):
            raise WeightsError(f"{path.name} asks for the weights {name!r}; only plain names beside it are read.")
        shard = path.parent / name
        try:
            if shard.resolve().parent != path.parent.resolve():
                raise WeightsError(f"{path.name} asks for the weights {name!r}, a link that leads out of its folder.")
            if shard.stat().st_size + sum(map(len, parts)) > MAX_BYTES:
                raise WeightsError(
                    f"The weights of {path.name} are larger than the {MAX_BYTES >> 20} MiB that are read."
                )
            parts.append(shard.read_bytes())
        except OSError as error:
            raise WeightsError(
                f"The weights {name} cannot be read ({error.strerror}); they must lie in the folder of {path.name}."
            ) from None
    return b"".join(parts)


def _tensor(entry: Any, content: bytes, at: int, path: Path) -> tuple[str, Array, int]:
    """One tensor of the manifest that starts at byte `at`, and where the next one starts."""
    try:
        name, shape, dtype = str(entry["name"]), [int(side) for side in entry["shape"]], entry["dtype"]
        quantization = entry.get("quantization") or {}
        stored = np.dtype(_DTYPES[quantization.get("dtype", dtype)])
        scale, low = _finite(quantization.get("scale", 1)), _finite(quantization.get("min", 0))
    except (AttributeError, KeyError, TypeError, ValueError, OverflowError):
        raise WeightsError(
            f"A tensor of {path.name} cannot be described ({str(entry)[:120]}); expected name, shape and "
            f"one of the types {', '.join(_DTYPES)}."
        ) from None
    count = prod(shape)
    end = at + count * stored.itemsize
    if min(shape, default=1) < 0 or end > len(content):
        raise WeightsError(
            f"The tensor {name} of shape {shape} does not fit into its weights of {len(content)} bytes; "
            "a file is cut short. Fetch it again."
        )
    array: Array = np.frombuffer(content, stored, count, at).reshape(shape)
    if stored.kind == "u" and quantization:
        array = (array * scale + low).astype(np.float32)
    if dtype == "int32":
        array = np.rint(array).astype(np.int32)
    return name, array, end


def _finite(number: Any) -> np.float32:
    if not abs(float(number)) < 1e30:
        raise ValueError(number)
    return np.float32(number)
