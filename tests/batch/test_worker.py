"""A shard holds what the detector predicts for each image, in order, and errors as rows beside them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from poseg.batch.job import BatchResult, Job, ShardWorker, run_batch
from poseg.batch.plan import Plan, make_plan
from poseg.batch.rows import Result, read_shard, write_shard
from poseg.batch.summary import write_summary
from poseg.batch.worker import Output, process_shard
from poseg.errors import AnnotationError, OutputError
from poseg.geometry.masks import Masks
from poseg.people import People
from poseg.skeletons import COCO17

pytest.importorskip("pyarrow")


def detect(image: np.ndarray) -> People:
    """People who depend on the image: as many as its mean says."""
    height, width = image.shape[:2]
    count = int(image.mean()) % 3
    random = np.random.default_rng(count)
    masks = np.zeros((count, height, width), bool)
    for person in range(count):
        masks[person, 3 : 9 + person, 2:14] = True
    points = random.uniform(0, width, (count, 17, 2))
    return People.from_poses(COCO17, points, random.uniform(0, 1, (count, 17)), masks=Masks.from_full(masks))


def assert_equal(one: People, other: People) -> None:
    for name in ("keypoints", "keypoint_scores", "scores", "boxes_xyxy"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
    assert one.masks is not None
    assert other.masks is not None
    np.testing.assert_array_equal(np.asarray(one.masks), np.asarray(other.masks))


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(5):
        cv2.imwrite(str(folder / f"{number}.png"), np.full((40, 50 + number, 3), 30 + number, np.uint8))
    (folder / "2b.png").write_bytes(b"not an image")
    return make_plan([str(folder)], shard_items=4)


def finish(plan: Plan, folder: Path) -> Output:
    output = Output(folder)
    output.make()
    first = 0
    for number, items in enumerate(plan.shards):
        process_shard(number, first, items, detect, output)
        first += len(items)
    return output


def test_rows_equal_the_detector_on_each_image(plan, tmp_path):
    output = finish(plan, tmp_path / "out")
    rows = [row for shard in range(len(plan.shards)) for row in read_shard(output.people(shard))]
    items = [item for shard in plan.shards for item in shard]
    assert [row.name for row in rows] == [item.name for item in items]
    assert [row.item for row in rows] == list(range(len(items)))
    for row in rows:
        if row.name.endswith("2b.png"):
            assert row.people is None
            assert "2b.png" in (row.error or "")
            continue
        image = cv2.imread(row.name)
        assert row.size == image.shape[:2]
        assert_equal(row.people, detect(image))


def test_coco_results_hold_the_same_people(plan, tmp_path):
    output = finish(plan, tmp_path / "out")
    for shard in range(len(plan.shards)):
        records = json.loads(output.coco(shard).read_text())
        rows = list(read_shard(output.people(shard)))
        assert [record["image_id"] for record in records] == [r.item + 1 for r in rows for _ in r.people or ()]


def test_the_same_shard_gives_the_same_bytes(plan, tmp_path):
    one, other = finish(plan, tmp_path / "a"), finish(plan, tmp_path / "b")
    for shard in range(len(plan.shards)):
        assert one.people(shard).read_bytes() == other.people(shard).read_bytes()
        assert one.coco(shard).read_bytes() == other.coco(shard).read_bytes()


def test_frames_ids_and_errors_survive_the_file(tmp_path):
    people = detect(np.full((40, 50, 3), 2, np.uint8))
    tracked = People(COCO17, people.keypoints, people.keypoint_scores, people.scores, people.boxes_xyxy,
                     ids=np.array([7, 3]))  # fmt: skip
    write_shard(
        tmp_path / "a.parquet", [Result(0, "a.mp4", (40, 50), tracked, None, 4, 0.125), Result(0, "a", error="x")]
    )
    frame, error = read_shard(tmp_path / "a.parquet")
    assert (frame.frame, frame.time_s, frame.people.masks) == (4, 0.125, None)
    np.testing.assert_array_equal(frame.people.ids, [7, 3])
    assert (error.people, error.size, error.error) == (None, None, "x")


def test_other_files_are_no_shards(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    for name in ("a.parquet", "none.parquet"):
        with pytest.raises(AnnotationError):
            list(read_shard(tmp_path / name))


def test_a_finished_job_starts_no_workers_and_a_summary_names_its_errors(plan, tmp_path):
    out = tmp_path / "out"
    output = Output(out)
    job = Job(plan, lambda: detect, {"model": "a"}, out)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("poseg.batch.job._ray", lambda job: pytest.fail("Ray was started"))
        patch.setattr("poseg.batch.job._finished", lambda *_: True)
        patch.setattr("poseg.batch.job.read_json", lambda path: {"errors": 0})
        run_batch(job)  # leaves the manifest
        patch.undo()
        finish(plan, out)
        patch.setattr("poseg.batch.job._ray", lambda job: pytest.fail("Ray was started"))
        assert run_batch(job) == BatchResult(items=0, resumed=plan.items, errors=1)
    page = write_summary(plan, output.folder).read_text()
    assert "2b.png" in page
    assert "data:image/jpeg" in page


def test_the_folder_of_another_job_is_refused_and_left_as_it_is(plan, tmp_path):
    out = tmp_path / "out"
    finish(plan, out)
    with pytest.raises(OutputError):  # results of which nothing says what they are of
        run_batch(Job(plan, lambda: detect, {}, out))
    (out / "job.json").write_text(json.dumps({"sources": plan.fingerprint, "settings": {"model": "a"}}))
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    with pytest.raises(OutputError):
        run_batch(Job(plan, lambda: detect, {"model": "b"}, out))
    assert before == {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}


def row_of(plan: Plan) -> dict[str, object]:
    return {"shard": 0, "first": 0, "items": json.dumps(plan.shards[0])}


def test_no_space_left_is_a_sentence_and_leaves_nothing_half_written(plan, tmp_path, monkeypatch):
    output = Output(tmp_path / "out")
    output.make()

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.replace", full)
    worker = ShardWorker(lambda: detect, output, None)
    assert "No space left" in json.loads(worker(row_of(plan))["notes"])["fault"]
    assert not [path for path in output.folder.rglob("*") if path.is_file()]
    monkeypatch.undo()
    assert "fault" not in json.loads(worker(row_of(plan))["notes"])


def test_what_a_killed_worker_left_half_written_is_removed(plan, tmp_path):
    output = finish(plan, tmp_path / "out")
    before = sorted(output.folder.rglob("*"))
    (output.folder / "people" / ".0123.parquet").write_bytes(b"PAR1")
    output.make()
    assert sorted(output.folder.rglob("*")) == before


def test_a_shard_that_kills_its_worker_is_given_up(plan, tmp_path):
    output = Output(tmp_path / "out")
    output.make()

    def dies(image: np.ndarray) -> People:
        raise SystemExit

    for _ in range(3):
        with pytest.raises(SystemExit):
            ShardWorker(lambda: dies, output, None)(row_of(plan))
    assert "died" in json.loads(ShardWorker(lambda: dies, output, None)(row_of(plan))["notes"])["fault"]
    assert not output.people(0).exists()


def test_a_clip_is_one_row_group_with_ids_over_time_and_its_damage_one_row_more(tmp_path):
    pytest.importorskip("av")
    pytest.importorskip("scipy")
    pytest.importorskip("OneEuroFilter")
    import pyarrow.parquet as pq

    from poseg.io.video_writer import VideoWriter

    clip = tmp_path / "clip.mp4"
    with VideoWriter(clip, (64, 96), rate=10) as writer:
        for number in range(6):
            writer.write(np.full((64, 96, 3), 100, np.uint8), number / 10)
    output = finish(make_plan([str(clip)]), tmp_path / "out")
    rows = list(read_shard(output.people(0)))
    assert pq.ParquetFile(output.people(0)).num_row_groups == 1
    assert [row.frame for row in rows] == list(range(6))
    np.testing.assert_allclose([row.time_s for row in rows], np.arange(6) / 10, atol=1e-6)
    assert len({tuple(row.people.ids) for row in rows}) == 1
    clip.write_bytes(b"not a video")
    (row,) = read_shard(finish(make_plan([str(clip)]), tmp_path / "other").people(0))
    assert "clip.mp4" in (row.error or "")
