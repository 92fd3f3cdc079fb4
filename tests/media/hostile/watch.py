"""Runs what touches hostile files in processes that are watched, killed where they overdo it, and measured.

One process imports everything and then forks for each file, which takes milliseconds; memory is what a fork used beyond
what it was born with. Linux only, as the stitch program's tether is.
"""

from __future__ import annotations

import json
import os
import resource
import select
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, NoReturn

REPOSITORY = Path(__file__).parents[3]

#: Backstops that keep a failing test from taking the machine with it; the bounds that are promised are far below.
_ADDRESS_SPACE_BYTES = 8 * 1024**3
_FILE_BYTES = 512 * 1024**2
_WALL_SECONDS = 90
_MIB = 1024 * 1024
_SAID_MAX = 5000


@dataclass(frozen=True)
class Run:
    """What one process did with one file."""

    #: `ok`, `refused` (one of our errors), or what should never be: `crashed`, `killed`, `hung`.
    outcome: str
    #: What came out, or the error's text.
    said: str
    cpu_s: float
    #: Beyond what the process had when it began, its children's counted.
    memory_mib: float
    written_mib: float
    wall_s: float
    #: Of the segment that an error names; None where it names none.
    segment_index: int | None = None


class Watcher:
    """Gives files to forks of one warm process."""

    def __init__(self) -> None:
        self._server = subprocess.Popen(
            [sys.executable, "-m", "tests.media.hostile.watch"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=REPOSITORY,
            text=True,
        )

    def run(self, work: str, **arguments: str) -> Run:
        """Run one of `works.WORKS` in a process of its own."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.write(json.dumps({"work": work, "arguments": arguments}) + "\n")
        self._server.stdin.flush()
        line = self._server.stdout.readline()
        assert line, "the watched process's parent has died"
        return Run(**json.loads(line))

    def close(self) -> None:
        """End the warm process."""
        assert self._server.stdin
        assert self._server.stdout
        self._server.stdin.close()
        self._server.wait()
        self._server.stdout.close()


def serve(works: Mapping[str, Callable[..., str]], orders: IO[str], answers: IO[str]) -> None:
    """Fork for each line that comes in, and answer with a line."""
    # A fork that does nothing has less memory than its parent: files in memory are counted when they are touched.
    idle_mib = _watched(lambda: "", 0).memory_mib
    for line in orders:
        order = json.loads(line)
        run = _watched(partial(works[order["work"]], **order["arguments"]), idle_mib)
        answers.write(json.dumps(asdict(run)) + "\n")
        answers.flush()


def _watched(work: Callable[[], str], idle_mib: float) -> Run:
    started = time.monotonic()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.setsid()
        _work_and_exit(work, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        ready, _, _ = select.select([answer], [], [], _WALL_SECONDS)
        if not ready:
            os.killpg(child, signal.SIGKILL)
        said: dict[str, Any] = json.loads(answer.read() or b"{}") if ready else {"outcome": "hung"}
        _, status, used = os.wait4(child, 0)
    if not said:
        said = {"outcome": "killed", "said": f"by signal {-os.waitstatus_to_exitcode(status)}"}
    return Run(
        outcome=said["outcome"],
        said=said.get("said", ""),
        segment_index=said.get("segment_index"),
        cpu_s=round(used.ru_utime + used.ru_stime, 2),
        memory_mib=round(used.ru_maxrss / 1024 - idle_mib, 1),
        written_mib=round(said.get("written", 0) / _MIB, 1),
        wall_s=round(time.monotonic() - started, 2),
    )


def _work_and_exit(work: Callable[[], str], writing: int) -> NoReturn:
    from events.errors import PipelineError

    # What the work prints is no answer.
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (_FILE_BYTES, _FILE_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (_WALL_SECONDS, _WALL_SECONDS))
    answer: dict[str, Any]
    try:
        answer = {"outcome": "ok", "said": work()[:_SAID_MAX]}
    except PipelineError as exc:
        answer = {"outcome": "refused", "said": f"{exc}", "segment_index": getattr(exc, "segment_index", None)}
    except BaseException:  # noqa: BLE001 - whatever else comes out is what the test looks for
        answer = {"outcome": "crashed", "said": traceback.format_exc()[-2000:]}
    answer["written"] = _written_bytes()
    os.write(writing, json.dumps(answer).encode())
    os._exit(0)


def _written_bytes() -> int:
    """Count what this process and its ended children wrote to files and pipes."""
    lines = Path("/proc/self/io").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("wchar")).split()[1])


if __name__ == "__main__":
    from tests.media.hostile.works import WORKS

    serve(WORKS, sys.stdin, sys.stdout)
