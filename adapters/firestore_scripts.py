"""What segments begin with, in few documents: a segment that nothing has happened to has no document of its own.

`create` writes every segment's spec into a script: one document for nearly every job, more where the specs are long. A
segment's own document is made by its first commit. A script never changes, and its name is never used again, so each
process may keep the ones that it has read.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from adapters.firestore_documents import Document
from adapters.firestore_fields import Fields
from events.errors import LimitExceeded
from pipeline.records import Segment

#: Firestore takes documents of 1 MiB; this leaves room for names and for how it counts.
SCRIPT_BYTES_MAX = 700_000
#: What one entry may take beside its spec: names of fields, the price, the map.
ENTRY_BYTES = 64
#: Scripts that one process keeps, together, by the size of their specs.
KEPT_BYTES_MAX = 16_000_000


@dataclass(frozen=True, slots=True)
class Place:
    """Where the beginnings of some segments are; kept on the job's document."""

    #: Id of the script's document.
    name: str
    #: Index of its first segment, and of the first one after its last.
    first: int
    end: int


@dataclass(frozen=True, slots=True)
class Script:
    """The beginnings of some segments that follow each other."""

    place: Place
    updated_at: datetime
    #: Spec and price in micro USD of each segment.
    lines: tuple[tuple[str, int], ...]

    def segment(self, job_id: str, index: int) -> Segment:
        """Give a segment as it is before anything happened to it."""
        spec, price = self.lines[index - self.place.first]
        return Segment(job_id=job_id, index=index, spec=spec, updated_at=self.updated_at, price_micro_usd=price)

    @property
    def size_bytes(self) -> int:
        """About how much of Firestore's limits it takes."""
        return sum(_size(spec) for spec, _ in self.lines)


def written(job_id: str, segments: Sequence[Segment], name: str) -> list[Script]:
    """Write the beginnings of a job's segments into as many scripts as needed.

    Args:
        job_id: the job.
        segments: all of its segments, in order.
        name: what the scripts' names begin with; never used before.

    Raises:
        LimitExceeded: a spec is too long for a document.
    """
    assert all((each.job_id, each.index) == (job_id, place) for place, each in enumerate(segments))
    scripts = []
    for number, (first, part) in enumerate(_packed(segments)):
        place = Place(f"{name}-{number}", first, first + len(part))
        lines = tuple((each.spec, each.price_micro_usd) for each in part)
        scripts.append(Script(place, segments[0].updated_at, lines))
    return scripts


def _packed(segments: Sequence[Segment]) -> Iterator[tuple[int, list[Segment]]]:
    part: list[Segment] = []
    room = SCRIPT_BYTES_MAX
    for segment in segments:
        size = _size(segment.spec)
        if size > SCRIPT_BYTES_MAX:
            text = f"the text of segment {segment.index} takes {size:,} bytes"
            raise LimitExceeded(f"create {segment.job_id}: {text}; at most {SCRIPT_BYTES_MAX:,} fit")
        if size > room:
            yield part[0].index, part
            part, room = [], SCRIPT_BYTES_MAX
        part.append(segment)
        room -= size
    if part:
        yield part[0].index, part


def _size(spec: str) -> int:
    return len(spec.encode()) + ENTRY_BYTES


def script_document(script: Script, job_id: str, user_id: str) -> Document:
    """Give a script's document."""
    return {
        "jobId": job_id,
        "userId": user_id,
        "first": script.place.first,
        "updatedAt": script.updated_at,
        "segments": [{"spec": spec} | ({"priceMicroUsd": price} if price else {}) for spec, price in script.lines],
    }


def read_script(fields: Fields, place: Place) -> Script:
    """Make the script of a document.

    Raises:
        PipelineError: the document is damaged; names its path and the field.
    """
    lines = tuple((each.text("spec"), each.integer_or_none("priceMicroUsd") or 0) for each in fields.parts("segments"))
    if len(lines) != place.end - place.first:
        raise fields.damaged("segments", f"it should have {place.end - place.first} entries, and has {len(lines)}")
    return Script(place, fields.instant("updatedAt"), lines)


def places_document(scripts: Sequence[Script]) -> list[Document]:
    """Give what the job's document says about its scripts."""
    return [{"name": each.place.name, "first": each.place.first, "end": each.place.end} for each in scripts]


def read_places(fields: Fields) -> tuple[Place, ...]:
    """Read what the job's document says about its scripts.

    Raises:
        PipelineError: the document is damaged; names its path and the field.
    """
    return tuple(
        Place(each.text("name"), each.integer("first"), each.integer("end")) for each in fields.parts("scripts")
    )


def place_of(places: Sequence[Place], index: int) -> Place | None:
    """Give the place of a segment's beginning; None when the job has no such segment."""
    return next((each for each in places if each.first <= index < each.end), None)


class Shelf:
    """The scripts that this process has read lately. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._scripts: OrderedDict[tuple[str, str], Script] = OrderedDict()
        self._size_bytes = 0

    def find(self, job_id: str, place: Place) -> Script | None:
        """Give a script that was put here."""
        with self._lock:
            script = self._scripts.get((job_id, place.name))
            if script is not None:
                self._scripts.move_to_end((job_id, place.name))
            return script

    def put(self, job_id: str, script: Script) -> None:
        """Keep a script; the ones that were not asked for longest make room."""
        key = job_id, script.place.name
        with self._lock:
            if key in self._scripts:
                return
            self._scripts[key] = script
            self._size_bytes += script.size_bytes
            while self._size_bytes > KEPT_BYTES_MAX:
                self._size_bytes -= self._scripts.popitem(last=False)[1].size_bytes
