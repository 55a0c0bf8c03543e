"""The TF.js graph-model layout: `model.json`, and files of weights ("shards") beside it.

The weights manifest lists groups; the bytes of a group's files, one after the other, hold its tensors in order.
A quantised tensor is stored as uint8 or uint16 with value = min + scale * number, or as float16.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.export.google_graph import MAX_BYTES, GoogleNetwork, assemble
from poseg.export.google_tf_graph import Node, fold_graph

MAX_JSON_BYTES = 32 * 2**20
_DTYPES = {"float32": "<f4", "int32": "<i4", "uint8": "u1", "uint16": "<u2", "float16": "<f2", "bool": "u1"}

Array = NDArray[Any]


def read_tfjs(path: Path) -> GoogleNetwork:
    """The network of a `model.json` (or of the folder that holds one). Raises WeightsError."""
    path = path / "model.json" if path.is_dir() else path
    model = _read_json(path)
    topology, manifest = model.get("modelTopology"), model.get("weightsManifest")
    if not isinstance(topology, Mapping) or not isinstance(topology.get("node"), list):
        raise WeightsError(
            f"{path.name} holds no TensorFlow graph (format {model.get('format')!r}); "
            "wanted a TF.js graph model of PoseNet or BodyPix."
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
    except OSError as fault:
        raise WeightsError(f"{path} cannot be read ({fault.strerror}); give a model.json or its folder.") from None
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
        reads = tuple(name.partition(":")[0] for name in entry.get("input", []) if not name.startswith("^"))
        node = Node(entry["op"], entry["name"], reads, entry.get("attr", {}))
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
        except OSError as fault:
            raise WeightsError(
                f"The weights {name} cannot be read ({fault.strerror}); they must lie in the folder of {path.name}."
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
            f"A tensor of {path.name} cannot be described ({str(entry)[:120]}); wanted name, shape and "
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
