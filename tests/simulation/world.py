"""One world: the real handlers, the wrapped adapters, everything on its way, and a clock that only we move.

Nothing happens by itself. `step` takes one thing that is due, or lets time pass until something is; a handler runs
through before the next begins, unless another is let in between at one of its calls to the outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from adapters.database import Database
from adapters.given_clip import GivenClipGenerator
from adapters.local_queue import CONTROL_LANE, Leased, LocalQueue
from adapters.owners import Owner
from adapters.sqlite import SqliteJobStore
from embedded.worker import HANDLERS
from events.clip import Join, StitchReport
from events.errors import IllegalTransition, PipelineError, Unavailable
from events.messages import ObjectFinalized
from events.names import parse_uri
from events.plan import StitchPlan
from functions import on_sweep
from functions.services import Services
from media.probe import probe
from media.reader import FileReader
from pipeline.commands import Outgoing
from pipeline.object_port import ObjectInfo
from pipeline.work_ports import FilmReady, RenderOrder
from tests.media.clips import ClipSpec, make_clip
from tests.simulation.checks import Checkers
from tests.simulation.fakes import SimulatedGenerator, SimulatedStitcher
from tests.simulation.faults import Chance
from tests.simulation.objects import MemoryObjects
from tests.simulation.ports import Change, Crash, Documents, SimulatedBus, SimulatedJobStore, Violation
from tests.simulation.trace import Trace

BUCKET = "longreel"
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
#: What others may do while a handler stands still.
STILL_STEPS_MAX, HELD_STEPS_MAX = 12, 60
#: How deep handlers may come in between each other.
DEPTH_MAX = 2
BROKEN = b"\x89PNG\r\n\x1a\n not a video"
SWEEP_EVERY = timedelta(minutes=1)


@dataclass
class Waiting:
    """Something that will happen."""

    due: datetime
    number: int
    text: str
    act: Callable[[], None]


@cache
def tiny_clip() -> tuple[bytes, StitchReport]:
    """Give a playable clip of a few bytes, and what a film of such bytes is reported to be."""
    with TemporaryDirectory() as folder:
        path = make_clip(ClipSpec(number=1, frames=2, tone=None), Path(folder) / "clip.mp4")
        with FileReader(path) as reader:
            facts = probe(reader, "clip.mp4")
        report = StitchReport(
            frame_count=facts.frame_count or 0,
            duration_ms=facts.duration_ms,
            width_px=facts.width_px,
            height_px=facts.height_px,
            size_bytes=facts.size_bytes,
            sound="none",
        )
        return path.read_bytes(), report


class World:
    """Everything of one history.

    Args:
        chance: decides.
        embedded: messages are committed with the documents, and a dead worker is known to be dead; else as in the
            cloud: published after the commit, each commit alone, nobody knows who died.
        resubmittable: whether giving the generator the same order twice is free.
        on_the_spot: whether the stitcher makes films within its start.
        check: what must hold after every commit.
    """

    def __init__(
        self,
        chance: Chance,
        *,
        embedded: bool = False,
        resubmittable: bool = False,
        on_the_spot: bool = False,
    ) -> None:
        self.chance = chance
        self.trace = Trace(START)
        self.at = START
        self.embedded = embedded
        self.documents = Documents()
        self._bag: list[Waiting] = []
        self._numbers = 0
        #: How many handlers of ours are at work, each let in by the one before; and how many wait below this step.
        self._depth = self._below = 0
        self._swept_at = START
        self._look_for_messages = True
        self._next_message_at: datetime | None = None
        self._database = Database(Path(":memory:"), "OFF")
        self._owner = _owner()
        self.queue = LocalQueue(self._database, self, self._owner)
        self.objects = MemoryObjects(self._finalized, self._objects_gate)
        self.generator = SimulatedGenerator(self, self._land, resubmittable)
        self.stitcher = SimulatedStitcher(self, self._make_film, on_the_spot)
        #: What each film holds: its URI and generation → its plan.
        self.films: dict[tuple[str, int], StitchPlan] = {}
        outbox = self.queue.outbox if embedded else None
        self.jobs = SimulatedJobStore(SqliteJobStore(self._database, outbox), self, self.documents)
        self.services = self._services()
        self.checkers = Checkers(self)
        self.generator.on_submit = self.checkers.before_submit
        self.stitcher.on_start = self.checkers.before_stitch
        self.steps = self._outer_step = 0
        #: Called while a handler stands still.
        self.between: Callable[[], None] = lambda: None

    def close(self) -> None:
        """Give the memory back."""
        self._database.close()

    # Time and chance, as a port.

    def now(self) -> datetime:
        """Tell the time."""
        return self.at

    def jitter(self) -> float:
        """Draw a number in [0, 1)."""
        return self.chance.fraction()

    # What happens.

    def step(self, *, may_wait: bool = True) -> bool:
        """Let one thing happen; False where nothing ever will, or nothing now where time must not pass."""
        self._take_messages()
        due = [each for each in self._bag if each.due <= self.at]
        sweep_at = self._sweep_at()
        if not due and not (may_wait and self._let_time_pass(sweep_at)):
            return False
        due = [each for each in self._bag if each.due <= self.at]
        self._take_messages()
        self.steps += 1
        if self._depth + self._below == 0:
            self._outer_step = self.steps
        if sweep_at is not None and sweep_at <= self.at and (not due or self.chance.happens("reordered")):
            self._sweep()
        elif due:
            self._take(due)
        return True

    def later(self, wait: timedelta, text: str, act: Callable[[], None]) -> None:
        """Let something happen after a while."""
        self._numbers += 1
        self._bag.append(Waiting(self.at + wait, self._numbers, text, act))

    def line(self, fault: str, text: str) -> None:
        """Pass a line at which the process may die, or another one may come in between."""
        if self.jobs.is_together:
            return  # A transaction stands or falls as a whole; its end is a line of its own.
        if self._depth and self._depth + self._below < DEPTH_MAX and self.chance.happens("interleaved"):
            self.trace.note(self.at, f"{text}: another one comes in between")
            self._stand_still(may_wait=fault not in ("crash_before_submit", "crash_around_stitch_start"))
        if self._depth and fault != "interleaved" and self.chance.happens(fault):
            self.trace.note(self.at, f"crash {text}")
            raise Crash(text)

    def hold(self, event: str, job_id: str, segment_index: int | None) -> None:
        """Stand still before a change that the history aims at, until the state is there that it needs."""
        chance, documents = self.chance, self.documents
        if chance.aim is None or chance.healed or not self._depth or self._depth + self._below >= DEPTH_MAX:
            return
        kind, state, aimed_at = chance.aim.split()
        if (kind, aimed_at) != ("job" if segment_index is None else "segment", event):
            return
        self.trace.note(self.at, f"{event} stands still until the {kind} is {state}")
        self._depth += 1
        try:
            for _ in range(HELD_STEPS_MAX):
                job = documents.jobs[job_id]
                of = job if segment_index is None else documents.segments[job_id, segment_index]
                if of.state == state:
                    break
                self.between()
                if not self.step():
                    break
        finally:
            self._depth -= 1

    def _stand_still(self, *, may_wait: bool) -> None:
        """Let others go on: for as long as it likes, but not while a process talks to generator or stitcher."""
        self._depth += 1
        try:
            for _ in range(STILL_STEPS_MAX):
                self.between()
                self.step(may_wait=may_wait)
                if not self.chance.happens("stands_still_longer"):
                    break
        finally:
            self._depth -= 1

    def committed(self, change: Change) -> None:
        """Hear what was written: it is told, then checked."""
        self.trace.change(self.at, change)
        self.checkers.after_commit(change)

    def expect(self, outgoing: Sequence[Outgoing]) -> None:
        """Hear that messages were published."""
        if outgoing:
            self._look_for_messages = True

    def act(self, text: str, what: Callable[[], object]) -> None:
        """Let a user or an operator do something; what is refused is refused."""
        self.trace.note(self.at, text)
        self._depth += 1
        try:
            what()
        except Crash:
            pass
        except IllegalTransition as exc:
            raise Violation("no event is illegal", exc.message) from exc
        except PipelineError as exc:
            self.trace.note(self.at, f"refused: {exc.code}")
        finally:
            self._depth -= 1

    def began_before(self, step: int) -> bool:
        """Tell whether who is at work now began before that step, so that it may not have seen what happened there."""
        return self._outer_step < step

    def heal(self) -> None:
        """Let no fault happen any more."""
        self.chance.healed = True
        self.trace.note(self.at, "--- from here on nothing goes wrong")

    @property
    def is_quiet(self) -> bool:
        """Whether every job is over, waits for nothing, and nothing is on its way."""
        return not self._bag and not any(True for _ in self.documents.wake_times())

    # Inside.

    def _services(self) -> Services:
        together = (lambda: self.jobs.together(self._transaction())) if self.embedded else None
        return Services(
            jobs=self.jobs,
            bus=SimulatedBus(self.queue, self, lambda outgoing: self.checkers.before_publish(outgoing)),
            objects=self.objects,
            generators={"paid": self.generator, "clip": GivenClipGenerator(self.objects)},
            stitcher=self.stitcher,
            clock=self,
            bucket=BUCKET,
            new_job_id=self._new_job_id,
            together=together,
        )

    def _transaction(self) -> AbstractContextManager[Any]:
        return self._database.transaction("change jobs")

    def _new_job_id(self) -> str:
        return f"job_sim{len(self.documents.jobs) + 1:03d}"

    def _sweep_at(self) -> datetime | None:
        first = min(self.documents.wake_times(), default=None)
        return None if first is None else max(first, self._swept_at + SWEEP_EVERY)

    def _let_time_pass(self, sweep_at: datetime | None) -> bool:
        times = [each.due for each in self._bag]
        times += [at for at in (sweep_at, self._next_message_at) if at is not None]
        if not times:
            return False
        self.at = max(self.at, min(times))
        if self.chance.happens("clock_jumps"):
            jump = self.chance.wait(1, 900)
            self.trace.note(self.at, f"the clock jumps by {jump.total_seconds():.0f} s")
            self.at += jump
        if self.chance.happens("clock_jumps_a_day"):
            self.trace.note(self.at, "the clock jumps by a day")
            self.at += timedelta(days=1)
        return True

    def _take(self, due: list[Waiting]) -> None:
        one = self.chance.choice(due) if self.chance.happens("reordered") else min(due, key=lambda each: each.number)
        self._bag.remove(one)
        self.trace.note(self.at, one.text)
        # What happens elsewhere does not suffer from what befalls our processes; a delivery is one of ours again.
        depth, self._depth, self._below = self._depth, 0, self._below + self._depth
        try:
            one.act()
        finally:
            self._depth, self._below = depth, self._below - depth

    def _sweep(self) -> None:
        self._swept_at = self.at
        if self.chance.happens("sweep_late"):
            self._swept_at += self.chance.wait(60, 600)
        for _ in range(2 if self.chance.happens("two_sweeps") else 1):
            self.trace.note(self.at, "sweep")
            self._depth += 1
            with suppress(Crash):
                on_sweep.handle(self.services)
            self._depth -= 1

    def _take_messages(self) -> None:
        if not self._look_for_messages and (self._next_message_at is None or self._next_message_at > self.at):
            return
        for leased in self.queue.exchange(CONTROL_LANE, (), 1000):
            self._put(leased)
        due_in_ms = self.queue.next_due_in_ms()
        self._next_message_at = None if due_in_ms is None else self.at + timedelta(milliseconds=due_in_ms)
        self._look_for_messages = False

    def _put(self, leased: Leased) -> None:
        """Send a message on its way, on which it may be delayed, doubled or lost."""
        chance, topic = self.chance, leased.delivery.topic
        text = self.trace.message(leased)
        if chance.happens("lost_for_good"):
            self.trace.note(self.at, f"lost for good: {text}")
            self._settle(leased)
            return
        wait = timedelta(0)
        if chance.happens("lost_until_redelivery"):
            wait = chance.wait(10, 600)
        elif chance.happens("delayed"):
            wait = chance.wait(0.1, 120)
        if chance.happens("duplicated"):
            copy = replace(leased, message_id=-leased.message_id)
            self.later(chance.wait(0, 120), f"{topic} again {text}", lambda: self._deliver(copy, text))
        self.later(wait, text, lambda: self._deliver(leased, text))

    def _deliver(self, leased: Leased, text: str) -> None:
        self._depth += 1
        try:
            HANDLERS[leased.delivery.topic](self.services, leased.delivery)
        except Crash:
            delivery = replace(leased.delivery, delivery_attempt=2, claimant_died=self.embedded)
            again = replace(leased, delivery=delivery)
            wait = timedelta(0) if self.embedded else self.chance.wait(10, 600)
            self.later(wait, f"redelivered: {text}", lambda: self._deliver(again, text))
        except IllegalTransition as exc:
            raise Violation("no event is illegal", exc.message) from exc
        except PipelineError as exc:
            self._failed(leased, text, exc)
        else:
            if leased.message_id > 0 and self.chance.happens("not_acknowledged"):
                again = replace(leased, delivery=replace(leased.delivery, claimant_died=self.embedded))
                self.later(self.chance.wait(1, 600), f"redelivered: {text}", lambda: self._deliver(again, text))
            else:
                self._settle(leased)
        finally:
            self._depth -= 1

    def _failed(self, leased: Leased, text: str, exc: PipelineError) -> None:
        self.trace.note(self.at, f"refused {text}: {exc.code}")
        if leased.message_id < 0:
            return
        if exc.retryable:
            self.queue.retry_later(leased, exc.message)
        else:
            self.queue.bury(leased, f"{exc.code}: {exc.message}")
        self._look_for_messages = True

    def _settle(self, leased: Leased) -> None:
        if leased.message_id > 0:
            self.queue.exchange(CONTROL_LANE, [leased.message_id], 0)

    def _objects_gate(self, doing: str) -> None:
        if self._depth and self.chance.happens("objects_down"):
            raise Unavailable(f"{doing}: 503")

    def _finalized(self, info: ObjectInfo) -> None:
        where = parse_uri(info.uri)
        if not where.name.startswith("jobs/"):
            return
        message = ObjectFinalized(
            bucket=where.bucket, name=where.name, generation=info.generation, size=info.size_bytes
        )
        if self.chance.happens("finalize_missing"):
            self.trace.note(self.at, f"nobody is told of {where.name}")
            return
        late = self.chance.wait(1, 1800) if self.chance.happens("finalize_late") else timedelta(0)
        for _ in range(2 if self.chance.happens("finalize_twice") else 1):
            self.queue.publish([Outgoing(message, self.at + late if late else None)])
        self._look_for_messages = True

    def _land(self, order: RenderOrder, is_good: bool) -> None:
        self.objects.write(f"{order.output_prefix}sample_0.mp4", tiny_clip()[0] if is_good else BROKEN)

    def _make_film(self, plan: StitchPlan) -> FilmReady:
        content, report = tiny_clip()
        joins = [Join(clip_index=index, at_ms=index) for index in range(1, len(plan.clips))]
        said = report.model_copy(update={"joins": joins})
        self.objects.write(plan.report_uri, said.to_json().encode())
        film = self.objects.write(plan.output_uri, content)
        self.films[film.uri, film.generation] = plan
        return FilmReady(film.uri, film.generation, said)


@cache
def _folder() -> TemporaryDirectory[str]:
    return TemporaryDirectory(prefix="simulation-")


@cache
def _owner() -> Owner:
    return Owner(Path(_folder().name))
