"""One SQLite file in WAL mode: one connection a thread, short write transactions, many processes."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from events.errors import LimitExceeded, PipelineError, Unavailable

#: How long a writer waits for another process's transaction. Ours take milliseconds.
BUSY_TIMEOUT_MS = 10_000

#: Things that a thread remembers at most.
KNOWN_MAX = 5000

#: Version of SCHEMA, kept in the file's `user_version`.
SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE jobs (
    job_id TEXT PRIMARY KEY, kind TEXT NOT NULL, project_id TEXT NOT NULL, user_id TEXT NOT NULL,
    generator TEXT NOT NULL, segment_count INTEGER NOT NULL, width INTEGER NOT NULL,
    on_segment_failure TEXT NOT NULL, daisy_chain INTEGER NOT NULL, created_at INTEGER NOT NULL,
    settings TEXT NOT NULL,
    updated_at INTEGER NOT NULL, deadline_at INTEGER NOT NULL, wake_at INTEGER, state TEXT NOT NULL,
    done_count INTEGER NOT NULL, skipped_count INTEGER NOT NULL, resume_count INTEGER NOT NULL,
    progress INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER, last_frame TEXT, superseded_by TEXT,
    error TEXT, stitch_error TEXT, warnings TEXT, route TEXT, film TEXT, stitch TEXT, cost TEXT
) WITHOUT ROWID;
CREATE INDEX jobs_by_wake ON jobs (wake_at) WHERE wake_at IS NOT NULL;
CREATE INDEX jobs_by_age ON jobs (created_at);
CREATE TABLE segments (
    job_id TEXT NOT NULL, position INTEGER NOT NULL, updated_at INTEGER NOT NULL, state TEXT NOT NULL,
    attempt INTEGER NOT NULL, tries INTEGER NOT NULL, claimed_at INTEGER, operation TEXT, not_before INTEGER,
    waiting_quota INTEGER NOT NULL, clip TEXT, error TEXT, price_micro_usd INTEGER NOT NULL, wake_at INTEGER,
    PRIMARY KEY (job_id, position)
) WITHOUT ROWID;
CREATE INDEX segments_by_wake ON segments (wake_at) WHERE wake_at IS NOT NULL;
-- Prompts are long and never change, so they stay out of the rows that do.
CREATE TABLE specs (
    job_id TEXT NOT NULL, position INTEGER NOT NULL, spec TEXT NOT NULL, PRIMARY KEY (job_id, position)
) WITHOUT ROWID;
CREATE TABLE locks (
    project_id TEXT NOT NULL, kind TEXT NOT NULL, job_id TEXT NOT NULL, PRIMARY KEY (project_id, kind)
) WITHOUT ROWID;
CREATE TABLE messages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, lane TEXT NOT NULL, topic TEXT NOT NULL, body TEXT NOT NULL,
    visible_at INTEGER NOT NULL, failures INTEGER NOT NULL DEFAULT 0, deaths INTEGER NOT NULL DEFAULT 0,
    owner TEXT, reason TEXT
);
CREATE INDEX messages_ready ON messages (lane, visible_at, id) WHERE owner IS NULL;
CREATE INDEX messages_owned ON messages (owner) WHERE owner IS NOT NULL;
CREATE TABLE dead_letters (
    id INTEGER PRIMARY KEY, topic TEXT NOT NULL, body TEXT NOT NULL, deliveries INTEGER NOT NULL,
    reason TEXT NOT NULL, died_at INTEGER NOT NULL
);
"""


@dataclass(slots=True)
class _ThreadState:
    connection: sqlite3.Connection
    known: dict[object, Any] = field(default_factory=dict)
    #: The file's data version that `known` goes with.
    known_version: int = -1
    #: A transaction of this thread is open.
    busy: bool = False
    #: A part of the open transaction failed after it had written.
    spoilt: bool = False


class Database:
    """The file, and this thread's connection to it.

    Args:
        path: the file; it is made when it is not there.
        synchronous: `NORMAL` survives kill -9; `FULL` also survives a power cut, and costs an fsync a commit.
    """

    def __init__(self, path: Path, synchronous: str = "NORMAL") -> None:
        self.path = path
        self._synchronous = synchronous
        self._of_thread = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        with translated(f"open {path}"):
            self._create(self.connection())

    def connection(self) -> sqlite3.Connection:
        """Give this thread's connection, in autocommit mode."""
        return self._mine().connection

    def close(self) -> None:
        """Close this thread's connection."""
        mine: _ThreadState | None = getattr(self._of_thread, "state", None)
        if mine is not None:
            mine.connection.close()
            del self._of_thread.state

    def data_version(self) -> int:
        """Give a number that changes when any other connection has committed."""
        with translated("look for changes"):
            return _data_version(self.connection())

    def known(self) -> dict[object, Any]:
        """Give what this thread may remember of the file, to be used inside `transaction` only.

        It is empty again as soon as another connection has committed, or a transaction of this one was rolled back.
        """
        return self._mine().known

    @contextmanager
    def transaction(self, doing: str) -> Iterator[sqlite3.Connection]:
        """Run one write transaction; any error rolls it back. Inside another one of this thread, become part of it.

        A part that fails before it has written leaves the others alone; one that fails later undoes them all.

        Raises:
            Unavailable: other processes kept the file locked, or another part failed.
            LimitExceeded: the disk is full.
        """
        mine = self._mine()
        connection = mine.connection
        if mine.busy:
            changes = connection.total_changes
            try:
                yield connection
            except BaseException as exc:
                mine.spoilt = mine.spoilt or not connection.in_transaction or connection.total_changes != changes
                if isinstance(exc, sqlite3.Error):
                    raise translation(doing, exc) from exc
                raise
            return
        mine.busy, mine.spoilt = True, False
        try:
            with translated(doing):
                _begin(mine)
                yield connection
                _commit(mine, doing)
        except BaseException:
            mine.known.clear()
            # SQLite itself has rolled back where the disk was full.
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        finally:
            mine.busy = False

    def _mine(self) -> _ThreadState:
        mine: _ThreadState | None = getattr(self._of_thread, "state", None)
        if mine is None:
            connection = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self._synchronous}")
            mine = self._of_thread.state = _ThreadState(connection)
        return mine

    def _create(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
        if version not in {0, SCHEMA_VERSION}:
            text = f"it was written by another version of Longreel (schema {version}, this one has {SCHEMA_VERSION})"
            raise PipelineError(f"open {self.path}: {text}; use that version, or another --home")


def _begin(mine: _ThreadState) -> None:
    mine.connection.execute("BEGIN IMMEDIATE")
    version = _data_version(mine.connection)
    if version != mine.known_version or len(mine.known) > KNOWN_MAX:
        mine.known.clear()
        mine.known_version = version


def _commit(mine: _ThreadState, doing: str) -> None:
    if mine.spoilt:
        raise Unavailable(f"{doing}: another change in the same transaction failed; try again")
    mine.connection.execute("COMMIT")


def _data_version(connection: sqlite3.Connection) -> int:
    version: int = connection.execute("PRAGMA data_version").fetchone()[0]
    return version


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Turn SQLite's errors into ours."""
    try:
        yield
    except sqlite3.Error as exc:
        raise translation(doing, exc) from exc


def translation(doing: str, exc: sqlite3.Error) -> PipelineError:
    """Give our error for one of SQLite's."""
    name = getattr(exc, "sqlite_errorname", "")
    if name in {"SQLITE_FULL", "SQLITE_IOERR_WRITE"}:
        return LimitExceeded(f"{doing}: the disk is full; free some space and run it again")
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Unavailable(f"{doing}: other processes kept the database locked; try again")
    hint = "" if isinstance(exc, sqlite3.OperationalError) else "; is this a Longreel file?"
    return PipelineError(f"{doing}: the database said {exc}{hint}")
