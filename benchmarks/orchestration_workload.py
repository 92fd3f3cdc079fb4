"""What every contender of `benchmarks.orchestration` is given, and how it is measured.

Per job: N no-op segments whose state is visible, pending → generating → done, each change committed; one fan-in;
the job is completed. A prompt of 200 characters goes with each segment. Each contender runs in a process of its own.
"""

from __future__ import annotations

import json
import resource
import sqlite3
import time
from dataclasses import asdict, dataclass
from pathlib import Path

PROMPT = "A red kite over a grey harbour, slow pan, early light. " * 4
PROMPT = PROMPT[:200]

#: Longest that one run may take before it is called stuck.
PATIENCE_SECONDS = 300.0
#: How often the driver looks whether all jobs are completed; the same for every contender.
LOOK_EVERY_SECONDS = 0.005


@dataclass(frozen=True, slots=True)
class Shape:
    """So many jobs at once, of so many segments each."""

    jobs: int
    segments: int

    @property
    def total(self) -> int:
        """All segments."""
        return self.jobs * self.segments

    def __str__(self) -> str:
        return f"{self.jobs}x{self.segments}"

    @classmethod
    def parse(cls, text: str) -> Shape:
        """Read `50x15`."""
        jobs, segments = text.split("x")
        return cls(int(jobs), int(segments))


@dataclass(frozen=True, slots=True)
class Measured:
    """One run."""

    segments: int
    wall_seconds: float
    #: User and system time of the whole process and its children.
    cpu_seconds: float

    @property
    def rate(self) -> float:
        """Segments a second."""
        return self.segments / self.wall_seconds

    @property
    def cpu_ms(self) -> float:
        """Processor time a segment."""
        return 1000 * self.cpu_seconds / self.segments

    def tell(self) -> None:
        """Print it for the program that started this process."""
        print(json.dumps(asdict(self)), flush=True)


class Stopwatch:
    """Wall and processor time since it was made."""

    def __init__(self) -> None:
        self._wall = time.perf_counter()
        self._cpu = cpu_seconds()

    def read(self, segments: int) -> Measured:
        """Give what has passed."""
        return Measured(segments, time.perf_counter() - self._wall, cpu_seconds() - self._cpu)


def cpu_seconds() -> float:
    """Give the processor time that this process and its ended children have used."""
    total = 0.0
    for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN):
        usage = resource.getrusage(who)
        total += usage.ru_utime + usage.ru_stime
    return total


def wait_until_completed(database: Path, count: int) -> None:
    """Wait until the table `jobs` says that `count` jobs are completed.

    Raises:
        TimeoutError: it takes longer than PATIENCE_SECONDS.
    """
    connection = sqlite3.connect(database, isolation_level=None)
    until = time.monotonic() + PATIENCE_SECONDS
    query = "SELECT count(*) FROM jobs WHERE state = 'completed'"
    while connection.execute(query).fetchone()[0] < count:
        if time.monotonic() > until:
            raise TimeoutError(f"not all of {count} jobs were completed within {PATIENCE_SECONDS:g} s")
        time.sleep(LOOK_EVERY_SECONDS)
    connection.close()
