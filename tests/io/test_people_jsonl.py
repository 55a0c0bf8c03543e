"""People of a video as JSON lines: what is written comes back, also from a file that was cut off."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from dataclasses import replace
from fractions import Fraction
from importlib import import_module

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from poseg.errors import AnnotationError, OutputError, SkeletonError, VideoError
from poseg.io.coco_results import read_results
from poseg.io.people_jsonl import FramesWriter, read_frames
from poseg.people import People
from poseg.skeletons import COCO17, LSP14, SKELETONS, Skeleton

SIZE = (40, 60)


def some_people(seed=0, n=3, skeleton=COCO17, *, masks=True, ids=True):
    rng = np.random.default_rng(seed)
    k = len(skeleton)
    people = People.from_poses(
        skeleton,
        rng.uniform(-5, 65, (n, k, 2)),
        np.where(rng.random((n, k)) < 0.3, 0, rng.uniform(0.01, 1, (n, k))),
        scores=rng.random(n),
        masks=rng.random((n, *SIZE)) < 0.4 if masks else None,
    )
    return replace(people, ids=rng.permutation(n * 10)[:n] if ids else None)


def write(path, frames, skeleton=COCO17, **header):
    with FramesWriter(path, skeleton, **header) as out:
        for frame, time_s, people in frames:
            out.write(frame, time_s, people, SIZE)
    return path


def arrays(people):
    return (people.keypoints, people.keypoint_scores, people.scores, people.boxes_xyxy, people.ids, people.masks)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 4), masks=st.booleans(), ids=st.booleans(), data=st.data())
@settings(max_examples=25, deadline=None)
def test_frames_round_trip(tmp_path_factory, seed, n, masks, ids, data):
    skeleton = data.draw(st.sampled_from(list(SKELETONS.values())))
    people = some_people(seed, n, skeleton, masks=masks, ids=ids)
    folder = tmp_path_factory.mktemp("frames")
    read = read_frames(write(folder / "a.jsonl", [(4, 0.16, people)], skeleton))
    assert read.skeleton == skeleton
    ((frame, time_s, found),) = read
    assert (frame, time_s) == (4, 0.16)
    np.testing.assert_allclose(found.keypoints, people.keypoints, atol=0.0051)
    np.testing.assert_allclose(found.keypoint_scores, people.keypoint_scores, atol=0.0001)
    np.testing.assert_allclose(found.scores, people.scores, atol=1e-6)
    np.testing.assert_array_equal(found.keypoint_scores > 0, people.keypoint_scores > 0)
    for before, after in ((people.ids, found.ids), (people.masks, found.masks)):
        assert (before is None) == (after is None)
        if before is not None:
            np.testing.assert_array_equal(after, before)
    (again,) = read_frames(write(folder / "b.jsonl", [(4, 0.16, found)], skeleton))  # now to the bit
    for once, twice in zip(arrays(found), arrays(again.people), strict=True):
        np.testing.assert_array_equal(once, twice)


def test_read_frames_can_be_iterated_again(tmp_path):
    written = [(0, 0.0, some_people(0)), (1, 0.04, People.empty(COCO17)), (7, 1 / 3, some_people(1, 2))]
    read = read_frames(write(tmp_path / "a.jsonl", written, source="clip.mp4", rate=Fraction(30000, 1001)))
    assert (read.source, read.rate) == ("clip.mp4", Fraction(30000, 1001))
    for _ in range(2):
        found = list(read)
        assert [(frame, time_s, len(people)) for frame, time_s, people in found] == [
            (0, 0, 3),
            (1, 0.04, 0),
            (7, 1 / 3, 2),
        ]
    assert found[1].people.masks.shape == (0, *SIZE)


def test_custom_skeleton_round_trips(tmp_path):
    own = Skeleton(
        "arm", ("shoulder", "elbow", "hand"), (("shoulder", "elbow"), ("elbow", "hand")), sigmas=(0.1, 0.2, 0.3)
    )
    read = read_frames(write(tmp_path / "a.jsonl", [(0, 0.0, some_people(0, 2, own))], own))
    assert read.skeleton == own
    assert [len(people) for _, _, people in read] == [2]


def test_people_of_all_lines_are_a_coco_result_file(tmp_path):
    people = some_people(0)
    path = write(tmp_path / "a.jsonl", [(0, 0.0, people), (5, 0.2, some_people(1))])
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert (lines[1]["frame"], lines[1]["width"], lines[1]["height"]) == (0, 60, 40)
    assert [person["id"] for person in lines[1]["people"]] == people.ids.tolist()
    (tmp_path / "results.json").write_text(json.dumps([person for line in lines[1:] for person in line["people"]]))
    results = read_results(tmp_path / "results.json")
    assert sorted(results) == [0, 5]
    np.testing.assert_allclose(results[0].keypoints, people.keypoints, atol=0.0051)


# --- nothing is lost ---------------------------------------------------------------------------------------------


def test_growing_file_can_be_read(tmp_path):
    with FramesWriter(tmp_path / "a.jsonl", COCO17) as out:
        for i in range(3):
            out.write(i, i / 25, some_people(i), SIZE)
            assert len(list(read_frames(tmp_path / "a.partial.jsonl"))) == i + 1
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


def test_error_keeps_the_written_lines(tmp_path):
    def fail_after(frames):
        with FramesWriter(tmp_path / "a.jsonl", COCO17) as out:
            for i in range(frames):
                out.write(i, i / 25, some_people(), SIZE)
            raise KeyboardInterrupt

    for frames in (2, 0):  # where nothing was done, the old file stays
        with pytest.raises(KeyboardInterrupt):
            fail_after(frames)
        assert len(list(read_frames(tmp_path / "a.jsonl"))) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


WORK = """
import os, signal, sys
from poseg.io.people_jsonl import FramesWriter
from poseg.people import People
from poseg.skeletons import COCO17
with FramesWriter(sys.argv[1], COCO17) as out:
    for i in range(9):
        out.write(i, i / 25, People.empty(COCO17), (40, 60))
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="there is no SIGKILL here")
def test_killed_process_leaves_every_line(tmp_path):
    ended = subprocess.run([sys.executable, "-c", WORK, str(tmp_path / "a.jsonl")])
    assert ended.returncode == -signal.SIGKILL
    assert [frame for frame, _, _ in read_frames(tmp_path / "a.partial.jsonl")] == list(range(9))


@given(torn=st.integers(1, 400))
@settings(max_examples=25, deadline=None)
def test_incomplete_last_line_is_left_out(tmp_path_factory, torn):
    path = write(tmp_path_factory.mktemp("torn") / "a.jsonl", [(i, i / 25, some_people(i)) for i in range(3)])
    path.write_bytes(path.read_bytes()[:-torn])
    assert [frame for frame, _, _ in read_frames(path)] == [0, 1, 2][: 3 if torn == 1 else 2]


# --- bad input ---------------------------------------------------------------------------------------------------


def spoil(line, **changes):
    return json.dumps({**json.loads(line), **changes})


@pytest.mark.parametrize(
    ("number", "change", "message"),
    [
        (1, lambda line: spoil(line, format="other"), "not a header"),
        (1, lambda line: spoil(line, version=99), "version 99"),
        (1, lambda line: spoil(line, skeleton="octopus"), "octopus"),
        (1, lambda line: spoil(line, skeleton={"name": "x"}), "header"),
        (1, lambda line: spoil(line, skeleton=5), "header"),
        (1, lambda line: spoil(line, rate="1/0"), "header"),
        (1, lambda line: "[]", "not a JSON object"),
        (2, lambda line: line[:-9], "not JSON"),
        (2, lambda line: "\x00", "not JSON"),
        (2, lambda line: "3", "not a JSON object"),
        (2, lambda line: spoil(line, frame=None), "frame"),
        (2, lambda line: spoil(line, time_s="soon"), "soon"),
        (2, lambda line: spoil(line, time_s=float("nan")), "time_s"),
        (2, lambda line: spoil(line, people=None), "people|NoneType"),
        (2, lambda line: spoil(line, people=[3]), "frame"),
        (2, lambda line: spoil(line, width=61), "masks are"),
        (2, lambda line: spoil(line, people=[{"keypoints": []}]), "score"),
        (3, lambda line: spoil(line, frame=0), "frames must increase"),
        (3, lambda line: spoil(line, people=[{"score": 1, "keypoints": [1, 2, 1]}]), "keypoints"),
        (3, lambda line: spoil(line, people=[{"score": 1, "id": 1}, {"score": 1}]), "id is None"),
        (3, lambda line: spoil(line, people=[{"score": 1, "id": 2**70}]), "id"),
        (3, lambda line: spoil(line, people=[{"score": 1, "segmentation": {"size": [4, 4], "counts": "?"}}]), "."),
    ],
)
def test_invalid_lines_are_reported_with_their_number(tmp_path, number, change, message):
    path = write(tmp_path / "a.jsonl", [(i, i / 25, some_people(i)) for i in range(4)])
    lines = path.read_text().splitlines()
    lines[number - 1] = change(lines[number - 1])
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(AnnotationError, match=message) as raised:
        list(read_frames(path))
    assert f"{path}, line {number}" in str(raised.value)


@pytest.mark.parametrize("data", [b"", b'{"format": "pos'])
def test_file_without_a_complete_line_is_reported(tmp_path, data):
    (tmp_path / "a.jsonl").write_bytes(data)
    with pytest.raises(AnnotationError, match="no complete line"):
        read_frames(tmp_path / "a.jsonl")


def test_missing_files_are_reported(tmp_path):
    with pytest.raises(AnnotationError, match="no file"):
        read_frames(tmp_path / "a.jsonl")
    with pytest.raises(AnnotationError, match="Cannot read"):
        read_frames(tmp_path)
    with pytest.raises(OutputError, match="no folder"):
        FramesWriter(tmp_path / "missing" / "a.jsonl", COCO17)


def test_invalid_frames_are_rejected(tmp_path):
    with FramesWriter(tmp_path / "a.jsonl", COCO17) as out:
        out.write(3, 0.0, some_people(), SIZE)
        with pytest.raises(AnnotationError, match="cannot follow frame 3"):
            out.write(3, 0.1, some_people(), SIZE)
        with pytest.raises(SkeletonError, match="to\\(\\)"):
            out.write(4, 0.1, some_people(skeleton=LSP14), SIZE)
        with pytest.raises(AnnotationError, match="finite"):
            out.write(4, float("nan"), some_people(), SIZE)
    with pytest.raises(VideoError, match="finished"):
        out.write(5, 0.2, some_people(), SIZE)
    assert [frame for frame, _, _ in read_frames(tmp_path / "a.jsonl")] == [3]


@pytest.mark.parametrize("old", [False, True])
def test_a_line_without_room_ends_the_file_and_replaces_no_older_one(tmp_path, monkeypatch, old):
    module = import_module("poseg.io.people_jsonl")
    write, path = module.write_at, tmp_path / "a.jsonl"
    if old:
        path.write_bytes(b"old")

    def full(stream, position, data):
        if position > 600:
            raise OSError(28, "No space left on device")
        write(stream, position, data)

    def fill():
        with FramesWriter(path, COCO17) as out:
            for frame in range(100):
                out.write(frame, frame / 25, People.empty(COCO17), (20, 20))

    monkeypatch.setattr(module, "write_at", full)
    with pytest.raises(OutputError, match="It holds"):
        fill()
    assert (path.read_bytes() == b"old") == old
    left = tmp_path / "a.partial.jsonl" if old else path
    assert 0 < len(list(read_frames(left))) < 100
