"""A list that grows is valid JSON after every addition, whatever ends the job."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.errors import AnnotationError, OutputError
from poseg.io import json_list
from poseg.io.files import write_at, write_json
from poseg.io.json_list import JsonListWriter

RECORDS = [{"id": 1, "name": "a"}, {"id": 2}, {"id": 3, "values": [0.5, 1]}]


def names(folder):
    return sorted(path.name for path in folder.iterdir())


@given(st.lists(st.lists(st.dictionaries(st.text(max_size=2), st.integers()), max_size=3), min_size=1, max_size=4))
def test_it_is_valid_after_every_addition_and_equal_to_write_json(tmp_path_factory, batches):
    folder = tmp_path_factory.mktemp("list")
    so_far = []
    with JsonListWriter(folder / "a.json") as out:
        for batch in batches:
            out.extend(batch)
            so_far += batch
            assert json.loads((folder / "a.partial.json").read_bytes()) == so_far
            assert out.records == out.written == len(so_far)
    write_json(folder / "b.json", so_far)
    assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()
    assert names(folder) == ["a.json", "b.json"]


def test_an_error_keeps_what_was_added_and_an_unused_writer_leaves_the_old_file(tmp_path):
    def interrupted(records):
        with JsonListWriter(tmp_path / "a.json") as out:
            if records:
                out.extend(records)
            raise KeyboardInterrupt

    for records in (RECORDS, []):
        with pytest.raises(KeyboardInterrupt):
            interrupted(records)
        assert json.loads((tmp_path / "a.json").read_bytes()) == RECORDS
        assert names(tmp_path) == ["a.json"]


def test_records_wait_for_room_on_the_disk(tmp_path, monkeypatch):
    """A disk that has room for nothing but the bracket, then for everything."""

    def full(stream, position, data):
        if len(data) > 1:
            raise OSError(28, "No space left on device")
        write_at(stream, position, data)

    with JsonListWriter(tmp_path / "a.json") as out:
        out.extend(RECORDS[:1])
        monkeypatch.setattr(json_list, "write_at", full)
        with pytest.raises(OutputError, match="No space left"):
            out.extend(RECORDS[1:2])
        assert out.written == 1
        assert json.loads((tmp_path / "a.partial.json").read_bytes()) == RECORDS[:1]
        monkeypatch.undo()
        out.extend(RECORDS[2:])
    assert json.loads((tmp_path / "a.json").read_bytes()) == RECORDS


def test_numbers_that_are_not_finite_are_rejected(tmp_path):
    with JsonListWriter(tmp_path / "a.json") as out:
        out.extend(RECORDS)
        with pytest.raises(AnnotationError, match="finite"):
            out.extend([{"x": float("nan")}])
    assert json.loads((tmp_path / "a.json").read_bytes()) == RECORDS


def test_a_path_that_cannot_be_written_is_reported_at_once(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        JsonListWriter(tmp_path)
