"""PoseNet and BodyPix as TensorFlow Lite files, INT8 or float, folded into convolutions; and convolutions of others.

Weights are dequantized, value = scale * (number - zero point), with one scale for the tensor or one for each of its
channels. The rounding of an INT8 network between its layers is not imitated.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from poseg.errors import WeightsError
from poseg.export.google_network import (
    IMAGE,
    MAX_BYTES,
    MAX_LAYERS,
    ConvLayer,
    GoogleNetwork,
    assemble,
    same_padding,
    without_replaced,
)

MAX_TENSORS = 20 * MAX_LAYERS
_ACTIVATIONS = {0: None, 1: "relu", 3: "relu6"}

Array = NDArray[Any]


def read_tflite(path: Path) -> GoogleNetwork:
    """The network of a .tflite file with raw heads. Raises WeightsError."""
    with _open(path) as graph:
        graph.fold()
    return assemble(graph.layers, mean=graph.mean, std=graph.std, source=path.name)


def read_convolutions(path: Path) -> dict[str, tuple[Array, Array]]:
    """Weight (O, I / groups, h, w) and bias (O,) of every convolution of any .tflite file, in order of execution.

    By the name of its output. Raises WeightsError.
    """
    with _open(path) as graph:
        return graph.convolutions()


@contextmanager
def _open(path: Path) -> Iterator[_Folding]:
    """The first subgraph of a file; errors of a damaged one become WeightsError."""
    tflite = _require_tflite()
    try:
        if path.stat().st_size > MAX_BYTES:
            raise WeightsError(f"{path.name} is larger than the {MAX_BYTES >> 20} MiB that are read.")
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read ({error.strerror}); give a .tflite file.") from None
    if content[4:8] != b"TFL3":
        raise WeightsError(f"{path.name} is not a TensorFlow Lite file; give a .tflite of Google's networks.")
    try:
        yield _Folding(tflite, tflite.Model.GetRootAs(content, 0))
    except (struct.error, IndexError, TypeError, ValueError, AttributeError, OverflowError, KeyError) as error:
        if isinstance(error, WeightsError):
            raise
        raise WeightsError(f"{path.name} is damaged or cut short ({error}); fetch it again.") from None


def _require_tflite() -> Any:
    try:
        import tflite  # type: ignore[import-untyped]
    except ImportError:
        raise WeightsError(
            "Reading .tflite files needs the tflite package, which is not installed; run `pip install poseg[export]`."
        ) from None
    return tflite


class _Folding:
    """Walks the operators of the first subgraph, which the format keeps in order of execution."""

    def __init__(self, tflite: Any, model: Any) -> None:
        self.layers: dict[str, ConvLayer] = {}
        self.mean, self.std = 127.5, 127.5
        self._tflite, self._model, self._graph = tflite, model, model.Subgraphs(0)
        if self._graph is None or max(self._graph.TensorsLength(), self._graph.OperatorsLength()) > MAX_TENSORS:
            raise WeightsError(f"The file has no network, or one of more than {MAX_TENSORS} tensors.")
        self._values: dict[int, str] = {int(index): IMAGE for index in self._graph.InputsAsNumpy()}
        self._sources: dict[int, int] = {}  # stored tensors by those that hold the same in another type
        self._replaced: set[str] = set()

    def fold(self) -> None:
        """Fill `layers`; an operator that is not supported is left out, and is an error before a convolution only."""
        self._read_input_scale()
        ops = self._tflite.BuiltinOperator
        folds = {
            ops.CONV_2D: self._convolve,
            ops.DEPTHWISE_CONV_2D: self._convolve,
            ops.PAD: self._pad,
            ops.RELU6: self._activate,
            ops.LOGISTIC: self._activate,
            ops.QUANTIZE: self._pass_on,
            ops.DEQUANTIZE: self._pass_on,
        }
        for operator, kind in self._operators():
            if kind in folds:
                folds[kind](operator, kind)
        self.layers = without_replaced(self.layers, self._replaced)

    def convolutions(self) -> dict[str, tuple[Array, Array]]:
        """Weight and bias of every convolution by the name of its output."""
        ops = self._tflite.BuiltinOperator
        convolutions: dict[str, tuple[Array, Array]] = {}
        for operator, kind in self._operators():
            if kind == ops.DEQUANTIZE:
                self._pass_on(operator, kind)
            elif kind in (ops.CONV_2D, ops.DEPTHWISE_CONV_2D):
                convolutions[self._name(int(operator.Outputs(0)))] = self._weight_and_bias(operator, kind)
        return convolutions

    def _operators(self) -> Iterator[tuple[Any, int]]:
        """Operators and their kinds, in order of execution."""
        for number in range(self._graph.OperatorsLength()):
            operator = self._graph.Operators(number)
            code = self._model.OperatorCodes(operator.OpcodeIndex())
            # Old files hold the code in a byte, new ones in a wider field: the larger of both counts.
            yield operator, max(code.BuiltinCode(), code.DeprecatedBuiltinCode())

    def _weight_and_bias(self, operator: Any, kind: int) -> tuple[Array, Array]:
        weight = self._constant(int(operator.Inputs(1)))
        if weight.ndim != 4:
            name = self._name(int(operator.Outputs(0)))
            raise WeightsError(f"Layer {name} has weights {weight.shape}; expected 4 axes.")
        depthwise = kind == self._tflite.BuiltinOperator.DEPTHWISE_CONV_2D
        weight = weight.transpose(3, 0, 1, 2) if depthwise else weight.transpose(0, 3, 1, 2)
        has_bias = operator.InputsLength() > 2 and operator.Inputs(2) >= 0
        return weight, self._constant(int(operator.Inputs(2))) if has_bias else np.zeros(len(weight), np.float32)

    def _read_input_scale(self) -> None:
        """Mean and std of an INT8 input: its zero point and the inverse of its scale."""
        tensor = self._graph.Tensors(int(self._graph.Inputs(0)))
        quantization = tensor.Quantization()
        if tensor.Type() == self._tflite.TensorType.UINT8 and quantization is not None and quantization.ScaleLength():
            step = float(quantization.Scale(0))
            if not 0 < step < 1:
                raise WeightsError(f"The input has a step of {step} for one number; expected about 1/128.")
            self.mean, self.std = float(quantization.ZeroPoint(0)), 1 / step

    def _convolve(self, operator: Any, kind: int) -> None:
        tflite = self._tflite
        depthwise = kind == tflite.BuiltinOperator.DEPTHWISE_CONV_2D
        options = tflite.DepthwiseConv2DOptions() if depthwise else tflite.Conv2DOptions()
        options.Init(operator.BuiltinOptions().Bytes, operator.BuiltinOptions().Pos)
        result, name = int(operator.Outputs(0)), self._name(int(operator.Outputs(0)))
        weight, bias = self._weight_and_bias(operator, kind)
        if depthwise and options.DepthMultiplier() != 1:
            raise WeightsError(f"Layer {name} has weights {weight.shape}; expected a depth multiplier of 1.")
        if options.StrideH() != options.StrideW() or options.DilationHFactor() != options.DilationWFactor():
            raise WeightsError(f"Layer {name} has different strides or dilations for rows and columns.")
        if options.FusedActivationFunction() not in _ACTIVATIONS:
            raise WeightsError(f"Layer {name} has an activation that is not supported; expected ReLU, ReLU6 or none.")
        kernel, dilation = (weight.shape[2], weight.shape[3]), options.DilationHFactor()
        if options.Padding() != tflite.Padding.SAME and kernel != (1, 1):
            raise WeightsError(f"Layer {name} has VALID padding, as no MobileNetV1 of PoseNet or BodyPix does.")
        self.layers[f"tensor{result}"] = ConvLayer(
            names=(name,), input=self._data(int(operator.Inputs(0)), name), weight=weight, bias=bias,
            stride=options.StrideH(), dilation=dilation, groups=len(weight) if depthwise else 1,
            padding=same_padding(kernel, dilation, layer=name),
            activation=_ACTIVATIONS[options.FusedActivationFunction()],
        )  # fmt: skip
        self._values[result] = f"tensor{result}"

    def _pad(self, operator: Any, kind: int) -> None:
        """The one pixel at the bottom and right that our inputs already have; anything else is refused."""
        amounts = self._constant(int(operator.Inputs(1)))
        if (
            self._values.get(int(operator.Inputs(0))) != IMAGE
            or amounts.shape != (4, 2)
            or not np.array_equal(amounts, np.array([[0, 0], [0, amounts[1, 1] > 0], [0, amounts[2, 1] > 0], [0, 0]]))
        ):
            raise WeightsError(
                f"The file pads by {amounts.tolist()}; expected one pixel at the image's bottom and right."
            )
        self._pass_on(operator, kind)

    def _activate(self, operator: Any, kind: int) -> None:
        key = self._values.get(int(operator.Inputs(0)))
        if key is None or key not in self.layers or self.layers[key].activation:
            return
        result = int(operator.Outputs(0))
        activation = "relu6" if kind == self._tflite.BuiltinOperator.RELU6 else "sigmoid"
        layer = self.layers[key]
        names = (*layer.names, self._name(result))
        self.layers[f"tensor{result}"] = replace(layer, activation=activation, names=names)
        self._replaced.add(key)
        self._values[result] = f"tensor{result}"

    def _pass_on(self, operator: Any, kind: int) -> None:
        source, result = int(operator.Inputs(0)), int(operator.Outputs(0))
        if source in self._values:
            self._values[result] = self._values[source]
        elif self._model.Buffers(self._graph.Tensors(source).Buffer()).DataLength():
            self._sources[result] = source

    def _data(self, index: int, layer: str) -> str:
        if index not in self._values:
            raise WeightsError(
                f"Layer {layer} takes {self._name(index)}, the output of an operation that is not supported. "
                "Only PoseNet and BodyPix with MobileNetV1 can be imported."
            )
        return self._values[index]

    def _name(self, index: int) -> str:
        """The tensor's own name; converters append those of the operations that they merged into it."""
        raw: bytes = self._graph.Tensors(index).Name() or b""
        return raw.decode("utf-8", "replace").split(";")[0]

    def _constant(self, index: int) -> Array:
        """A stored tensor as floats (integers without a scale stay as they are)."""
        index = self._sources.get(index, index)
        tensor, types = self._graph.Tensors(index), self._tflite.TensorType
        dtypes = {types.FLOAT32: "<f4", types.FLOAT16: "<f2", types.UINT8: "u1", types.INT8: "i1", types.INT32: "<i4"}
        shape = tensor.ShapeAsNumpy()
        buffer = self._model.Buffers(tensor.Buffer())
        if tensor.Type() not in dtypes or not isinstance(shape, np.ndarray) or not buffer.DataLength():
            raise WeightsError(f"The weights {self._name(index)} are missing or of a type that is not read.")
        values: Array = buffer.DataAsNumpy().view(dtypes[tensor.Type()]).reshape(shape)
        return _dequantized(values, tensor.Quantization())


def _dequantized(values: Array, quantization: Any) -> Array:
    if values.dtype.kind == "f":
        return values.astype(np.float32)
    if quantization is None or not quantization.ScaleLength():
        return values
    scale = quantization.ScaleAsNumpy().astype(np.float64)
    zero = quantization.ZeroPointAsNumpy().astype(np.float64) if quantization.ZeroPointLength() else np.zeros(1)
    if scale.size > 1:
        axis = [1] * values.ndim
        axis[quantization.QuantizedDimension()] = -1
        scale, zero = scale.reshape(axis), zero.reshape(axis) if zero.size > 1 else zero
    with np.errstate(over="ignore", invalid="ignore"):  # `ConvLayer` refuses what is not finite
        restored: Array = ((values - zero) * scale).astype(np.float32)
    return restored
