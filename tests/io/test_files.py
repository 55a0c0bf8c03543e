"""Files appear whole or not at all."""

from __future__ import annotations

import gzip
import os
import stat

import pytest

from poseg.errors import AnnotationError, OutputError
from poseg.io.files import atomic_write, read_json, write_bytes, write_json, write_text


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_write_text_and_bytes_round_trip(tmp_path):
    write_text(tmp_path / "a.txt", "Größe\nzwei\n")
    write_bytes(tmp_path / "b.bin", b"\x00\xff")
    assert (tmp_path / "a.txt").read_bytes() == "Größe\nzwei\n".encode()
    assert (tmp_path / "b.bin").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["a.txt", "b.bin"]


def test_atomic_write_failure_keeps_the_old_file(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("old")

    def stop_half_way():
        with atomic_write(target) as spare:
            spare.write_text("ha")
            assert spare.parent == target.parent
            assert spare.suffix == ".txt"
            assert target.read_text() == "old"
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stop_half_way()
    assert target.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_atomic_write_follows_links(tmp_path):
    (tmp_path / "real.txt").write_text("old")
    (tmp_path / "link.txt").symlink_to("real.txt")
    write_text(tmp_path / "link.txt", "new")
    assert (tmp_path / "link.txt").is_symlink()
    assert (tmp_path / "real.txt").read_text() == "new"


def test_atomic_write_keeps_default_permissions(tmp_path):
    (tmp_path / "plain").write_text("")
    write_text(tmp_path / "ours", "")
    modes = {stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("plain", "ours")}
    assert len(modes) == 1


def test_atomic_write_takes_names_of_maximum_length(tmp_path):
    write_text(tmp_path / ("n" * 255), "x")
    assert (tmp_path / ("n" * 255)).read_text() == "x"


def test_atomic_write_reports_invalid_targets(tmp_path):
    with pytest.raises(OutputError, match="is a folder"):
        write_text(tmp_path, "x")
    with pytest.raises(OutputError, match="there is no folder"):
        write_text(tmp_path / "missing" / "a.txt", "x")
    with pytest.raises(OutputError, match="device"):
        write_text(os.devnull, "x")
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="no folder"):
        write_text(tmp_path / "file" / "a.txt", "x")


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_atomic_write_reports_missing_permissions(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OutputError, match="Permission denied"):
        write_text(tmp_path / "a.txt", "x")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_json_is_read_by_its_content_whatever_its_name(tmp_path, name, encoding, pack):
    (tmp_path / name).write_bytes(pack('{"é": 1}'.encode(encoding)))
    assert read_json(tmp_path / name) == {"é": 1}


@pytest.mark.parametrize("name", ["a.json", "a.json.gz"])
def test_write_json_round_trips_and_is_deterministic(tmp_path, name):
    value = {"a": [1, 2.5, None, True], "ü": "ü"}
    write_json(tmp_path / name, value)
    first = (tmp_path / name).read_bytes()
    write_json(tmp_path / name, value)
    assert (tmp_path / name).read_bytes() == first
    assert first.startswith(b"\x1f\x8b") == name.endswith(".gz")
    assert read_json(tmp_path / name) == value


def test_write_json_rejects_nan(tmp_path):
    with pytest.raises(AnnotationError, match="finite"):
        write_json(tmp_path / "a.json", [float("nan")])
    assert names(tmp_path) == []


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.json", b"", "not JSON"),
        ("a.json", b"{'a': 1}", "not JSON"),
        ("a.json", b"\xff\xfe\x00\xd8", "not JSON"),
        ("a.json", b"[" * 100_000, "not JSON"),
        ("a.json.gz", b"\x1f\x8b\x08\x00", "file is complete"),
    ],
)
def test_read_json_reports_invalid_files(tmp_path, name, data, message):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(AnnotationError, match=message) as raised:
        read_json(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value)


def test_read_json_reports_missing_files(tmp_path):
    with pytest.raises(AnnotationError, match="no file"):
        read_json(tmp_path / "a.json")
    with pytest.raises(AnnotationError, match="Cannot read"):
        read_json(tmp_path)
