"""A worker of the embedded mode: one thread for the handlers, some for slow work, all over one durable queue.

Nothing is polled while there is work: a publisher in this process wakes the worker at once. For publishers in other
processes it looks at SQLite's change counter, which is cheap, and once a second it sweeps what is overdue and frees
the messages of workers that died.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

from adapters.local_queue import CONTROL_LANE, WORK_LANE, Leased
from embedded import work
from embedded.assembly import Pipeline
from events.errors import PipelineError
from events.log_lines import fields
from events.messages import Topic
from functions import (
    on_object_finalized,
    on_requested,
    on_segment_done,
    on_segment_requested,
    on_stitch_requested,
    on_sweep,
)
from functions.perform import Errand, drive_all
from functions.services import Services
from pipeline.ports import Delivery

log = logging.getLogger("longreel.worker")

Handler = Callable[[Services, Delivery], None]

HANDLERS: dict[Topic, Handler] = {
    Topic.REQUESTED: on_requested.handle,
    Topic.SEGMENT_REQUESTED: on_segment_requested.handle,
    Topic.SEGMENT_DONE: on_segment_done.handle,
    Topic.STITCH_REQUESTED: on_stitch_requested.handle,
    Topic.OBJECT_FINALIZED: on_object_finalized.handle,
}

#: Messages of these topics are read first and then driven at once, so that one commit holds what they change.
READERS: dict[Topic, Callable[[Services, Delivery], Errand]] = {
    Topic.REQUESTED: on_requested.read,
    Topic.SEGMENT_REQUESTED: on_segment_requested.read,
    Topic.SEGMENT_DONE: on_segment_done.read,
    Topic.STITCH_REQUESTED: on_stitch_requested.read,
}

#: Messages taken at once; what a kill -9 makes come again is at most this many.
BATCH = 32
#: How often an idle worker looks whether another process has committed. In seconds.
LOOK_EVERY_SECONDS = 0.05
#: How often what is overdue is looked for. In seconds.
SWEEP_EVERY_SECONDS = 1.0


class Worker:
    """Runs in threads of its own between `start` and `stop`.

    Args:
        pipeline: opened with `worker=True`.
        threads: threads for slow work, at least 1.
    """

    def __init__(self, pipeline: Pipeline, threads: int) -> None:
        self._pipeline = pipeline
        self._stopping = threading.Event()
        self._wake = threading.Event()
        self._work_ready = threading.Condition()
        self._work_rounds = 0
        #: Why no message can be taken, such as a full disk or a damaged file; None while all is well.
        self.trouble: PipelineError | None = None
        #: Messages to give back unhandled: at the end, or when the database would not take them back.
        self._stuck: list[Leased] = []
        # A paid order is claimed, submitted and recorded before the next one: the less is in flight, the less is lost.
        self._free_to_repeat = all(each.resubmittable for each in pipeline.services.generators.values())
        self._threads = [threading.Thread(target=self._control, name="longreel-control", daemon=True)]
        names = [f"longreel-work-{number}" for number in range(threads)]
        self._threads += [threading.Thread(target=self._work, name=name, daemon=True) for name in names]
        pipeline.adapters.queue.listen(self._published)

    def start(self) -> None:
        """Begin to take messages."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop soon: slow work is given up and given back, finished messages are settled."""
        self._stopping.set()
        self._published()
        for thread in self._threads:
            thread.join()

    def _published(self) -> None:
        self._wake.set()
        with self._work_ready:
            self._work_rounds += 1
            self._work_ready.notify_all()

    def _control(self) -> None:
        queue = self._pipeline.adapters.queue
        done: list[int] = []
        swept_at = 0.0
        while not self._stopping.is_set():
            if time.monotonic() - swept_at > SWEEP_EVERY_SECONDS:
                self._guarded("sweep", self._tend)
                swept_at = time.monotonic()
            leased = self._take(CONTROL_LANE, done, BATCH)
            if leased is None:
                self._stopping.wait(SWEEP_EVERY_SECONDS)
                continue
            done = self._handle_all(leased)
            if not leased:
                self._sleep(swept_at + SWEEP_EVERY_SECONDS)
        self._free_the_stuck()
        self._guarded("settle", lambda: queue.exchange(CONTROL_LANE, done, 0))
        self._pipeline.adapters.database.close()

    def _handle_all(self, leased: list[Leased]) -> list[int]:
        """Handle messages; give those that are done with."""
        done, alone = self._drive_at_once(leased) if self._free_to_repeat else ([], leased)
        for position, each in enumerate(alone):
            if self._stopping.is_set():
                self._stuck += alone[position:]
                break
            if self._settle(each, self._dispatch):
                done.append(each.message_id)
        return done

    def _drive_at_once(self, leased: list[Leased]) -> tuple[list[int], list[Leased]]:
        """Drive the messages that can be read first; give those that are done with, and the others."""
        services, errands, alone = self._pipeline.services, dict[int, Errand](), list[Leased]()

        def read(each: Leased) -> None:
            errands[each.message_id] = READERS[each.delivery.topic](services, each.delivery)

        for each in leased:
            if each.delivery.topic not in READERS:
                alone.append(each)
            else:
                self._settle(each, read)
        drive_all(services, list(errands.values()))
        driven = [each for each in leased if each.message_id in errands]
        done = [
            each.message_id for each in driven if self._settle(each, lambda each: errands[each.message_id].outcome())
        ]
        return done, alone

    def _sleep(self, until: float) -> None:
        """Wait until there may be something to do, at most until `until` on the monotonic clock."""
        if not self._guarded("wait for messages", lambda: self._wait_for_messages(until)):
            self._stopping.wait(SWEEP_EVERY_SECONDS)
        self._wake.clear()
        with self._work_ready:
            self._work_rounds += 1
            self._work_ready.notify_all()

    def _wait_for_messages(self, until: float) -> None:
        database, queue = self._pipeline.adapters.database, self._pipeline.adapters.queue
        # The counter first: what is committed after this line is seen below.
        seen = database.data_version()
        due_in_ms = queue.next_due_in_ms()
        if due_in_ms is not None:
            until = min(until, time.monotonic() + due_in_ms / 1000)
        while (left := until - time.monotonic()) > 0:
            if self._wake.wait(min(left, LOOK_EVERY_SECONDS)) or database.data_version() != seen:
                break

    def _work(self) -> None:
        done: list[int] = []
        while not self._stopping.is_set():
            with self._work_ready:
                rounds = self._work_rounds
            leased = self._take(WORK_LANE, done, 1)
            if leased is None:
                self._stopping.wait(SWEEP_EVERY_SECONDS)
                continue
            done = [each.message_id for each in leased if self._settle(each, self._do_work)]
            with self._work_ready:
                while not leased and self._work_rounds == rounds and not self._stopping.is_set():
                    self._work_ready.wait()
        self._guarded("settle", lambda: self._pipeline.adapters.queue.exchange(WORK_LANE, done, 0))
        self._pipeline.adapters.database.close()

    def _dispatch(self, leased: Leased) -> None:
        HANDLERS[leased.delivery.topic](self._pipeline.services, leased.delivery)

    def _do_work(self, leased: Leased) -> None:
        work.do(self._pipeline, leased.delivery, self._stopping.is_set)

    def _take(self, lane: str, done: list[int], limit: int) -> list[Leased] | None:
        """Take messages; None when the database did not answer, and then nothing was settled."""
        try:
            return self._pipeline.adapters.queue.exchange(lane, done, limit)
        except PipelineError as exc:
            log.exception("take messages", extra=fields(action="take"))
            if not exc.retryable:
                self.trouble = exc
            return None

    def _settle(self, leased: Leased, handle: Callable[[Leased], object]) -> bool:
        """Handle one message; tell whether it is done with."""
        queue, topic = self._pipeline.adapters.queue, leased.delivery.topic
        try:
            handle(leased)
        except work.Stopping:
            self._let_go(leased, lambda: queue.put_back([leased]))
        except PipelineError as exc:
            log.warning("%s", exc, extra=fields(action="refused", topic=topic, error_code=exc.code))
            reason = f"{exc.code}: {exc.message}"
            if exc.retryable:
                self._let_go(leased, lambda: queue.retry_later(leased, reason))
            else:
                self._let_go(leased, lambda: queue.bury(leased, reason))
        except Exception as exc:
            log.exception("handle %s", topic, extra=fields(action="bug", topic=topic))
            reason = f"{type(exc).__name__}: {exc}"
            self._let_go(leased, lambda: queue.retry_later(leased, reason))
        else:
            return True
        return False

    def _let_go(self, leased: Leased, how: Callable[[], object]) -> None:
        if not self._guarded("let go of a message", how):
            self._stuck.append(leased)

    def _free_the_stuck(self) -> None:
        stuck = self._stuck.copy()
        if stuck and self._guarded("give messages back", lambda: self._pipeline.adapters.queue.put_back(stuck)):
            del self._stuck[: len(stuck)]

    def _tend(self) -> None:
        self._free_the_stuck()
        if self._pipeline.adapters.queue.free_the_dead():
            self._published()
        on_sweep.handle(self._pipeline.services)

    def _guarded(self, doing: str, what: Callable[[], object]) -> bool:
        """Do something that must not end this thread; tell whether it went well."""
        try:
            what()
        except Exception:
            log.exception("%s", doing, extra=fields(action=doing))
            return False
        return True
