"""A resumed run equals the uninterrupted one; the loop learns; items are repeatable."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from poseg.people import People, Sample  # noqa: E402
from poseg.skeletons import COCO17  # noqa: E402
from poseg.systems.personlab import MEAN, STD, PersonLab  # noqa: E402
from poseg.training.loader import Mixture, Share, View  # noqa: E402
from poseg.training.loop import Schedule, train  # noqa: E402

SYSTEM = PersonLab(stride=16, neck_channels=32)


class Stickmen:
    """Four pictures of a bright box with a pose in it."""

    name, complete, known = "stickmen", True, np.ones(17, bool)

    def __len__(self) -> int:
        return 4

    def key(self, index: int) -> str:
        return f"stickmen/{index}"

    def __getitem__(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        image = rng.integers(0, 60, (120, 100, 3), np.uint8)
        image[20:110, 30:70] = 200
        masks = np.zeros((1, 120, 100), bool)
        masks[0, 20:110, 30:70] = True
        points = rng.uniform((30, 20), (70, 110), (1, 17, 2))
        return Sample(image, People.from_poses(COCO17, points, np.ones((1, 17)), masks=masks), name=str(index))


def mixture(steps: int) -> Mixture:
    return Mixture([Share(Stickmen(), 1.0)], SYSTEM.codec, View(97, MEAN, STD), length=steps * 2, seed=3)


def run(folder, steps: int, length: int) -> list[float]:
    torch.manual_seed(0)
    losses: list[float] = []
    schedule = Schedule(batch_size=2, steps=length, save_every=2, warm_up_steps=2)
    data = mixture(steps)
    train(
        SYSTEM.network(), SYSTEM.loss(), data, schedule, folder, workers=0,
        report=lambda progress: losses.append(progress.terms["total"]),
    )  # fmt: skip
    return losses


def test_a_resumed_run_equals_the_uninterrupted_one(tmp_path):
    whole = run(tmp_path / "whole", steps=6, length=6)
    first = run(tmp_path / "halves", steps=3, length=6)
    second = run(tmp_path / "halves", steps=6, length=6)
    assert len(whole) == 6
    np.testing.assert_allclose(first + second, whole, atol=1e-6, rtol=1e-6)
    names = sorted(path.name for path in (tmp_path / "halves").iterdir())
    assert names == ["adam-6.safetensors", "average-6.safetensors", "run.json", "weights-6.safetensors"]


def test_items_follow_from_seed_and_position():
    one, again = mixture(4)[3], mixture(4)[3]
    assert torch.equal(one["image"], again["image"])
    assert not torch.equal(one["image"], mixture(4)[2]["image"])


def test_joints_a_set_does_not_name_have_no_heatmap_loss():
    class Faceless(Stickmen):
        known = np.arange(17) >= 5

    data = Mixture([Share(Faceless(), 1.0)], SYSTEM.codec, View(97, MEAN, STD), length=2, seed=0)
    weight = data[0]["weights"]["heatmap"]
    assert weight[:5].max() == 0
    assert weight[5:].max() == 1
