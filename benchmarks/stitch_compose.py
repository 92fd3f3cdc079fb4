"""Counts the bytes that pass through us when a film is composed in an object store, for films of several lengths."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from adapters.compose_splice import ComposeSplice
from adapters.disk import DiskObjectStore
from benchmarks.stitch_corpus import Corpus
from benchmarks.stitch_full import plan_of
from pipeline.object_port import ObjectInfo


class CountingStore:
    """An object store that counts what is read from it and written to it; what it composes passes through nobody."""

    def __init__(self, objects: DiskObjectStore) -> None:
        self._objects = objects
        self.moved_bytes = 0
        self.requests = 0

    def stat(self, uri: str) -> ObjectInfo | None:
        """See `pipeline.object_port.ObjectStore`."""
        self.requests += 1
        return self._objects.stat(uri)

    def list(self, prefix_uri: str) -> list[ObjectInfo]:
        """See `pipeline.object_port.ObjectStore`."""
        self.requests += 1
        return self._objects.list(prefix_uri)

    def read(self, uri: str, offset: int = 0, length: int | None = None, generation: int | None = None) -> bytes:
        """Read and count."""
        self.requests += 1
        content = self._objects.read(uri, offset, length, generation)
        self.moved_bytes += len(content)
        return content

    def write(self, uri: str, content: bytes, if_generation: int | None = None) -> ObjectInfo:
        """Write and count."""
        self.requests += 1
        self.moved_bytes += len(content)
        return self._objects.write(uri, content, if_generation)

    def compose(self, uri: str, source_uris: Sequence[str], if_generation: int | None = None) -> ObjectInfo:
        """See `pipeline.object_port.ObjectStore`."""
        self.requests += 1
        return self._objects.compose(uri, source_uris, if_generation)

    def delete(self, uri: str) -> None:
        """See `pipeline.object_port.ObjectStore`."""
        self.requests += 1
        self._objects.delete(uri)


def composed(corpus: Corpus, clip_counts: Sequence[int]) -> list[dict[str, Any]]:
    """Compose films of so many clips each, and say what that moved; clips come again where there are not as many."""
    return [_composed(corpus, count) for count in clip_counts]


def _composed(corpus: Corpus, clip_count: int) -> dict[str, Any]:
    paths = [corpus.paths[index % len(corpus.paths)] for index in range(clip_count)]
    with tempfile.TemporaryDirectory(dir=corpus.paths[0].parent, prefix="compose-") as name:
        disk = DiskObjectStore(Path(name))
        plan = plan_of(paths, disk)
        # One request after the other, so that counting needs no lock.
        store = CountingStore(disk)
        report = ComposeSplice(store, workers=1).start(plan).report
    return {
        "clip_count": clip_count,
        "film_bytes": report.size_bytes,
        "film_frames": report.frame_count,
        "moved_bytes": store.moved_bytes,
        "requests": store.requests,
    }
