"""The raw floor: what SQLite alone costs for the same rows, in one process, with no queue, no rules and no validation.

Per segment two state updates, one queue insert and one queue delete; in four transactions, or in two (claim; finish).
"""

from __future__ import annotations

import sqlite3
import sys
import tempfile
from pathlib import Path

from benchmarks.orchestration_workload import PROMPT, Shape, Stopwatch

_SCHEMA = """
CREATE TABLE jobs (job_id TEXT PRIMARY KEY, state TEXT NOT NULL, remaining INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE segments (job_id TEXT NOT NULL, position INTEGER NOT NULL, state TEXT NOT NULL, prompt TEXT NOT NULL,
    clip TEXT, PRIMARY KEY (job_id, position)) WITHOUT ROWID;
CREATE TABLE queue (id INTEGER PRIMARY KEY, job_id TEXT NOT NULL, position INTEGER NOT NULL);
"""
_CLAIM = "UPDATE segments SET state = 'generating' WHERE job_id = ? AND position = ?"
_FINISH = "UPDATE segments SET state = 'done', clip = ? WHERE job_id = ? AND position = ?"
_INSERT = "INSERT INTO queue (job_id, position) VALUES (?, ?)"
_DELETE = "DELETE FROM queue WHERE id = ?"


def main() -> None:
    """Run `SHAPE SYNCHRONOUS TRANSACTIONS`, where TRANSACTIONS a segment is 4 or 2."""
    shape, synchronous, transactions = Shape.parse(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    with tempfile.TemporaryDirectory() as folder:
        connection = sqlite3.connect(Path(folder) / "floor.db", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"PRAGMA synchronous={synchronous}")
        connection.executescript(_SCHEMA)
        watch = Stopwatch()
        _create(connection, shape)
        run = _in_four if transactions == 4 else _in_two
        for position in range(shape.segments):
            for job in range(shape.jobs):
                run(connection, f"job_{job}", position)
        watch.read(shape.total).tell()
        connection.close()


def _create(connection: sqlite3.Connection, shape: Shape) -> None:
    for job in range(shape.jobs):
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO jobs VALUES (?, 'generating', ?)", (f"job_{job}", shape.segments))
        rows = [(f"job_{job}", position, "pending", PROMPT) for position in range(shape.segments)]
        connection.executemany("INSERT INTO segments VALUES (?, ?, ?, ?, NULL)", rows)
        connection.execute("COMMIT")


def _in_four(connection: sqlite3.Connection, job_id: str, position: int) -> None:
    message_id = connection.execute(_INSERT, (job_id, position)).lastrowid
    connection.execute(_CLAIM, (job_id, position))
    connection.execute(_FINISH, ("clip.mp4", job_id, position))
    connection.execute(_DELETE, (message_id,))


def _in_two(connection: sqlite3.Connection, job_id: str, position: int) -> None:
    connection.execute("BEGIN IMMEDIATE")
    message_id = connection.execute(_INSERT, (job_id, position)).lastrowid
    connection.execute(_CLAIM, (job_id, position))
    connection.execute("COMMIT")
    connection.execute("BEGIN IMMEDIATE")
    connection.execute(_FINISH, ("clip.mp4", job_id, position))
    connection.execute(_DELETE, (message_id,))
    connection.execute("COMMIT")


if __name__ == "__main__":
    main()
