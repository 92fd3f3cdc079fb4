"""The rest of an engine's life: how soon it is there, what it costs when idle, and how it gets up after a kill -9."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.orchestration_longreel import open_engine, submit
from benchmarks.orchestration_workload import PATIENCE_SECONDS, Measured, wait_until_completed
from pipeline.ports import JobStore
from pipeline.records import SegmentState

_ENGINE = [sys.executable, "-m", "benchmarks.orchestration_longreel"]
#: The work that is interrupted: so many jobs of so many segments, each of so many seconds.
CRASH_JOBS, CRASH_SEGMENTS, CRASH_HOLD_SECONDS = 4, 40, 0.02


def cold_start_seconds() -> float:
    """Measure from the start of a process to its first completed job, in a new home."""
    began = time.perf_counter()
    with subprocess.Popen([*_ENGINE, "cold"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        answer = child.stdout.readline()
        seconds = time.perf_counter() - began
    if answer != "completed\n":
        raise RuntimeError("the cold start did not complete its job")
    return seconds


def idle_ms_a_second(seconds: float) -> float:
    """Measure the processor time of a worker that has nothing to do."""
    answer = subprocess.run(
        [*_ENGINE, "idle", str(seconds)], check=True, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    measured = Measured(**json.loads(answer.stdout))
    return 1000 * measured.cpu_seconds / measured.wall_seconds


@dataclass(frozen=True, slots=True)
class Resumed:
    """What came of one kill -9."""

    #: From the start of the new process to the first segment that it made.
    resume_seconds: float
    #: Of that, how long the process took to start.
    start_seconds: float
    #: Segments that no generator ever made.
    lost: int
    #: Segments that were recorded as done before the kill and were made again after it.
    finished_again: int
    #: Segments that were made, but not recorded, when the kill came, and were made again.
    unrecorded_again: int
    completed_jobs: int


def resume() -> Resumed:
    """Kill an engine at 40 % of its work, start another, and see what it does."""
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        pipeline = open_engine(home, "FULL", worker=False)
        jobs = [submit(pipeline, f"project_{number}", CRASH_SEGMENTS) for number in range(CRASH_JOBS)]
        total = CRASH_JOBS * CRASH_SEGMENTS
        with _engine(home) as doomed:
            _wait_for(home, total * 40 // 100)
            doomed.kill()
        made, done = _made(home), _done(pipeline.services.jobs, jobs)
        began = time.perf_counter()
        with _engine(home) as second:
            assert second.stdout is not None
            second.stdout.readline()
            started = time.perf_counter()
            _wait_for(home, sum(made.values()) + 1)
            resumed = time.perf_counter()
            wait_until_completed(pipeline.adapters.database.path, CRASH_JOBS)
            second.kill()
        again = {key for key, count in _made(home).items() if count > made[key] and made[key]}
        completed = sum(pipeline.services.jobs.load(job_id).state == "completed" for job_id in jobs)
        pipeline.close()
        return Resumed(
            resume_seconds=resumed - began,
            start_seconds=started - began,
            lost=total - len(_made(home)),
            finished_again=len(again & done),
            unrecorded_again=len(again - done),
            completed_jobs=completed,
        )


def _engine(home: Path) -> subprocess.Popen[str]:
    command = [*_ENGINE, "work", str(home), str(CRASH_HOLD_SECONDS)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _made(home: Path) -> Counter[tuple[str, int]]:
    ledger = home / "ledger.txt"
    lines = ledger.read_text().splitlines() if ledger.exists() else []
    return Counter((job_id, int(index)) for job_id, index in map(str.split, lines))


def _done(store: JobStore, jobs: list[str]) -> set[tuple[str, int]]:
    wanted = frozenset({SegmentState.DONE})
    return {(job_id, each.index) for job_id in jobs for each in store.segments(job_id, wanted)}


def _wait_for(home: Path, count: int) -> None:
    until = time.monotonic() + PATIENCE_SECONDS
    while sum(_made(home).values()) < count:
        if time.monotonic() > until:
            raise TimeoutError(f"{count} segments were not made within {PATIENCE_SECONDS:g} s")
        time.sleep(0.002)
