"""A model file, ready to run: the only module that imports ONNX Runtime.

Inputs and outputs are described by the card in the file.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import onnxruntime as ort  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnxruntime.capi import onnxruntime_pybind11_state as ort_errors  # type: ignore[import-untyped]

from poseg.codecs import CODECS, Codec
from poseg.errors import CardError, PosegError, SkeletonError, WeightsError
from poseg.fields import Fields
from poseg.runtime.card import Card
from poseg.runtime.devices import check_loaded, choose_providers
from poseg.skeletons import Skeleton
from poseg.transforms.letterbox import Crop, Letterbox

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
Model = str | os.PathLike[str] | bytes

# What the runtime raises for files it cannot read and for graphs it cannot run.
_ORT_ERRORS = (ort_errors.Fail, ort_errors.InvalidArgument, ort_errors.InvalidGraph, ort_errors.InvalidProtobuf,
           ort_errors.NoModel, ort_errors.NotImplemented, ort_errors.RuntimeException,
           UnicodeDecodeError)  # fmt: skip  # the last of names that are no text
_MAX_SETTING = 1e4  # pixels or millimetres of a codec: memory grows with their square
_FATAL_ONLY = 4  # lower levels come back as exceptions too
_OF_PROCESS = ("_session", "_sessions", "_pool", "_lock", "_process", "_threads")  # what no other process can use
_LOST: list[object] = []  # sessions of the process that this one was forked from


class OnnxModel:
    """A network in an ONNX file, with its card and the codec that reads its fields.

    model    path or bytes of an ONNX file with a card
    threads  for one image; None lets ONNX Runtime choose (one for each core)
    device   where it runs (`runtime.devices`)
    name     what messages call the model; its path where it has one

    Raises WeightsError for a file that is no ONNX model, CardError for a missing or invalid card, DeviceError for a
    device that is not there. `run` may be called from several threads. Copies, and models sent to another process,
    open the file again; so does a process that was forked, whose sessions have lost their threads.
    """

    def __init__(self, model: Model, *, threads: int | None = None, device: str = "auto", name: str = "") -> None:
        self.name = name or ("The model" if isinstance(model, bytes) else str(os.fspath(model)))
        self._model, self._num_threads, self._device = model, threads, device
        self._start()
        self.card = _card(self._session, self.name)
        # Of the card's system; users of the model check that it is the right one.
        self.codec: Any = build_codec(self.card, self.name)
        self._outputs = _map_outputs(self._session, self.card, self.codec, self.name)
        self._input = _input_name(self._session, self.name)

    def _start(self) -> None:
        """Open the session of this process."""
        self._threads, self._process, self._lock = self._num_threads or os.cpu_count() or 1, os.getpid(), Lock()
        self._session = _open(self._model, self.name, threads=self._num_threads, device=self._device)
        self._sessions: dict[int, ort.InferenceSession] = {}  # with fewer threads, by their number
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="poseg-each")  # its threads start when used

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name not in _OF_PROCESS}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._start()

    def _follow_fork(self) -> None:
        """In a forked process: open sessions of its own. Those of its parent stay, since ending them waits for ever."""
        if self._process != os.getpid():
            _LOST.append((self._session, self._sessions, self._pool))
            self._start()

    @property
    def providers(self) -> tuple[str, ...]:
        """The execution providers of ONNX Runtime that the model runs on, preferred first."""
        return tuple(self._session.get_providers())

    def prepare(self, image: Bytes, long_edge_px: int, crop_xyxy: Crop | None = None) -> tuple[Floats, Letterbox]:
        """An image (H, W, 3) uint8 RGB, or a part of it, as the network's input (`Card.prepare`)."""
        return self.card.prepare(image, long_edge_px, crop_xyxy)

    def run(self, tensor: Floats, **extra_inputs: Floats) -> Fields:
        """Fields of a normalised input (1, 3, h, w) float32 (`prepare`).

        extra_inputs  float32, by the names of the graph's other inputs: "windows" and "joints" (Pose2Seg)
        """
        self._follow_fork()
        return self._run(self._session, tensor, extra_inputs)

    def run_each(self, tensors: Sequence[Floats]) -> list[Fields]:
        """`run` of several inputs at once, which share the threads: faster than all threads on one after the other.

        The single-threaded parts of the network then run in parallel, and crops do not leave the cache of a core.
        """
        self._follow_fork()
        together = min(len(tensors), self._threads)
        if together < 2:
            return [self.run(tensor) for tensor in tensors]
        threads = self._threads // together
        with self._lock:
            if threads not in self._sessions:
                self._sessions[threads] = _open(self._model, self.name, threads=threads, device=self._device)
        session = self._sessions[threads]
        return list(self._pool.map(lambda tensor: self._run(session, tensor, {}), tensors))

    def _run(self, session: ort.InferenceSession, tensor: Floats, extra_inputs: Mapping[str, Floats]) -> Fields:
        try:
            arrays = session.run(list(self._outputs.values()), {self._input: tensor, **extra_inputs})
        except _ORT_ERRORS as fault:
            raise WeightsError(
                f"{self.name} does not run on an input of {tensor.shape[3]} x {tensor.shape[2]} pixels "
                f"({_first_line(fault)}); try another size, or export the model again."
            ) from None
        fields: Fields = self.codec.fields_from_outputs(dict(zip(self._outputs, arrays, strict=True)))
        return fields


class OnnxNetwork:
    """A network of another house in an ONNX file, without a card: arrays in, arrays out.

    path     of the file
    threads  for one image; None lets ONNX Runtime choose
    device   where it runs (`runtime.devices`)

    shape    of its one input, None where a side may be any; outputs: shapes of the outputs by name, likewise

    Raises WeightsError for a file that is no ONNX model or has several inputs.
    """

    def __init__(self, path: str | os.PathLike[str], *, threads: int | None = None, device: str = "auto") -> None:
        self.name = os.fspath(path)
        self._session = _open(path, self.name, threads=threads, device=device)
        inputs = self._session.get_inputs()
        if len(inputs) != 1:
            raise WeightsError(f"{self.name} has {len(inputs)} inputs, expected one image; export the network again.")
        self._input = inputs[0].name
        self._dtype = {"tensor(int32)": np.int32, "tensor(uint8)": np.uint8}.get(inputs[0].type, np.float32)
        self.shape = _fixed(inputs[0].shape)
        self.outputs = {output.name: _fixed(output.shape) for output in self._session.get_outputs()}

    def run(self, tensor: NDArray[Any]) -> list[Floats]:
        """All outputs as float32, in the order of the file, of an input of any type."""
        try:
            arrays = self._session.run(None, {self._input: tensor.astype(self._dtype)})
        except _ORT_ERRORS as fault:
            raise WeightsError(f"{self.name} does not run on {tensor.shape} ({_first_line(fault)}).") from None
        return [np.asarray(array, np.float32) for array in arrays]


def _fixed(shape: Sequence[Any]) -> tuple[int | None, ...]:
    """A shape with None for sides that may be any."""
    return tuple(side if isinstance(side, int) and side > 0 else None for side in shape)


def read_card(model: Model, *, name: str = "") -> Card:
    """The card only, without an optimised session. Raises as `OnnxModel` does."""
    name = name or ("The model" if isinstance(model, bytes) else str(os.fspath(model)))
    card = _card(_open(model, name, optimise=False), name)
    build_codec(card, name)
    return card


def build_codec(card: Card, name: str) -> Codec:
    """The codec that a card describes. Raises CardError."""
    if card.system not in CODECS:
        systems = ", ".join(sorted(CODECS))
        raise CardError(f"{name} is a model of the system {card.system!r}, this poseg knows {systems}; upgrade poseg.")
    if any(not abs(number) <= _MAX_SETTING for number in _numbers(card.codec)):  # also NaN
        raise CardError(f"The card of {name} has a setting of its codec that no model has; export the model again.")
    try:
        return CODECS[card.system].from_dict(card.codec, _skeleton(card.skeleton))
    except (PosegError, AttributeError, KeyError, TypeError, ValueError, OverflowError) as fault:
        raise CardError(f"The card of {name} cannot be used: {fault}") from None


def _numbers(value: object) -> Iterator[float]:
    """All numbers in plain data, text that is one included."""
    if isinstance(value, (Mapping, list, tuple)):
        for part in value.values() if isinstance(value, Mapping) else value:
            yield from _numbers(part)
    elif isinstance(value, (int, float, str)):
        with suppress(ValueError, OverflowError):
            yield float(value)


def _skeleton(plain: Mapping[str, Any]) -> Skeleton:
    """A skeleton from plain data. Raises SkeletonError."""

    def pairs(key: str) -> tuple[tuple[str, str], ...]:
        return tuple((str(a), str(b)) for a, b in plain.get(key, ()))

    try:
        joints = tuple(str(joint) for joint in plain["joints"])
        sigmas = tuple(float(sigma) for sigma in plain.get("sigmas", ()))
        return Skeleton(str(plain["name"]), joints, pairs("bones"), pairs("tree"), sigmas, pairs("flip_pairs"))
    except SkeletonError:
        raise
    except (AttributeError, KeyError, TypeError, ValueError) as fault:
        raise SkeletonError(
            f"Its skeleton has invalid joints, bones, tree or sigmas ({fault!r}); export it again."
        ) from None


def _open(
    model: Model, name: str, *, threads: int | None = None, device: str = "cpu", optimise: bool = True
) -> ort.InferenceSession:
    if not isinstance(model, bytes) and not Path(model).is_file():
        raise WeightsError(f"There is no file {name}; check the name, or see `poseg models` for the bundled ones.")
    options = ort.SessionOptions()
    options.log_severity_level = _FATAL_ONLY
    options.intra_op_num_threads = threads or 0
    # Threads that spin while they wait would take cores from decoding.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if not optimise:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    source = model if isinstance(model, bytes) else os.fspath(model)
    providers = choose_providers(device, ort.get_available_providers())
    try:
        session = ort.InferenceSession(source, options, providers=providers)
        check_loaded(device, providers, session.get_providers())
        return session
    except _ORT_ERRORS as fault:
        raise WeightsError(
            f"{name} is not an ONNX model that can be run ({_first_line(fault)}); copy or export it again."
        ) from None


def _card(session: ort.InferenceSession, name: str) -> Card:
    try:
        metadata = session.get_modelmeta().custom_metadata_map
    except UnicodeDecodeError:
        raise CardError(f"The card of {name} is not readable text; copy or export the model again.") from None
    return Card.from_metadata(metadata, source=name)


def _input_name(session: ort.InferenceSession, name: str) -> str:
    """The graph's first input. Raises WeightsError where it has none."""
    inputs = session.get_inputs()
    if not inputs:
        raise WeightsError(f"{name} is a network without an input; export the model again.")
    return str(inputs[0].name)


def _map_outputs(session: ort.InferenceSession, card: Card, codec: Codec, name: str) -> dict[str, str]:
    """Output names by field name, checked against what the file has. Raises CardError."""
    shapes = {output.name: output.shape for output in session.get_outputs()}
    outputs = {}
    for spec in codec.specs:
        output = card.outputs.get(spec.name, "")
        if output not in shapes:
            raise CardError(
                f"The card of {name} names no output for the field {spec.name!r} that is in the file, "
                f"which has {', '.join(sorted(shapes))}; export the model again."
            )
        shape = shapes[output]
        if len(shape) != 4 or (isinstance(shape[1], int) and shape[1] != spec.channels):
            raise CardError(
                f"The output {output!r} of {name} has shape {shape}, "
                f"the field {spec.name!r} needs (1, {spec.channels}, rows, columns); export the model again."
            )
        outputs[spec.name] = output
    return outputs


def _first_line(fault: Exception) -> str:
    """The first line of the runtime's message, without a prefix such as "[ONNXRuntimeError] : 1 : FAIL : "."""
    return (str(fault).strip() or repr(fault)).splitlines()[0].split(" : ", 3)[-1].rstrip(".")
