"""Finding images: order kept, each once, one sentence for each source that gives none."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

import poseg.io.sources as sources_module
from poseg.errors import ImageError
from poseg.io.sources import find_images, image_ids


@pytest.fixture
def album(tmp_path, monkeypatch):
    for name in ("b.jpg", "a.PNG", "notes.txt", ".hidden.jpg", "deep/c.jpeg", "deep/er/d.webp", "empty/readme.md"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*sources):
    result = find_images(sources)
    assert not result.errors
    return [path.as_posix() for path in result.paths]


def test_folder_gives_its_images_sorted_by_name(album):
    assert found(".") == ["a.PNG", "b.jpg"]
    assert found(str(album)) == [f"{album.as_posix()}/a.PNG", f"{album.as_posix()}/b.jpg"]


def test_patterns_match_images_at_any_depth(album):
    assert found("*.jpg") == ["b.jpg"]
    assert found("*") == ["a.PNG", "b.jpg"]
    assert found("**/*.jp*g") == ["b.jpg", "deep/c.jpeg"]
    assert found("**") == ["a.PNG", "b.jpg", "deep/c.jpeg", "deep/er/d.webp"]
    assert found("[ab].*") == ["a.PNG", "b.jpg"]


def test_file_is_taken_whatever_its_name(album):
    assert found("notes.txt", Path(".hidden.jpg")) == ["notes.txt", ".hidden.jpg"]


def test_existing_files_have_priority_over_patterns(album):
    (album / "x[1].jpg").write_bytes(b"x")
    (album / "x1.jpg").write_bytes(b"x")
    assert found("x[1].jpg") == ["x[1].jpg"]
    (album / "x[1].jpg").unlink()
    assert found("x[1].jpg") == ["x1.jpg"]


def test_order_is_kept_without_duplicates(album):
    assert found("b.jpg", ".", "./b.jpg", str(album / "a.PNG"), "deep/../b.jpg") == ["b.jpg", "a.PNG"]


def test_each_bad_source_has_an_error_and_the_others_are_returned(album):
    os.symlink("nowhere.jpg", album / "dangling.jpg")
    bad = [
        "empty",
        "missing.jpg",
        "*.bmp",
        "*.txt",
        "https://example.org/a.jpg",
        "s3://bucket/a.jpg",
        "dangling.jpg",
        "n" * 300,
        "a\0b",
    ]
    result = find_images([bad[0], "b.jpg", *bad[1:], "deep"])
    assert [path.as_posix() for path in result.paths] == ["b.jpg", "deep/c.jpeg"]
    assert len(result.errors) == len(bad)
    for source, fault in zip(bad, result.errors, strict=True):
        assert isinstance(fault, ImageError)
        assert source in str(fault)


def test_folders_that_link_in_a_circle_are_visited_once(album):
    for name in ("x", "y", "z"):
        os.symlink(album, album / "deep" / name)  # each of them holds all three again
    os.symlink(album / "deep", album / "linked")
    assert found("**/*.webp") in (["deep/er/d.webp"], ["linked/er/d.webp"])
    assert len(found("**")) == 4


def test_folders_that_cannot_be_listed_are_named(album, monkeypatch):
    scandir = os.scandir

    def refuse(path="."):
        if str(path).endswith("er"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    result = find_images(["**/*.jp*g"])
    assert [path.as_posix() for path in result.paths] == ["b.jpg", "deep/c.jpeg"]
    assert [str(fault).partition(":")[0] for fault in result.errors] == ["Cannot list folder ./deep/er"]
    assert len(find_images(["deep/er"]).errors) == 1


def test_images_that_cannot_be_decoded_here_are_counted(album, monkeypatch):
    for name in ("1.heic", "2.HEIC", "raw/3.nef", "raw/4.jpg"):
        (album / name).parent.mkdir(exist_ok=True)
        (album / name).touch()
    monkeypatch.setattr(sources_module, "find_spec", lambda name: None)
    without, raw = find_images(["."]), find_images(["raw"])
    assert [path.name for path in without.paths] == ["a.PNG", "b.jpg"]
    assert len(without.errors) == 1
    assert "2 .heic; " in str(without.errors[0])
    assert "pip install 'poseg[heif]'" in str(without.errors[0])
    assert [path.name for path in raw.paths] == ["4.jpg"]
    assert "1 .nef; save" in str(raw.errors[0])
    monkeypatch.setattr(sources_module, "find_spec", lambda name: name)
    assert [Path(name).name for name in found(".")] == ["1.heic", "2.HEIC", "a.PNG", "b.jpg"]


def test_no_sources_give_no_images():
    result = find_images([])
    assert result.paths == ()
    assert result.errors == ()


def test_integer_names_are_the_ids():
    paths = [Path("a/000000000139.jpg"), Path("000000000785.png")]
    assert image_ids(paths) == {paths[0]: 139, paths[1]: 785}


@pytest.mark.parametrize(
    "names", [["1.jpg", "b.jpg"], ["1.jpg", "x/01.jpg"], ["²7.jpg", "3.jpg"], ["-1.jpg"], [f"{10**18}.jpg"]]
)
def test_other_names_are_counted_from_one(names):
    ids = image_ids(map(Path, names))
    assert list(ids.values()) == list(range(1, len(names) + 1))


def test_no_paths_give_no_ids():
    assert image_ids([]) == {}
