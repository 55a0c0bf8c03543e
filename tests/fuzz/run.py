"""Feed poseg mutated files: no traceback, no hang, no half-written file.

    python tests/fuzz/run.py --count 10000 --seed 0 [--keep FOLDER] [--only NUMBER]

Cases run one after the other in a process of their own, which is replaced where it hangs or dies. A case is good where
each of its commands ends with exit code 0, 1 or 2 within the limit, says why where it is 2, and leaves files that are
whole. Prints what failed, with the numbers that repeat it, the longest case and the largest in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

LIMIT_S = 10.0  # of processor time, which other programs do not prolong
HANG_S = 60.0  # by the clock
START_S = 120.0  # of a process, with all seeds
EXIT_CODES = (0, 1, 2)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one case, with all that its commands print")
    parser.add_argument("--keep", type=Path, help="folder for the files of cases that fail")
    parser.add_argument("--worker", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.worker is not None:
        return work(chosen.worker, chosen.seed)
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        if chosen.only is not None:
            return show(Path(folder), chosen.seed, chosen.only)
        return supervise(Path(folder), chosen)


def supervise(folder: Path, chosen: argparse.Namespace) -> int:
    """Run all cases in a worker, and report; returns 1 where one failed."""
    reports: list[dict[str, Any]] = []
    worker: Worker | None = None
    began = time.monotonic()
    for number in range(chosen.first, chosen.first + chosen.count):
        worker = worker or Worker(folder, chosen.seed)
        report = worker.run(number)
        if report.pop("dead", False):
            worker = None
        reports.append(report)
        if report["faults"]:
            print(f"case {number}: {report['kind']} {report['name']}: {'; '.join(report['faults'])}", flush=True)
            if chosen.keep is not None and (folder / "case").is_dir():
                shutil.copytree(folder / "case", chosen.keep / str(number), dirs_exist_ok=True)
    if worker is not None:
        worker.stop()
    summarise(reports, chosen.seed, time.monotonic() - began)
    return int(any(report["faults"] for report in reports))


class Worker:
    """A process that runs cases as it is told their numbers."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.folder = folder
        command = [sys.executable, __file__, "--worker", str(folder), "--seed", str(seed)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._line(START_S)

    def run(self, number: int) -> dict[str, Any]:
        """The report of a case; `dead` where the process is gone."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        head = self._line(START_S) or "{}"
        line = self._line(HANG_S) if head != "{}" else ""
        if line:
            return dict(json.loads(line))
        begun = {"kind": "?", "name": "?", **json.loads(head)}
        code = self._process.poll()
        self.stop()
        fault = f"does not end within {HANG_S:.0f} s" if code is None else f"the process died ({code})"
        return {
            **begun,
            "number": number,
            "seconds": HANG_S,
            "mb": 0,
            "end": "died",
            "faults": [fault],
            "dead": True,
        }

    def stop(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _line(self, limit_s: float) -> str:
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], limit_s)
        return self._process.stdout.readline() if ready else ""


def work(folder: Path, seed: int) -> int:
    """Run the cases whose numbers come in, and print a report of each."""
    cases, answers = _cases(folder, seed), os.fdopen(os.dup(1), "w")
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(1, 2)  # what libraries print
    print("ready", file=answers, flush=True)
    for line in sys.stdin:
        report = run_case(cases, folder / "case", int(line), answers)
        print(json.dumps(report), file=answers, flush=True)
    return 0


def run_case(cases: Any, at: Path, number: int, answers: Any = None, echo: bool = False) -> dict[str, Any]:
    """Make a case in a fresh folder, run its commands, and check what is left."""
    from typer.testing import CliRunner

    from poseg.cli.main import app

    shutil.rmtree(at, ignore_errors=True)
    (at / "out").mkdir(parents=True)
    case = cases.make(number, at)
    report: dict[str, Any] = {"number": number, "kind": case.kind, "name": case.name}
    if answers is not None:
        print(json.dumps(report), file=answers, flush=True)
    before, faults, ends = set(at.iterdir()), [], []
    began = time.process_time()
    _reset_peak()
    for command in case.commands:
        with warnings.catch_warnings(record=True):
            done = CliRunner().invoke(app, command)
        ends.append(done.exit_code)
        faults += _faults(done, command[0])
        if echo:
            print(f"$ poseg {' '.join(command)}\n{done.output}exit {done.exit_code}")
            if done.exception is not None and not isinstance(done.exception, SystemExit):
                traceback.print_exception(done.exception)
    seconds = time.process_time() - began
    faults += [f"takes {seconds:.1f} s"] if seconds > LIMIT_S else []
    faults += [f"leaves {path.name}" for path in set(at.iterdir()) - before]
    faults += [f"half-written {path.name}: {why}" for path in sorted((at / "out").rglob("*")) if (why := _broken(path))]
    end = "refused" if ends[-1] == 2 else "read"
    return {**report, "seconds": seconds, "mb": _peak_mb(), "end": end, "faults": faults}


def _faults(done: Any, command: str) -> list[str]:
    fault = done.exception
    if fault is not None and not isinstance(fault, SystemExit):
        frame = traceback.extract_tb(fault.__traceback__)[-1]
        where = f"{Path(frame.filename).name}:{frame.lineno}"
        return [f"{command}: {type(fault).__name__}: {str(fault)[:150]} ({where})"]
    if done.exit_code not in EXIT_CODES:
        return [f"{command}: exit code {done.exit_code}"]
    if done.exit_code == 2 and not done.output.strip():
        return [f"{command}: no reason"]
    return [f"{command}: a traceback is printed"] if "Traceback" in done.output else []


def _broken(path: Path) -> str:
    """Why a file that was written is not whole; empty where it is."""
    from PIL import Image

    if path.name.startswith(".") or ".partial" in path.name:
        return "a temporary file is left"
    try:
        if path.suffix in (".png", ".jpg"):
            Image.open(path).load()
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".jsonl":
            [json.loads(line) for line in path.read_bytes().splitlines()]
        elif path.suffix == ".mp4":
            import av

            with av.open(str(path)) as file:
                list(file.decode(video=0))
    except Exception as fault:
        return repr(fault)[:100]
    return ""


def _reset_peak() -> None:
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return


def _peak_mb() -> int:
    """The largest resident set since `_reset_peak`, in MB; 0 where the system does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) // 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0)


def _cases(folder: Path, seed: int) -> Any:
    sys.path.insert(0, str(Path(__file__).resolve().parent))
    from cases import Cases

    return Cases(folder / "valid", seed)


def show(folder: Path, seed: int, number: int) -> int:
    """One case, with all that its commands print."""
    report = run_case(_cases(folder, seed), folder / "case", number, echo=True)
    print(json.dumps(report, indent=1))
    return int(bool(report["faults"]))


def summarise(reports: list[dict[str, Any]], seed: int, seconds: float) -> None:
    """Counts by kind, and the extremes."""
    ends = Counter((report["kind"], report["end"]) for report in reports)
    for kind in sorted({report["kind"] for report in reports}):
        counts = ", ".join(f"{ends[kind, end]} {end}" for end in ("read", "refused", "died") if ends[kind, end])
        print(f"{kind:12} {counts}")
    for key, unit in (("seconds", "s"), ("mb", "MB")):
        top = max(reports, key=lambda report: report[key])
        print(f"most {key}: {top[key]:.4g} {unit}, case {top['number']} ({top['kind']} {top['name']})")
    failed = [report for report in reports if report["faults"]]
    print(f"{len(reports)} cases of seed {seed} in {seconds:.0f} s: {len(failed)} failed")


if __name__ == "__main__":
    sys.exit(main())
