"""A batch job: which shards are left, the workers of Ray Data that take them, and what came of it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from poseg.batch.plan import Item, Plan
from poseg.batch.worker import Detect, Output, process_shard
from poseg.errors import AnnotationError, OutputError
from poseg.io.files import read_json, write_json

MANIFEST = "job.json"
_TRIES = 3  # of a shard whose worker dies: Ray starts another one without end


@dataclass(frozen=True, slots=True)
class Job:
    """A plan, what detects people, and where the results go.

    build     makes the detector, in each worker; it must be picklable
    settings  plain data that tells this detector from others: results of different ones are not mixed
    workers   processes, each with a detector; None for as many as the CPUs allow
    threads   CPUs of a worker
    address   of a running Ray cluster, or None for this machine
    """

    plan: Plan
    build: Callable[[], Detect]
    settings: Mapping[str, Any]
    out: Path
    workers: int | None = None
    threads: int = 1
    address: str | None = None


@dataclass(slots=True)
class BatchResult:
    """What a run did: images of this run and of earlier ones, and sentences on the shards that are not finished."""

    items: int = 0
    resumed: int = 0
    errors: int = 0
    unfinished: list[str] = field(default_factory=list)


def run_batch(job: Job, progress: Callable[[int, int], None] = lambda done, total: None) -> BatchResult:
    """Process all shards that are not finished. The same call after a kill finishes the rest, to the same files.

    progress  takes the number of images done in this run, and of those that it has to do

    Raises OutputError where the folder belongs to another job or cannot be written.
    """
    output = Output(job.out.absolute())
    output.make()
    _check_manifest(job, output.folder / MANIFEST)
    left = [shard for shard in range(len(job.plan.shards)) if not _finished(output, shard)]
    result = BatchResult(resumed=job.plan.items - sum(len(job.plan.shards[shard]) for shard in left))
    total = job.plan.items - result.resumed
    progress(0, total)
    for shard in left:
        output.tries(shard).unlink(missing_ok=True)  # of an earlier run, which was killed
    if left:
        missing = set(left)
        with _ray(job):
            for notes in _run(job, output, left):
                missing.discard(notes["shard"])
                if "fault" in notes:
                    result.unfinished.append(notes["fault"])
                    continue
                result.items += notes["items"]
                progress(result.items, total)
        if missing:
            result.unfinished.append(
                f"{len(missing)} of {len(job.plan.shards)} shards were not finished, such as {min(missing)}, as Ray's "
                "log says; run the command again."
            )
    result.errors = sum(
        read_json(output.notes(shard))["errors"] for shard in range(len(job.plan.shards)) if _finished(output, shard)
    )
    return result


def _finished(output: Output, shard: int) -> bool:
    return output.people(shard).is_file()


def _check_manifest(job: Job, path: Path) -> None:
    """Write what the folder belongs to, or compare it. Raises OutputError."""
    manifest = {
        "sources": job.plan.fingerprint, "items": job.plan.items, "shards": len(job.plan.shards),
        "settings": dict(job.settings),
    }  # fmt: skip
    if not path.exists():
        if any(path.parent.glob("people/[0-9]*.parquet")):
            raise OutputError(f"{path.parent} holds results but no {MANIFEST}; choose another folder.")
        write_json(path, manifest)
        return
    try:
        written = read_json(path)
    except AnnotationError as fault:
        raise OutputError(f"{path.parent} cannot be resumed: {fault}") from None
    if written == json.loads(json.dumps(manifest)):
        return
    same = isinstance(written, dict) and written.get("sources") == manifest["sources"]
    what = "model or settings" if same else "sources, or they have changed"
    raise OutputError(f"{path.parent} holds the results of another job, with other {what}; choose another folder.")


def _run(job: Job, output: Output, left: list[int]) -> Iterator[dict[str, Any]]:
    """The notes of the shards as they are finished: one row, block and task of Ray Data for each shard."""
    import ray

    first = {shard: 0 for shard in left}
    count = 0
    for shard, items in enumerate(job.plan.shards):
        if shard in first:
            first[shard] = count
        count += len(items)
    rows = [
        {"shard": shard, "first": first[shard], "items": json.dumps(job.plan.shards[shard])} for shard in left
    ]  # fmt: skip
    context = ray.data.DataContext.get_current()
    context.enable_progress_bars = context.print_on_execution_start = False
    context.max_errored_blocks = -1  # the other shards are finished, and those are named
    for handler in logging.getLogger("ray.data").handlers:
        handler.setLevel(logging.ERROR)
    data = ray.data.from_items(rows, override_num_blocks=len(rows)).map(
        ShardWorker,
        fn_constructor_args=(job.build, output, job.plan.image_column),
        compute=ray.data.ActorPoolStrategy(min_size=1, max_size=_workers(job)),
        num_cpus=job.threads,
    )
    for row in data.iter_rows():
        yield json.loads(row["notes"])


def _workers(job: Job) -> int:
    import ray

    if job.workers is not None:
        return job.workers
    return max(1, int(ray.cluster_resources().get("CPU", 1) / job.threads))


class ShardWorker:
    """An actor of Ray Data: it builds the detector once and writes shard after shard."""

    def __init__(self, build: Callable[[], Detect], output: Output, image_column: str | None) -> None:
        self.detect, self.output, self.image_column = build(), output, image_column

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        """Process a shard. A shard that a worker finished just before it died is not done twice."""
        shard = int(row["shard"])
        if _finished(self.output, shard):
            return {"notes": json.dumps(read_json(self.output.notes(shard)))}
        items = [Item(*item) for item in json.loads(row["items"])]
        try:
            if not self._may_try(shard):
                raise OutputError(
                    f"The worker died {_TRIES} times in shard {shard}, between {items[0].name} and {items[-1].name}; "
                    "leave out the image that ends it, or give workers more memory."
                )
            notes = process_shard(shard, int(row["first"]), items, self.detect, self.output, self.image_column)
        except OutputError as fault:  # no space left: other shards may fit, and this one is left for the next run
            notes = {"shard": shard, "fault": str(fault)}
        with suppress(OSError):
            self.output.tries(shard).unlink()
        return {"notes": json.dumps(notes)}

    def _may_try(self, shard: int) -> bool:
        """Count the tries of a shard, by the bytes of a file that outlives this process."""
        path = self.output.tries(shard)
        try:
            with path.open("ab") as stream:
                stream.write(b".")
            return path.stat().st_size <= _TRIES
        except OSError as fault:
            raise OutputError(f"Cannot write {path}: {fault.strerror}; make room, and run it again.") from None


@contextmanager
def _ray(job: Job) -> Iterator[None]:
    """Ray on this machine, or a running cluster; one that was started before is used as it is."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # else it writes about its own affairs to stderr
    import ray

    if ray.is_initialized():
        yield
        return
    options: dict[str, Any] = {"address": job.address} if job.address else {"address": "local"}
    if not job.address:
        workers = job.workers or max(1, (os.cpu_count() or 1) // job.threads)
        options |= {"num_cpus": workers * job.threads, "include_dashboard": False}
    try:
        ray.init(**options, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, ValueError, RuntimeError) as fault:
        raise OutputError(f"There is no Ray cluster at {job.address}: {fault}; start it first.") from None
    try:
        yield
    finally:
        with suppress(Exception):
            ray.shutdown()
