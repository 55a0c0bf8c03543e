"""A resumed run equals the uninterrupted one, micro-batches equal the batch, and numbers not finite stop a run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from safetensors import safe_open  # noqa: E402

from poseg.errors import PosegError, WeightsError  # noqa: E402
from poseg.training.checkpoint import last_checkpoint  # noqa: E402
from poseg.training.init import Init, load_init  # noqa: E402
from poseg.training.logger import TensorBoardLogger  # noqa: E402


def weights(folder, part="weights"):
    found = last_checkpoint(folder)
    assert found is not None
    return found.tensors(part)


def assert_close(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, other[name], **tolerance, msg=name)


@pytest.fixture(scope="module")
def whole(tiny, tmp_path_factory):
    """The folder of an uninterrupted run, and its losses."""
    folder = tmp_path_factory.mktemp("whole")
    return folder, tiny.run(folder)


def test_train_lowers_the_loss_and_leaves_one_checkpoint(whole):
    folder, losses = whole
    assert len(losses) == 12
    assert losses[-1] < 0.8 * losses[0]
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["average-12.safetensors", "optimiser-12.safetensors", "run.json", "weights-12.safetensors"]


def test_a_run_stopped_by_max_minutes_resumes_to_the_same_end(tiny, whole, tmp_path):
    first = tiny.run(tmp_path, max_minutes=0)
    assert len(first) == 1
    second = tiny.run(tmp_path)
    np.testing.assert_allclose(first + second, whole[1], rtol=1e-6, atol=1e-6)
    for part in ("weights", "average", "optimiser"):
        assert_close(weights(tmp_path, part), weights(whole[0], part), atol=1e-7, rtol=1e-6)
    assert tiny.run(tmp_path) == [], "a finished run has nothing left to do"


def test_steps_alone_decide_the_learning_rate(tiny, whole, tmp_path):
    rates = []
    tiny.run(tmp_path, report=lambda progress: rates.append(progress.lr), max_minutes=1e9)
    assert rates == [tiny.OPTIM.lr_at(step) for step in range(12)]


def test_a_step_in_micro_batches_is_the_same_step(tiny, whole, tmp_path):
    losses = tiny.run(tmp_path, replace(tiny.OPTIM, accumulation_steps=4))
    np.testing.assert_allclose(losses, whole[1], rtol=1e-5)
    assert_close(weights(tmp_path), weights(whole[0]), atol=1e-5, rtol=1e-4)


def test_sgd_resumes_exactly_too(tiny, tmp_path):
    optim = replace(tiny.OPTIM, optimiser="sgd", lr_schedule="linear", grad_clip_norm=0.0, steps=6)
    whole = tiny.run(tmp_path / "whole", optim)
    first = tiny.run(tmp_path / "halves", optim, max_minutes=0)
    np.testing.assert_allclose(first + tiny.run(tmp_path / "halves", optim), whole, rtol=1e-6)


def test_half_precision_learns(tiny, whole, tmp_path):
    losses = tiny.run(tmp_path, replace(tiny.OPTIM, precision="bf16"))
    assert losses[-1] < 0.8 * losses[0]
    assert losses != whole[1]
    assert all(tensor.dtype in (torch.float32, torch.int64) for tensor in weights(tmp_path).values())
    with pytest.raises(PosegError, match="needs a GPU"):
        tiny.run(tmp_path / "fp16", replace(tiny.OPTIM, precision="fp16"))


class Poisoned(torch.utils.data.Dataset):
    """The tiny data set with names, and one image that is not finite."""

    def __init__(self, dataset, position):
        self.dataset, self.position = dataset, position

    def __getitem__(self, position):
        item = {**self.dataset[position], "name": f"image {position}"}
        if position == self.position:
            item["image"][0, 5, 5] = torch.nan
        return item


def test_a_loss_that_is_not_finite_stops_with_the_batch_on_disk(tiny, tmp_path):
    with pytest.raises(WeightsError, match=r"not finite at step 7.*image 28, image 29, image 30, image 31"):
        tiny.run(tmp_path, data=Poisoned(tiny.dataset(), 30))
    found = last_checkpoint(tmp_path)
    assert found is not None
    assert found.step == 5
    assert all(torch.isfinite(tensor).all() for tensor in found.tensors("weights").values())
    with safe_open(tmp_path / "broken-7-0.safetensors", "pt") as saved:
        assert saved.metadata()["images"].splitlines()[2] == "image 30"
        assert torch.isnan(saved.get_tensor("0.image")).sum() == 1
        assert {"0.targets.heatmap", "0.weights.long_offsets"} <= set(saved.keys())


def test_frozen_parts_stay(tiny, whole, tmp_path):
    torch.manual_seed(0)
    fresh = tiny.Network().state_dict()
    trained = weights(whole[0])
    moved = {name for name in fresh if not torch.equal(fresh[name], trained[name])}
    assert not any(name.startswith(("backbone.0.", "backbone.1.")) or "running" in name for name in moved)
    assert {"backbone.2.0.weight", "head.conv.weight"} <= moved
    tiny.run(tmp_path, replace(tiny.OPTIM, steps=1, freeze_bn=False, freeze_stem=False, bn_momentum=0.5))
    free = weights(tmp_path)
    assert not torch.equal(free["backbone.0.0.weight"], fresh["backbone.0.0.weight"])
    assert not torch.equal(free["backbone.0.1.running_var"], fresh["backbone.0.1.running_var"])


def test_freeze_pretrained_trains_only_new_layers(tiny, tmp_path):
    torch.manual_seed(0)
    fresh = tiny.Network().state_dict()
    tiny.run(tmp_path, replace(tiny.OPTIM, steps=2, freeze_pretrained=True))
    trained = weights(tmp_path)
    moved = {name for name in fresh if not torch.equal(fresh[name], trained[name])}
    assert moved == {"head.conv.weight", "head.conv.bias"}


def test_damaged_checkpoints_are_named(tiny, tmp_path):
    tiny.run(tmp_path, max_minutes=0)
    (tmp_path / "weights-1.safetensors").write_bytes(b"half a fi")
    with pytest.raises(WeightsError, match=r"weights-1\.safetensors"):
        tiny.run(tmp_path)
    (tmp_path / "run.json").write_text("{")
    with pytest.raises(WeightsError, match=r"run\.json does not hold"):
        tiny.run(tmp_path)


def test_a_run_starts_from_the_average_of_another_but_for_heads_of_another_shape(tiny, whole, tmp_path):
    network = tiny.Network()
    load_init(network, Init(checkpoint=str(whole[0])))
    assert_close(network.state_dict(), weights(whole[0], "average"), atol=0, rtol=0)
    network.head = torch.nn.Module()
    network.head.conv = torch.nn.Conv2d(16, 3, 1)
    load_init(network, Init(checkpoint=str(whole[0] / "average-12.safetensors")))
    network.backbone[2][0] = torch.nn.Conv2d(16, 17, 3, bias=False)
    with pytest.raises(WeightsError, match=r"backbone.2.0.weight has shape \(16, 16, 3, 3\), expected \(17"):
        load_init(network, Init(checkpoint=str(whole[0])))
    with pytest.raises(WeightsError, match="no checkpoint"):
        load_init(network, Init(checkpoint=str(tmp_path)))


def test_the_log_of_a_resumed_run_continues_after_its_checkpoint(tiny, tmp_path):
    logger = TensorBoardLogger(tmp_path, tiny.draw, log_images_every=4)
    optim = replace(tiny.OPTIM, steps=8, checkpoint_every=3)

    def killed(progress):
        logger(progress)
        if progress.step == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tiny.run(tmp_path, optim, killed)
    logger.close()
    with (tmp_path / "log.jsonl").open("a") as log:
        log.write('{"step": 6, "lr')
    logger = TensorBoardLogger(tmp_path, tiny.draw, log_images_every=4)
    tiny.run(tmp_path, optim, logger)
    logger.close()
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 9))
    assert set(lines[0]["losses"]) == {"total", *(spec.name for spec in tiny.SYSTEM.codec.specs)}
    assert len(list((tmp_path / "board").iterdir())) == 2


def test_items_follow_from_seed_and_position(tiny):
    one, again = tiny.dataset()[3], tiny.dataset()[3]
    assert torch.equal(one["image"], again["image"])
    assert not torch.equal(one["image"], tiny.dataset()[2]["image"])


def test_joints_that_a_set_does_not_annotate_have_no_heatmap_loss(tiny):
    class Faceless(tiny.Stickmen):
        annotated_joints = np.arange(17) >= 5

    weight = tiny.dataset(data=Faceless())[0]["weights"]["heatmap"]
    assert weight[:5].max() == 0
    assert weight[5:].max() == 1
