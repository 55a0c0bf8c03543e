"""Throughput of `poseg batch` against bare predictors, and what is left after kills.

    python benchmarks/batch.py --images FOLDER --count 10000 --workers 2 --kills 10

COUNT images are made from those of FOLDER, shifted so that no two are equal. First as many bare predictors as workers,
each a process with an equal part; then the job; then, with --kills, the job again, killed at random moments (the
driver, one worker, the whole node process) and resumed until it is finished. Its files must be those of the job that
was left alone.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from poseg.io.sources import find_images

BARE = """
import sys, time, poseg
predictor = poseg.load(sys.argv[1], threads=1)
paths = open(sys.argv[2]).read().split("\\n")
predictor(paths[0])
start = time.perf_counter()
for path in paths:
    predictor(path)
print(len(paths) / (time.perf_counter() - start))
"""


def make_images(source: Path, count: int, folder: Path) -> None:
    photos = [np.asarray(Image.open(path).convert("RGB")) for path in find_images([source]).paths]
    for number in range(count):
        photo = np.roll(photos[number % len(photos)], 4 * (number // len(photos)), axis=1)
        Image.fromarray(photo).save(folder / f"{number:06d}.jpg", quality=90)


def bare(model: str, folder: Path, workers: int) -> float:
    """Images a second of bare predictors together, without their start."""
    paths = sorted(map(str, folder.iterdir()))
    running = []
    for worker in range(workers):
        listed = folder.parent / f"part{worker}.txt"
        listed.write_text("\n".join(paths[worker::workers]))
        command = [sys.executable, "-c", BARE, model, str(listed)]
        running.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
    return sum(float(process.communicate()[0]) for process in running)


def start(model: str, folder: Path, out: Path, workers: int, shard: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "poseg", "batch", str(folder), "--out", str(out), "--model", model,
               "--workers", str(workers), "--shard", str(shard)]  # fmt: skip
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)


def speed(out: Path, shard: int) -> float:
    """Images a second between the first finished shards and the last, without the start of Ray and of the workers."""
    times = sorted(path.stat().st_mtime for path in out.glob("people/[0-9]*.parquet"))
    return (len(times) - 2) * shard / (times[-1] - times[1]) if len(times) > 2 else float("nan")


def run(process: subprocess.Popen[bytes]) -> dict[str, float]:
    """Wait for a job; the largest memory (MB) of its processes, by their names."""
    top: dict[str, float] = {}
    while process.poll() is None:
        for child in processes(process):
            try:
                name = child.name()
                top[name] = max(top.get(name, 0.0), child.memory_info().rss / 1e6)
            except psutil.Error:
                continue
        time.sleep(1)
    return top


def processes(process: subprocess.Popen[bytes]) -> list[psutil.Process]:
    try:
        return [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    except psutil.Error:
        return []


def kill(process: subprocess.Popen[bytes], what: str) -> bool:
    """SIGKILL to the driver, to one worker, or to the raylet, which is the node; returns whether it was there."""
    if what == "driver":
        os.killpg(process.pid, signal.SIGKILL)
        return True
    names = {"actor": "MapWorker", "node": "raylet"}
    for child in processes(process):
        try:
            if names[what] in " ".join(child.cmdline()):
                child.kill()
                return True
        except psutil.Error:
            continue
    return False


def stop(process: subprocess.Popen[bytes]) -> None:
    """End what is left of a job, by its session."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def digests(out: Path) -> dict[str, str]:
    files = [*out.glob("people/[0-9]*.parquet"), *out.glob("coco/[0-9]*.json")]
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(files)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--shard", type=int, default=64)
    parser.add_argument("--model", default="fast")
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    chance = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as base:
        folder, out, killed = (Path(base) / name for name in ("images", "out", "killed"))
        folder.mkdir()
        make_images(args.images, args.count, folder)
        alone = bare(args.model, folder, args.workers)
        begin = time.perf_counter()
        memory = run(start(args.model, folder, out, args.workers, args.shard))
        whole = time.perf_counter() - begin
        rate = speed(out, args.shard)
        print(f"{args.workers} bare predictors: {alone:.1f} images/s; batch: {rate:.1f}, {rate / alone:.2f} of it")
        print(f"whole job with its start: {whole:.0f} s, {args.count / whole:.1f} images/s")
        print("memory, MB:", ", ".join(f"{name} {size:.0f}" for name, size in sorted(memory.items())))
        for number in range(args.kills):
            what = ("driver", "actor", "node")[number % 3]
            process = start(args.model, folder, killed, args.workers, args.shard)
            hit = False
            try:
                process.wait(timeout=chance.uniform(0.2, 0.9) * whole)
            except subprocess.TimeoutExpired:
                hit = kill(process, what)
                if what == "actor":
                    run(process)
            stop(process)
            done = len(list(killed.glob("people/[0-9]*.parquet")))
            print(f"kill {number}: {what if hit else 'nothing to kill'}, {done} shards finished", flush=True)
            if digests(killed) == digests(out):  # finished: the next kill needs a job that is not
                print("  identical to the undisturbed run")
                shutil.rmtree(killed)
        if args.kills:
            run(start(args.model, folder, killed, args.workers, args.shard))
            print("identical to the undisturbed run:", digests(killed) == digests(out))


if __name__ == "__main__":
    main()
