"""The clips of a film where they lie: exact ranges of them, the index and the sound at joins, many at a time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter

from events.errors import BadMedia, NotFound, StitchFailed
from events.plan import PlannedClip, StitchPlan
from media.movie import Movie
from media.mp4_index import fetch_index, read_movie
from media.reader import SpanReader
from media.splice import Source
from media.splice_layout import CopyRange
from pipeline.object_port import ObjectInfo, ObjectStore

#: Bytes between two ranges that are rather fetched along than left out by a request of their own.
_GAP_BYTES_MAX = 2048


@dataclass(frozen=True, slots=True)
class StoredClip:
    """One clip of the plan, with its index."""

    info: ObjectInfo
    movie: Movie
    reader: SpanReader


class StoredClips:
    """All clips of a plan.

    Args:
        objects: where they lie.
        plan: names them.
        pool: reads for us.

    Raises:
        StitchFailed: a clip is gone, was changed after it was looked at, or is no clip; carries its segment's index.
    """

    def __init__(self, objects: ObjectStore, plan: StitchPlan, pool: Executor) -> None:
        self._objects = objects
        self._plan = plan
        self._pool = pool
        different = {clip.uri: clip for clip in reversed(plan.clips)}
        opened = dict(zip(different, pool.map(self._open, different.values()), strict=True))
        self._clips = [opened[clip.uri] for clip in plan.clips]

    @property
    def infos(self) -> list[ObjectInfo]:
        """The objects, in the film's order."""
        return [clip.info for clip in self._clips]

    @property
    def sources(self) -> list[Source]:
        """What a splice is made of."""
        return [
            Source(clip.movie, clip.reader, planned.keep_ms)
            for clip, planned in zip(self._clips, self._plan.clips, strict=True)
        ]

    def fetch_ahead(self, ranges: Sequence[CopyRange]) -> None:
        """Fetch ranges that will be read."""
        wanted: list[tuple[int, int, int]] = []
        for source, found in groupby(sorted(ranges), itemgetter(0)):
            wanted += ((source, offset, length) for offset, length in merged((o, n) for _, o, n in found))
        for _ in self._pool.map(self._fetch, wanted):
            pass

    def refuse_changed(self) -> None:
        """Look at every clip again.

        Raises:
            StitchFailed: one is gone or was changed.
        """
        for _ in self._pool.map(self._stat, self._plan.clips):
            pass

    def _stat(self, clip: PlannedClip) -> ObjectInfo:
        info = self._objects.stat(clip.uri)
        if info is None or info.generation != clip.generation:
            raise _changed(clip, "is gone" if info is None else "was changed")
        return info

    def _open(self, clip: PlannedClip) -> StoredClip:
        info = self._stat(clip)
        reader = SpanReader(info.size_bytes, partial(self._read, clip))
        with _blaming(clip):
            fetch_index(reader)
            return StoredClip(info, read_movie(reader, clip.uri), reader)

    def _fetch(self, span: tuple[int, int, int]) -> None:
        source, offset, length = span
        with _blaming(self._plan.clips[source]):
            self._clips[source].reader.fetch(offset, length)

    def _read(self, clip: PlannedClip, offset: int, length: int) -> bytes:
        return self._objects.read(clip.uri, offset, length, generation=clip.generation)


def merged(spans: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Give spans (offset, length), sorted, in fewer where they lie close together.

    >>> list(merged([(0, 10), (10, 5), (9000, 1)]))
    [(0, 15), (9000, 1)]
    """
    start = end = None
    for offset, length in spans:
        if start is None or end is None:
            start, end = offset, offset + length
        elif offset - end <= _GAP_BYTES_MAX:
            end = max(end, offset + length)
        else:
            yield start, end - start
            start, end = offset, offset + length
    if start is not None and end is not None:
        yield start, end - start


def _changed(clip: PlannedClip, what: str) -> StitchFailed:
    text = f"join {clip.uri}: it {what} after it was looked at"
    return StitchFailed(text, code="clip_changed", segment_index=clip.segment_index)


@contextmanager
def _blaming(clip: PlannedClip) -> Iterator[None]:
    """Say which clip it is that cannot be read."""
    try:
        yield
    except NotFound as exc:
        raise _changed(clip, "was changed") from exc
    except BadMedia as exc:
        raise StitchFailed(exc.message, code=exc.code, segment_index=clip.segment_index) from exc
