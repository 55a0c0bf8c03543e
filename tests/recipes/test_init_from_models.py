"""A network that starts from a model file computes what the file does, without the rounding of its activations."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("accelerate")

from torch import nn  # noqa: E402

import poseg  # noqa: E402
from poseg.codecs.multitask import HEATMAP  # noqa: E402
from poseg.errors import WeightsError  # noqa: E402
from poseg.export.quantize import without_rounding  # noqa: E402
from poseg.export.torch_model import TorchModel, make_card  # noqa: E402
from poseg.export.torch_onnx import _extra_inputs, _image_inputs, _noise, export_onnx, parity  # noqa: E402
from poseg.geometry.masks import Masks  # noqa: E402
from poseg.people import Sample  # noqa: E402
from poseg.recipes import find_recipe  # noqa: E402
from poseg.recipes.tasks import train_dataset  # noqa: E402
from poseg.runtime.inference import InferenceConfig  # noqa: E402
from poseg.runtime.models import card_of, model_bytes  # noqa: E402
from poseg.runtime.onnx_model import OnnxModel  # noqa: E402
from poseg.skeletons import COCO17  # noqa: E402
from poseg.systems import System  # noqa: E402
from poseg.systems.multitask import Multitask  # noqa: E402
from poseg.training.dataset import AugmentConfig, WeightedDataset  # noqa: E402
from poseg.training.init import Init, load_init  # noqa: E402
from poseg.training.loop import train  # noqa: E402
from poseg.training.optim import OptimConfig, freeze  # noqa: E402

RECIPES = {
    "small": "personlab_small", "fast": "personlab_fast", "pose2seg": "pose2seg_small", "poseg": "poseg_small",
    "multitask": "multitask", "mask_refiner": "mask_refiner_small", "lifter": "lifter",
}  # fmt: skip


@pytest.fixture(params=RECIPES)
def name(request) -> str:
    return request.param


def system_of(name: str) -> System:
    """The recipe's system; of `multitask` the part that is shipped."""
    system = find_recipe(RECIPES[name]).system
    return replace(system, tasks=(HEATMAP,)) if isinstance(system, Multitask) else system


def filled(name: str) -> nn.Module:
    network = system_of(name).network()
    load_init(network, Init(checkpoint=name))
    return network.eval()


def inputs_of(name: str, ours: TorchModel) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """A photograph as the network's input, where it takes images, and people in it."""
    data = pytest.importorskip("skimage.data")
    system = system_of(name)
    tensor = next(_image_inputs(system, [data.astronaut()], ours), None)
    tensor = _noise(system, (0, 0), 3) if tensor is None else tensor
    return tensor, _extra_inputs(system, tensor)


def test_network_and_file_without_rounding_compute_the_same(name):
    ours = TorchModel(filled(name), system_of(name).codec, card_of(name))
    tensor, extra = inputs_of(name, ours)
    theirs = OnnxModel(without_rounding(model_bytes(name)), name=name)
    assert parity(ours, theirs, tensor, **extra) < 1e-4


def test_network_and_file_differ_by_the_rounding_of_activations(name):
    ours = TorchModel(filled(name), system_of(name).codec, card_of(name))
    tensor, extra = inputs_of(name, ours)
    exact, rounded = ours.run(tensor, **extra), OnnxModel(model_bytes(name), name=name).run(tensor, **extra)
    for field, values in exact.items():
        noise = np.abs(rounded[field] - values).mean() / values.std()
        assert noise < 0.3, field


@pytest.mark.slow
@pytest.mark.parametrize("recipe", ["overfit_tiny", "poseg_overfit_tiny", "pose2seg_overfit_tiny"])
def test_what_was_exported_is_read_back(recipe, tmp_path):
    chosen = find_recipe(recipe)
    system, config = chosen.system, chosen.input
    torch.manual_seed(0)
    network = system.network().eval()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.5, 0.5)
            module.running_var.uniform_(0.5, 2)
    card = make_card(system, name="tiny", inference=InferenceConfig(161), mean=config.mean, std=config.std)
    export_onnx(network, system, card, tmp_path / "tiny.onnx")
    again = system.network().eval()
    load_init(again, Init(checkpoint=str(tmp_path / "tiny.onnx")))
    tensor = _noise(system, (160, 192), 2)
    both = (TorchModel(each, system.codec, card) for each in (network, again))
    assert parity(*both, tensor, **_extra_inputs(system, tensor)) < 1e-2  # weights are stored in half precision


def test_folded_norms_keep_out_of_batch_statistics_and_fresh_ones_do_not():
    network, fresh = filled("small"), find_recipe("personlab_small").system.network()
    for each, training in ((network, False), (fresh, True)):
        freeze(each, OptimConfig(freeze_bn=False))
        norms = [module for module in each.modules() if isinstance(module, nn.BatchNorm2d)]
        assert norms
        assert all(norm.training == training and norm.weight.requires_grad for norm in norms)
    image = torch.randn(2, 3, 129, 129, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        training, evaluating = network(image), filled("small")(image)
    for name, field in evaluating.items():
        torch.testing.assert_close(training[name], field, atol=1e-4, rtol=1e-4)


def test_a_backbone_comes_from_a_model_of_another_system():
    network = find_recipe("pose2seg_small").system.network()
    load_init(network, Init(backbone="small"))
    ours, theirs = network.backbone.state_dict(), filled("small").backbone.state_dict()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor)


def test_models_of_other_networks_and_files_that_are_no_models_are_refused(tmp_path):
    with pytest.raises(WeightsError, match="another network"):
        load_init(find_recipe("poseg_small").system.network(), Init(checkpoint="small"))
    network = find_recipe("personlab_small").system.network()
    with pytest.raises(WeightsError, match="Cannot read"):
        load_init(network, Init(checkpoint=str(tmp_path / "none.onnx")))
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(WeightsError, match="no ONNX file"):
        load_init(network, Init(checkpoint=str(tmp_path / "text.onnx")))
    empty = onnx.helper.make_model(onnx.helper.make_graph([], "empty", [], []))
    (tmp_path / "empty.onnx").write_bytes(empty.SerializeToString())
    with pytest.raises(WeightsError, match="no layer"):
        load_init(network, Init(checkpoint=str(tmp_path / "empty.onnx")))


class Photo:
    """A photograph with the people that `small` detects in it."""

    name, skeleton, exhaustive, annotated_joints = "photo", COCO17, True, np.ones(17, bool)

    def __init__(self) -> None:
        image = pytest.importorskip("skimage.data").astronaut()
        people = poseg.load("small")(image)
        scores = np.where(people.keypoint_scores > 0.3, people.keypoint_scores, 0)
        masks = Masks.from_full(np.asarray(people.masks))
        self.sample = Sample(image, replace(people, keypoint_scores=scores, masks=masks))

    def __len__(self) -> int:
        return 1

    def sample_id(self, index: int) -> str:
        return "photo/0"

    def __getitem__(self, index: int) -> Sample:
        return self.sample


@pytest.mark.slow
def test_training_starts_from_the_loss_of_the_model_and_lowers_it(tmp_path):
    recipe = find_recipe("personlab_small")
    optim = OptimConfig(
        steps=6, batch_size=2, lr=3e-4, warmup_steps=1, ema_decay=0.0, freeze_stem=False, backbone_lr_scale=1.0
    )
    view = AugmentConfig(image_px=(257.0, 257.0), rotation_deg=0.0, flip_prob=0.0, color_jitter=0.0)
    photo = (WeightedDataset(Photo(), 1.0),)
    recipe = replace(
        recipe, data=lambda folder: photo, optim=optim, input=replace(recipe.input, side_px=257, augmentation=view)
    )

    def losses(init: Init, folder: str) -> list[float]:
        torch.manual_seed(0)
        network, seen = recipe.system.network(), []
        load_init(network, init)
        train(
            network, recipe.system.loss(), train_dataset(recipe, tmp_path), optim, tmp_path / folder,
            report=lambda progress: seen.append(progress.losses["total"]),
        )  # fmt: skip
        return seen

    tuned, scratch = losses(Init(checkpoint="small"), "tuned"), losses(Init(), "scratch")
    assert tuned[0] < 0.3 * scratch[0]
    assert tuned[-1] < 0.9 * tuned[0]
