"""Labels of a folder by oracles that return the ground truth, with errors, and by broken images."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from poseg.datasets.coco_people import pseudo_labels
from poseg.errors import FieldError, ImageError, OutputError, PosegError
from poseg.io.files import read_json
from poseg.io.images import write_png
from poseg.labelling import EnsembleConfig, LabelingJob, LabelThresholds, TeacherConfig, label
from poseg.labelling.ensemble import ensemble_image, majority_mask, tile_windows
from poseg.labelling.records import to_coco
from poseg.people import People
from poseg.skeletons import COCO17

SIZE = (240, 320)
seeds = st.integers(0, 2**32 - 1)


def blobs(seed, count):
    return list(np.random.default_rng(seed).random((count, 6, 8)) < 0.6)


class Oracle:
    """Returns the ground truth of an image with a bright top left corner, flipped with it; no people of tiles."""

    name, licence, sizes = "oracle", "none needed", (256, 384)

    def __init__(self, people, *, error_px=0.0, fails=()):
        self.people, self.error_px, self.fails, self.calls = people, error_px, fails, 0

    def _in_view(self, image):
        upright = image[0, 0].sum() >= image[0, -1].sum()
        return self.people if upright else self.people.flipped(SIZE[1])

    def __call__(self, image, size=None):
        self.calls += 1
        if self.calls in self.fails:
            raise FieldError("The fields are not finite.")
        if image.shape[:2] != SIZE:
            return People.empty(COCO17)
        people = self._in_view(image)
        return replace(people, keypoints=people.keypoints + np.float32(self.error_px), masks=None)


class SegmentingOracle(Oracle):
    name = "segmenting oracle"

    def segment(self, image, people, size=None):
        return np.asarray(self._in_view(image).masks)[: len(people)]


@pytest.fixture
def scene(make_scene, tmp_path):
    """A folder with one image of two people."""
    made = make_scene(*SIZE)
    made = replace(made, people=replace(made.people, scores=np.array([0.98, 0.96], np.float32)))
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    write_png(folder / "deep" / "a.png", made.image)
    return folder, made


def ensemble(*teachers, tiles="none", flip=True):
    return EnsembleConfig(tuple(TeacherConfig(teacher) for teacher in teachers), flip, tiles)


def job(folder, out, *teachers, **options):
    return LabelingJob(folder, out, ensemble(*teachers), **options)


def test_labels_of_oracle_match_ground_truth(scene, tmp_path):
    folder, made = scene
    summary = label(job(folder, tmp_path / "ann.json.gz", SegmentingOracle(made.people)))
    assert (summary.images, summary.people, summary.masks, summary.errors) == (1, 2, 2, ())
    labels = pseudo_labels("l", tmp_path / "ann.json.gz", folder, exhaustive=False, min_score=0.2)
    sample = labels[0]
    order = np.argsort(sample.people.keypoints[:, 0, 0])
    np.testing.assert_allclose(sample.people.keypoints[order], made.people.keypoints, atol=0.06)
    assert (sample.people.keypoint_scores == 1).all()
    assert np.array_equal(sample.people.masks[order], made.people.masks)
    assert not sample.ignore.any()


def test_label_file_names_teachers(scene, tmp_path):
    folder, made = scene
    label(job(folder, tmp_path / "ann.json", Oracle(made.people)))
    data = read_json(tmp_path / "ann.json")
    assert data["info"]["teachers"] == [
        {"name": "oracle", "licence": "none needed", "sizes": [256, 384], "weight": 1.0, "tile_size": None}
    ]
    assert data["images"] == [{"id": 1, "file_name": "deep/a.png", "height": SIZE[0], "width": SIZE[1]}]
    assert [record["id"] for record in data["annotations"]] == [1, 2]
    assert "segmentation" not in data["annotations"][0]


def test_masks_only_teacher_has_no_vote_on_people(scene):
    _, made = scene
    segmenter = SegmentingOracle(made.people)
    segmenter.masks_only = True
    both = ensemble(Oracle(made.people), segmenter)
    consensus = ensemble_image(made.image, both)
    assert segmenter.calls == 0
    assert consensus.fused.votes.tolist() == consensus.fused.max_votes.tolist() == [4, 4]
    assert np.asarray(consensus.masks).any(axis=(1, 2)).all()
    with pytest.raises(PosegError, match="detects people"):
        ensemble(segmenter)


def test_broken_image_is_an_error_and_others_are_labelled(scene, tmp_path):
    folder, made = scene
    (folder / "gone.png").symlink_to("nowhere.png")
    (folder / "b.png").write_bytes(b"no image")
    summary = label(job(folder, tmp_path / "ann.json", Oracle(made.people)))
    assert summary.images == 1
    assert summary.people == 2
    assert len(summary.errors) == 2
    assert "gone.png is left out" in summary.errors[0]
    assert "b.png" in summary.errors[1]


def test_failing_network_is_an_error(scene, tmp_path):
    folder, made = scene
    write_png(folder / "b.png", made.image)
    summary = label(job(folder, tmp_path / "ann.json", Oracle(made.people, fails={1})))
    assert summary.images == 1
    assert summary.errors == ("b.png: The fields are not finite.",)


class Killed(BaseException):
    """Not an Exception, so poseg does not catch it."""


def test_killed_run_resumes(scene, tmp_path):
    folder, made = scene
    for name in "bcd":
        write_png(folder / f"{name}.png", made.image)
    out, whole = tmp_path / "ann.json", tmp_path / "whole.json"
    label(job(folder, whole, Oracle(made.people)))

    def kill(done, total):
        if done == 2:
            raise Killed

    with pytest.raises(Killed):
        label(job(folder, out, Oracle(made.people)), progress=kill)
    assert not out.exists()
    (log,) = [path for path in tmp_path.iterdir() if path.name.endswith(".progress")]
    log.write_bytes(log.read_bytes() + b'{"name": "c.png", "it')
    second = Oracle(made.people)
    label(job(folder, out, second), progress=None)
    assert second.calls == 2 * 4
    assert read_json(out) == read_json(whole)
    assert not log.exists()


def test_the_journal_of_another_run_is_not_mixed_in(scene, tmp_path):
    folder, made = scene
    out = tmp_path / "ann.json"

    def kill(done, total):
        raise Killed

    with pytest.raises(Killed):
        label(job(folder, out, Oracle(made.people)), progress=kill)
    with pytest.raises(OutputError, match="other settings"):
        label(job(folder, out, Oracle(made.people), thresholds=LabelThresholds(min_person=0.5)))


def test_keep_existing_labels_only_new_images(scene, tmp_path):
    folder, made = scene
    out = tmp_path / "ann.json"
    label(job(folder, out, Oracle(made.people)))
    data = read_json(out)
    data["annotations"] = data["annotations"][:1]
    out.write_text(json.dumps(data))
    write_png(folder / "b.png", made.image)
    summary = label(job(folder, out, Oracle(made.people), keep_existing=True))
    assert (summary.images, summary.people) == (2, 3)


def test_prior_labels_vote_and_set_the_size(scene, tmp_path):
    folder, made = scene
    first = tmp_path / "first.json"
    label(job(folder, first, SegmentingOracle(made.people)))
    data = read_json(first)
    prior = tmp_path / "prior.json"
    image = {**data["images"][0], "id": 7, "width": SIZE[1], "squashed": 1}
    prior.write_text(
        json.dumps({**data, "images": [image], "annotations": [{**a, "image_id": 7} for a in data["annotations"]]})
    )
    write_png(folder / "deep" / "a.png", made.image[:, ::2])
    summary = label(job(folder, tmp_path / "ann.json", Oracle(made.people), prior_labels=prior))
    labels = read_json(tmp_path / "ann.json")
    assert summary.people == 2
    assert labels["images"][0]["id"] == 7
    assert labels["images"][0]["width"] == SIZE[1]
    assert all(record["score"] > 0.9 for record in labels["annotations"])
    unseen = label(
        job(
            folder,
            tmp_path / "unseen.json",
            Oracle(made.people[:0]),
            prior_labels=prior,
            thresholds=LabelThresholds(min_person=0.4),
        )
    )
    assert unseen.people == 2


def test_bad_jobs_are_refused(tmp_path):
    with pytest.raises(PosegError, match="at least one teacher"):
        ensemble()
    with pytest.raises(PosegError, match="auto"):
        ensemble(Oracle(People.empty(COCO17)), tiles="4x4")
    with pytest.raises(ImageError, match="no folder"):
        label(job(Path("nowhere"), tmp_path / "a.json", Oracle(People.empty(COCO17))))
    with pytest.raises(ImageError, match="no images"):
        label(job(tmp_path, tmp_path / "a.json", Oracle(People.empty(COCO17))))


def test_disagreement_lowers_scores(scene):
    _, made = scene
    same = ensemble(Oracle(made.people), Oracle(made.people))
    apart = ensemble(Oracle(made.people), Oracle(made.people, error_px=6))
    alone = ensemble(Oracle(made.people), Oracle(made.people[:0]))
    certain, less, missed = (ensemble_image(made.image, config).fused.people for config in (same, apart, alone))
    assert (less.keypoint_scores < certain.keypoint_scores).all()
    assert (missed.scores < certain.scores).all()


def test_ensemble_is_flip_equivariant(scene):
    _, made = scene
    config = ensemble(SegmentingOracle(made.people))
    straight = ensemble_image(made.image, config)
    flipped = ensemble_image(np.ascontiguousarray(made.image[:, ::-1]), config)
    expected = straight.fused.people.flipped(SIZE[1])
    np.testing.assert_allclose(flipped.fused.people.keypoints, expected.keypoints, atol=1e-3)
    assert np.array_equal(flipped.masks, np.asarray(straight.masks)[:, :, ::-1])


def test_masks_without_agreement_are_left_out(scene):
    _, made = scene
    swapped = replace(made.people, masks=made.people.masks[::-1])
    both = ensemble(SegmentingOracle(made.people), SegmentingOracle(swapped))
    consensus = ensemble_image(made.image, both)
    assert (consensus.mask_agreement < 0.5).all()
    assert not any("segmentation" in record for record in to_coco(consensus, SIZE))


def test_uncertain_people_are_regions_to_ignore(scene):
    _, made = scene
    consensus = ensemble_image(made.image, ensemble(Oracle(made.people)))
    records = to_coco(consensus, SIZE, LabelThresholds(min_person=0.999, min_ignore=0.5))
    assert [record["ignore"] for record in records] == [1, 1]
    assert all(set(record["keypoints"][2::3]) == {0} and record["num_keypoints"] == 0 for record in records)
    assert all(record["bbox"][2] > 20 for record in records)
    assert to_coco(consensus, SIZE, LabelThresholds(min_person=1, min_ignore=0.999)) == []


def test_joints_outside_the_image_are_uncertain_but_keep_their_position(scene):
    _, made = scene
    moved = replace(made.people, keypoints=made.people.keypoints + np.array([0, 60], np.float32), masks=None)
    config = ensemble(Oracle(moved), flip=False)
    record = to_coco(ensemble_image(made.image, config), SIZE)[0]
    outside = np.array(record["keypoints"]).reshape(-1, 3)
    outside = outside[outside[:, 1] > SIZE[0]]
    assert len(outside) > 0
    assert set(outside[:, 2]) == {0}


def test_tiles_cover_the_image():
    tiles = tile_windows(90, 160, 3)
    covered = np.zeros((90, 160), bool)
    for left, top, right, bottom in tiles:
        covered[top:bottom, left:right] = True
    assert covered.all()
    assert len(tiles) == 9
    assert min(min(w[:2]) for w in tiles) == 0


def test_people_in_tiles_are_mapped_to_the_image(make_scene):
    made = make_scene(*SIZE)
    spot = np.array([200.0, 130.0], np.float32)

    class PointDetector:
        name, licence, sizes = "point detector", "none", (256,)

        def __call__(self, image, size=None):
            y, x = np.nonzero(image[..., 0] == 7)
            if not len(x):
                return People.empty(COCO17)
            points = made.people.keypoints[:1] - spot + (x[0] + 0.5, y[0] + 0.5)
            return People.from_poses(COCO17, points, np.ones((1, 17)))

    image = made.image.copy()
    image[130, 200] = 7
    config = EnsembleConfig((TeacherConfig(PointDetector(), tile_size=256),), flip=False, tiles="3x3")
    fused = ensemble_image(image, config).fused
    assert len(fused.people) == 1
    np.testing.assert_allclose(fused.people.keypoints, made.people.keypoints[:1] + 0.5, atol=1)
    assert 2 <= fused.votes[0] <= fused.max_votes[0]


def test_masks_of_the_scene_differ(make_scene):
    masks = make_scene(*SIZE).people.masks
    assert masks.iou(masks)[0, 1] < 0.5


@given(seeds, st.integers(1, 5))
def test_majority_mask_of_equal_masks_is_that_mask(seed, count):
    mask = blobs(seed, 1)[0]
    majority, agreement = majority_mask([mask] * count, list(range(count)))
    assert np.array_equal(majority, mask)
    assert agreement == (1.0 if count > 1 else 0.0)


@given(seeds)
def test_majority_mask_ignores_order(seed):
    masks, owners = blobs(seed, 4), [0, 1, 1, 2]
    first, second = majority_mask(masks, owners), majority_mask(masks[::-1], owners[::-1])
    assert np.array_equal(first[0], second[0])
    assert first[1] == pytest.approx(second[1])


def test_agreement_counts_pairs_of_different_teachers_only():
    left, right = np.zeros((2, 4, 4), bool)
    left[:, :2], right[:, 2:] = True, True
    assert majority_mask([left, left, right], [0, 0, 1])[1] == 0
    assert majority_mask([left, left], [0, 0])[1] == 1
    assert np.array_equal(majority_mask([left, left, right], [0, 0, 1])[0], left)
