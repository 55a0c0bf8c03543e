"""The bundled models, and loading any model by its name or path."""

from __future__ import annotations

import os
from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from poseg.codecs.decoder_config import DecoderConfig
from poseg.errors import PosegError, WeightsError
from poseg.runtime import crop_pose, lifter, mask_refiner, pose2seg
from poseg.runtime.card import Card
from poseg.runtime.crop_pose import TopDownPose
from poseg.runtime.inference import InferenceConfig, InferenceModel
from poseg.runtime.lifter import Lifter
from poseg.runtime.mask_refiner import MaskRefiner
from poseg.runtime.onnx_model import OnnxModel, read_card
from poseg.runtime.pose2seg import Pose2SegSegmenter
from poseg.runtime.pose_refiner import PoseRefiner
from poseg.runtime.predictor import Predictor, check_system

if TYPE_CHECKING:
    from importlib.resources.abc import Traversable  # another module in Python 3.10

DEFAULT = "small"
POSE_REFINER = "multitask"  # of --refine-poses, for models whose card names none
MAX_PEOPLE, MIN_SCORE = 100, 0.3

_SUFFIX = ".onnx"
# Bundled models with other settings, under names of their own: the weights, and the settings that differ.
_PRESETS: dict[str, tuple[str, dict[str, Any]]] = {
    "accurate": (
        "small", {"flip": True, "long_edge_px": 2049, "scales": tuple(px / 2049 for px in (321, 577, 1025, 1537, 2049))}
    ),
}  # fmt: skip
# Classes of the systems that take people or boxes besides the image.
_STAGES: dict[str, Any] = {
    pose2seg.SYSTEM: Pose2SegSegmenter,
    crop_pose.SYSTEM: TopDownPose,
    lifter.SYSTEM: Lifter,
    mask_refiner.SYSTEM: MaskRefiner,
}


@overload
def load(
    model: Literal["pose2seg"], *, threads: int | None = None, device: str = "auto", **options: Any
) -> Pose2SegSegmenter: ...
@overload
def load(
    model: Literal["mask_refiner"], *, threads: int | None = None, device: str = "auto", **options: Any
) -> MaskRefiner: ...
@overload
def load(
    model: Literal["multitask"], *, threads: int | None = None, device: str = "auto", **options: Any
) -> TopDownPose: ...
@overload
def load(model: Literal["lifter"], *, threads: int | None = None, device: str = "auto", **options: Any) -> Lifter: ...
@overload
def load(
    model: str | os.PathLike[str] | None = None, *, threads: int | None = None, device: str = "auto", **options: Any
) -> Predictor: ...
def load(
    model: str | os.PathLike[str] | None = None, *, threads: int | None = None, device: str = "auto", **options: Any
) -> Predictor | Pose2SegSegmenter | TopDownPose | Lifter | MaskRefiner:
    """Load a model: `poseg.load()("photo.jpg")` detects people.

    `poseg.load("pose2seg")("photo.jpg", people)` segments people, `poseg.load("multitask")("photo.jpg", boxes)`
    estimates poses in boxes, and `poseg.load("lifter")(people)` 3D joints. A mask refiner is an option of detectors.

    model    name of a bundled model (`models()`), or path of an ONNX file with a card; None is "small"
    threads  for one image; None lets ONNX Runtime choose
    device   where it runs: "auto", a device of `runtime.devices` ("cpu", "cuda", ...), or an ONNX Runtime provider
    options  of a model that detects people, those of `build_predictor`; of others, those of `Pose2SegSegmenter`
             (long_edge_px, exclusive, mask_threshold, prior_weight, rescore), `TopDownPose` (flip, min_score) or
             `MaskRefiner` (mask_threshold)

    Raises WeightsError where there is no such model, CardError for a file without a valid card, and DeviceError for a
    device that is not there, with what to install.
    """
    loaded = load_model(model, threads=threads, device=device)
    stage = _STAGES.get(loaded.card.system)
    if stage is not None:
        built: Pose2SegSegmenter | TopDownPose | Lifter | MaskRefiner = stage(loaded, **options)
        return built
    return build_predictor(loaded, threads=threads, device=device, **options)


def build_predictor(
    model: InferenceModel, *, threads: int | None = None, device: str = "auto", max_people: int = MAX_PEOPLE,
    min_score: float = MIN_SCORE, masks: bool = True, decoder: DecoderConfig | None = None,
    pose_refiner: str | PoseRefiner | None = None, mask_refiner: str | MaskRefiner | None = None,
    inference: InferenceConfig | None = None, **inference_options: Any,
) -> Predictor:  # fmt: skip
    """A predictor on a bottom-up model with the settings of its card, but for those given here.

    threads, device    of the refiners; the model has its own
    max_people         those with the highest scores are kept
    min_score          people with a lower score are left out
    masks              False leaves the masks out, which saves time
    decoder            the decoder's other settings; its own max_people, min_score and masks are replaced by those here
    pose_refiner       name or path of a top-down model that refines poses, or a refiner; "" for none
    mask_refiner       name or path of a model that refines masks, or one that is loaded; "" for none
    inference          views, refiners and joints, as one value
    inference_options  or some of its fields: long_edge_px, scales, flip, adaptive, joints

    Raises PosegError for settings out of range.
    """
    check_system(model.card)
    recommended = model.card.inference if inference is None else inference
    refiners = {"pose_refiner": pose_refiner, "mask_refiner": mask_refiner}
    inference = _changed(recommended, inference_options | {k: v for k, v in refiners.items() if isinstance(v, str)})
    inference.check()
    if not isinstance(pose_refiner, PoseRefiner):
        pose_refiner = None
        if inference.pose_refiner:
            pose_refiner = PoseRefiner(
                TopDownPose(load_model(inference.pose_refiner, threads=threads, device=device), flip=inference.flip)
            )
    if not isinstance(mask_refiner, MaskRefiner):
        mask_refiner = None
        if inference.mask_refiner and masks:
            mask_refiner = MaskRefiner(load_model(inference.mask_refiner, threads=threads, device=device))
    config = replace(decoder or model.codec.default_config, max_people=max_people, min_score=min_score, masks=masks)
    return Predictor(model, inference, config, pose_refiner, mask_refiner)


def _changed(inference: InferenceConfig, options: dict[str, Any]) -> InferenceConfig:
    """The config with some fields changed; None keeps a field. Raises PosegError for unknown ones."""
    unknown = sorted(set(options) - set(InferenceConfig.__slots__))
    if unknown:
        known = ", ".join(["max_people", "min_score", "masks", "decoder", "inference", *InferenceConfig.__slots__])
        raise PosegError(f"There is no option {', '.join(unknown)}; the options are {known}.")
    return replace(inference, **{name: value for name, value in options.items() if value is not None})


def load_model(
    model: str | os.PathLike[str] | None = None, *, threads: int | None = None, device: str = "auto"
) -> OnnxModel:
    """The network behind `load`, with its card and codec."""
    bundled = _bundled()
    name = DEFAULT if model is None else os.fspath(model)
    if name in bundled:
        loaded = OnnxModel(bundled[name].read_bytes(), threads=threads, device=device, name=name)
        loaded.card = _preset_card(name, loaded.card)
        return loaded
    if Path(name).suffix == _SUFFIX or os.path.exists(name):
        return OnnxModel(name, threads=threads, device=device)
    listed = ", ".join(bundled) or "none in this installation"
    raise WeightsError(
        f"There is no model {name!r}; give the path of an ONNX file or the name of a bundled one ({listed})."
    )


def model_bytes(model: str | os.PathLike[str]) -> bytes:
    """The bytes of a bundled model or of an ONNX file. Raises WeightsError."""
    bundled, name = _bundled(), os.fspath(model)
    try:
        return bundled[name].read_bytes() if name in bundled else Path(name).read_bytes()
    except OSError as fault:
        raise WeightsError(f"Cannot read the model {name} ({fault.strerror}); give its name or its file.") from None


def is_model(source: str) -> bool:
    """Whether this is the name of a bundled model or of an ONNX file."""
    return source in _bundled() or Path(source).suffix == _SUFFIX


def card_of(model: str | os.PathLike[str]) -> Card:
    """The card of a bundled model or of a file, read without an optimised session. Raises as `load` does."""
    bundled, name = _bundled(), os.fspath(model)
    if name in bundled:
        return _preset_card(name, read_card(bundled[name].read_bytes(), name=name))
    return read_card(name) if os.path.exists(name) else load_model(name).card


def models() -> dict[str, Card]:
    """Cards of the bundled models, by name."""
    return {name: card_of(name) for name in _bundled()}


def model_names() -> tuple[str, ...]:
    """Names of the bundled models; no file is read."""
    return tuple(_bundled())


def _preset_card(name: str, card: Card) -> Card:
    """The card of a preset; any other card as it is."""
    if name not in _PRESETS:
        return card
    weights, settings = _PRESETS[name]
    inference = _changed(card.inference, dict(settings))
    sizes = ", ".join(str(round(inference.long_edge_px * scale)) for scale in inference.scales)
    notes = (f"The weights of `{weights}` on views of {sizes} pixels, {'with' if inference.flip else 'no'} flip.",)
    return replace(card, name=name, inference=inference, scores=(), notes=notes + card.notes)


def _bundled() -> dict[str, Traversable]:
    """The files of the bundled models by name, then those of the presets."""
    folder = files("poseg").joinpath("models")
    if not folder.is_dir():
        return {}
    paths = {path.name.removesuffix(_SUFFIX): path for path in folder.iterdir() if path.name.endswith(_SUFFIX)}
    presets = {name: paths[weights] for name, (weights, _) in _PRESETS.items() if weights in paths}
    return dict(sorted(paths.items())) | presets
