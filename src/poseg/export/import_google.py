"""Published PoseNet and BodyPix weights as a poseg model.

Google's networks (MobileNetV1; PoseNet: poses; BodyPix: poses, person map and long offsets) put out the fields of
PersonLab, so that its codec decodes them. They are free to use under the Apache licence 2.0.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from poseg.codecs.personlab import PersonLabCodec
from poseg.errors import WeightsError
from poseg.export.google_graph import GoogleNetwork
from poseg.export.google_npz import read_npz
from poseg.export.google_onnx import to_onnx
from poseg.export.google_tfjs import read_tfjs
from poseg.export.google_tflite import read_tflite
from poseg.export.onnx_card import save_with_card
from poseg.runtime.card import Card
from poseg.runtime.inference import InferenceConfig

SIZE_PX = 513
_FORMATS = {".npz": "NumPy archive", ".tflite": "TensorFlow Lite file", ".json": "TF.js graph model"}


def import_google(source: Path, destination: Path) -> Card:
    """Write published weights as an ONNX file with a card; returns the card.

    source       a .npz or .tflite file, a TF.js `model.json` with its weights beside it, or the folder of one
    destination  the .onnx file to write; it appears whole or not at all

    The model reads `image` (1, 3, H, W) float32, (RGB - mean) / std, any H and W of stride * n + 1 pixels, and puts
    out each field as (1, C, n + 1, n + 1), named by field, offsets x before y (see `codecs.personlab`). Raises
    WeightsError for a file that cannot be used and OutputError for a destination that cannot be written.
    """
    source, destination = Path(source), Path(destination)
    network, kind = _read(source)
    return save_with_card(to_onnx(network), _card(network, source, kind), destination)


def _read(source: Path) -> tuple[GoogleNetwork, str]:
    suffix = ".json" if source.is_dir() else source.suffix.lower()
    if suffix not in _FORMATS:
        raise WeightsError(
            f"{source.name} is not a kind of file that can be imported; wanted .npz, .tflite, or a TF.js model.json."
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
