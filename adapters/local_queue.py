"""The embedded message bus: a durable queue in the same SQLite file as the jobs.

At least once: a message is leased to a worker and deleted when the worker says it is done. A lease has no clock: it
holds as long as its owner lives (`adapters/owners.py`), so slow work is never given away and a killed worker's
messages are free at once. Errors that may pass come again with back-off; the rest become dead letters, with a reason.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from adapters.database import Database
from adapters.owners import Owner
from adapters.sqlite_rows import to_ms
from adapters.transaction import Transaction, translated
from events.errors import NotFound
from events.messages import TOPIC_OF_MODEL, Topic
from pipeline.commands import Command, Outgoing, as_message
from pipeline.ports import Clock, Delivery
from pipeline.retry import backoff

#: Topics whose messages are slow work; they have a lane of their own, so that they never hold up the handlers.
WORK_TOPICS = frozenset({Topic.LOCAL_RENDER, Topic.LOCAL_STITCH})
CONTROL_LANE, WORK_LANE = "control", "work"

#: Failed deliveries before a message becomes a dead letter. Source: Pub/Sub's default, `max_delivery_attempts` 5.
DELIVERIES_MAX = 5
#: Workers that may die with a message in hand before it is held to be the cause.
DEATHS_MAX = 50

_ALMOST_A_MILLISECOND = timedelta(microseconds=999)

_INSERT = "INSERT INTO messages (lane, topic, body, visible_at) VALUES (?, ?, ?, ?)"
_LEASE = (
    "UPDATE messages SET owner = ? WHERE id IN (SELECT id FROM messages WHERE lane = ? AND owner IS NULL"
    " AND visible_at <= ? ORDER BY visible_at, id LIMIT ?)"
    " RETURNING id, topic, body, failures + deaths + 1, claimant_died"
)


@dataclass(frozen=True, slots=True)
class Leased:
    """A message in this worker's hands."""

    message_id: int
    delivery: Delivery


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that will not be delivered again by itself."""

    message_id: int
    topic: str
    body: str
    deliveries: int
    reason: str


class LocalQueue:
    """The queue, as one worker sees it.

    Args:
        database: the file.
        clock: says when a message is due.
        owner: this worker; None for a process that only publishes.
    """

    def __init__(self, database: Database, clock: Clock, owner: Owner | None = None) -> None:
        self._database = database
        self._clock = clock
        self._owner = owner
        self._listeners: list[Callable[[], None]] = []
        #: Guards `_listeners`.
        self._guard = threading.Lock()

    def publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Publish messages durably, in order, all or nothing."""
        if not outgoing:
            return
        with self._database.transaction("publish") as transaction:
            self._insert(transaction, outgoing)
        self._wake()

    def outbox(self, transaction: Transaction, commands: tuple[Command, ...]) -> None:
        """Publish the messages among the commands within the caller's transaction."""
        outgoing = [message for command in commands if (message := as_message(command)) is not None]
        if outgoing:
            self._insert(transaction, outgoing)

    def exchange(self, lane: str, done: Iterable[int], limit: int) -> list[Leased]:
        """Give back finished messages and take up to `limit` new ones of the lane, in one transaction.

        Raises:
            Unavailable, LimitExceeded: nothing was given back or taken.
        """
        finished = [(message_id,) for message_id in done]
        assert self._owner is not None, "only a worker takes messages"
        with self._database.transaction("take messages") as transaction:
            if finished:
                transaction.executemany("DELETE FROM messages WHERE id = ?", finished)
            rows = transaction.execute(_LEASE, (self._owner.name, lane, self._now_ms(), limit)).fetchall()
        rows.sort()
        return [
            Leased(message_id, Delivery(Topic(topic), body, attempt, claimant_died=bool(died)))
            for message_id, topic, body, attempt, died in rows
        ]

    def retry_later(self, leased: Leased, reason: str) -> bool:
        """Let a message come again after a back-off, or make it a dead letter when it has failed too often.

        Returns:
            Whether it comes again.
        """
        with self._database.transaction("retry a message") as transaction:
            query = "UPDATE messages SET failures = failures + 1 WHERE id = ? RETURNING failures"
            failures = transaction.execute(query, (leased.message_id,)).fetchone()[0]
            if failures >= DELIVERIES_MAX:
                self._bury(transaction, leased.message_id, reason)
                return False
            due_at = self._clock.now() + backoff(failures, self._clock.jitter())
            query = "UPDATE messages SET owner = NULL, claimant_died = 0, visible_at = ?, reason = ? WHERE id = ?"
            transaction.execute(query, (_due_ms(due_at), reason, leased.message_id))
            return True

    def bury(self, leased: Leased, reason: str) -> None:
        """Make a message a dead letter at once."""
        with self._database.transaction("keep a dead letter") as transaction:
            self._bury(transaction, leased.message_id, reason)

    def put_back(self, leased: Iterable[Leased]) -> None:
        """Give messages back unhandled, as if they had never been taken."""
        with self._database.transaction("give messages back") as transaction:
            rows = [(each.message_id,) for each in leased]
            transaction.executemany("UPDATE messages SET owner = NULL WHERE id = ?", rows)

    def free_the_dead(self) -> int:
        """Free the messages of workers that are gone; give how many there were."""
        assert self._owner is not None, "only a worker looks after others"
        with translated("look for dead workers"):
            query = "SELECT DISTINCT owner FROM messages WHERE owner IS NOT NULL"
            owners = [name for (name,) in self._database.connection().execute(query)]
        dead = [name for name in owners if self._owner.is_dead(name)]
        return sum(self._free(name) for name in dead)

    def next_due_in_ms(self) -> int | None:
        """Give how long until a message is due for which a worker must be woken, 0 for now; None when there is none.

        Slow work that is due already needs no waking: whoever is free takes it.
        """
        with translated("look for the next message"):
            query = "SELECT min(visible_at) FROM messages WHERE owner IS NULL AND (lane = ? OR visible_at > ?)"
            values = (CONTROL_LANE, self._now_ms())
            due: int | None = self._database.connection().execute(query, values).fetchone()[0]
        return None if due is None else max(0, due - self._now_ms())

    def holds(self, topic: Topic, job_id: str, attempt: int, segment_index: int | None = None) -> bool:
        """Tell whether a message about this attempt is waiting or in somebody's hands."""
        query = (
            "SELECT 1 FROM messages WHERE topic = ? AND json_extract(body, '$.jobId') = ?"
            " AND json_extract(body, '$.attempt') = ? AND json_extract(body, '$.segmentIndex') IS ?"
        )
        with translated("look for a message"):
            values = (topic.value, job_id, attempt, segment_index)
            return self._database.connection().execute(query, values).fetchone() is not None

    def waiting_count(self) -> int:
        """Give how many messages are waiting or in somebody's hands."""
        with translated("count the messages"):
            count: int = self._database.connection().execute("SELECT count(*) FROM messages").fetchone()[0]
            return count

    def dead_letters(self) -> list[DeadLetter]:
        """Give every dead letter, the oldest first."""
        query = "SELECT id, topic, body, deliveries, reason FROM dead_letters ORDER BY id"
        with translated("list the dead letters"):
            return [DeadLetter(*row) for row in self._database.connection().execute(query)]

    def replay(self, message_id: int) -> None:
        """Publish a dead letter again, as a new message.

        Raises:
            NotFound: there is no such dead letter.
        """
        with self._database.transaction("replay a dead letter") as transaction:
            query = "DELETE FROM dead_letters WHERE id = ? RETURNING topic, body"
            row = transaction.execute(query, (message_id,)).fetchone()
            if row is None:
                raise NotFound(f"replay dead letter {message_id}: there is none; `longreel dead-letters` lists them")
            transaction.execute(_INSERT, (_lane(Topic(row[0])), row[0], row[1], self._now_ms()))
        self._wake()

    def listen(self, wake: Callable[[], None]) -> None:
        """Have `wake` called, from any thread, when this process has published."""
        with self._guard:
            self._listeners.append(wake)

    def _insert(self, transaction: Transaction, outgoing: Sequence[Outgoing]) -> None:
        now_ms = self._now_ms()
        for each in outgoing:
            transaction.later(_INSERT, object(), partial(_row, each, now_ms))

    def _bury(self, transaction: Transaction, message_id: int, reason: str) -> None:
        query = (
            "INSERT INTO dead_letters SELECT id, topic, body, max(1, failures + deaths), ?, ?"
            " FROM messages WHERE id = ?"
        )
        transaction.execute(query, (reason, self._now_ms(), message_id))
        transaction.execute("DELETE FROM messages WHERE id = ?", (message_id,))

    def _free(self, name: str) -> int:
        with self._database.transaction("free a dead worker's messages") as transaction:
            query = (
                "UPDATE messages SET owner = NULL, claimant_died = 1, deaths = deaths + 1 WHERE owner = ?"
                " RETURNING id, deaths"
            )
            rows = transaction.execute(query, (name,)).fetchall()
            for message_id, deaths in rows:
                if deaths >= DEATHS_MAX:
                    self._bury(transaction, message_id, f"{deaths} workers died with it in hand")
        return len(rows)

    def _wake(self) -> None:
        for wake in self._listeners:
            wake()

    def _now_ms(self) -> int:
        now_ms = to_ms(self._clock.now())
        assert now_ms is not None
        return now_ms


def _lane(topic: Topic) -> str:
    return WORK_LANE if topic in WORK_TOPICS else CONTROL_LANE


def _due_ms(not_before: datetime | None) -> int | None:
    # Rounded up: a message that came within the millisecond before its time would be told that it is too early.
    return None if not_before is None else to_ms(not_before + _ALMOST_A_MILLISECOND)


def _row(outgoing: Outgoing, now_ms: int) -> tuple[str, str, str, int]:
    topic = TOPIC_OF_MODEL[type(outgoing.message)]
    due_ms = _due_ms(outgoing.not_before)
    return _lane(topic), topic.value, outgoing.message.to_json(), now_ms if due_ms is None else due_ms
