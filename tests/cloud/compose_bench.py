"""What the tests of the splice in the store work with: a bucket of clips, and a store that somebody meddles with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from adapters.disk import DiskObjectStore
from adapters.gcs import CloudObjectStore
from adapters.gcs_client import storage_client
from events.plan import PlannedClip, StitchPlan
from media.probe import probe
from media.reader import BytesReader
from pipeline.object_port import ObjectInfo, ObjectStore
from tests.cloud.servers.storage import StorageServer
from tests.contract.cloud_object_rigs import BUCKET, info_of, storage_server

JOB = "job_abc123"
JOB_URI = f"gs://{BUCKET}/jobs/{JOB}"


@dataclass
class Store:
    """An object store, what it told of, and plans for the clips in it."""

    objects: ObjectStore
    #: None where the store is no server.
    server: StorageServer | None = None
    finalized: list[ObjectInfo] = field(default_factory=list)
    #: Called with every object that is finalized.
    listener: Callable[[ObjectInfo], None] = lambda info: None

    def hear(self, info: ObjectInfo) -> None:
        self.finalized.append(info)
        self.listener(info)

    def put(self, uri: str, content: bytes) -> ObjectInfo:
        return info_of(self.server.put(uri, content)) if self.server else self.objects.write(uri, content)

    def plan(self, contents: Sequence[bytes], keep_ms: Sequence[int | None] | None = None) -> StitchPlan:
        """Put clips into the bucket, each as an object of its own, and plan their film."""
        facts = {content: probe(BytesReader(content), "clip") for content in dict.fromkeys(contents)}
        clips = []
        for index, content in enumerate(contents):
            info = self.put(f"{JOB_URI}/segments/{index}/1/7/sample_0.mp4", content)
            keep = keep_ms[index] if keep_ms else None
            clips.append(
                PlannedClip(
                    uri=info.uri,
                    generation=info.generation,
                    facts=facts[content],
                    segment_index=index,
                    keep_ms=keep,
                )
            )
        return StitchPlan(
            job_id=JOB,
            attempt=1,
            clips=clips,
            output_uri=f"{JOB_URI}/output/1/film.mp4",
            report_uri=f"{JOB_URI}/stitch/1/report.json",
        )

    def film(self, plan: StitchPlan) -> bytes:
        return self.objects.read(plan.output_uri)

    def rubbish(self, plan: StitchPlan) -> list[str]:
        """Name everything of the job that is neither clip nor film nor report."""
        wanted = {plan.output_uri, plan.report_uri, *(clip.uri for clip in plan.clips)}
        return [info.uri for info in self.objects.list(f"{JOB_URI}/") if info.uri not in wanted]


@contextmanager
def disk_store(folder: Path) -> Iterator[Store]:
    """Give the embedded store, which keeps no checksums."""
    store = Store(DiskObjectStore(folder / "objects", lambda info: store.hear(info)))
    yield store


@contextmanager
def cloud_store(folder: Path) -> Iterator[Store]:
    """Give Cloud Storage: its client, and a server on the loopback."""
    with storage_server(folder) as server:
        client = storage_client("demo-longreel")
        store = Store(CloudObjectStore(lambda: client), server)
        server.events.listeners.append(lambda made: store.hear(info_of(made)))
        yield store
        client.close()


class Died(BaseException):
    """The process ended here; like a kill, no error that anybody handles."""


class Meddled:
    """A store in which something happens before or after certain calls.

    Args:
        objects: the store itself.
        before: called with the number of the call (from 0), its name and its object.
        after: the same, when it is done and before its answer is given.
    """

    def __init__(
        self,
        objects: ObjectStore,
        before: Callable[[int, str, str], None] = lambda number, name, uri: None,
        after: Callable[[int, str, str], None] = lambda number, name, uri: None,
    ) -> None:
        self._objects = objects
        self._before = before
        self._after = after
        self._lock = threading.Lock()
        self.calls: list[tuple[str, str]] = []

    @contextmanager
    def _call(self, name: str, uri: str) -> Iterator[None]:
        with self._lock:
            number = len(self.calls)
            self.calls.append((name, uri))
        self._before(number, name, uri)
        yield
        self._after(number, name, uri)

    def stat(self, uri: str) -> ObjectInfo | None:
        with self._call("stat", uri):
            return self._objects.stat(uri)

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        with self._call("list", prefix_uri):
            return self._objects.list(prefix_uri)

    def read(self, uri: str, offset: int = 0, length: int | None = None, generation: int | None = None) -> bytes:
        with self._call("read", uri):
            return self._objects.read(uri, offset, length, generation)

    def write(self, uri: str, content: bytes, if_generation: int | None = None) -> ObjectInfo:
        with self._call("write", uri):
            return self._objects.write(uri, content, if_generation)

    def compose(self, uri: str, source_uris: Sequence[str], if_generation: int | None = None) -> ObjectInfo:
        with self._call("compose", uri):
            return self._objects.compose(uri, source_uris, if_generation)

    def delete(self, uri: str) -> None:
        with self._call("delete", uri):
            self._objects.delete(uri)


def dying(objects: ObjectStore, at: int, *, answered: bool) -> Meddled:
    """Give a store whose caller dies at one call: before it is made, or after it was carried out; none follows."""

    def die_before(number: int, name: str, uri: str) -> None:
        if number >= at + answered:
            raise Died

    def die_after(number: int, name: str, uri: str) -> None:
        if number >= at:
            raise Died

    return Meddled(objects, die_before, die_after)
