"""Recipes are loaded by name or file, survive JSON, and what they build fits together."""

from __future__ import annotations

import json

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from poseg.errors import PosegError  # noqa: E402
from poseg.export.torch_onnx import per_person_input_shape  # noqa: E402
from poseg.io.overrides import apply_overrides, from_dict, to_dict  # noqa: E402
from poseg.recipes import RECIPES, find_recipe, tasks  # noqa: E402
from poseg.recipes.train_run import check_resumable, load_recipe  # noqa: E402
from poseg.systems.mask_refiner import MaskRefinerSystem  # noqa: E402
from poseg.systems.pose2seg import Pose2Seg  # noqa: E402


@pytest.mark.parametrize("name", RECIPES)
def test_recipe_survives_json_and_its_parts_agree(name):
    recipe = find_recipe(name)
    assert from_dict(recipe, json.loads(json.dumps(to_dict(recipe)))) == recipe
    divisor, offset = recipe.system.size_divisor, recipe.system.size_offset
    assert recipe.input.side_px % divisor == offset % divisor
    assert recipe.card.inference.long_edge_px % divisor == offset % divisor or name == "personlab_coco"
    assert recipe.card.licences["code"] == "Apache-2.0"


@pytest.mark.parametrize("name", sorted(set(RECIPES) - {"personlab_coco", "pose2seg_cocopersons"}))
def test_recipe_builds_a_network_with_the_fields_of_its_codec(name):
    recipe = find_recipe(name)
    network = recipe.system.network().eval()
    codec, image, person = recipe.system.codec, torch.zeros(1, 3, 65, 97), per_person_input_shape(recipe.system)
    with torch.no_grad():
        if person is not None:
            side = person[1] if isinstance(recipe.system, MaskRefinerSystem) else 1
            fields, expected = network(torch.zeros(2, *person)), (2, None, side, side)
        elif isinstance(recipe.system, Pose2Seg):
            fields, expected = network(image, torch.ones(1, 2, 2, 3), torch.ones(1, 2, 17, 3)), (2, 1, 64, 64)
        else:
            fields, expected = network(image), (1, None, *codec.grid.shape(65, 97))
    for spec in codec.specs:
        assert fields[spec.name].shape == (expected[0], spec.channels, *expected[2:])


def test_find_recipe_names_similar_ones(tmp_path):
    with pytest.raises(PosegError, match="did you mean personlab_small"):
        find_recipe("personlab_smal")
    with pytest.raises(PosegError, match="There is no file"):
        find_recipe(str(tmp_path / "mine.py"))
    (tmp_path / "mine.py").write_text("RECIPE = 3")
    with pytest.raises(PosegError, match="holds no RECIPE"):
        find_recipe(str(tmp_path / "mine.py"))


def test_find_recipe_reads_a_file(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dataclasses import replace\n"
        "from poseg.recipes import find_recipe\n"
        "RECIPE = replace(find_recipe('overfit_tiny'), name='mine')\n"
    )
    assert find_recipe(str(tmp_path / "mine.py")).name == "mine"


def test_a_run_is_resumed_with_its_own_settings_only(tmp_path):
    recipe = find_recipe("overfit_tiny")
    check_resumable(tmp_path, recipe)
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": "overfit_tiny", "settings": to_dict(recipe)}))
    check_resumable(
        tmp_path, apply_overrides(recipe, ["optim.steps=999", "optim.checkpoint_every=1", "validation.every=5"])
    )
    with pytest.raises(PosegError, match=r"other settings: system.neck_channels, optim.lr differ"):
        check_resumable(tmp_path, apply_overrides(recipe, ["optim.lr=1", "system.neck_channels=8"]))
    changed = apply_overrides(recipe, ["optim.lr=1"])
    (tmp_path / "recipe.json").write_text(json.dumps({"recipe": "overfit_tiny", "settings": to_dict(changed)}))
    assert load_recipe(tmp_path, find_recipe) == changed
    with pytest.raises(PosegError, match=r"holds no recipe.json"):
        load_recipe(tmp_path / "none", find_recipe)


def test_personlab_fast_is_a_part_of_small():
    """The same weights predict the same fields, at stride 16."""
    torch.manual_seed(0)
    small, fast = (find_recipe(f"personlab_{name}").system.network().eval() for name in ("small", "fast"))
    with torch.no_grad():
        for head in small.heads.values():
            torch.nn.init.normal_(head.conv.weight, std=0.1)
        fast.load_state_dict({name: small.state_dict()[name] for name in fast.state_dict()})
        image = torch.randn(1, 3, 97, 129)
        inner, fields = small(image), fast(image)
    for name, field in fields.items():
        torch.testing.assert_close(field, inner[f"coarse.{name}"])


def test_a_network_is_validated_by_its_own_poses_and_masks():
    recipe = find_recipe("personlab_small")
    assert recipe.card.inference.pose_refiner
    assert recipe.card.inference.mask_refiner
    model = tasks._eval_model(recipe, recipe.system.network().state_dict())
    predictor = tasks.TASKS[type(recipe.system)].model(model)
    assert predictor.pose_refiner is None
    assert predictor.mask_refiner is None


@pytest.mark.parametrize(
    ("text", "fault"),
    [("RECIPE = (", "line 1"), ("\n\nRECIPE = nothing", "line 3: NameError"), ("1 / 0", "line 1: Zero")],
)
def test_a_faulty_recipe_file_is_named_with_the_line(tmp_path, text, fault):
    path = tmp_path / "mine.py"
    path.write_text(text)
    with pytest.raises(PosegError, match=rf"mine\.py, {fault}"):
        find_recipe(str(path))


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"recipe": 1, "settings": {}}', '{"recipe": "overfit_tiny", "settings": 3}', "[" * 9999]
)
def test_a_folder_with_a_broken_recipe_is_refused(tmp_path, text):
    (tmp_path / "recipe.json").write_text(text)
    for read in (
        lambda: load_recipe(tmp_path, find_recipe),
        lambda: check_resumable(tmp_path, find_recipe("overfit_tiny")),
    ):
        with pytest.raises(PosegError, match=r"recipe\.json"):
            read()
