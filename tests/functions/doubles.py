"""A generator that costs money, and wrappers that kill the process at a chosen line. Ports in, ports out."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from adapters.disk import DiskObjectStore
from events.names import segment_prefix
from events.plan import StitchPlan
from events.requests import PromptSpec, Settings
from pipeline.commands import Outgoing
from pipeline.decide import Decision
from pipeline.object_port import ObjectInfo
from pipeline.ports import Clock, Committed, Created, Decide, JobStore, MessageBus, Overdue
from pipeline.records import Job, JobState, Route, Segment, SegmentState
from pipeline.work_ports import FilmReady, Gone, Quote, RenderOrder, Running, Started, Stitcher, Stopped


class Crash(BaseException):
    """The process died here: nothing catches it, nothing after it runs."""


@dataclass
class Trap:
    """Kills the process at the line with a given number, or at the first one with a given name."""

    number: int | None = None
    name: str | None = None
    #: Every line that was passed.
    passed: list[str] = field(default_factory=list)
    sprung: bool = False
    #: Called at every line.
    on_line: Callable[[str], object] = lambda _name: None

    def line(self, name: str) -> None:
        self.passed.append(name)
        self.on_line(name)
        if not self.sprung and (name == self.name or len(self.passed) == self.number):
            self.sprung = True
            raise Crash(name)


@dataclass
class PaidGenerator:
    """Makes a clip for money: the same order given twice is paid twice.

    The clip lands when the test says so, at once where `lands_at_once`, or so long after its order. Nothing else is
    told to anybody.
    """

    trap: Trap
    objects: DiskObjectStore
    clip_of: Callable[[int], bytes]
    clock: Clock
    lands_at_once: bool = False
    lands_after: timedelta | None = None
    resubmittable: bool = False
    price_micro_usd: int = 400_000
    #: Every order that was paid for, in order.
    bought: list[RenderOrder] = field(default_factory=list)
    bought_at: list[datetime] = field(default_factory=list)
    #: What the next submits raise: `True` beside an error if the order was taken all the same.
    refusals: deque[tuple[Exception, bool]] = field(default_factory=deque)
    #: What a poll answers, by operation; the others run until their clip has landed.
    answers: dict[str, Running | Stopped | Gone | Exception] = field(default_factory=dict)
    #: Called by each poll before it answers, with the operation.
    on_poll: Callable[[str], object] = lambda _operation: None
    #: What the next cancels raise.
    cancel_errors: deque[Exception] = field(default_factory=deque)
    polled: list[str] = field(default_factory=list)
    cancelled: list[str] = field(default_factory=list)

    def check(self, scene: PromptSpec, settings: Settings, field: str) -> Quote:
        return Quote(self.price_micro_usd)

    def submit(self, order: RenderOrder) -> Started:
        self.trap.line("before submit")
        error, taken = self.refusals.popleft() if self.refusals else (None, True)
        if taken:
            self.bought.append(order)
            self.bought_at.append(self.clock.now())
            if self.lands_at_once:
                self.land(order.job_id, order.segment_index, order.attempt)
            self.trap.line("after submit")
        if error is not None:
            raise error
        return Started(operation_of(order))

    def poll(self, operation: str) -> Running | Stopped | Gone:
        self.polled.append(operation)
        self.on_poll(operation)
        landed = [order for order in self.bought if operation_of(order) == operation and self.has_landed(order)]
        answer = self.answers.get(operation, Gone() if landed else Running())
        if isinstance(answer, Exception):
            raise answer
        return answer

    def cancel(self, operation: str) -> None:
        self.cancelled.append(operation)
        if self.cancel_errors:
            raise self.cancel_errors.popleft()

    def land(
        self, job_id: str, index: int, attempt: int = 1, content: bytes | None = None, name: str = "sample_0.mp4"
    ) -> ObjectInfo:
        """Let a clip land where the order of this attempt asked for it."""
        uri = f"gs://longreel/{segment_prefix(job_id, index, attempt)}{name}"
        return self.objects.write(uri, self.clip_of(index) if content is None else content)

    def land_due(self) -> None:
        """Let every clip land whose time has come."""
        for order, at in zip(self.bought, self.bought_at, strict=True):
            due = self.lands_after is not None and at + self.lands_after <= self.clock.now()
            if due and not self.has_landed(order):
                self.land(order.job_id, order.segment_index, order.attempt)

    def has_landed(self, order: RenderOrder) -> bool:
        return bool(self.objects.list(order.output_prefix))

    def times_bought(self, job_id: str, index: int) -> int:
        return sum((each.job_id, each.segment_index) == (job_id, index) for each in self.bought)


def operation_of(order: RenderOrder) -> str:
    return f"paid/{order.job_id}/{order.segment_index}/{order.attempt}"


class ReadsThrough:
    """The reads of a job store that stands before another one."""

    store: JobStore

    def load(self, job_id: str) -> Job:
        return self.store.load(job_id)

    def segments(
        self, job_id: str, states: frozenset[SegmentState] | None = None, below: int | None = None
    ) -> list[Segment]:
        return self.store.segments(job_id, states, below)

    def overdue(self, now: datetime, limit: int) -> list[Overdue]:
        return self.store.overdue(now, limit)

    def jobs(
        self,
        *,
        project_id: str | None = None,
        user_id: str | None = None,
        states: frozenset[JobState] | None = None,
        limit: int = 100,
    ) -> list[Job]:
        return self.store.jobs(project_id=project_id, user_id=user_id, states=states, limit=limit)


@dataclass
class FaultyJobStore(ReadsThrough):
    """The store, on a machine that may die before or after each commit; or one that does not answer."""

    store: JobStore
    trap: Trap
    #: What the next commits raise.
    refusals: deque[Exception] = field(default_factory=deque)

    def create(
        self, job: Job, segments: Sequence[Segment], supersede: Callable[[Job], Decision] | None = None
    ) -> Created:
        self.trap.line("before create")
        created = self.store.create(job, segments, supersede)
        self.trap.line("after create")
        return created

    def transact(self, job_id: str, segment_index: int | None, decide: Decide) -> Committed:
        self.trap.line("before commit")
        if self.refusals:
            raise self.refusals.popleft()
        committed = self.store.transact(job_id, segment_index, decide)
        self.trap.line("after commit")
        return committed


@dataclass
class FaultyBus:
    """The bus, on a machine that may die before or after each publish."""

    bus: MessageBus
    trap: Trap

    def publish(self, outgoing: Sequence[Outgoing]) -> None:
        self.trap.line("before publish")
        self.bus.publish(outgoing)
        self.trap.line("after publish")


@dataclass
class FaultyStitcher:
    """The stitcher, on a machine that may die around each start; or one whose start fails as a test says."""

    stitcher: Stitcher
    trap: Trap
    #: Attempt of every plan that was started, in order.
    started: list[int] = field(default_factory=list)
    refusals: deque[Exception] = field(default_factory=deque)
    #: What a poll raises, once each.
    poll_errors: deque[Exception] = field(default_factory=deque)
    #: Called by each poll before it answers.
    on_poll: Callable[[], object] = lambda: None

    def route(self, plan: StitchPlan) -> Route:
        return self.stitcher.route(plan)

    def start(self, plan: StitchPlan, route: Route) -> Started | FilmReady:
        self.trap.line("before start")
        if self.refusals:
            raise self.refusals.popleft()
        self.started.append(plan.attempt)
        answer = self.stitcher.start(plan, route)
        self.trap.line("after start")
        return answer

    def poll(self, operation: str) -> Running | Stopped | Gone:
        self.on_poll()
        if self.poll_errors:
            raise self.poll_errors.popleft()
        return self.stitcher.poll(operation)

    def cancel(self, operation: str) -> None:
        self.stitcher.cancel(operation)
