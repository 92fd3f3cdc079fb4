"""The store and the bus, on a machine that may die or be cut off at every call. Everything else is the product's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from adapters.local_queue import LocalQueue
from events.errors import Unavailable
from pipeline.commands import Outgoing, as_message
from pipeline.decide import Decision
from pipeline.ports import Committed, Created, Decide, JobStore
from pipeline.records import Job, Segment
from tests.functions.doubles import Crash as Crash
from tests.functions.doubles import ReadsThrough
from tests.simulation.faults import Chance


class Violation(AssertionError):
    """Something happened that must never happen.

    Args:
        checker: the promise that is broken, as `tests/simulation/checks.py` names it.
        text: how.
    """

    def __init__(self, checker: str, text: str) -> None:
        super().__init__(f"{checker}: {text}")
        self.checker = checker
        self.text = text


@dataclass(frozen=True)
class Change:
    """What one commit changed."""

    event: str
    reason: str
    job_before: Job | None
    job: Job
    segment_before: Segment | None = None
    segment: Segment | None = None


class Surroundings(Protocol):
    """What the wrappers may do to the world around them."""

    chance: Chance

    def line(self, fault: str, text: str) -> None:
        """Pass a line at which the process may die, or another one may come in between."""
        ...

    def hold(self, event: str, job_id: str, segment_index: int | None) -> None:
        """Stand still before a change, or rather not."""
        ...

    def committed(self, change: Change) -> None:
        """Hear what was written."""
        ...

    def expect(self, outgoing: Sequence[Outgoing]) -> None:
        """Hear what was published."""
        ...


@dataclass
class Documents:
    """What is in the store, as the commits said; so that looking at it costs nothing."""

    jobs: dict[str, Job] = field(default_factory=dict)
    segments: dict[tuple[str, int], Segment] = field(default_factory=dict)

    def of(self, job_id: str) -> list[Segment]:
        """Give a job's segments in order."""
        return [self.segments[job_id, index] for index in range(self.jobs[job_id].segment_count)]

    def wake_times(self) -> Iterator[datetime]:
        """Give when anything wants to be looked at."""
        yield from (job.wake_at for job in self.jobs.values() if job.wake_at is not None)
        yield from (segment.wake_at for segment in self.segments.values() if segment.wake_at is not None)


@dataclass
class SimulatedJobStore(ReadsThrough):
    """The real store; commits may fail, be decided twice, or be the last thing that a process does."""

    store: JobStore
    world: Surroundings
    documents: Documents
    #: Commits of a transaction that is still open.
    _pending: list[Callable[[], None]] | None = None

    @property
    def is_together(self) -> bool:
        """Whether a transaction of several changes is open."""
        return self._pending is not None

    def create(
        self, job: Job, segments: Sequence[Segment], supersede: Callable[[Job], Decision] | None = None
    ) -> Created:
        """Write a new job."""
        self._enter(f"create {job.job_id}")
        created = self.store.create(job, segments, supersede)
        if created.superseded is not None:
            self._note("superseded", created.superseded.decision, created.superseded.job, None)
        if created.fresh:
            self.documents.jobs[job.job_id] = job
            self.documents.segments.update({(job.job_id, each.index): each for each in segments})
            self.world.committed(Change("created", f"{job.kind} of {job.segment_count}", None, job))
        self.world.line("crash_between_commit_and_publish", "after create")
        return created

    def transact(self, job_id: str, segment_index: int | None, decide: Decide) -> Committed:
        """Change a job."""
        is_alone = self._pending is None
        if is_alone:
            self.world.hold(_event_of(decide), job_id, segment_index)
            self._enter(f"change {job_id}")
            if self.world.chance.happens("contention"):
                self._decide_in_vain(job_id, segment_index, decide)
        committed = self.store.transact(job_id, segment_index, decide)
        self._note(decide, committed.decision, committed.job, committed.segment)
        if committed.published:
            outgoing = [message for each in committed.decision.commands if (message := as_message(each)) is not None]
            self.world.expect(outgoing)
        if is_alone and committed.decision.changes:
            self.world.line("crash_between_commit_and_publish", "after commit")
        return committed

    @contextmanager
    def together(self, transaction: AbstractContextManager[object]) -> Iterator[None]:
        """Commit several changes at once; what was changed shows when all of it is written."""
        self._enter("change jobs")
        outermost = self._pending is None
        if outermost:
            self._pending = []
        try:
            with transaction:
                yield
        except BaseException:
            if outermost:
                self._pending = None
            raise
        if outermost and self._pending is not None:
            noted, self._pending = self._pending, None
            for each in noted:
                each()
            self.world.line("crash_between_commit_and_publish", "after commit")

    def _enter(self, doing: str) -> None:
        self.world.line("crash_before_commit", f"before {doing}")
        if self.world.chance.happens("store_down"):
            raise Unavailable(f"{doing}: the store did not answer")

    def _decide_in_vain(self, job_id: str, segment_index: int | None, decide: Decide) -> None:
        """Let a decision lose the race: its answer is thrown away, and it is asked again with what is there then."""
        job = self.documents.jobs[job_id]
        segment = None if segment_index is None else self.documents.segments[job_id, segment_index]
        first, second = decide(job, segment), decide(job, segment)
        if first != second:
            raise Violation("decisions are pure", f"{first} and then {second} for the same documents")
        self.world.line("interleaved", "another one commits first")

    def _note(self, event: object, decision: Decision, job: Job, segment: Segment | None) -> None:
        if not decision.changes:
            return
        name = event if isinstance(event, str) else _event_of(event)

        def note() -> None:
            job_before = self.documents.jobs[job.job_id]
            key = (job.job_id, segment.index) if segment else None
            before = self.documents.segments[key] if key else None
            self.documents.jobs[job.job_id] = job
            if key and segment:
                self.documents.segments[key] = segment
            self.world.committed(Change(name, decision.reason, job_before, job, before, segment))

        if self._pending is None:
            note()
        else:
            self._pending.append(note)


def _event_of(decide: object) -> str:
    """Find the name of the event that a decision is about: `advance` closes over it."""
    cells = getattr(decide, "__closure__", None) or ()
    for cell in cells:
        if type(cell.cell_contents).__module__ == "pipeline.facts":
            return type(cell.cell_contents).__name__
    return "?"


@dataclass
class SimulatedBus:
    """The real queue; a publish may fail, or be the last thing that a process does."""

    queue: LocalQueue
    world: Surroundings
    #: Told of messages before they leave.
    check: Callable[[Sequence[Outgoing]], None]

    def publish(self, outgoing: Sequence[Outgoing]) -> None:
        """Publish messages."""
        if self.world.chance.happens("bus_down"):
            raise Unavailable("publish: the bus did not answer")
        self.check(outgoing)
        self.queue.publish(outgoing)
        self.world.expect(outgoing)
        self.world.line("crash_after_publish", "after publish")
