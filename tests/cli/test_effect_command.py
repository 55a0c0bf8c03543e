from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms
from typer.testing import Result

from poseg.cli.effect import build_chain
from poseg.datasets.synthetic_people import render_scene
from poseg.effects import EFFECTS, Outline, Pixelate, Sticker
from poseg.errors import PosegError
from poseg.io.coco_results import coco_results, write_results

Poseg = Callable[..., Result]
Spots = Callable[..., NDArray[np.uint8]]
Save = Callable[[str, NDArray[np.uint8]], None]

SCENE = render_scene(np.random.default_rng(6), (160, 240), 2)


@pytest.fixture
def drawn(poseg: Poseg, save: Save) -> Poseg:
    """The command in a folder with an image, a.png, and its people, people.json."""
    save("a.png", SCENE.image)
    write_results("people.json", coco_results(SCENE.people, "a.png"))
    return lambda name, *rest: poseg("effect", name, "a.png", "--people", "people.json", *rest)


def read(path: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(path))


# Laws.


def test_effect_command_equals_the_effect(drawn: Poseg) -> None:
    result = drawn("outline", "-o", "b.png", "--person", "1", "--set", "width_px=5", "--set", "colour=#ff8000")
    assert result.exit_code == 0, result.stderr
    assert result.stdout == "1 image written to b.png\n"
    people = SCENE.people  # as they come back from the file, to 0.01 px
    expected = Outline(width_px=5, colour=(255, 128, 0), person=1)(SCENE.image, people)
    assert (read("b.png") == expected).all(axis=2).mean() > 0.999


def test_effect_command_of_strength_0_writes_the_image_itself(drawn: Poseg) -> None:
    for name in ("winged", "cutout", "+".join(name for name in EFFECTS if name != "cutout")):
        assert drawn(name, "-o", "b.png", "--strength", "0").exit_code == 0
        np.testing.assert_array_equal(read("b.png"), SCENE.image)


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp"])
def test_effect_command_keeps_colours_and_writes_upright_images(drawn: Poseg, suffix: str) -> None:
    """A photograph of a phone: on its side, with a profile of wide colours."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation], exif[ExifTags.Base.Model] = 6, "Phone"
    Image.fromarray(np.rot90(SCENE.image)).save("a.png", exif=exif, icc_profile=profile)
    assert drawn("outline", "-o", f"b{suffix}").exit_code == 0
    with Image.open(f"b{suffix}") as image:
        assert image.size == (240, 160)
        assert image.info["icc_profile"] == profile
        assert dict(image.getexif()) == {ExifTags.Base.Model: "Phone"}
    if suffix != ".jpg":
        assert (read(f"b{suffix}") == Outline()(SCENE.image, SCENE.people)).all(axis=2).mean() > 0.99


def test_commands_say_in_one_line_how_an_image_is_read(drawn: Poseg) -> None:
    frames = [Image.fromarray(SCENE.image), Image.fromarray(255 - SCENE.image)]
    frames[0].save("a.png", save_all=True, append_images=frames[1:])
    result = drawn("outline", "-o", "b.png")
    assert result.exit_code == 0
    assert result.stderr.count("poseg: a.png has 2 frames") == 1


def test_effect_command_chain_equals_two_commands(drawn: Poseg, poseg: Poseg) -> None:
    assert drawn("grey+outline", "-o", "both.png").exit_code == 0
    assert drawn("grey", "-o", "first.png").exit_code == 0
    again = ("first.png", "--people", "renamed.json", "-o", "second.png")
    write_results("renamed.json", coco_results(SCENE.people, "first.png"))
    assert poseg("effect", "outline", *again).exit_code == 0
    assert (read("both.png") == read("second.png")).all(axis=2).mean() > 0.98


# Examples.


def test_effect_command_detects_people_with_a_model(poseg: Poseg, spots: Spots, save: Save) -> None:
    save("photos/one.png", spots((60, 70)))
    save("photos/none.png", spots())
    result = poseg("effect", "pixelate", "photos", "-o", "out", "--model", "../spots.onnx", "--set", "part=person")
    assert result.exit_code == 0, result.stderr
    assert result.stderr == "poseg: photos/none.png: no people.\n"
    assert {path.name for path in Path("out").iterdir()} == {"one.effect.png", "none.effect.png"}
    np.testing.assert_array_equal(read("out/none.effect.png"), read("photos/none.png"))
    assert (read("out/one.effect.png") != read("photos/one.png")).any()


def test_effect_command_skips_its_own_outputs(drawn: Poseg) -> None:
    for _ in range(2):
        assert drawn("grey", ".", "-o", ".").exit_code == 0
        assert sorted(path.name for path in Path().glob("*.png")) == ["a.effect.png", "a.png"]


@pytest.mark.parametrize(
    ("name", "kind"), [("b.jpg", "JPEG"), ("b.JPEG", "JPEG"), ("b.webp", "WEBP"), ("b.png", "PNG")]
)
def test_effect_command_format_follows_the_suffix(drawn: Poseg, name: str, kind: str) -> None:
    assert drawn("grey", "-o", name).exit_code == 0
    with Image.open(name) as written:
        assert written.format == kind
    assert np.abs(read(name).astype(int) - read("a.png")).mean() < 60


def test_effect_command_cutout_keeps_transparency(drawn: Poseg) -> None:
    for name in ("b.png", "b.webp"):
        assert drawn("cutout", "-o", name).exit_code == 0
        assert set(np.unique(read(name)[..., 3])) >= {0, 255}


def test_effect_command_names_skipped_people(drawn: Poseg) -> None:
    records = coco_results(SCENE.people, "a.png")
    records[1]["keypoints"] = [0] * 51
    records[1].pop("keypoint_scores")
    Path("people.json").write_text(json.dumps(records))
    result = drawn("sticker", "-o", "b.png")
    assert result.exit_code == 0
    assert result.stderr.startswith("poseg: a.png: person 1 is skipped: Fewer than two joints of the face")
    assert "person 1 is skipped: sticker: Fewer" in drawn("grey+sticker", "-o", "b.png").stderr


def test_build_chain_gives_settings_to_the_effects_that_have_them(
    save: Save, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    save("red.png", np.full((20, 20, 4), (255, 0, 0, 90), np.uint8))
    steps = build_chain(
        "sticker+pixelate",
        ["size=2", "shift=0.5,-1", "image=red.png", "pixelate.strength=0.25", "colour=none", "at=left_wrist"],
        person=3, strength=0.5,
    )  # fmt: skip
    sticker, pixelate = steps.effects
    assert isinstance(sticker, Sticker)
    assert isinstance(pixelate, Pixelate)
    assert (sticker.size, sticker.shift, sticker.at) == (2.0, (0.5, -1.0), "left_wrist")
    assert sticker.image is not None
    assert tuple(sticker.image[0, 0]) == (255, 0, 0, 90)
    assert (sticker.person, sticker.strength, pixelate.strength, pixelate.colour) == (3, 0.5, 0.25, None)


def test_build_chain_parses_every_setting() -> None:
    """A value's own text sets it again, for every setting of every effect that is no image."""
    for name, effect in EFFECTS.items():
        for field, value in vars(effect()).items():
            flat = value if isinstance(value, tuple) else (value,)
            words = [part for pair in flat for part in (pair if isinstance(pair, tuple) else (pair,))]
            if field not in ("image",):
                (again,) = build_chain(
                    name, [f"{field}={','.join(str(word) for word in words)}"], person=None, strength=1
                ).effects
                assert getattr(again, field) == value


# Bad input.


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("wings", [], "no effect 'wings'; there are blur, cutout"),
        ("blur+", [], "no effect ''"),
        ("blur", ["radius"], "FIELD=VALUE"),
        ("blur", ["=3"], "FIELD=VALUE"),
        ("blur", ["radius=wide"], "radius of blur is a number, got 'wide'"),
        ("blur", ["width=3"], "no setting 'width': blur has person, radius"),
        ("blur", ["outline.width=3"], "not among blur"),
        ("outline", ["colour=red"], "3 values between commas, or #rrggbb"),
        ("outline", ["colour=#12345"], "#rrggbb"),
        ("outline", ["colour=1,2"], "colour of outline"),
        ("pixelate", ["cells=2.5"], "a whole number"),
        ("sticker", ["kind=crown"], "no sticker 'crown'"),
        ("cutout+blur", [], "last"),
    ],
)
def test_build_chain_names_unknown_names_and_values(name: str, settings: list[str], message: str) -> None:
    with pytest.raises(PosegError) as fault:
        build_chain(name, settings, person=None, strength=1)
    assert message in str(fault.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nosuch", "-o", "b.png"), "poseg: There is no effect 'nosuch'"),
        (("grey", "b.png", "-o", "b.jpg"), "poseg: There is no file or folder b.png"),
        (("grey", "-o", "b.gif"), "ends in .png"),
        (("grey", "-o", "nowhere/b.png"), "there is no folder"),
        (("cutout", "-o", "b.jpg"), "no transparency"),
        (("grey", "--person", "5", "-o", "b.png"), "a.png: There is no person 5"),
        (("grey", "--model", "small", "-o", "b.png"), "--people holds the people already"),
        (("replace", "--set", "image=gone.png", "-o", "b.png"), "There is no file gone.png"),
    ],
)
def test_effect_command_reports_errors_in_one_sentence(drawn: Poseg, arguments: tuple[str, ...], message: str) -> None:
    result = drawn(*arguments)
    assert result.exit_code == 2
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_effect_command_rejects_one_file_for_several_images(poseg: Poseg, spots: Spots, save: Save) -> None:
    for name in ("a.png", "b.png"):
        save(f"photos/{name}", spots())
    result = poseg("effect", "grey", "photos", "-o", "c.png", "--model", "../spots.onnx")
    assert result.exit_code == 2
    assert "c.png is one file, and there are 2 images" in result.stderr


def test_effect_command_continues_after_a_damaged_image(poseg: Poseg, spots: Spots, save: Save) -> None:
    save("photos/b.png", spots((60, 70)))
    Path("photos/a.png").write_bytes(Path("photos/b.png").read_bytes()[:200])
    result = poseg("effect", "grey", "photos", "-o", "out", "--model", "../spots.onnx")
    assert result.exit_code == 2
    assert "a.png is damaged" in result.stderr
    assert [path.name for path in Path("out").iterdir()] == ["b.effect.png"]


def test_effect_command_names_people_of_another_size(drawn: Poseg, save: Save) -> None:
    save("a.png", SCENE.image[:-8])
    result = drawn("grey", "-o", "b.png")
    assert result.exit_code == 2
    assert "a.png: people.masks has shape" in result.stderr
