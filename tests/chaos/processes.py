"""The processes that a killed program leaves behind: who they are, and whether they are gone."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

#: How long what a killed program started may outlive it: its pipe ends at once, an encoder is then told to stop.
OUTLIVES_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Process:
    """A process, told apart from a later one with the same number."""

    pid: int
    started: str
    command: str


def everything() -> dict[int, tuple[int, Process]]:
    """Give every process of this machine that is no zombie: number → its parent's, and itself."""
    lines = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid=,stat=,lstart=,args="],
        capture_output=True,
        text=True,
        errors="replace",
        check=True,
    ).stdout.splitlines()
    found = {}
    for line in lines:
        pid, parent, state, *rest = line.split(None, 8)
        if not state.startswith("Z"):
            found[int(pid)] = (int(parent), Process(int(pid), " ".join(rest[:5]), rest[5] if len(rest) > 5 else ""))
    return found


def family(pid: int) -> list[Process]:
    """Give what a process has started, and what that has started, without itself."""
    known = everything()
    young, found = [pid], list[Process]()
    while young:
        parent = young.pop()
        children = [each for above, each in known.values() if above == parent]
        found += children
        young += [each.pid for each in children]
    return found


def kill(processes: Iterable[Process]) -> None:
    """Kill by -9 what is still there."""
    for each in processes:
        with suppress(ProcessLookupError):
            os.kill(each.pid, signal.SIGKILL)


class Orphans:
    """Watches what killed programs left behind until it is gone."""

    def __init__(self) -> None:
        self._left: dict[Process, float] = {}
        #: How many were watched so far.
        self.count = 0

    def watch(self, processes: Iterable[Process]) -> None:
        """Begin to watch processes whose parent was killed now."""
        for each in processes:
            self.count += 1
            self._left[each] = time.monotonic()

    def overstayed(self, patience_seconds: float = OUTLIVES_SECONDS) -> list[Process]:
        """Give those that are still there although their parent was killed so long ago."""
        if not self._left:
            return []
        present = {each for _, each in everything().values()}
        self._left = {each: since for each, since in self._left.items() if each in present}
        return [each for each, since in self._left.items() if time.monotonic() - since > patience_seconds]

    def wait(self) -> list[Process]:
        """Wait until all are gone; give those that are not in time."""
        until = time.monotonic() + OUTLIVES_SECONDS
        while (left := self.overstayed(-1)) and time.monotonic() < until:
            time.sleep(0.05)
        return left
