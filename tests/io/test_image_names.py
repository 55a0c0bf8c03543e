"""A name means the image that fits it best, where exactly one does; all else is named."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.io.image_names import NameIndex, match_files

FILES = ("a.jpg", "Größe 1.png", "sub/b.jpg", "COCO_val2014_000000000042.jpg", "frame_7.png", "notes.txt", "c.tar.gz")
NAMES = st.lists(st.text("abAB01_. ", min_size=1, max_size=6), min_size=1, max_size=8, unique=True)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in FILES:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        *((name, name) for name in FILES),
        ("./a.jpg", "a.jpg"),
        ("sub\\b.jpg", "sub/b.jpg"),
        ("C:\\data\\images\\sub\\b.jpg", "sub/b.jpg"),
        ("C:\\data\\a.jpg", "a.jpg"),
        ("https://images.cocodataset.org/val2017/a.jpg", "a.jpg"),
        ("A.JPG", "a.jpg"),
        ("old/a.jpeg", "a.jpg"),
        ("a", "a.jpg"),
        ("GRÖSSE%201.PNG", "Größe 1.png"),
        (unicodedata.normalize("NFD", "Größe 1.png"), "Größe 1.png"),
        ("42", "COCO_val2014_000000000042.jpg"),
        ("000000000042.jpg", "COCO_val2014_000000000042.jpg"),
        ("0007.jpg", "frame_7.png"),
    ],
)
def test_the_one_file_that_fits_is_meant(folder, name, file):
    files = match_files(folder, [name])
    assert files.paths == {name: folder / file}
    assert not files.faults


@pytest.mark.parametrize(
    "name", ["z.jpg", "train/sub", "dog_42.jpg", "2", "notes", "c.tar", "sub", "..", "/", "\0", "x" * 300]
)
def test_a_name_that_fits_nothing_has_no_file(folder, name):
    assert name not in match_files(folder, [name]).paths


def test_where_two_fit_none_is_taken_and_both_are_named(folder):
    (folder / "a.png").touch()
    (folder / "x_42.jpg").touch()
    files = match_files(folder, ["a", "42"])
    assert not files.paths
    assert "a.jpg or a.png" in files.faults["a"]
    assert "x_42.jpg" in files.faults["42"]


def test_a_file_is_given_once_and_to_its_own_name_first(folder):
    files = match_files(folder, ["A", "a.jpg", "42", "0042.png"])
    assert files.paths == {"a.jpg": folder / "a.jpg"}
    assert set(files.faults) == {"42", "0042.png"}


def test_entries_that_cannot_be_read_are_named_and_the_others_stay(folder):
    (folder / "gone.jpg").symlink_to(folder / "nowhere.jpg")
    (folder / "loop.jpg").symlink_to(folder / "loop.jpg")
    (folder / "folder.jpg").mkdir()
    names = ["gone.jpg", "loop.jpg", "folder.jpg", "a.jpg"]
    files = match_files(folder, names)
    assert set(files.paths) == {"a.jpg"}
    assert set(files.faults) == set(names[:3])


@given(NAMES)
def test_every_name_finds_itself(names):
    index = NameIndex(dict(enumerate(names)))
    for key, name in enumerate(names):
        assert index.find(name)[1] in ([key], [])


@given(NAMES, st.text("abAB01_. ", min_size=1, max_size=6))
def test_what_fits_does_not_depend_on_the_order(names, wanted):
    keys = {name: name for name in names}
    assert set(NameIndex(keys).find(wanted)[1]) == set(NameIndex(dict(reversed(keys.items()))).find(wanted)[1])
