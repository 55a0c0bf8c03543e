"""Every kind of fault is found where it was put, nothing is found where nothing is, and a clean report holds."""

from __future__ import annotations

import copy
import gzip
import json
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from poseg.datasets import custom_coco
from poseg.datasets.check import RULES, Severity, check_dict, check_file
from poseg.errors import ImageWarning, PosegError
from poseg.geometry.rle import encode_rle

SHARED = Path(__file__).resolve().parents[2].parent / "shared" / "data"
FULL = {"size": [96, 128], "counts": encode_rle(np.ones((96, 128), bool))["counts"]}
SMALL = encode_rle(np.ones((10, 10), bool))
EMPTY = encode_rle(np.zeros((96, 128), bool))
NOSES = [200, 40, 2] + [40, 40, 2] * 4


def person(**changes):
    return lambda plain: plain["annotations"][0].update(changes)


def without(*path):
    def remove(plain):
        for key in path[:-1]:
            plain = plain[key]
        del plain[path[-1]]

    return remove


def category(**changes):
    return lambda plain: plain["categories"][0].update(changes)


def image(**changes):
    return lambda plain: plain["images"][0].update(changes)


def again(key, place=0, **changes):
    return lambda plain: plain[key].append(copy.deepcopy(plain[key][place]) | changes)


def joint(place, *values):
    def put(plain):
        plain["annotations"][0]["keypoints"][3 * place : 3 * place + 3] = values

    return put


# What is done to the file, and the kind that is found; several ways to one kind where it has several.
CHANGES = [
    ("list-missing", without("images")),
    ("list-missing", lambda plain: plain.update(annotations={})),
    ("list-missing", lambda plain: plain["categories"].append(3)),
    ("category", without("categories", 0)),
    ("category", lambda plain: plain["categories"].append({"id": 2, "name": "cat"})),
    ("no-people", lambda plain: plain["annotations"].clear()),
    ("other-categories", lambda plain: plain["categories"].append({"id": 2, "name": "cat"})
     or plain["categories"][0].update(name="person") or plain["annotations"][1].update(category_id=2)),
    ("id", image(id="seven")),
    ("id", person(id=None)),
    ("id", person(image_id=1.5)),
    ("id", without("annotations", 0, "category_id")),
    ("id", category(id="person")),
    ("image-id-twice", again("images", file_name="c.png")),
    ("image-repeated", again("images")),
    ("annotation-id-twice", again("annotations")),
    ("unknown-image", person(image_id=77)),
    ("file-twice", again("images", id=9)),
    ("skeleton", category(skeleton=[[1, 9]])),
    ("no-tree", category(skeleton=[[1, 2]])),
    ("no-tree", without("categories", 0, "skeleton")),
    ("skeleton", category(sigmas=[0.1])),
    ("skeleton", category(flip_pairs=[[0, 1]])),
    ("unpaired", category(keypoints=["nose", "left_eye", "right_eye", "left_ear", "fifth"])),
    ("asymmetric", category(skeleton=[[1, 2], [2, 3], [2, 4], [3, 5]])),
    ("no-sigmas", without("categories", 0, "sigmas")),
    ("not-a-number", joint(0, float("nan"), 1, 2)),
    ("not-a-number", person(bbox=[1, 2, "wide", 4])),
    ("not-a-number", person(bbox=[1, 2, 3])),
    ("not-a-number", person(area=float("inf"))),
    ("not-a-number", person(score="good")),
    ("not-a-number", person(keypoints=[[1, 2, 2]] * 4 + [[1, 2]])),
    ("not-a-number", person(area=1e39)),
    ("number-as-text", person(area="900")),
    ("number-as-text", person(image_id="1")),
    ("number-as-text", image(height="96.0")),
    ("number-as-text", person(segmentation=[["1", 2, 30, 2, 30, 40]])),
    ("number-form", person(iscrowd=False)),
    ("number-form", person(image_id=1.0)),
    ("flag", person(iscrowd="maybe")),
    ("flag", person(ignore=[1])),
    ("number-as-text", joint(0, "40", "48", 2)),
    ("keypoints-length", person(keypoints=[1, 2, 2] * 4)),
    ("visibility", joint(0, 40, 48, 3)),
    ("visibility", joint(0, 40, 48, -1)),
    ("joint-outside", joint(0, 40, 148, 2)),
    ("joint-outside", joint(0, -5, 48, 1)),
    ("joint-in-corner", joint(0, 0, 0, 2)),
    ("num-keypoints", person(num_keypoints=4)),
    ("num-keypoints", person(num_keypoints="4")),
    ("joints-uncertain", joint(0, 40, 48, 0)),
    ("no-keypoints", person(keypoints=[0] * 15, num_keypoints=0)),
    ("box-missing", without("annotations", 0, "bbox")),
    ("box-empty", person(bbox=[24, 26, 0, 28])),
    ("box-empty", person(bbox=[24, 26, 32, -28])),
    ("box-outside", person(bbox=[24, 26, 56, 80])),
    ("box-outside", person(bbox=[-4, 26, 56, 40])),
    ("box-misses-joints", person(bbox=[80, 26, 32, 28])),
    ("box-misses-mask", person(bbox=[80, 26, 32, 28])),
    ("area-missing", without("annotations", 0, "area")),
    ("area-not-positive", person(area=0)),
    ("area-differs", person(area=3000)),
    ("segmentation-type", person(segmentation="mask.png")),
    ("segmentation-type", person(segmentation=7)),
    ("polygon-odd", person(segmentation=[[1, 2, 3, 4, 5, 6, 7]])),
    ("polygon-odd", person(segmentation=[1, 2, 3, 4, 5, 6])),
    ("polygon-odd", person(segmentation=[[[1, 2], [3, 4], [5, 9]]])),
    ("polygon-odd", person(segmentation=[[1, 2, 3, 4, 5, float("nan")]])),
    ("polygon-odd", person(segmentation=[[1, 2, 3, 4, 5, "6"], None])),
    ("polygon-short", person(segmentation=[[1, 2, 3, 4]])),
    ("mask-empty", person(segmentation=[[1, 2, 3, 4]])),
    ("mask-empty", person(segmentation=EMPTY)),
    ("mask-empty", person(segmentation=[[301, 2, 303, 4, 305, 2]])),
    ("rle-broken", person(segmentation={"size": [96, 128], "counts": [5, 6]})),
    ("rle-broken", person(segmentation={"counts": "abc"})),
    ("rle-size", person(segmentation=SMALL)),
    ("mask-missing", without("annotations", 0, "segmentation")),
    ("box-only", without("annotations", 2, "segmentation")),
    ("iscrowd-value", person(iscrowd=2)),
    ("crowd-without-rle", person(iscrowd=1)),
    ("crowd-without-rle", lambda plain: plain["annotations"][3].pop("segmentation")),
    ("person-twice", again("annotations", id=9)),
    ("image-entry", image(height=0)),
    ("image-entry", image(width="wide")),
    ("image-entry", image(file_name=[5])),
    ("image-without-size", without("images", 0, "height")),
    ("image-name", without("images", 0, "file_name")),
    ("image-missing", image(file_name="zz.png")),
    ("image-other-name", image(file_name="old\\A.PNG")),
    ("image-unclear", lambda plain: image(file_name="a")(plain) or again("images", id=9, file_name="A")(plain)),
    ("background-missing", again("images", id=9, file_name="zz.png")),
    ("no-image", lambda plain: [i.update(file_name=f"gone/{i['id']}.png") for i in plain["images"]]),
    ("image-size", image(height=97)),
    ("image-empty", again("images", id=9, file_name="c.png")),
]  # fmt: skip
ELSEWHERE = {"unreadable", "no-joints", "bones-ignored", "image-broken"}  # these have tests of their own


def rules(report):
    return {issue.rule for issue in report.issues}


def trainable(path):
    """Whether every labelled image can be read."""
    warnings.simplefilter("ignore", ImageWarning)
    try:
        data = custom_coco(path, path.parent)
        for index in range(len(data)):
            data[index]
    except PosegError:
        return False
    return True


def test_clean_file_has_no_issues(plain, write):
    report = check_file(path := write(plain), path.parent)
    assert rules(report) == {"no-keypoints"}
    assert report.worst == Severity.NOTE
    assert trainable(path)


@pytest.mark.parametrize(("rule", "change"), CHANGES, ids=[f"{n}-{rule}" for n, (rule, _) in enumerate(CHANGES)])
def test_every_change_is_detected(rule, change, plain, write):
    change(plain)
    path = write(plain)
    report = check_file(path, path.parent)
    found = {issue.rule: issue for issue in report.issues}
    assert rule in found
    assert found[rule].count >= 1
    assert found[rule].severity == RULES[rule].severity
    if report.worst < Severity.ERROR:
        assert trainable(path), "no error is reported, so training must work"
    if found[rule].severity == Severity.ERROR:
        assert not trainable(path), "an error is reported, so training must fail"


def test_every_rule_is_tested():
    assert {rule for rule, _ in CHANGES} | ELSEWHERE == set(RULES)


VALUES = st.sampled_from(
    [None, -1, 0, 1, 2, 5, 3.5, 1e39, float("nan"), float("inf"), "x", "5", True, [], [1], [[]], [[1, 2]], {}, SMALL,
     FULL, [0] * 15, [40] * 15, [1, 2, 3, 4], [1, 2, 30, 40], [[9, 9, 50, 9, 50, 50]], {"size": 3}, "abc", 10**30,
     [[1, 2], [1, 3], [2, 4], [3, 5]], ["a", "b", "c", "d", "e"], {"counts": [-5, 12293], "size": [96, 128]}]
)  # fmt: skip
PLACES = st.one_of(
    st.tuples(st.just("annotations"), st.integers(0, 3), st.sampled_from(
        ["id", "image_id", "category_id", "iscrowd", "ignore", "bbox", "area", "keypoints", "num_keypoints",
         "segmentation", "score", "keypoint_scores"])),
    st.tuples(st.just("images"), st.integers(0, 1), st.sampled_from(["id", "file_name", "height", "width"])),
    st.tuples(st.just("categories"), st.just(0), st.sampled_from(
        ["id", "name", "keypoints", "skeleton", "sigmas", "flip_pairs", "tree"])),
)  # fmt: skip


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.tuples(PLACES, VALUES), min_size=1, max_size=2))
def test_file_without_errors_can_be_trained_on(plain, write, changes):
    broken: Any = copy.deepcopy(plain)
    for (key, place, entry), value in changes:
        broken[key][place][entry] = value
    path = write(broken)
    report = check_file(path, path.parent)
    if report.worst < Severity.ERROR:
        assert trainable(path)


def test_issues_have_at_most_five_examples(plain):
    base = plain["annotations"][0]
    plain["annotations"] = [
        {**base, "id": n, "keypoints": [1, 2, 2] * 5, "area": 900 + n, "num_keypoints": 3} for n in range(7)
    ]
    issue = next(issue for issue in check_dict(plain).issues if issue.rule == "num-keypoints")
    assert issue.count == 7
    assert issue.examples[0] == "annotation 0 of image 1: 3, but 5 have v > 0"
    assert len(issue.examples) == 5


def test_unreadable_files_are_errors(tmp_path):
    path = tmp_path / "a.json"
    for content in (b"", b"{", b"[]", b"3", b"\xff\xfe", gzip.compress(b"{}")):
        path.write_bytes(content)
        report = check_file(path)
        assert rules(report) <= {"unreadable", "list-missing"}
        assert report.worst == Severity.ERROR
    assert rules(check_file(tmp_path / "none.json")) == {"unreadable"}


def test_joints_without_names_are_coco17(plain):
    del plain["categories"][0]["keypoints"], plain["categories"][0]["skeleton"], plain["categories"][0]["sigmas"]
    assert "skeleton" in rules(check_dict(plain))
    for record in plain["annotations"][:3]:
        record["keypoints"] = record["keypoints"] + [0] * 36
    report = check_dict(plain)
    assert rules(report) == {"no-joints", "no-keypoints"}
    assert report.summary.joints["nose"] == (2, 0)
    assert report.summary.joints["right_eye"] == (2, 0)
    assert report.summary.joints["right_ear"] == (1, 1)


def test_images_are_compared_by_their_headers(plain, write):
    path = write(plain)
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (128, 96)).save(path.parent / "a.png", exif=exif)
    (path.parent / "b.png").write_bytes(b"no image")
    report = check_file(path, path.parent)
    assert rules(report) == {"image-size", "image-broken", "no-keypoints"}
    assert "EXIF" in report.issues[1].examples[0] + report.issues[0].examples[0]
    Image.new("RGB", (8, 96)).save(path.parent / "b.png")
    assert "cannot show a person" in str(check_file(path, path.parent).issues)


@pytest.mark.parametrize("suffix", ["png", "tif", "jpg"])
@pytest.mark.parametrize(("orientation", "swapped"), [(1, False), (1, True), (6, False), (6, True)])
def test_the_reason_of_a_swapped_size_is_true(plain, write, suffix, orientation, swapped):
    """An image is upright when it is read: the file has to have that size."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain["images"][0] |= {"file_name": f"c.{suffix}"} | ({"height": 128, "width": 96} if swapped else {})
    path = write(plain)
    Image.new("RGB", (128, 96)).save(path.parent / f"c.{suffix}", exif=exif)
    sizes = [issue for issue in check_file(path, path.parent).issues if issue.rule == "image-size"]
    assert bool(sizes) == (swapped != (orientation == 6))
    assert all(("EXIF" in issue.examples[0]) == (orientation == 6) for issue in sizes)


def test_toml_file_completes_the_category(plain, write, tmp_path):
    del plain["categories"][0]["sigmas"]
    path = write(plain)
    assert "no-sigmas" in rules(check_file(path))
    (tmp_path / "other.toml").write_text("sigmas = [0.1, 0.1, 0.1, 0.1, 0.1]")
    assert "no-sigmas" not in rules(check_file(path, skeleton_file=tmp_path / "other.toml"))
    (tmp_path / "labels.toml").write_text("sigmas = [0.1]")
    assert "skeleton" in rules(check_file(path))


def test_summary_counts(plain):
    summary = check_dict(plain).summary
    assert (summary.images, summary.images_with_people, summary.people, summary.crowds) == (2, 2, 3, 1)
    assert (summary.with_joints, summary.with_masks) == (2, 3)
    assert summary.joints == {
        "nose": (2, 0), "left_eye": (2, 0), "right_eye": (2, 0), "left_ear": (1, 1), "right_ear": (1, 1),
    }  # fmt: skip
    assert summary.person_sizes_px == (32.0,) * 5
    assert summary.sizes == {"small": 3, "medium": 0, "large": 0}
    json.dumps(check_dict(plain).to_dict(), allow_nan=False)


@pytest.mark.skipif(not SHARED.exists(), reason="needs real annotation beside the repository")
@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("coco_mini/person_keypoints_val2017.json", set()),
        ("mmpose_samples/coco/test_coco.json", set()),
        ("mmpose_samples/ochuman/test_ochuman.json", {"area-differs"}),
        ("mmpose_samples/crowdpose/test_crowdpose.json", {"bones-ignored", "num-keypoints"}),
        ("mmpose_samples/mpii/test_mpii.json", {"unreadable"}),
    ],
)
def test_published_files_have_known_issues(file, expected):
    report = check_file(SHARED / file)
    assert {issue.rule for issue in report.issues if issue.severity > Severity.NOTE} == expected
