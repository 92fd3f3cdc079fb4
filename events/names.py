"""Object names ↔ ids. What a job keeps lies under `jobs/{job}/`; the name alone tells what an object is.

jobs/{job}/segments/{index}/{attempt}/…          a clip that a generator made (any file below it)
jobs/{job}/segments/{index}/{attempt}/last_frame.png
jobs/{job}/stitch/{attempt}/plan.json, report.json
jobs/{job}/output/{attempt}/film.mp4             the finished video
checkpoints/{job}/…                              what of a film is encoded already; may go at any time
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from dataclasses import dataclass

from events.errors import BadMessage

#: What a job id may look like; it is a path component and a document id.
JOB_ID = re.compile(r"job_[a-z0-9]{6,40}")
_SEGMENT = re.compile(rf"jobs/({JOB_ID.pattern})/segments/(0|[1-9][0-9]{{0,5}})/([1-9][0-9]{{0,5}})/(.+)", re.DOTALL)
_OUTPUT = re.compile(rf"jobs/({JOB_ID.pattern})/output/([1-9][0-9]{{0,5}})/([^/]+)", re.DOTALL)
_URI = re.compile(r"gs://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])/(.+)", re.DOTALL)

LAST_FRAME = "last_frame.png"
#: What checkpoints' names begin with: first of all, so that a rule of the bucket can delete old ones of all jobs.
CHECKPOINTS = "checkpoints"
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

    A name that no program of ours would write (`..`, an empty part, a line break) is nobody's object.

    >>> parse_object_name("jobs/job_abc123/segments/4/1/7/sample_0.mp4")
    SegmentObject(job_id='job_abc123', segment_index=4, attempt=1, filename='7/sample_0.mp4')
    """
    if not _is_plain(name):
        return None
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


def checkpoints_prefix(job_id: str) -> str:
    """Give the prefix of a job's checkpoints, of whatever attempt."""
    return f"{CHECKPOINTS}/{job_id}/"


def parse_uri(uri: str) -> ObjectUri:
    """Take `gs://bucket/object` apart.

    Raises:
        BadMessage: another scheme, a bad bucket name, or a name with `..`, an empty part or a control character.
    """
    fault = uri_fault(uri)
    if fault:
        raise BadMessage(f"read {uri!r}: it {fault}")
    bucket, _, name = uri.removeprefix("gs://").partition("/")
    return ObjectUri(bucket, name)


def uri_fault(uri: str) -> str | None:
    """Give what a URI should be and is not, as the rest of a sentence; None for a good one."""
    found = _URI.fullmatch(uri)
    if not found:
        return "should be of the form gs://bucket/object"
    if not _is_plain(found[2]):
        return "should name an object without an empty part, '.', '..' or a control character"
    return None


def _is_plain(name: str) -> bool:
    # Line and paragraph separators and lone surrogates are control characters to somebody downstream.
    return not any(part in {"", ".", ".."} for part in name.split("/")) and not any(
        unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} for char in name
    )


def job_id_of_request(user_id: str, project_id: str, kind: str, request_id: str) -> str:
    """Give the id that the same request of the same user always gets, so that asking twice makes one job."""
    digest = hashlib.sha256("\x00".join((user_id, project_id, kind, request_id)).encode()).hexdigest()
    return f"job_{digest[:24]}"
