"""A self-contained page that has the scene, and whose script runs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from poseg.draw import PEOPLE_COLOURS, viewer3d_html
from poseg.draw.scene3d import place_people
from poseg.errors import ShapeError, SkeletonError
from poseg.people import People
from poseg.skeletons import BODY17_3D, COCO17, Skeleton

EVIL = "</script><script>alert('{{SCENE}} & \"<!--')</script>"

# A minimal browser to run the page: elements with state, a canvas that counts strokes.
BROWSER = r"""
const strokes = [], listeners = {}, elements = {};
const ink = new Proxy({}, { get: (own, name) => name === "stroke" ? () => strokes.push(own.strokeStyle)
  : name === "createRadialGradient" ? () => ({ addColorStop() {} }) : name in own ? own[name] : () => {},
  set: (own, name, value) => { own[name] = value; return true; } });
const element = (id) => elements[id] ??= { id, dataset: {}, classList: { add() {}, remove() {} }, setAttribute() {},
  setPointerCapture() {}, getContext: () => ink, addEventListener: (on, run) => listeners[id + on] = run };
element("scene").textContent = PAGE_SCENE;
const document = { getElementById: element, documentElement: {}, querySelectorAll: () => [] };
const window = { innerWidth: 800, innerHeight: 600, devicePixelRatio: 2, matchMedia: () => ({ addEventListener() {} }),
  addEventListener: (on, run) => listeners["window" + on] = run };
const getComputedStyle = () => ({ getPropertyValue: (name) => name === "--shadow" ? "0, 0, 0" : " #123456" });
let clock = 0;
const performance = { now: () => clock }, queue = [];
const requestAnimationFrame = (run) => queue.push(run);
const settle = () => {
  for (let turns = 0; queue.length && turns < 3; turns++) queue.splice(0).forEach((run) => run(clock));
};
"""
ACTS = r"""
settle();
const first = strokes.length, coloured = new Set(strokes);
listeners.viewpointerdown({ pointerId: 1, clientX: 0, clientY: 0 });
listeners.viewpointermove({ pointerId: 1, clientX: 100, clientY: 50 });
listeners.viewpointerup({ pointerId: 1 });
const rotated = { ...eye };
listeners.viewwheel({ deltaY: -300, deltaMode: 0, preventDefault() {} });
const nearer = eye.zoom;
listeners.viewpointerdown({ pointerId: 1, clientX: 0, clientY: 0 });
listeners.viewpointerdown({ pointerId: 2, clientX: 100, clientY: 0 });
listeners.viewpointermove({ pointerId: 2, clientX: 200, clientY: 0 });
const pinched = eye.zoom / nearer;
const key = (name) => listeners.windowkeydown({ key: name, target: {}, preventDefault() {} });
key("Home"); key("ArrowLeft");
const keyed = { ...eye };
key(".");
const after = frame;
key(" ");
clock += 1e3 * (scene.times[last] - scene.times[frame]) + 1; settle();
console.log(JSON.stringify({ first, coloured: [...coloured], rotated, nearer, pinched, keyed, after, playing, frame,
  shown: elements.count.textContent, hidden: elements.frames.hidden, strokes: strokes.length }));
"""


def scene_of(page):
    (text,) = re.findall(r'<script type="application/json" id="scene">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def script_of(page):
    (text,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    return text


def test_the_page_holds_the_scene_to_the_millimetre(before_camera):
    people = before_camera([(-500, 0), (600, 200)])
    plain = scene_of(viewer3d_html(people, np.zeros((480, 640, 3), np.uint8)))
    (scene,) = place_people([people], (480, 640))
    ((first, second),) = plain["frames"]
    np.testing.assert_allclose([first["joints"], second["joints"]], scene.joints_mm, atol=0.5001)
    assert plain["joints"] == list(BODY17_3D.joints)
    assert [bone[:2] for bone in plain["bones"]] == BODY17_3D.indices(BODY17_3D.bones).tolist()
    assert first["colour"] == "#" + bytes(PEOPLE_COLOURS[0].tolist()).hex()
    assert plain["times"] == [0]


def test_the_page_is_self_contained(before_camera):
    page = viewer3d_html(before_camera([(0, 0)]), np.zeros((48, 64, 3), np.uint8))
    assert "default-src 'none'" in page
    assert set(re.findall(r'(?:src|href)="(\w+:?)', page)) == {"data:"}
    bare = re.sub(r'data:image/jpeg;base64,[^"]+', "", page)
    assert not re.search(r"https?:|//\w|url\(|@import|fetch\(|XMLHttp", bare)
    assert "{{" not in page


def test_names_cannot_break_out_of_the_page(before_camera):
    names = (EVIL, *BODY17_3D.joints[1:])
    limb = [tuple(EVIL if joint == "pelvis" else joint for joint in bone) for bone in BODY17_3D.bones]
    people = replace(before_camera([(0, 0)]), skeleton_3d=Skeleton(EVIL, names, tuple(limb)))
    page = viewer3d_html(people, title=EVIL)
    assert scene_of(page)["joints"][0] == EVIL
    assert page.count("<script") == 2
    assert "<script>alert" not in page
    assert "<!--" not in page
    assert page.count("&lt;/script&gt;") == 4


def test_times_come_with_the_frames_or_separately(before_camera):
    frames = [before_camera([(x, 0)]) for x in (-200, 0, 200)]
    assert scene_of(viewer3d_html(frames))["times"] == [0, 0.04, 0.08]
    assert scene_of(viewer3d_html([(7 + i, 3.5 + i, p) for i, p in enumerate(frames)]))["times"] == [0, 1, 2]
    assert scene_of(viewer3d_html(frames, times_s=[1, 1.5, 2.5]))["times"] == [0, 0.5, 1.5]
    plain = scene_of(viewer3d_html([*frames, frames[0][:0], People.empty(COCO17)]))
    assert [len(people) for people in plain["frames"]] == [1, 1, 1, 0, 0]


def test_unknown_joints_are_null(before_camera):
    people = before_camera([(0, 0)])
    joints = people.keypoints_3d.copy()
    joints[0, 4] = np.nan
    ((person,),) = scene_of(viewer3d_html(replace(people, keypoints_3d=joints)))["frames"]
    assert [index for index, joint in enumerate(person["joints"]) if joint is None] == [4]


def test_invalid_people_and_times_are_refused(before_camera):
    with pytest.raises(SkeletonError, match="lift them"):
        viewer3d_html(People.from_poses(COCO17, np.zeros((1, 17, 2)), np.ones((1, 17))))
    with pytest.raises(SkeletonError, match="lift them"):
        viewer3d_html([])
    with pytest.raises(ShapeError, match="times_s"):
        viewer3d_html([before_camera([(0, 0)])] * 2, times_s=[0.0])


@pytest.fixture
def run(tmp_path):
    """Runs a page's script in a mock browser and returns its output."""
    if shutil.which("node") is None:
        pytest.skip("There is no node here to run the page's script.")

    def go(page):
        text = json.dumps(json.dumps(scene_of(page)))
        path = tmp_path / "page.js"
        path.write_text(BROWSER.replace("PAGE_SCENE", text) + script_of(page) + ACTS)
        done = subprocess.run(["node", str(path)], capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return go


def test_the_script_draws_rotates_zooms_and_plays(before_camera, run):
    frames = [replace(before_camera([(x, 0), (700, 0)]), ids=np.array([0, 3])) for x in (-200, 0, 200, 300)]
    result = run(viewer3d_html(frames))
    bones = 2 * 2 * len(BODY17_3D.bones)
    assert result["first"] > bones
    people = ["#" + bytes(PEOPLE_COLOURS[number].tolist()).hex() for number in (0, 3)]
    assert set(people) <= set(result["coloured"])
    assert result["rotated"]["yaw"] == pytest.approx(0.55 - 0.8)
    assert result["rotated"]["pitch"] == pytest.approx(0.2 + 0.4)
    assert result["nearer"] > 1.4
    assert result["pinched"] == pytest.approx(2)
    assert result["keyed"] == {"yaw": pytest.approx(0.65), "pitch": 0.2, "zoom": 1}
    assert result["after"] == 1
    assert result["playing"]
    assert result["frame"] == 3
    assert result["shown"] == "2 people"
    assert not result["hidden"]
    assert result["strokes"] > result["first"]


def test_the_script_runs_with_one_frame_and_with_no_people(before_camera, run):
    result = run(viewer3d_html(before_camera([(0, 0)])))
    assert result["hidden"]
    assert result["shown"] == "1 person"
    assert not result["playing"]
    assert run(viewer3d_html(before_camera([(0, 0)])[:0]))["shown"] == "0 people"
