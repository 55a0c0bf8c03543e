"""Five joints are as good as seventeen: names, flips, TOML files, fields and back."""

from __future__ import annotations

from dataclasses import asdict, replace
from itertools import pairwise

import numpy as np
import pytest

from poseg.codecs.personlab import PersonLabCodec
from poseg.codecs.poseg import PoSegCodec
from poseg.datasets import custom_coco
from poseg.errors import AnnotationError, SkeletonError
from poseg.geometry import affine
from poseg.people import People
from poseg.runtime.onnx_model import _skeleton
from poseg.skeletons import Skeleton
from poseg.transforms.warp import warp


@pytest.fixture
def odd(plain):
    """Joints whose names do not say their sides."""
    plain["categories"][0]["keypoints"] = ["nose", "port", "starboard", "ping", "pong"]
    return plain


def test_sides_are_recognised_in_names(plain, write):
    skeleton = custom_coco(write(plain)).skeleton
    assert skeleton.joints == ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
    assert skeleton.flip_index.tolist() == [0, 2, 1, 4, 3]
    assert skeleton.sigmas == (0.03,) * 5
    assert skeleton.edge_flip_index[skeleton.edge_flip_index].tolist() == list(range(8))


@pytest.mark.parametrize("flips", [[["port", "starboard"], ["ping", "pong"]], [[2, 3], [4, 5]]])
def test_flip_pairs_of_the_category(odd, write, flips):
    odd["categories"][0]["flip_pairs"] = flips
    assert custom_coco(write(odd)).skeleton.flip_index.tolist() == [0, 2, 1, 4, 3]


def test_toml_file_completes_the_category(odd, write):
    del odd["categories"][0]["sigmas"], odd["categories"][0]["skeleton"]
    path = write(odd)
    path.with_suffix(".toml").write_text(
        'name = "dog5"\nflip_pairs = [["port", "starboard"], ["ping", "pong"]]\nsigmas = [0.1, 0.2, 0.2, 0.3, 0.3]\n'
        'bones = [["nose", "port"], ["nose", "starboard"], ["port", "ping"], ["starboard", "pong"]]\n'
    )
    skeleton = custom_coco(path).skeleton
    assert (skeleton.name, skeleton.sigmas[3], len(skeleton.tree)) == ("dog5", 0.3, 4)
    assert skeleton.flip_index.tolist() == [0, 2, 1, 4, 3]
    path.with_suffix(".toml").write_text("colour = 'red'")
    with pytest.raises(AnnotationError, match=r"unknown colour; a skeleton has name, joints"):
        custom_coco(path)
    path.with_suffix(".toml").write_text("name = ")
    with pytest.raises(AnnotationError, match="as TOML"):
        custom_coco(path)


def test_flipping_a_sample_twice_is_the_identity(odd, write):
    odd["categories"][0]["flip_pairs"] = [[2, 3], [4, 5]]
    data = custom_coco(write(odd))
    sample = data[0]
    size = sample.image.shape[:2]
    matrix = affine.similarity(1.0, 0.0, centre=(64, 48), target=(64, 48), flip=True)
    once = warp(sample, matrix, size)
    twice = warp(once, matrix, size)
    person = next(i for i in range(len(once.people)) if (once.people.keypoint_scores[i] > 0).all())
    port, starboard = (data.skeleton.index(j) for j in ("port", "starboard"))
    assert once.people.keypoints[person, port, 0] < once.people.keypoints[person, starboard, 0] + 20
    np.testing.assert_allclose(
        once.people.keypoints[person, port], (128, 0) + (-1, 1) * sample.people.keypoints[person, starboard], atol=1e-4
    )
    np.testing.assert_allclose(twice.people.keypoints, sample.people.keypoints, atol=1e-4)
    np.testing.assert_array_equal(twice.people.masks, sample.people.masks)
    np.testing.assert_array_equal(twice.ignore, sample.ignore)


@pytest.mark.parametrize("joints", [2, 5, 14, 23])
def test_codec_round_trips_any_number_of_joints(joints):
    names = tuple(f"joint_{i}" for i in range(joints))
    chain = Skeleton("chain", names, tuple(pairwise(names)))
    codec = PersonLabCodec(chain, stride=8)
    rng = np.random.default_rng(joints)
    points = np.stack([rng.uniform((20, 20), (110, 230), (joints, 2)), rng.uniform((150, 20), (240, 230), (joints, 2))])
    regions = np.zeros((2, 257, 257), bool)
    regions[0, 10:240, 10:120] = regions[1, 10:240, 140:250] = True
    truth = People.from_poses(chain, points, np.ones(points.shape[:2]), masks=regions)
    people = codec.decode(codec.encode(truth, (257, 257)).as_fields())
    people = people[people.scores > 0.3]
    assert len(people) == 2
    order = np.argsort(people.keypoints[:, :, 0].mean(axis=1))
    np.testing.assert_allclose(people.keypoints[order], truth.keypoints, atol=0.5)
    assert (people.masks[order] & regions).sum() / (people.masks[order] | regions).sum() > 0.9


def test_custom_dataset_round_trips_through_fields(plain, write):
    plain["annotations"] = plain["annotations"][:1]
    sample = custom_coco(write(plain))[0]
    padded = warp(sample, affine.similarity(2.0, 0.0, centre=(64, 48), target=(128, 96), flip=False), (193, 257))
    codec = PersonLabCodec(padded.people.skeleton, stride=8)
    people = codec.decode(codec.encode(padded.people, (193, 257), padded.ignore).as_fields())
    np.testing.assert_allclose(people.keypoints[0], padded.people.keypoints[0], atol=0.5)


def test_card_keeps_the_flip_pairs(odd, write):
    odd["categories"][0]["flip_pairs"] = [[2, 3], [4, 5]]
    skeleton = custom_coco(write(odd)).skeleton
    assert _skeleton(asdict(skeleton)) == skeleton
    assert _skeleton(asdict(replace(skeleton, flip_pairs=()))).flip_index.tolist() == [0, 1, 2, 3, 4]


def test_what_follows_a_tree_says_that_it_needs_one(odd, write):
    del odd["categories"][0]["skeleton"]
    path = write(odd)
    skeleton = custom_coco(path).skeleton
    assert skeleton.tree == ()
    for codec in (PersonLabCodec, PoSegCodec):
        with pytest.raises(SkeletonError, match="TOML"):
            _ = codec(skeleton).specs
    path.with_suffix(".toml").write_bytes(
        b'\xef\xbb\xbftree = [["nose", "port"], [1, 3], ["port", "ping"], [3, 5]]\r\n'
    )
    assert len(PersonLabCodec(custom_coco(path).skeleton).specs) > 0
    assert len(PoSegCodec(custom_coco(path).skeleton).specs) > 0
