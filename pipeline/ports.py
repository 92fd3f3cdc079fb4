"""The ports of state and messages: each method states its promise; adapters raise only `events.errors`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from events.messages import Topic
from pipeline.commands import Outgoing
from pipeline.decide import Decision
from pipeline.records import Job, JobState, Segment, SegmentState


class Clock(Protocol):
    """Time and chance."""

    def now(self) -> datetime:
        """Give the present time, aware, UTC."""
        ...

    def jitter(self) -> float:
        """Draw a number in [0, 1)."""
        ...


@dataclass(frozen=True, slots=True)
class Committed:
    """A decision that is written."""

    decision: Decision
    #: The job and the segment as they are now.
    job: Job
    segment: Segment | None
    #: The store has published the decision's messages in the same transaction, so nobody else must.
    published: bool = False


@dataclass(frozen=True, slots=True)
class Created:
    """The answer to a creation."""

    job: Job
    #: False when the same request had made the job before.
    fresh: bool
    #: The active job that this one took the place of, as it is now.
    superseded: Committed | None = None


@dataclass(frozen=True, slots=True)
class Overdue:
    """Something whose `wake_at` has passed."""

    job_id: str
    #: None for the job itself.
    segment_index: int | None


Decide = Callable[[Job, Segment | None], Decision]


class JobStore(Protocol):
    """Jobs and their segments, each a document of its own."""

    def create(
        self, job: Job, segments: Sequence[Segment], supersede: Callable[[Job], Decision] | None = None
    ) -> Created:
        """Write a new job, its segments and its project's lock, all or nothing.

        Idempotent by `job.job_id`: if that job exists, it is given back and nothing is written. If the lock names
        another active job of the same project and kind, `supersede` decides what becomes of that one in the same
        transaction.

        Raises:
            AlreadyRunning: another job is active and `supersede` is None.
            Unavailable: the store did not answer; nothing is written.
        """
        ...

    def transact(self, job_id: str, segment_index: int | None, decide: Decide) -> Committed:
        """Read the job (and the segment), decide, and write what the decision changes, all or nothing.

        Optimistic: `decide` may be called more than once and must be pure. A decision with `takes_lock` is written
        only together with the project's lock.

        Raises:
            UnknownJob: there is no such job or segment.
            AlreadyRunning: the decision needs the lock, and another job has it.
            Unavailable: the store did not answer, or others kept writing first; nothing is written.
        """
        ...

    def load(self, job_id: str) -> Job:
        """Read one job.

        Raises:
            UnknownJob: there is no such job.
        """
        ...

    def segments(
        self, job_id: str, states: frozenset[SegmentState] | None = None, below: int | None = None
    ) -> list[Segment]:
        """Read a job's segments in order: those in `states` (None for all) with an index under `below`."""
        ...

    def overdue(self, now: datetime, limit: int) -> list[Overdue]:
        """Give what has a `wake_at` at or before `now`, the longest overdue first, at most `limit`."""
        ...

    def jobs(
        self,
        *,
        project_id: str | None = None,
        user_id: str | None = None,
        states: frozenset[JobState] | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """Read jobs, the newest first."""
        ...


@dataclass(frozen=True, slots=True)
class Delivery:
    """One delivery of one message."""

    topic: Topic
    #: The message's JSON.
    body: str
    #: 1-based.
    delivery_attempt: int = 1
    #: The worker that had the message before is known to be dead.
    claimant_died: bool = False


class MessageBus(Protocol):
    """At-least-once messages. What a handler raises with `retryable` comes again; else it becomes a dead letter."""

    def publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Publish messages durably, in order, all or nothing; each is delivered at least once, not before its time.

        Raises:
            Unavailable: the bus did not answer; the caller's own redelivery or the sweep publishes again.
        """
        ...
