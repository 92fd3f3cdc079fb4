"""What a contract test needs of an adapter beside its port: a second hand on the same data, a look at what came out."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from events.messages import Message
from pipeline.object_port import ObjectInfo, ObjectStore
from pipeline.ports import Clock, Delivery, JobStore, MessageBus
from pipeline.work_ports import Generator, RenderOrder, Stitcher

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class VirtualClock:
    """A clock that goes when it is told to."""

    def __init__(self) -> None:
        self.present = NOW

    def now(self) -> datetime:
        return self.present

    def jitter(self) -> float:
        return 0.5

    def advance(self, wait: timedelta) -> None:
        self.present += wait


class JobStoreRig(Protocol):
    """A job store, and what it published by itself."""

    store: JobStore

    def another(self) -> AbstractContextManager[JobStore]:
        """Give another hand on the same jobs, for another thread."""
        ...

    def published(self) -> list[Message]:
        """Give what the store has published so far; [] from one that leaves publishing to the caller."""
        ...


@dataclass(frozen=True)
class Held:
    """A delivery in a worker's hands."""

    delivery: Delivery
    ack: Callable[[], None]
    #: The handler raised an error that may pass.
    fail: Callable[[str], None]
    #: The handler raised an error that will not pass.
    refuse: Callable[[str], None]
    #: The worker stops, and has not handled it.
    give_back: Callable[[], None]


@dataclass(frozen=True)
class Dead:
    """A dead letter."""

    topic: str
    body: str
    reason: str
    replay: Callable[[], None]


class BusWorker(Protocol):
    """Whoever takes messages."""

    def take(self, limit: int = 100) -> list[Held]:
        """Take what is due."""
        ...


class BusRig(Protocol):
    """A bus, its time, and its workers."""

    bus: MessageBus
    clock: VirtualClock
    #: A message belongs to a worker as long as the worker lives; else for a time, and nobody knows who died.
    leases_by_owner: bool

    def worker(self) -> BusWorker:
        """Give a worker that nobody else is."""
        ...

    def killed_worker(self, take: int) -> None:
        """Let a process of its own take messages, and kill it with -9 before it says anything about them."""
        ...

    def dead_letters(self) -> list[Dead]:
        """Give the dead letters."""
        ...

    def another_process_publishes(self, count: int) -> None:
        """Publish `requested` for `job_other0`, `job_other1`, … from a process of its own."""
        ...


@dataclass
class ObjectStoreRig:
    """An object store, and what it told of."""

    objects: ObjectStore
    #: The name of a bucket that is there.
    bucket: str
    #: Finalize events, in order.
    finalized: list[ObjectInfo] = field(default_factory=list)
    #: A write that ends half-way: the room is used up. Runs in a process of its own where it must.
    write_without_room: Callable[[str, int], Exception | None] = lambda uri, size: None

    def uri(self, name: str) -> str:
        return f"gs://{self.bucket}/{name}"


@dataclass
class GeneratorRig:
    """A generator, and an order that it can carry out."""

    generator: Generator
    order: RenderOrder
    #: Do the work that a submitted order waits for, wherever it is done.
    work: Callable[[], None]
    objects: ObjectStore
    #: How many pieces of work were ordered on the other side.
    ordered: Callable[[], int]


@dataclass
class StitcherRig:
    """A stitcher, and clips that it can join."""

    stitcher: Stitcher
    objects: ObjectStore
    bucket: str
    #: URIs of clips that conform.
    clips: list[str]
    work: Callable[[], None]
    ordered: Callable[[], int]


@dataclass
class ClockRig:
    """A clock."""

    clock: Clock
