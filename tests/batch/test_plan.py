"""The same sources give the same plan; what a plan names can be read; nothing is opened that is not asked for."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest

from poseg.batch.plan import CLIP, FAULT, make_plan
from poseg.batch.reader import decoded
from poseg.cli.batch import detector_settings
from poseg.cli.predict_options import DetectOptions
from poseg.errors import ImageError
from poseg.io.images import read_image

IMAGES = 5


def png(number: int) -> bytes:
    image = np.random.default_rng(number).integers(0, 255, (40 + number, 60, 3), np.uint8)
    return cv2.imencode(".png", image)[1].tobytes()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for number in range(IMAGES):
        (tmp_path / "images" / f"{number}.png").write_bytes(png(number))
    return tmp_path / "images"


def tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return path


def parquet(path: Path, columns: dict[str, list[object]], **options: int) -> Path:
    pa = pytest.importorskip("pyarrow")
    import pyarrow.parquet as pq

    pq.write_table(pa.table(columns), path, **options)
    return path


def images(sources: list[str], **options: str) -> list[np.ndarray]:
    plan = make_plan(sources, shard_items=2, **options)
    return [image for shard in plan.shards for _, image in decoded(shard, plan.image_column)]


def source(kind: str, folder: Path) -> str:
    data = {f"{number}.png": png(number) for number in range(IMAGES)}
    if kind == "folder":
        return str(folder)
    if kind == "list":
        (folder.parent / "list.txt").write_text("".join(f"images/{name}\n" for name in data))
        return str(folder.parent / "list.txt")
    if kind == "tar":
        text = {f"{number}.json": b"{}" for number in range(IMAGES)}
        return str(tar(folder.parent / "a.tar", data | text))
    if kind == "memory":
        fsspec = pytest.importorskip("fsspec")
        for name, content in data.items():
            fsspec.filesystem("memory").pipe(f"/batch/{name}", content)
        return "memory://batch"
    column = list(data.values()) if kind == "parquet" else [{"bytes": each, "path": None} for each in data.values()]
    return str(parquet(folder.parent / "a.parquet", {"image": column, "name": list(data)}, row_group_size=2))


@pytest.mark.parametrize("kind", ["folder", "list", "tar", "memory", "parquet", "parquet of structs"])
def test_every_kind_of_source_gives_the_same_pixels_in_order(kind, folder):
    read = images([source(kind, folder)])
    assert len(read) == IMAGES
    for number, image in enumerate(read):
        np.testing.assert_array_equal(image, read_image(png(number)))


def test_equal_sources_give_equal_fingerprints_and_others_do_not(folder):
    plan = make_plan([str(folder)], shard_items=2)
    assert plan.fingerprint == make_plan([str(folder)], shard_items=2).fingerprint
    assert plan.fingerprint != make_plan([str(folder)], shard_items=3).fingerprint
    (folder / "new.png").write_bytes(png(9))
    assert plan.fingerprint != make_plan([str(folder)], shard_items=2).fingerprint


def test_shards_partition_the_items_and_clips_are_alone(folder):
    (folder / "2.mp4").write_bytes(b"")
    plan = make_plan([str(folder)], shard_items=2)
    assert sorted(map(len, plan.shards)) == [1, 1, 2, 2]
    assert len({item for shard in plan.shards for item in shard}) == plan.items == IMAGES + 1
    assert sum(shard[0].kind == CLIP for shard in plan.shards) == 1


def test_a_truncated_tar_gives_what_comes_before_and_a_fault(folder):
    whole = tar(folder.parent / "whole.tar", {f"{number}.png": png(number) for number in range(IMAGES)})
    cut = folder.parent / "cut.tar"
    cut.write_bytes(whole.read_bytes()[:15000])
    plan = make_plan([str(cut)])
    assert plan.shards[0][-1].kind == FAULT
    read = images([str(cut)])
    assert 2 <= len(read) <= IMAGES
    np.testing.assert_array_equal(read[0], read_image(png(0)))
    assert isinstance(read[-1], ImageError)


def test_broken_members_and_rows_are_errors_between_the_others(folder):
    read = images([str(tar(folder.parent / "a.tar", {"a.png": png(0), "b.png": b"no", "c.png": png(1)}))])
    assert [isinstance(image, ImageError) for image in read] == [False, True, False]
    read = images([str(parquet(folder.parent / "a.parquet", {"image": [png(0), None, b"no", png(1)]}))])
    assert [isinstance(image, ImageError) for image in read] == [False, True, True, False]


def test_parquet_without_image_bytes_is_refused_unless_its_column_is_named(folder):
    path = str(parquet(folder.parent / "a.parquet", {"photo": [png(0)], "label": [1]}))
    for column in (None, "label", "missing"):
        with pytest.raises(ImageError, match="photo"):
            make_plan([path], image_column=column)
    assert len(images([path], image_column="photo")) == 1


@pytest.mark.parametrize("missing", ["none.png", "none.txt", "none/*.png"])
def test_sources_that_do_not_exist_are_named(missing, tmp_path):
    with pytest.raises(ImageError, match="none"):
        make_plan([str(tmp_path / missing)])


def test_no_file_of_a_missing_address():
    pytest.importorskip("fsspec")
    with pytest.raises(ImageError, match="nowhere"):
        make_plan(["memory://nowhere"])


def test_settings_differ_between_detectors_and_not_between_equal_ones() -> None:
    default = detector_settings(DetectOptions())
    assert default == detector_settings(DetectOptions(model="small", threads=3))
    others = [DetectOptions(model="accurate"), DetectOptions(model="fast"), DetectOptions(min_score=0.2)]
    assert all(detector_settings(other) != default for other in others)
