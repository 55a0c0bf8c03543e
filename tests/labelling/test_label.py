"""Labels of a folder by teachers that know the truth, and what becomes of them when teachers err or pictures break."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from poseg.datasets.labelled_folder import LabelledFolder
from poseg.errors import FieldError, ImageError, OutputError, PosegError
from poseg.geometry.similarity import mask_iou_matrix
from poseg.io.images import write_png
from poseg.io.plain_json import read_json
from poseg.labelling import Assignment, Cuts, Labelling, Looking, label
from poseg.labelling.looking import find_people, part_windows
from poseg.labelling.records import label_records
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (240, 320)


class Knower:
    """Knows the people of pictures with a bright top left corner, whole, mirrored, or cut to a part."""

    name, licence, sizes = "knower", "none needed", (256, 384)

    def __init__(self, people, *, error_px=0.0, fails=()):
        self.people, self.error_px, self.fails, self.calls = people, error_px, fails, 0

    def _turned(self, image):
        straight = image[0, 0].sum() >= image[0, -1].sum()
        return self.people if straight else self.people.flipped(SIZE[1])

    def __call__(self, image, size=None):
        self.calls += 1
        if self.calls in self.fails:
            raise FieldError("The fields are not finite.")
        if image.shape[:2] != SIZE:
            return People.empty(COCO17)
        people = self._turned(image)
        return replace(people, keypoints=people.keypoints + np.float32(self.error_px), masks=None)


class Outlining(Knower):
    name = "outlining"

    def outline(self, image, people, size=None):
        return np.asarray(self._turned(image).masks)[: len(people)]


@pytest.fixture
def scene(cast, tmp_path):
    """A folder with one picture of two people."""
    made = cast(*SIZE)
    made = replace(made, people=replace(made.people, scores=np.array([0.98, 0.96], np.float32)))
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    write_png(folder / "deep" / "a.png", made.image)
    return folder, made


def job(folder, out, *teachers, **options):
    looking = Looking(tuple(Assignment(teacher) for teacher in teachers), tiles="none")
    return Labelling(folder, out, looking, **options)


def test_labels_of_the_truth_are_the_truth(scene, tmp_path):
    folder, made = scene
    outcome = label(job(folder, tmp_path / "ann.json.gz", Outlining(made.people)))
    assert (outcome.images, outcome.people, outcome.masks, outcome.faults) == (1, 2, 2, ())
    labels = LabelledFolder("l", tmp_path / "ann.json.gz", folder, complete=False, least_visibility=2, least_score=0.2)
    sample = labels[0]
    order = np.argsort(sample.people.keypoints[:, 0, 0])
    np.testing.assert_allclose(sample.people.keypoints[order], made.people.keypoints, atol=0.06)
    assert (sample.people.keypoint_scores == 1).all()
    assert np.array_equal(sample.people.masks[order], made.people.masks)
    assert not sample.ignore.any()


def test_the_file_says_who_made_it(scene, tmp_path):
    folder, made = scene
    label(job(folder, tmp_path / "ann.json", Knower(made.people)))
    plain = read_json(tmp_path / "ann.json")
    assert plain["info"]["teachers"] == [
        {"name": "knower", "licence": "none needed", "sizes": [256, 384], "trust": 1.0, "tile_size": None}
    ]
    assert plain["images"] == [{"id": 1, "file_name": "deep/a.png", "height": SIZE[0], "width": SIZE[1]}]
    assert [record["id"] for record in plain["annotations"]] == [1, 2]
    assert "segmentation" not in plain["annotations"][0]


def test_disagreement_lowers_joints_and_people(scene):
    _, made = scene
    agreeing = Looking((Assignment(Knower(made.people)), Assignment(Knower(made.people))), tiles="none")
    apart = Looking((Assignment(Knower(made.people)), Assignment(Knower(made.people, error_px=6))), tiles="none")
    alone = Looking((Assignment(Knower(made.people)), Assignment(Knower(made.people[:0]))), tiles="none")
    sure, less, missed = (find_people(made.image, looking).agreed.people for looking in (agreeing, apart, alone))
    assert (less.keypoint_scores < sure.keypoint_scores).all()
    assert (missed.scores < sure.scores).all()


def test_a_mirrored_picture_has_mirrored_labels(scene):
    _, made = scene
    looking = Looking((Assignment(Outlining(made.people)),), tiles="none")
    straight = find_people(made.image, looking)
    turned = find_people(np.ascontiguousarray(made.image[:, ::-1]), looking)
    expected = straight.agreed.people.flipped(SIZE[1])
    np.testing.assert_allclose(turned.agreed.people.keypoints, expected.keypoints, atol=1e-3)
    assert np.array_equal(turned.masks, np.asarray(straight.masks)[:, :, ::-1])


def test_who_only_outlines_has_no_vote_on_people(scene):
    _, made = scene
    silent = Outlining(made.people)
    silent.only_outlines = True
    both = Looking((Assignment(Knower(made.people)), Assignment(silent)), tiles="none")
    finding = find_people(made.image, both)
    assert silent.calls == 0
    assert finding.agreed.agreeing.tolist() == finding.agreed.possible.tolist() == [4, 4]
    assert np.asarray(finding.masks).any(axis=(1, 2)).all()
    with pytest.raises(PosegError, match="finds people"):
        Looking((Assignment(silent),))


def test_masks_that_teachers_do_not_agree_on_are_left_out(scene):
    _, made = scene
    swapped = replace(made.people, masks=np.asarray(made.people.masks)[::-1])
    both = Looking((Assignment(Outlining(made.people)), Assignment(Outlining(swapped))), tiles="none")
    finding = find_people(made.image, both)
    assert (finding.mask_agreement < 0.5).all()
    assert not any("segmentation" in record for record in label_records(finding, SIZE))


def test_the_half_believed_are_regions_to_ignore(scene):
    _, made = scene
    finding = find_people(made.image, Looking((Assignment(Knower(made.people)),), tiles="none"))
    records = label_records(finding, SIZE, Cuts(person=0.999, ignore=0.5))
    assert [record["ignore"] for record in records] == [1, 1]
    assert all(set(record["keypoints"][2::3]) == {0} and record["num_keypoints"] == 0 for record in records)
    assert all(record["bbox"][2] > 20 for record in records)
    assert label_records(finding, SIZE, Cuts(person=1, ignore=0.999)) == []


def test_joints_outside_the_picture_are_unsure_but_keep_their_place(scene):
    _, made = scene
    moved = replace(made.people, keypoints=made.people.keypoints + np.array([0, 60], np.float32), masks=None)
    looking = Looking((Assignment(Knower(moved)),), flip=False, tiles="none")
    record = label_records(find_people(made.image, looking), SIZE)[0]
    outside = np.array(record["keypoints"]).reshape(-1, 3)
    outside = outside[outside[:, 1] > SIZE[0]]
    assert len(outside) > 0
    assert set(outside[:, 2]) == {0}


def test_a_broken_picture_does_not_stop_the_others(scene, tmp_path):
    folder, made = scene
    (folder / "b.png").write_bytes(b"no picture")
    outcome = label(job(folder, tmp_path / "ann.json", Knower(made.people)))
    assert outcome.images == 1
    assert outcome.people == 2
    assert len(outcome.faults) == 1
    assert "b.png" in outcome.faults[0]


def test_a_network_that_chokes_is_a_fault_too(scene, tmp_path):
    folder, made = scene
    write_png(folder / "b.png", made.image)
    outcome = label(job(folder, tmp_path / "ann.json", Knower(made.people, fails={1})))
    assert outcome.images == 1
    assert outcome.faults == ("b.png: The fields are not finite.",)


class Killed(BaseException):
    """Nothing in poseg catches it."""


def test_a_killed_run_goes_on_where_it_was(scene, tmp_path):
    folder, made = scene
    for name in "bcd":
        write_png(folder / f"{name}.png", made.image)
    out, whole = tmp_path / "ann.json", tmp_path / "whole.json"
    label(job(folder, whole, Knower(made.people)))

    def kill(done, total):
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        label(job(folder, out, Knower(made.people)), progress=kill)
    assert not out.exists()
    (journal,) = [path for path in tmp_path.iterdir() if path.name.endswith(".progress")]
    journal.write_bytes(journal.read_bytes() + b'{"name": "c.png", "pa')
    second = Knower(made.people)
    label(job(folder, out, second), progress=None)
    assert second.calls == 2 * 4
    assert read_json(out) == read_json(whole)
    assert not journal.exists()


def test_the_journal_of_another_run_is_not_mixed_in(scene, tmp_path):
    folder, made = scene
    out = tmp_path / "ann.json"

    def kill(done, total):
        raise Killed

    with pytest.raises(Killed):
        label(job(folder, out, Knower(made.people)), progress=kill)
    with pytest.raises(OutputError, match="other settings"):
        label(job(folder, out, Knower(made.people), cuts=Cuts(person=0.5)))


def test_existing_labels_can_be_kept(scene, tmp_path):
    folder, made = scene
    out = tmp_path / "ann.json"
    label(job(folder, out, Knower(made.people)))
    plain = read_json(out)
    plain["annotations"] = plain["annotations"][:1]
    out.write_text(json.dumps(plain))
    write_png(folder / "b.png", made.image)
    outcome = label(job(folder, out, Knower(made.people), keep=True))
    assert (outcome.images, outcome.people) == (2, 3)


def test_earlier_labels_are_one_more_look_and_say_the_size(scene, tmp_path):
    folder, made = scene
    first = tmp_path / "first.json"
    label(job(folder, first, Outlining(made.people)))
    plain = read_json(first)
    before = tmp_path / "before.json"
    image = {**plain["images"][0], "id": 7, "width": SIZE[1], "squashed": 1}
    before.write_text(
        json.dumps({**plain, "images": [image], "annotations": [{**a, "image_id": 7} for a in plain["annotations"]]})
    )
    write_png(folder / "deep" / "a.png", made.image[:, ::2])
    outcome = label(job(folder, tmp_path / "ann.json", Knower(made.people), before=before))
    again = read_json(tmp_path / "ann.json")
    assert outcome.people == 2
    assert again["images"][0]["id"] == 7
    assert again["images"][0]["width"] == SIZE[1]
    assert all(record["score"] > 0.9 for record in again["annotations"])
    blind = label(job(folder, tmp_path / "blind.json", Knower(made.people[:0]), before=before, cuts=Cuts(person=0.4)))
    assert blind.people == 2


def test_parts_cover_the_picture_and_find_whom_they_hold():
    windows = part_windows(90, 160, 3)
    covered = np.zeros((90, 160), bool)
    for left, top, right, bottom in windows:
        covered[top:bottom, left:right] = True
    assert covered.all()
    assert len(windows) == 9
    assert min(min(w[:2]) for w in windows) == 0


def test_people_in_parts_land_in_the_picture(cast):
    made = cast(*SIZE)
    spot = np.array([200.0, 130.0], np.float32)

    class Spotter:
        name, licence, sizes = "spotter", "none", (256,)

        def __call__(self, image, size=None):
            y, x = np.nonzero(image[..., 0] == 7)
            if not len(x):
                return People.empty(COCO17)
            points = made.people.keypoints[:1] - spot + (x[0] + 0.5, y[0] + 0.5)
            return People.from_poses(COCO17, points, np.ones((1, 17)))

    image = made.image.copy()
    image[130, 200] = 7
    looking = Looking((Assignment(Spotter(), tile_size=256),), flip=False, tiles="3x3")
    agreed = find_people(image, looking).agreed
    assert len(agreed.people) == 1
    np.testing.assert_allclose(agreed.people.keypoints, made.people.keypoints[:1] + 0.5, atol=1)
    assert 2 <= agreed.agreeing[0] <= agreed.possible[0]


def test_what_cannot_be_labelled(tmp_path):
    with pytest.raises(PosegError, match="at least one teacher"):
        Looking(())
    with pytest.raises(PosegError, match="auto"):
        Looking((Assignment(Knower(People.empty(COCO17))),), tiles="4x4")
    with pytest.raises(ImageError, match="no folder"):
        label(job(Path("nowhere"), tmp_path / "a.json", Knower(People.empty(COCO17))))
    with pytest.raises(ImageError, match="no pictures"):
        label(job(tmp_path, tmp_path / "a.json", Knower(People.empty(COCO17))))


def test_masks_of_the_cast_differ(cast):
    masks = cast(*SIZE).people.masks
    assert mask_iou_matrix(masks, masks)[0, 1] < 0.5
