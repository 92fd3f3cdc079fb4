"""The embedded adapters, ready for the contract."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from adapters.config import LocalConfig
from adapters.database import Database
from adapters.disk import DiskObjectStore
from adapters.local import BUCKET, LocalAdapters, open_home
from adapters.local_queue import CONTROL_LANE, WORK_LANE, Leased, LocalQueue
from adapters.owners import Owner
from adapters.sqlite import SqliteJobStore
from adapters.system_clock import SystemClock
from events.errors import LimitExceeded
from events.messages import MODEL_OF_TOPIC, LocalRender, LocalStitch, Message, Topic
from events.requests import ClipSpec, PromptSpec, SegmentSpec, Settings
from pipeline.object_port import ObjectInfo
from pipeline.work_ports import RenderOrder
from tests.contract.rigs import (
    ClockRig,
    Dead,
    GeneratorRig,
    Held,
    ObjectStoreRig,
    StitcherRig,
    VirtualClock,
)
from tests.media.clips import ClipSpec as MadeClip
from tests.media.clips import make_clip
from tests.simulation.objects import MemoryObjects

#: Longest that a child process of a test may take.
CHILD_SECONDS = 60


class SqliteStoreRig:
    """The SQLite store, with its outbox in the queue of the same file."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "store.db"
        self._database = Database(self._path)
        self._owner = Owner(folder / "workers")
        self._queue = LocalQueue(self._database, VirtualClock(), self._owner)
        self._published: list[Message] = []
        self.store = SqliteJobStore(self._database, self._queue.outbox)

    @contextmanager
    def another(self) -> Iterator[SqliteJobStore]:
        database = Database(self._path)
        yield SqliteJobStore(database, LocalQueue(database, VirtualClock()).outbox)
        database.close()

    def published(self) -> list[Message]:
        for leased in self._queue.exchange(CONTROL_LANE, [], 1000):
            delivery = leased.delivery
            self._published.append(MODEL_OF_TOPIC[delivery.topic].from_json(delivery.body))
        return self._published

    def close(self) -> None:
        self._owner.close()
        self._database.close()


def job_store(folder: Path) -> Iterator[SqliteStoreRig]:
    rig = SqliteStoreRig(folder)
    yield rig
    rig.close()


class LocalBusWorker:
    """One worker of the local queue, with both of its lanes."""

    def __init__(self, database: Database, clock: VirtualClock, owner: Owner) -> None:
        self.queue = LocalQueue(database, clock, owner)

    def take(self, limit: int = 100) -> list[Held]:
        self.queue.free_the_dead()
        leased = [each for lane in (CONTROL_LANE, WORK_LANE) for each in self.queue.exchange(lane, [], limit)]
        return [self._held(each) for each in leased]

    def _held(self, leased: Leased) -> Held:
        return Held(
            leased.delivery,
            ack=lambda: _nothing(self.queue.exchange(CONTROL_LANE, [leased.message_id], 0)),
            fail=lambda reason: _nothing(self.queue.retry_later(leased, reason)),
            refuse=lambda reason: self.queue.bury(leased, reason),
            give_back=lambda: self.queue.put_back([leased]),
        )


def _nothing(_answer: object) -> None:
    """Forget an answer."""


_KILLED = """
import sys, time
from pathlib import Path
from adapters.database import Database
from adapters.local_queue import CONTROL_LANE, LocalQueue
from adapters.owners import Owner
from tests.contract.rigs import VirtualClock
folder, limit = Path(sys.argv[1]), int(sys.argv[2])
queue = LocalQueue(Database(folder / "bus.db"), VirtualClock(), Owner(folder / "workers"))
print(len(queue.exchange(CONTROL_LANE, [], limit)), flush=True)
sys.stdin.read()
"""
_PUBLISHES = """
import sys
from pathlib import Path
from adapters.database import Database
from adapters.local_queue import LocalQueue
from events.messages import Requested
from pipeline.commands import Outgoing
from tests.contract.rigs import VirtualClock
folder, count = Path(sys.argv[1]), int(sys.argv[2])
queue = LocalQueue(Database(folder / "bus.db"), VirtualClock())
for number in range(count):
    queue.publish([Outgoing(Requested(job_id=f"job_other{number}"))])
"""


class LocalBusRig:
    """The local queue, and processes of their own on the same file."""

    leases_by_owner = True

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._database = Database(folder / "bus.db")
        self.clock = VirtualClock()
        self.bus = LocalQueue(self._database, self.clock)
        self._owners: list[Owner] = []

    def worker(self) -> LocalBusWorker:
        self._owners.append(Owner(self._folder / "workers"))
        return LocalBusWorker(self._database, self.clock, self._owners[-1])

    def killed_worker(self, take: int) -> None:
        command = [sys.executable, "-c", _KILLED, str(self._folder), str(take)]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
            assert child.stdout is not None
            assert int(child.stdout.readline()) == take
            child.kill()
            child.wait(CHILD_SECONDS)

    def dead_letters(self) -> list[Dead]:
        return [
            Dead(each.topic, each.body, each.reason, partial(self.bus.replay, each.message_id))
            for each in self.bus.dead_letters()
        ]

    def another_process_publishes(self, count: int) -> None:
        subprocess.run(
            [sys.executable, "-c", _PUBLISHES, str(self._folder), str(count)], check=True, timeout=CHILD_SECONDS
        )

    def close(self) -> None:
        for owner in self._owners:
            owner.close()
        self._database.close()


def message_bus(folder: Path) -> Iterator[LocalBusRig]:
    rig = LocalBusRig(folder)
    yield rig
    rig.close()


_WITHOUT_ROOM = """
import resource, signal, sys
from pathlib import Path
from adapters.disk import DiskObjectStore
from events.errors import LimitExceeded
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    DiskObjectStore(Path(sys.argv[1])).write(sys.argv[2], bytes(int(sys.argv[3])))
except LimitExceeded as exc:
    print(exc.message)
"""


def object_store(folder: Path) -> Iterator[ObjectStoreRig]:
    finalized: list[ObjectInfo] = []

    def without_room(uri: str, size: int) -> Exception | None:
        command = [sys.executable, "-c", _WITHOUT_ROOM, str(folder / "objects"), uri, str(size)]
        answer = subprocess.run(command, check=True, capture_output=True, text=True, timeout=CHILD_SECONDS)
        message = answer.stdout.strip()
        return LimitExceeded(message) if message else None

    objects = DiskObjectStore(folder / "objects", finalized.append)
    yield ObjectStoreRig(objects, BUCKET, finalized, without_room)


def simulated_objects(_folder: Path) -> Iterator[ObjectStoreRig]:
    finalized: list[ObjectInfo] = []
    objects = MemoryObjects(finalized.append)

    def without_room(uri: str, size: int) -> Exception | None:
        objects.room_bytes = 100_000
        try:
            objects.write(uri, bytes(size))
        except LimitExceeded as exc:
            return exc
        return None

    yield ObjectStoreRig(objects, BUCKET, finalized, without_room)


@contextmanager
def _home(folder: Path) -> Iterator[LocalAdapters]:
    adapters = open_home(LocalConfig(folder / "home", None, 1, "NORMAL"), worker=True)
    yield adapters
    assert adapters.owner is not None
    adapters.owner.close()
    adapters.database.close()


def _carry_out(adapters: LocalAdapters, draw: Callable[[LocalRender], None]) -> None:
    for leased in adapters.queue.exchange(WORK_LANE, [], 100):
        if leased.delivery.topic is Topic.LOCAL_RENDER:
            draw(LocalRender.from_json(leased.delivery.body))
        else:
            adapters.stitcher.make(LocalStitch.from_json(leased.delivery.body), lambda _percent: None)
        adapters.queue.exchange(WORK_LANE, [leased.message_id], 0)


def _work_ordered(adapters: LocalAdapters) -> int:
    query = "SELECT count(*) FROM messages WHERE lane = ?"
    count: int = adapters.database.connection().execute(query, (WORK_LANE,)).fetchone()[0]
    return count


def storyboard(folder: Path) -> Iterator[GeneratorRig]:
    with _home(folder) as adapters:
        scene = PromptSpec(prompt="A red kite over a grey harbour", duration_ms=100)
        yield GeneratorRig(
            generator=adapters.storyboard,
            order=_order(SegmentSpec(scene=scene)),
            work=lambda: _carry_out(adapters, lambda message: adapters.storyboard.draw(message, lambda: True)),
            objects=adapters.objects,
            ordered=lambda: _work_ordered(adapters),
        )


def given_clip(folder: Path) -> Iterator[GeneratorRig]:
    with _home(folder) as adapters:
        uri = f"gs://{BUCKET}/given/clip.mp4"
        adapters.objects.take_in(make_clip(MadeClip(1, frames=6), folder / "clip.mp4"), uri)
        yield GeneratorRig(
            generator=adapters.given_clip,
            order=_order(SegmentSpec(clip=ClipSpec(clip=uri))),
            work=lambda: None,
            objects=adapters.objects,
            ordered=lambda: 0,
        )


def _order(spec: SegmentSpec) -> RenderOrder:
    return RenderOrder(
        job_id="job_abc123",
        segment_index=0,
        segment_count=1,
        attempt=1,
        spec=spec,
        settings=Settings(title="A test"),
        output_prefix=f"gs://{BUCKET}/jobs/job_abc123/segments/0/1/",
    )


def stitcher(folder: Path) -> Iterator[StitcherRig]:
    with _home(folder) as adapters:
        clips = []
        for number in (1, 2):
            uri = f"gs://{BUCKET}/given/{number}.mp4"
            adapters.objects.take_in(make_clip(MadeClip(number, frames=12), folder / f"{number}.mp4"), uri)
            clips.append(uri)
        yield StitcherRig(
            stitcher=adapters.stitcher,
            objects=adapters.objects,
            bucket=BUCKET,
            clips=clips,
            work=lambda: _carry_out(adapters, lambda _message: None),
            ordered=lambda: _work_ordered(adapters),
        )


def clock(_folder: Path) -> Iterator[ClockRig]:
    yield ClockRig(SystemClock())
