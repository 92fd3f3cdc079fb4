"""What a job costs in Firestore, through the real handlers: the same per segment for 10 segments and for 200.

Of a segment: its claim, its start, its end with the job's count. Of the job, once: the request, the window, the stitch.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from adapters.firestore import FirestoreJobStore
from adapters.local import LocalAdapters
from adapters.local_queue import Leased
from events.messages import Topic
from tests.cloud import emulators
from tests.cloud.firestore_meter import Meter, metered_client
from tests.functions.world import World
from tests.media.clips import ClipSpec, make_clip

#: Documents written and read for each segment, and at most once for a job.
WRITES_OF_A_SEGMENT, WRITES_OF_A_JOB = 4, 10
READS_OF_A_SEGMENT, READS_OF_A_JOB = 5, 20


@dataclass
class FirestoreWorld(World):
    """The real handlers over the Firestore store; all else as at home."""

    new_store: Callable[[], FirestoreJobStore] | None = None
    #: Every delivery is handled by a process that was just started.
    cold: bool = False

    def deliver(self, message: Leased, *, again: bool = False) -> None:
        if self.cold:
            self.services.jobs.store = self._new_store()  # type: ignore[attr-defined] # the world's own wrapper
        super().deliver(message, again=again)

    def _new_store(self) -> Any:
        assert self.new_store is not None
        return self.new_store()

    def _adapters(self) -> LocalAdapters:
        return replace(super()._adapters(), jobs=self._new_store())


@dataclass
class Measured:
    """One job from its request to its film."""

    world: FirestoreWorld
    meter: Meter
    job_id: str


Measure = Callable[..., Measured]


@pytest.fixture
def measure(firestore_emulator: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    # A film that takes longer says more often how far it is; that is a matter of the machine, and not of segments.
    monkeypatch.setattr("embedded.work.PROGRESS_EVERY_SECONDS", math.inf)
    clip = make_clip(ClipSpec(number=1, frames=6, tone=None), tmp_path / "clip.mp4").read_bytes()
    worlds: list[FirestoreWorld] = []
    clients: list[Any] = []

    def make(count: int, *, cold: bool = False) -> Measured:
        meter = Meter()
        client = metered_client(emulators.fresh_project(), meter)
        clients.append(client)
        home = tmp_path / f"home{len(worlds)}"
        world = FirestoreWorld(home, lambda _: clip, new_store=lambda: FirestoreJobStore(lambda: client), cold=cold)
        worlds.append(world)
        world.paid.lands_at_once = True
        return Measured(world, meter, world.create_paid(count, maxParallelSegments=8))

    yield make
    for world in worlds:
        world.close()
    for client in clients:
        client.close()


def finish(made: Measured, count: int) -> None:
    made.world.run()
    job = made.world.job(made.job_id)
    assert (str(job.state), job.done_count) == ("completed", count)
    made.meter.count(reads=-1)  # that look was ours


def test_a_segment_takes_4_writes_and_5_reads_and_no_poll_however_many_there_are(measure: Measure) -> None:
    few, many = measure(10), measure(200)

    finish(few, 10)
    finish(many, 200)

    assert many.meter.writes - few.meter.writes == WRITES_OF_A_SEGMENT * 190
    assert many.meter.reads - few.meter.reads == READS_OF_A_SEGMENT * 190
    assert few.meter.writes - WRITES_OF_A_SEGMENT * 10 <= WRITES_OF_A_JOB
    assert few.meter.reads - READS_OF_A_SEGMENT * 10 <= READS_OF_A_JOB
    assert few.meter.refused == many.meter.refused == 0
    assert few.world.paid.polled == many.world.paid.polled == []


def test_a_segment_takes_one_read_more_where_every_delivery_meets_a_new_process(measure: Measure) -> None:
    few, many = measure(5, cold=True), measure(15, cold=True)

    finish(few, 5)
    finish(many, 15)

    assert many.meter.writes - few.meter.writes == WRITES_OF_A_SEGMENT * 10
    assert many.meter.reads - few.meter.reads == (READS_OF_A_SEGMENT + 1) * 10
    assert few.world.paid.polled == many.world.paid.polled == []


def test_a_look_at_what_is_overdue_reads_next_to_nothing_when_nothing_is(measure: Measure) -> None:
    made = measure(3)
    finish(made, 3)
    made.meter.reset()

    assert made.world.sweep() == 0

    assert (made.meter.reads, made.meter.writes) == (2, 0)


def test_a_start_that_follows_its_claim_in_the_same_process_reads_nothing(measure: Measure) -> None:
    made = measure(3)
    made.world.deliver_next(Topic.REQUESTED)
    made.world.deliver_next(Topic.SEGMENT_REQUESTED)  # reads the script, which the process keeps
    before = made.meter.reads

    made.world.deliver_next(Topic.SEGMENT_REQUESTED)

    assert made.world.paid.bought[1].segment_index == 1
    assert made.meter.reads - before == 2, "the job and the segment, for the claim alone"
    assert made.world.states(made.job_id) == ["generating", "generating", "pending"]
