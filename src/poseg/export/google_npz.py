"""PoseNet and BodyPix weights as NumPy archives.

Two layouts. One names its layers `NN.weight` (out, kh, kw, in; depthwise 1, kh, kw, channels) and `NN.bias`, with a
JSON list `meta` of the steps. The other is a TF.js graph: its constants, and a JSON list `graph` of
[operation, name, inputs, attributes].
"""

from __future__ import annotations

import json
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.export.google_graph import IMAGE, MAX_BYTES, ConvLayer, GoogleNetwork, assemble, same_padding
from poseg.export.google_tf_graph import Node, fold_graph

Array = NDArray[Any]

# What zipfile and NumPy raise on bytes that are no archive, or one that is cut short or lies about its contents.
_UNREADABLE = (
    zipfile.BadZipFile, zlib.error, ValueError, EOFError, KeyError, OSError, NotImplementedError, MemoryError,
)  # fmt: skip


def read_npz(path: Path) -> GoogleNetwork:
    """The network in an archive of either layout. Raises WeightsError."""
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
    except _UNREADABLE as fault:
        raise WeightsError(f"{path.name} is not a whole NumPy archive ({fault}); fetch it again.") from None


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
            operation, reads, result = step["op"], step["inp"], step["out"]
            if operation in ("quantize", "pad"):
                alias[result] = alias.get(reads[0], IMAGE if not layers else reads[0])
            elif operation in ("conv", "dw"):
                layers[result] = _step_layer(step, alias.get(reads, reads), arrays)
        except WeightsError:
            raise
        except (TypeError, KeyError, IndexError, AttributeError, ValueError) as fault:
            raise WeightsError(f"A step of `meta` cannot be used ({fault!r}); the file is damaged.") from None
    return layers


def _step_layer(step: dict[str, Any], reads: str, arrays: dict[str, Array]) -> ConvLayer:
    name, depthwise = step["out"].split(";")[0], step["op"] == "dw"
    weight = arrays[f"{step['key']}.weight"].astype(np.float32)
    if weight.ndim != 4 or step["pad"] != "SAME":
        raise WeightsError(
            f"Layer {name} has weights {weight.shape} and padding {step['pad']}; wanted 4 axes and SAME."
        )
    weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
    kernel = (weight.shape[2], weight.shape[3])
    return ConvLayer(
        names=(name,), reads=reads, weight=weight, bias=arrays[f"{step['key']}.bias"].astype(np.float32),
        stride=step["stride"], dilation=step["dilation"], groups=len(weight) if depthwise else 1,
        padding=same_padding(kernel, step["dilation"], layer=name), activation=step["act"],
    )  # fmt: skip


def _graph_nodes(entries: list[Any], path: Path) -> list[Node]:
    """Nodes of the second layout. It lacks the fused operations; in MobileNetV1 all but the heads have a ReLU6."""
    try:
        nodes = [
            Node(str(op), str(name), tuple(map(str, reads)), attributes) for op, name, reads, attributes in entries
        ]
        read = {name for node in nodes for name in node.reads}
        inputs = read - {node.name for node in nodes} - {name for node in nodes for name in node.reads[1:]}
        fused = [
            Node(node.operation, node.name, node.reads, {**node.attributes, **_fused_ops(node.name in read)})
            for node in nodes
        ]
    except (TypeError, ValueError):
        raise WeightsError(
            f"`graph` of {path.name} is not a list of [operation, name, inputs, attributes]; fetch the file again."
        ) from None
    return [*(Node("Placeholder", name, ()) for name in inputs), *fused]


def _fused_ops(is_read: bool) -> dict[str, Any]:
    base64_texts = ["Qmlhc0FkZA==", "UmVsdTY="] if is_read else ["Qmlhc0FkZA=="]  # BiasAdd, Relu6
    return {"fused_ops": {"list": {"s": base64_texts}}}
