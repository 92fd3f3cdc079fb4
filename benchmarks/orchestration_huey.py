"""Huey doing the same work: a task that fans out, a task a segment, a task that fans in.

Huey keeps no state of jobs, so its user writes the tables and the counter himself: the same two state changes a
segment, the second one together with the count, as cheaply as SQLite allows. Huey's own settings are chosen in its
favour: no results are kept, and an idle worker looks for tasks every 10 ms.
"""

from __future__ import annotations

import logging
import sqlite3
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from huey import SqliteHuey
from huey.storage import SqliteStorage

from benchmarks.orchestration_workload import PROMPT, Shape, Stopwatch, wait_until_completed

_SCHEMA = """
CREATE TABLE jobs (job_id TEXT PRIMARY KEY, state TEXT NOT NULL, remaining INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (job_id TEXT NOT NULL, position INTEGER NOT NULL, state TEXT NOT NULL, prompt TEXT NOT NULL,
    clip TEXT, PRIMARY KEY (job_id, position)) WITHOUT ROWID;
"""
#: What Huey's file and the user's tables are set to. Huey's own default leaves SQLite's, which is FULL.
SETTINGS = {"NORMAL": ("NORMAL", "NORMAL"), "FULL": ("FULL", "FULL"), "DEFAULTS": (None, "NORMAL")}


class _Storage(SqliteStorage):  # type: ignore[misc] # huey ships no types
    # Huey offers FULL and OFF by itself; NORMAL has to be set by hand.
    def __init__(self, *args: Any, synchronous: str | None = None, **kwargs: Any) -> None:
        self._synchronous = synchronous
        super().__init__(*args, **kwargs)

    def _create_connection(self) -> Any:
        connection = super()._create_connection()
        if self._synchronous is not None:
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
        return connection


class AppState:
    """The tables that a user of Huey writes himself; one connection a thread."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self.path, self._synchronous = path, synchronous
        self._of_thread = threading.local()
        self.connection().executescript(_SCHEMA)

    def connection(self) -> sqlite3.Connection:
        """Give this thread's connection."""
        found: sqlite3.Connection | None = getattr(self._of_thread, "connection", None)
        if found is None:
            found = sqlite3.connect(self.path, timeout=10, isolation_level=None)
            found.execute("PRAGMA journal_mode=WAL")
            found.execute(f"PRAGMA synchronous={self._synchronous}")
            self._of_thread.connection = found
        return found

    def create(self, job_id: str, segments: int) -> None:
        """Write a job and its segments."""
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO jobs VALUES (?, 'queued', ?)", (job_id, segments))
        rows = [(job_id, position, "pending", PROMPT) for position in range(segments)]
        connection.executemany("INSERT INTO segments VALUES (?, ?, ?, ?, NULL)", rows)
        connection.execute("COMMIT")

    def set_job(self, job_id: str, state: str) -> None:
        """Change a job's state."""
        self.connection().execute("UPDATE jobs SET state = ? WHERE job_id = ?", (state, job_id))

    def claim(self, job_id: str, position: int) -> bool:
        """Start a segment; tell whether it was waiting."""
        query = "UPDATE segments SET state = 'generating' WHERE job_id = ? AND position = ? AND state = 'pending'"
        return self.connection().execute(query, (job_id, position)).rowcount == 1

    def finish(self, job_id: str, position: int) -> int:
        """End a segment and count it, in one transaction; give how many are left."""
        connection = self.connection()
        connection.execute("BEGIN IMMEDIATE")
        query = "UPDATE segments SET state = 'done', clip = 'clip.mp4' WHERE job_id = ? AND position = ?"
        connection.execute(query, (job_id, position))
        query = "UPDATE jobs SET remaining = remaining - 1 WHERE job_id = ? RETURNING remaining"
        remaining: int = connection.execute(query, (job_id,)).fetchall()[0][0]
        connection.execute("COMMIT")
        return remaining


def main() -> None:
    """Run `SHAPE NORMAL|FULL|DEFAULTS WORKERS`."""
    shape, (of_huey, of_state), workers = Shape.parse(sys.argv[1]), SETTINGS[sys.argv[2]], int(sys.argv[3])
    logging.disable(logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        state = AppState(Path(folder) / "state.db", of_state)
        huey = SqliteHuey(
            filename=str(Path(folder) / "huey.db"), storage_class=_Storage, synchronous=of_huey, results=False
        )
        begin = _tasks(huey, state, shape)
        consumer = huey.create_consumer(
            workers=workers, periodic=False, initial_delay=0.01, backoff=1.0, max_delay=0.01
        )
        consumer.start()
        watch = Stopwatch()
        for job in range(shape.jobs):
            state.create(f"job_{job}", shape.segments)
            begin(f"job_{job}")
        wait_until_completed(state.path, shape.jobs)
        watch.read(shape.total).tell()
        consumer.stop(graceful=True)


def _tasks(huey: Any, state: AppState, shape: Shape) -> Any:
    task: Callable[[Callable[..., None]], Any] = huey.task()

    @task
    def finish(job_id: str) -> None:
        state.set_job(job_id, "completed")

    @task
    def segment(job_id: str, position: int) -> None:
        if state.claim(job_id, position) and state.finish(job_id, position) == 0:
            finish(job_id)

    @task
    def begin(job_id: str) -> None:
        state.set_job(job_id, "generating")
        for position in range(shape.segments):
            segment(job_id, position)

    return begin


if __name__ == "__main__":
    main()
