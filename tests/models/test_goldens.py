"""The bundled models answer as they did when the records were written (`goldens.py`)."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest

from poseg.geometry.rle import decode_rle

pytestmark = pytest.mark.slow

# Tests are no package, so what lies beside this one is loaded by its path.
_spec = importlib.util.spec_from_file_location("goldens", Path(__file__).with_name("goldens.py"))
goldens = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(goldens)

PRECISION = 0.003
KEYPOINT_PX = 0.01
MASK_IOU = 0.995
MIN_SCORE = 0.3  # people below the default threshold may come and go


@pytest.fixture(scope="module")
def records():
    pytest.importorskip("skimage")
    if not goldens.COCO.is_dir():
        pytest.skip("the images of coco_mini are not beside the checkout")
    written = goldens.read()
    if not np.allclose(written["fingerprint"], goldens.fingerprint(), rtol=1e-3):
        pytest.skip("networks answer differently on this processor than on the one that wrote the records")
    return written, goldens.answers()


@pytest.mark.parametrize("model", goldens.MODELS)
def test_model_gives_the_recorded_people(records, model):
    before, now = (records[0]["people"][model], records[1][model])
    assert before.keys() == now.keys()
    for image, people in before.items():
        old, new = (np.array(one["keypoints"]).reshape(-1, 17, 2) for one in (people, now[image]))
        for person in np.flatnonzero(np.array(people["scores"]) >= MIN_SCORE):
            off = np.abs(new - old[person]).max(axis=(1, 2))
            same = int(off.argmin())
            assert off[same] <= KEYPOINT_PX, (image, person)
            if "masks" in people:
                masks = [
                    decode_rle({"size": one["size"], "counts": one["masks"][row]})
                    for one, row in ((people, person), (now[image], same))
                ]
                union = np.count_nonzero(masks[0] | masks[1])
                assert np.count_nonzero(masks[0] & masks[1]) >= MASK_IOU * union, (image, person)


@pytest.mark.parametrize("model", goldens.FINDERS)
def test_model_keeps_the_recorded_precision(records, model):
    before, now = records[0]["precision"][model], goldens.precision(model)
    assert all(now[kind] >= before[kind] - PRECISION for kind in before), (before, now)
