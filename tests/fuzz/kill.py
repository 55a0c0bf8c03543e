"""Kill long jobs at random moments: what was finished is kept whole, and a repeat ends as if nothing had happened.

    python tests/fuzz/kill.py --kills 20 --seed 0 [--job training]

For each job a run that is left alone says how long it takes and how it ends. Then, for each kill, a fresh run gets
SIGKILL at a random moment; every file with its final name must be whole, a job that resumes must not have lost what it
had finished, and the same command again must leave the same files.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
IMAGES, STEPS = 24, 400
CODEC_FRAMES = 70  # that the encoder of video may hold back


@dataclass(frozen=True)
class Job:
    """command takes the folder to write to; kept says what of it was finished and what of that is lost."""

    name: str
    command: Callable[[Path], list[str]]
    kept: Callable[[Path], tuple[int, list[str]]]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--job", help="one of them only")
    chosen = parser.parse_args()
    failed = 0
    with tempfile.TemporaryDirectory(prefix="kill-") as folder:
        for job in jobs(Path(folder)):
            if chosen.job in (None, job.name):
                failed += kill_often(job, Path(folder), chosen.kills, np.random.default_rng(chosen.seed))
    return int(failed > 0)


def jobs(folder: Path) -> list[Job]:
    """The jobs, on images and a video that are made for them."""
    sys.path.insert(0, str(HERE))
    import seeds
    from conftest import spots

    from poseg.io.images import write_png
    from poseg.io.video_writer import VideoWriter

    (folder / "images").mkdir()
    (folder / "spots.onnx").write_bytes(seeds.model())
    rng = np.random.default_rng(0)
    pictures = [spots((int(rng.integers(50, 120)), 100), (190, 90), size=seeds.SIZE) for _ in range(IMAGES)]
    for number, image in enumerate(pictures):
        write_png(folder / "images" / f"{number:03d}.png", image)
    with VideoWriter(folder / "clip.mp4", seeds.SIZE, rate=10) as writer:
        for image in pictures * 4:
            writer.write(image)
    model = ["--model", str(folder / "spots.onnx"), "--threads", "1"]
    poseg = [sys.executable, "-m", "poseg"]
    tiny = str(HERE.parent / "training" / "tiny_run.py")
    return [
        Job("images", lambda out: [*poseg, "predict", str(folder / "images"), "--out", str(out), *model, "--masks"],
            kept_images),
        Job("video", lambda out: [*poseg, "predict", str(folder / "clip.mp4"), "--out", str(out), *model], kept_frames),
        Job("training", lambda out: [sys.executable, tiny, str(out), f"steps={STEPS}"], kept_steps),
        Job("labelling", lambda out: [*poseg, "label", str(folder / "images"), "--out", str(out / "labels.json"),
            "--teacher", str(folder / "spots.onnx"), "--threads", "1"], kept_labels),
    ]  # fmt: skip


def kept_images(out: Path) -> tuple[int, list[str]]:
    """Every image with an overlay has its people in the results, which are valid JSON at any time."""
    drawn = {f"{path.name.partition('.')[0]}.png" for path in out.glob("*.overlay.png") if path.name[0] != "."}
    files = [path for path in out.glob("results*.json") if path.stat().st_size]
    named = {record["file_name"] for path in files for record in json.loads(path.read_bytes())}
    return len(drawn), [f"the people of {name} are lost" for name in sorted(drawn - named)]


def kept_frames(out: Path) -> tuple[int, list[str]]:
    """All lines but the last are whole, and the video can be played up to what its encoder held back."""
    import av

    lines = [line for path in out.glob("*.jsonl") for line in path.read_bytes().split(b"\n")[:-1]]
    frames, played = max(len([json.loads(line) for line in lines]) - 1, 0), 0
    for path in out.glob("*.overlay*.mp4"):
        if frames > CODEC_FRAMES:
            with av.open(str(path)) as file:
                played = sum(1 for _ in file.decode(video=0))
    return frames, [f"of {frames} frames {played} can be played"] if played < frames - CODEC_FRAMES else []


def kept_steps(out: Path) -> tuple[int, list[str]]:
    """The steps that are logged; the repeat compares their losses."""
    return _lines(out / "log.jsonl"), []


def kept_labels(out: Path) -> tuple[int, list[str]]:
    """All lines of the log but the last are whole; without a log the file is finished."""
    log = out / ".labels.json.progress"
    lines = log.read_bytes().split(b"\n")[:-1] if log.exists() else []
    return len([json.loads(line) for line in lines]), []


def kill_often(job: Job, folder: Path, kills: int, rng: np.random.Generator) -> int:
    """Kill a job that often, each time from the start; returns how often something was lost."""
    alone = folder / f"{job.name}-alone"
    alone.mkdir()
    began = time.monotonic()
    subprocess.run(job.command(alone), check=True, capture_output=True, env=_environment())
    lasts_s, expected = time.monotonic() - began, fingerprints(alone)
    failed, done = 0, []
    for number in range(kills):
        out = folder / f"{job.name}-{number}"
        out.mkdir()
        after_s = float(rng.uniform(0.35, 1.0)) * lasts_s  # before that Python is starting
        process = subprocess.Popen(
            job.command(out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=_environment()
        )
        time.sleep(after_s)
        process.send_signal(signal.SIGKILL)
        process.wait()
        finished, faults = job.kept(out)
        done.append(finished)
        faults += [f"{path} is not whole" for path in broken(out)]
        again = subprocess.run(job.command(out), capture_output=True, text=True, env=_environment(), check=False)
        if again.returncode != 0:
            faults.append(f"the repeat ends with {again.returncode}: {again.stderr[-300:]}")
        differing = {name for name, value in fingerprints(out).items() ^ expected.items()}
        faults += [f"the repeat differs in {name}" for name in sorted(differing)]
        faults += [f"{path} is left" for path in leftovers(out)]
        for fault in faults:
            print(f"{job.name}, kill {number} after {after_s:.2f} s: {fault}", flush=True)
        failed += bool(faults)
    print(
        f"{job.name}: {kills} kills in {lasts_s:.1f} s, done at the kill {sorted(done)}: {failed} failed",
        flush=True,
    )
    return failed


def fingerprints(out: Path) -> dict[str, str]:
    """What the files of a finished job say, without what may differ: times of training steps."""
    return {str(path.relative_to(out)): _fingerprint(path) for path in sorted(out.rglob("*")) if _counts(path)}


def _counts(path: Path) -> bool:
    return path.suffix in (".png", ".json", ".jsonl", ".mp4", ".safetensors")


def _fingerprint(path: Path) -> str:
    if path.name == "log.jsonl":
        steps = [json.loads(line) for line in path.read_text().splitlines()]
        return str([(step["step"], {name: round(loss, 6) for name, loss in step["losses"].items()}) for step in steps])
    return hashlib.sha256(path.read_bytes()).hexdigest()


def broken(out: Path) -> list[str]:
    """Files under their final names that are not whole."""
    from run import _broken

    finals = (path for path in out.rglob("*") if path.is_file() and not path.name.startswith("."))
    return [path.name for path in finals if ".partial" not in path.name and path.name != "log.jsonl" and _broken(path)]


def leftovers(out: Path) -> list[str]:
    """Partial and temporary files that a finished job has no use for."""
    return [path.name for path in out.rglob("*") if ".partial" in path.name or path.name.endswith(".progress")]


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def _environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1"}


if __name__ == "__main__":
    sys.exit(main())
