"""Object names ↔ ids. Everything a job owns lies under `jobs/{job}/`; the name alone tells what an object is.

jobs/{job}/segments/{index}/{attempt}/…          a clip that a generator made (any file below it)
jobs/{job}/segments/{index}/{attempt}/last_frame.png
jobs/{job}/stitch/{attempt}/plan.json, report.json
jobs/{job}/output/{attempt}/film.mp4             the finished video
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass

from events.errors import BadMessage

#: What a job id may look like; it is a path component and a document id.
JOB_ID = re.compile(r"job_[a-z0-9]{6,40}")
_SEGMENT = re.compile(rf"jobs/({JOB_ID.pattern})/segments/(0|[1-9]\d{{0,5}})/([1-9]\d{{0,5}})/(.+)", re.DOTALL)
_OUTPUT = re.compile(rf"jobs/({JOB_ID.pattern})/output/([1-9]\d{{0,5}})/([^/]+)", re.DOTALL)
_URI = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])/(.+)", re.DOTALL)

LAST_FRAME = "last_frame.png"
FILM = "film.mp4"


@dataclass(frozen=True, slots=True)
class SegmentObject:
    """An object under a segment's own prefix."""

    job_id: str
    segment_index: int
    attempt: int
    filename: str


@dataclass(frozen=True, slots=True)
class OutputObject:
    """A finished video."""

    job_id: str
    attempt: int
    filename: str


@dataclass(frozen=True, slots=True)
class ObjectUri:
    """`gs://bucket/object`, taken apart."""

    bucket: str
    name: str

    def __str__(self) -> str:
        """Give the URI again."""
        return f"gs://{self.bucket}/{self.name}"


def parse_object_name(name: str) -> SegmentObject | OutputObject | None:
    """Tell what an object is; None for everything that is neither a clip nor an output.

    >>> parse_object_name("jobs/job_abc123/segments/4/1/7/sample_0.mp4")
    SegmentObject(job_id='job_abc123', segment_index=4, attempt=1, filename='7/sample_0.mp4')
    """
    if found := _SEGMENT.fullmatch(name):
        job_id, index, attempt, filename = found.groups()
        return SegmentObject(job_id, int(index), int(attempt), filename)
    if found := _OUTPUT.fullmatch(name):
        job_id, attempt, filename = found.groups()
        return OutputObject(job_id, int(attempt), filename)
    return None


def segment_prefix(job_id: str, segment_index: int, attempt: int) -> str:
    """Give the prefix that belongs to one attempt (1-based) of one segment (0-based) alone."""
    return f"jobs/{job_id}/segments/{segment_index}/{attempt}/"


def output_name(job_id: str, attempt: int) -> str:
    """Give the name of the finished video that stitch attempt `attempt` (1-based) makes."""
    return f"jobs/{job_id}/output/{attempt}/{FILM}"


def stitch_name(job_id: str, attempt: int, filename: str) -> str:
    """Give the name of a stitch attempt's paper: `plan.json` or `report.json`."""
    return f"jobs/{job_id}/stitch/{attempt}/{filename}"


def parse_uri(uri: str) -> ObjectUri:
    """Take `gs://bucket/object` apart.

    Raises:
        BadMessage: another scheme, a bad bucket name, or a name with `..`, an empty part or a control character.
    """
    found = _URI.fullmatch(uri)
    if not found:
        raise BadMessage(f"read {uri!r}: not of the form gs://bucket/object")
    bucket, name = found.groups()
    parts = name.split("/")
    if any(part in {"", ".", ".."} for part in parts) or any(ord(c) < 32 or ord(c) == 127 for c in name):
        raise BadMessage(
            f"read {uri!r}: an object name may have no empty part, no '.' or '..' and no control character"
        )
    return ObjectUri(bucket, name)


def job_id_of_request(project_id: str, kind: str, request_id: str) -> str:
    """Give the id that the same request always gets, so that asking twice makes one job."""
    digest = hashlib.sha256("\x00".join((project_id, kind, request_id)).encode()).hexdigest()
    return f"job_{digest[:24]}"
