"""One SQLite file in WAL mode: one connection a thread, short write transactions, many processes."""

from __future__ import annotations

import sqlite3
import threading
import weakref
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path

from adapters.schema import MIGRATIONS, SCHEMA, SCHEMA_VERSION
from adapters.transaction import Transaction, data_version, translated
from events.errors import PipelineError

#: How long a writer waits for another process's transaction. Ours take milliseconds.
BUSY_TIMEOUT_MS = 10_000


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _OfThread:
    connection: sqlite3.Connection
    transaction: Transaction


class Database:
    """The file, and this thread's connection to it.

    Args:
        path: the file; it is made when it is not there.
        synchronous: `NORMAL` survives kill -9; `FULL` also survives a power cut, and costs an fsync a commit.
    """

    def __init__(self, path: Path, synchronous: str = "FULL") -> None:
        self.path = path
        self._synchronous = synchronous
        self._of_thread = threading.local()
        path.parent.mkdir(parents=True, exist_ok=True)
        with translated(f"open {path}"):
            self._create(self.connection())

    def connection(self) -> sqlite3.Connection:
        """Give this thread's connection, for reading; what its open transaction has written is seen."""
        mine = self._mine()
        mine.transaction.flush()
        return mine.connection

    def close(self) -> None:
        """Close this thread's connection."""
        mine: _OfThread | None = getattr(self._of_thread, "mine", None)
        if mine is not None:
            mine.connection.close()
            del self._of_thread.mine

    def data_version(self) -> int:
        """Give a number that changes when any other connection has committed."""
        with translated("look for changes"):
            return data_version(self.connection())

    def transaction(self, doing: str) -> AbstractContextManager[Transaction]:
        """Run one write transaction; any error rolls it back. Inside another one of this thread, become part of it.

        A part that fails before it has written leaves the others alone; one that fails later undoes them all.

        Raises:
            Unavailable: other processes kept the file locked, or another part failed.
            LimitExceeded: the disk is full.
        """
        mine = self._mine().transaction
        return mine.part(doing) if mine.is_open else mine.outermost(doing)

    def _mine(self) -> _OfThread:
        mine: _OfThread | None = getattr(self._of_thread, "mine", None)
        if mine is None:
            # Used by this thread alone; another may collect it as garbage, and then has to close it.
            connection = sqlite3.connect(
                self.path, timeout=BUSY_TIMEOUT_MS / 1000, isolation_level=None, check_same_thread=False
            )
            try:
                connection.execute("PRAGMA journal_mode=WAL")
                connection.execute(f"PRAGMA synchronous={self._synchronous}")
            except BaseException:
                connection.close()
                raise
            mine = self._of_thread.mine = _OfThread(connection, Transaction(connection))
            # A thread that ends without `close` leaves no open file behind. Closing twice is nothing.
            weakref.finalize(mine, connection.close)
        return mine

    def _create(self, connection: sqlite3.Connection) -> None:
        if connection.execute("PRAGMA user_version").fetchone()[0] == SCHEMA_VERSION:
            return
        connection.execute("BEGIN IMMEDIATE")
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in SCHEMA.split(";\n"):
                connection.execute(statement)
            version = SCHEMA_VERSION
        while version in MIGRATIONS:
            for statement in MIGRATIONS[version]:
                connection.execute(statement)
            version += 1
        if version == SCHEMA_VERSION:
            connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
        connection.execute("COMMIT")
        if version != SCHEMA_VERSION:
            text = f"it was written by another version of Longreel (schema {version}, this one has {SCHEMA_VERSION})"
            raise PipelineError(f"open {self.path}: {text}; use that version, or another --home")
