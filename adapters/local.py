"""Puts the embedded mode together: one home folder with a database, objects and locks."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.config import LocalConfig
from adapters.database import Database
from adapters.disk import DiskObjectStore
from adapters.given_clip import GivenClipGenerator
from adapters.local_queue import LocalQueue
from adapters.local_stitch import LocalStitcher
from adapters.owners import Owner
from adapters.sqlite import SqliteJobStore
from adapters.storyboard import StoryboardGenerator
from adapters.system_clock import SystemClock
from events.messages import ObjectFinalized
from events.names import parse_uri
from pipeline.commands import Outgoing
from pipeline.object_port import ObjectInfo

#: The one bucket of the embedded mode.
BUCKET = "longreel"


@dataclass(frozen=True, slots=True)
class LocalAdapters:
    """The embedded column, assembled."""

    config: LocalConfig
    database: Database
    clock: SystemClock
    queue: LocalQueue
    jobs: SqliteJobStore
    objects: DiskObjectStore
    storyboard: StoryboardGenerator
    given_clip: GivenClipGenerator
    stitcher: LocalStitcher
    #: This worker's lock; None in a process that only asks and publishes.
    owner: Owner | None


def open_home(config: LocalConfig, *, worker: bool) -> LocalAdapters:
    """Open a home, which is made when it is not there.

    Args:
        config: where it is, and what the user chose.
        worker: whether this process will take messages.
    """
    config.home.mkdir(parents=True, exist_ok=True)
    database = Database(config.home / "longreel.db", config.synchronous)
    clock = SystemClock()
    owner = Owner(config.home / "workers") if worker else None
    queue = LocalQueue(database, clock, owner)

    def finalized(info: ObjectInfo) -> None:
        where = parse_uri(info.uri)
        # Like a Cloud Storage notification with a prefix: what users bring is no event.
        if where.name.startswith("jobs/"):
            message = ObjectFinalized(
                bucket=where.bucket, name=where.name, generation=info.generation, size=info.size_bytes
            )
            queue.publish([Outgoing(message)])

    objects = DiskObjectStore(config.home / "objects", finalized)
    if worker:
        objects.tidy()
    return LocalAdapters(
        config=config,
        database=database,
        clock=clock,
        queue=queue,
        jobs=SqliteJobStore(database, queue.outbox),
        objects=objects,
        storyboard=StoryboardGenerator(queue, objects),
        given_clip=GivenClipGenerator(objects),
        stitcher=LocalStitcher(queue, objects, config.ffmpeg),
        owner=owner,
    )
