"""Runs one command as a whole process tree and says what it cost.

`run` starts this file as a small program of its own (`python -I -S`), and that program starts the command: a process
inherits the peak memory of the one that it was forked from, so a large driver would lend its own peak to all.
Processor time is what `wait4` gives: user and system time of the process and of every child that it waited for.
Peak memory is the larger of two readings, since each misses something: `ru_maxrss` of `wait4`, the exact peak of the
largest single process; and, where a command has children, the sum over its tree, looked at ten times a second, of
each process's memory with shared pages counted once (`Pss`; Linux only).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

_LOOK_EVERY_SECONDS = 0.1


class Cost(NamedTuple):
    """What one run took."""

    exit_code: int
    wall_seconds: float
    cpu_seconds: float
    peak_mib: float


class CommandFailed(Exception):
    """A contender ended with an exit code that is not 0."""


def run(command: Sequence[str], cwd: Path, log: Path) -> Cost:
    """Run a command, its output going to a file, and wait for it.

    Raises:
        CommandFailed: it did not end well; the message ends with what it printed last.
    """
    answer, told = os.pipe()
    launcher = [sys.executable, "-I", "-S", __file__, str(told), *command]
    with log.open("wb") as printed, os.fdopen(answer, "rb") as read:
        try:
            subprocess.run(
                launcher, cwd=cwd, stdin=subprocess.DEVNULL, stdout=printed, stderr=printed, pass_fds=[told], check=True
            )
        finally:
            os.close(told)
        cost = Cost(*json.loads(read.read()))
    if cost.exit_code != 0:
        last = log.read_text(errors="replace")[-2000:]
        raise CommandFailed(f"{' '.join(command)[:200]}: it ended with {cost.exit_code}: {last}")
    return cost


def main() -> None:
    """Run `FILE_DESCRIPTOR COMMAND...` and write the cost to the file descriptor as JSON."""
    told, command = int(sys.argv[1]), sys.argv[2:]
    os.set_inheritable(told, False)
    start = time.perf_counter()
    pid = os.posix_spawnp(command[0], command, os.environ)
    peaks = [0.0]
    threading.Thread(target=_watch, args=(pid, peaks), daemon=True).start()
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - start
    # Linux counts kibibytes here, macOS bytes.
    largest = usage.ru_maxrss / (1024 if sys.platform != "darwin" else 1024 * 1024)
    cpu = usage.ru_utime + usage.ru_stime
    cost = Cost(os.waitstatus_to_exitcode(status), wall, cpu, max(largest, *peaks))
    os.write(told, json.dumps(cost).encode())


def _watch(pid: int, peaks: list[float]) -> None:
    while True:
        time.sleep(_LOOK_EVERY_SECONDS)
        tree = _tree(pid)
        if len(tree) > 1:
            peaks.append(sum(map(_own_mib, tree)))


def _tree(pid: int) -> list[int]:
    """Give a process and all below it; one that has just ended is left out."""
    found = [pid]
    for parent in found:
        for children in Path(f"/proc/{parent}/task").glob("*/children"):
            found += map(int, _read(children).split())
    return found


def _own_mib(pid: int) -> float:
    lines = _read(Path(f"/proc/{pid}/smaps_rollup")).splitlines()
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # the process has ended since
        return ""


if __name__ == "__main__":
    main()
