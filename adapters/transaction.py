"""What one thread reads and writes between BEGIN and COMMIT, and SQLite's errors in our words."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import TracebackType
from typing import Any

from events.errors import LimitExceeded, PipelineError, Unavailable

#: Things that a thread remembers at most.
KNOWN_MAX = 5000

#: Gives the values of a statement, when they are needed.
Row = Callable[[], Sequence[Any]]


class Transaction:
    """One thread's transaction; the same object serves the thread's next one.

    A document that many parts of a transaction change is written once, with what the last of them made of it: `later`
    keeps a row back until the commit, or until somebody reads.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        #: What this thread remembers of the file. Empty again as soon as another connection has committed, or a
        #: transaction of this one was rolled back; so it may be believed inside a transaction only.
        self.known: dict[object, Any] = {}
        self._known_version = -1
        #: Statement → the row's key → the row.
        self._kept_back: dict[str, dict[object, Row]] = {}
        self._kept_back_count = 0
        #: Between BEGIN and COMMIT.
        self.is_open = False
        self._spoilt = False

    def execute(self, statement: str, values: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a statement; it sees everything that was written before it."""
        self.flush()
        return self._connection.execute(statement, values)

    def look_up(self, statement: str, values: Sequence[Any]) -> Any:
        """Read one row which is not kept back, so that nothing needs to be written first; None when there is none."""
        return self._connection.execute(statement, values).fetchone()

    def executemany(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Run a statement for each row."""
        self.flush()
        self._connection.executemany(statement, rows)

    def later(self, statement: str, key: object, row: Row) -> None:
        """Write a row at the end; a later one for the same statement and key takes its place."""
        self._kept_back.setdefault(statement, {})[key] = row
        self._kept_back_count += 1

    def flush(self) -> None:
        """Write what was kept back."""
        if self._kept_back:
            for statement, rows in self._kept_back.items():
                self._connection.executemany(statement, [row() for row in rows.values()])
            self._kept_back.clear()

    @contextmanager
    def outermost(self, doing: str) -> Iterator[Transaction]:
        """Begin, and commit at the end; any error rolls everything back."""
        self.is_open, self._spoilt = True, False
        try:
            with translated(doing):
                self._begin()
                yield self
                self._commit(doing)
        except BaseException:
            self._forget()
            # SQLite itself has rolled back where the disk was full.
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        finally:
            self.is_open = False

    def part(self, doing: str) -> AbstractContextManager[Transaction]:
        """Be a part of the open transaction: one that fails before it wrote anything leaves the others alone."""
        return _Part(self, doing)

    def spoil(self, written_before: int) -> None:
        """Take note that a part has failed; if it wrote something, nothing can be committed any more."""
        self._spoilt = self._spoilt or not self._connection.in_transaction or self.written() != written_before

    def written(self) -> int:
        """Give a number that rises with each row that is written or kept back."""
        return self._connection.total_changes + self._kept_back_count

    def _begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        version = data_version(self._connection)
        if version != self._known_version or len(self.known) > KNOWN_MAX:
            self.known.clear()
            self._known_version = version

    def _commit(self, doing: str) -> None:
        if self._spoilt:
            raise Unavailable(f"{doing}: another change in the same transaction failed; try again")
        self.flush()
        self._connection.execute("COMMIT")

    def _forget(self) -> None:
        self.known.clear()
        self._kept_back.clear()


class _Part:
    # A class, not a generator: there are two parts to every segment, and this enters and leaves in a third of the time.
    __slots__ = ("_doing", "_transaction", "_written")

    def __init__(self, transaction: Transaction, doing: str) -> None:
        self._transaction, self._doing = transaction, doing
        self._written = transaction.written()

    def __enter__(self) -> Transaction:
        return self._transaction

    def __exit__(
        self, _type: type[BaseException] | None, exc: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if exc is not None:
            self._transaction.spoil(self._written)
            if isinstance(exc, sqlite3.Error):
                raise translation(self._doing, exc) from exc


def data_version(connection: sqlite3.Connection) -> int:
    """Give a number that changes when any other connection has committed."""
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
