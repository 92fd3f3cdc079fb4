"""The real handlers over the real embedded adapters, without threads: a test delivers each message itself.

So the order, the duplicates, the losses and the crashes are the test's to choose, and time passes only when it says so.
A world is either `embedded` (messages committed with the documents, a dead worker known to be dead) or like the cloud
(published after the commit, every commit alone, nobody knows who died). Handlers must be right in both.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from adapters.config import LocalConfig
from adapters.database import Database
from adapters.disk import DiskObjectStore
from adapters.given_clip import GivenClipGenerator
from adapters.local import BUCKET, LocalAdapters
from adapters.local_queue import CONTROL_LANE, WORK_LANE, Leased, LocalQueue
from adapters.local_stitch import LocalStitcher
from adapters.owners import Owner
from adapters.sqlite import SqliteJobStore
from adapters.storyboard import StoryboardGenerator
from embedded import work
from embedded.assembly import Pipeline
from embedded.worker import HANDLERS
from events.errors import PipelineError
from events.messages import MODEL_OF_TOPIC, ObjectFinalized, Topic
from events.names import parse_uri
from events.plan import Engine
from functions import api, on_sweep
from functions.services import Services
from pipeline.commands import Outgoing
from pipeline.object_port import ObjectInfo
from pipeline.ports import Committed
from pipeline.records import Job, Segment
from tests.functions.doubles import Crash as Crash
from tests.functions.doubles import FaultyBus, FaultyJobStore, FaultyStitcher, PaidGenerator, Trap

WORK_TOPICS = {Topic.LOCAL_RENDER, Topic.LOCAL_STITCH}


@dataclass
class ManualClock:
    """Time that stands still until a test moves it."""

    at: datetime = datetime(2026, 1, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.at

    def jitter(self) -> float:
        return 0.5


@dataclass
class World:
    """One home, its handlers, and everything that is on its way between them."""

    home: Path
    #: Bytes of the clip that a generator makes of segment `index`.
    clip_of: Callable[[int], bytes]
    embedded: bool = False
    clock: ManualClock = field(default_factory=ManualClock)
    trap: Trap = field(default_factory=Trap)
    #: Told of every message before it is delivered; True takes it out of the world for good.
    loses: Callable[[Leased], bool] = lambda _message: False
    #: Everything that was delivered, in order.
    delivered: list[Leased] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.database = Database(self.home / "longreel.db", "OFF")
        self._owner = Owner(self.home / "workers")
        self.queue = LocalQueue(self.database, self.clock, self._owner)
        self.objects = DiskObjectStore(self.home / "objects", self._finalized)
        self.paid = PaidGenerator(self.trap, self.objects, self.clip_of, self.clock)
        self.stitcher = FaultyStitcher(LocalStitcher(self.queue, self.objects), self.trap)
        self.pipeline = Pipeline(self._adapters(), self._services())
        self.services = self.pipeline.services
        self._inbox: list[Leased] = []
        self._ids = 0

    def close(self) -> None:
        self._owner.close()
        self.database.close()

    # What a caller does.

    def create(self, *, user_id: str = "someone", **request: Any) -> str:
        return api.create_job(self.services, request, user_id).job.job_id

    def create_paid(self, count: int = 3, **request: Any) -> str:
        prompts = [f"Scene {index + 1}" for index in range(count)]
        return self.create(prompts=prompts, generator="paid", **request)

    def cancel(self, job_id: str) -> Committed:
        return api.cancel_job(self.services, job_id)

    def resume(self, job_id: str) -> Committed:
        return api.resume_job(self.services, job_id)

    # What is there.

    def job(self, job_id: str) -> Job:
        return self.services.jobs.load(job_id)

    def segments(self, job_id: str) -> list[Segment]:
        return self.services.jobs.segments(job_id)

    def segment(self, job_id: str, index: int) -> Segment:
        return self.segments(job_id)[index]

    def states(self, job_id: str) -> list[str]:
        return [str(segment.state) for segment in self.segments(job_id)]

    def uri(self, name: str) -> str:
        return f"gs://{BUCKET}/{name}"

    # What is on its way.

    def waiting(self, topic: Topic | None = None) -> list[Leased]:
        """Give the messages that may be delivered now, in the order in which they were published."""
        for lane in (CONTROL_LANE, WORK_LANE):
            self._inbox += self.queue.exchange(lane, (), 1000)
        self._inbox.sort(key=lambda each: each.message_id)
        return [each for each in self._inbox if topic in (None, each.delivery.topic)]

    def send(self, message: Any) -> Leased:
        """Publish a message, as somebody with `gcloud` would, and give it."""
        known = {each.message_id for each in self.waiting()}
        self.queue.publish([Outgoing(message)])
        return next(each for each in self.waiting() if each.message_id not in known)

    def deliver(self, message: Leased, *, again: bool = False) -> None:
        """Deliver one message; `again` leaves it there, to be delivered once more.

        Like a trigger: an error that may pass brings it again later, another one makes it a dead letter, and a crash
        leaves it unsettled.
        """
        self.delivered.append(message)
        try:
            self._handle(message)
        except Crash:
            self._inbox.remove(message)
            delivery = replace(message.delivery, delivery_attempt=2, claimant_died=self.embedded)
            self._inbox.append(replace(message, delivery=delivery))
            raise
        except PipelineError as exc:
            self._inbox.remove(message)
            if exc.retryable:
                self.queue.retry_later(message, exc.message)
            else:
                self.queue.bury(message, f"{exc.code}: {exc.message}")
            return
        if not again:
            self.drop(message)

    def deliver_anew(self, message: Leased) -> None:
        """Deliver a message that was settled long ago."""
        model = MODEL_OF_TOPIC[message.delivery.topic]
        self.deliver(self.send(model.from_json(message.delivery.body)))

    def drop(self, message: Leased) -> None:
        """Settle a message without another word."""
        self._inbox.remove(message)
        self.queue.exchange(CONTROL_LANE, [message.message_id], 0)

    def deliver_next(self, topic: Topic, *, again: bool = False) -> None:
        """Deliver the first message of a topic."""
        self.deliver(self.waiting(topic)[0], again=again)

    def run(self, *, without: Topic | None = None, shuffled: random.Random | None = None) -> None:
        """Deliver what waits, and what comes of it, until nothing waits for now."""
        while messages := [each for each in self.waiting() if each.delivery.topic is not without]:
            message = shuffled.choice(messages) if shuffled else messages[0]
            if self.loses(message):
                self.drop(message)
            else:
                self.deliver(message)

    def pass_time(self, wait: timedelta) -> None:
        """Let time pass, and nothing else happen."""
        self.clock.at += wait

    def sweep(self, after: timedelta = timedelta(0)) -> int:
        """Let time pass, then look at what is overdue."""
        self.clock.at += after
        self.paid.land_due()
        return on_sweep.handle(self.services)

    def settle(self, job_id: str, *, step: timedelta = timedelta(seconds=30), steps_max: int = 120) -> Job:
        """Let time pass, sweep and deliver until the job is over and waits for nothing."""
        for _ in range(steps_max):
            self.run()
            job = self.job(job_id)
            if not job.active and job.wake_at is None:
                return job
            self.sweep(step)
        raise AssertionError(f"{job_id} does not end: {self.job(job_id)}, {self.segments(job_id)}")

    def dead_letters(self) -> list[str]:
        return [letter.reason for letter in self.queue.dead_letters()]

    def _handle(self, message: Leased) -> None:
        if message.delivery.topic in WORK_TOPICS:
            work.do(self.pipeline, message.delivery, lambda: False)
        else:
            HANDLERS[message.delivery.topic](self.services, message.delivery)

    def _finalized(self, info: ObjectInfo) -> None:
        where = parse_uri(info.uri)
        if where.name.startswith("jobs/"):
            message = ObjectFinalized(bucket=where.bucket, name=where.name, generation=info.generation, size=1)
            self.queue.publish([Outgoing(message.model_copy(update={"size": info.size_bytes}))])

    def _new_job_id(self) -> str:
        self._ids += 1
        return f"job_test{self._ids:02d}"

    def _adapters(self) -> LocalAdapters:
        return LocalAdapters(
            config=LocalConfig(home=self.home, ffmpeg=None, workers=1, synchronous="OFF"),
            database=self.database,
            clock=self.clock,  # type: ignore[arg-type] # the one thing that differs from a real home
            queue=self.queue,
            jobs=SqliteJobStore(self.database, self.queue.outbox if self.embedded else None),
            objects=self.objects,
            storyboard=StoryboardGenerator(self.queue, self.objects),
            given_clip=GivenClipGenerator(self.objects),
            stitcher=self.stitcher.stitcher,
            owner=self._owner,
        )

    def _services(self) -> Services:
        adapters = self._adapters()
        services = Services(
            jobs=FaultyJobStore(adapters.jobs, self.trap),
            bus=FaultyBus(self.queue, self.trap),
            objects=self.objects,
            generators={"storyboard": adapters.storyboard, "clip": adapters.given_clip, "paid": self.paid},
            stitcher=self.stitcher,
            clock=self.clock,
            bucket=BUCKET,
            new_job_id=self._new_job_id,
            engines=frozenset({Engine.SPLICE, Engine.CPU}),
        )
        if self.embedded:
            return replace(services, together=lambda: self.database.transaction("change jobs"))
        return services
