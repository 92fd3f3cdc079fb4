"""A job and a segment as they were read, and the few that a process still has in hand after its own commit."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime

from adapters.firestore_calls import TOKEN, Commit, Found
from adapters.firestore_documents import changed, job_document, segment_document
from pipeline.decide import Decision
from pipeline.ports import Committed
from pipeline.records import Job, Segment, SegmentState

#: Claims that one process has in hand; each is a job and a segment.
REMEMBERED_MAX = 256


@dataclass(frozen=True, slots=True)
class Sight:
    """What a decision is made on, and what its commit is held to."""

    job: Job
    job_found: Found
    segment: Segment | None = None
    #: Not there for a segment that nothing has happened to.
    segment_found: Found | None = None

    @property
    def tokens(self) -> set[str | None]:
        """Who wrote the documents last."""
        return {found.token for found in (self.job_found, self.segment_found) if found is not None}

    def committed(self, decision: Decision) -> Committed:
        """Give what is so once the decision is written."""
        return Committed(decision, decision.job or self.job, decision.segment or self.segment)

    def write(self, commit: Commit, decision: Decision) -> None:
        """Put what the decision changes into a commit, and nothing else."""
        if decision.job is not None:
            write_changes(commit, self.job_found, job_document(decision.job), always=decision.takes_lock)
        elif decision.takes_lock:
            commit.write(self.job_found.path, {}, self.job_found.seen)
        if decision.segment is not None:
            assert self.segment_found is not None, "a decision changes only the segment that it was shown"
            write_changes(commit, self.segment_found, segment_document(decision.segment, self.job.user_id))

    def after(self, decision: Decision, commit: Commit, times: dict[str, datetime]) -> Sight:
        """Give the same sight after the commit, at no further read."""
        job, segment = decision.job or self.job, decision.segment or self.segment
        job_found, segment_found = self.job_found, self.segment_found
        if job_found.path in times:
            values = job_found.values | job_document(job) | {TOKEN: commit.token}
            job_found = Found(job_found.path, values, times[job_found.path])
        if segment is not None and segment_found is not None and segment_found.path in times:
            values = segment_document(segment, job.user_id) | {TOKEN: commit.token}
            segment_found = Found(segment_found.path, values, times[segment_found.path])
        return Sight(job, job_found, segment, segment_found)


def write_changes(commit: Commit, found: Found, after: dict[str, object], *, always: bool = False) -> None:
    """Write those fields that are not so yet; `always` holds the document to what was read even if none is."""
    fields = changed(found.values, after)
    if fields or always:
        commit.write(found.path, fields, found.seen)


class Claims:
    """The segments that this process has just claimed, each good for one decision. Safe for threads.

    Whoever claims a segment records what the generator answered a moment later. That decision is made on what the claim
    left, without a read; its commit is held to it like any other, so a change by somebody else is never overlooked.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sights: OrderedDict[tuple[str, int], Sight] = OrderedDict()

    def put(self, before: Sight, after: Sight) -> None:
        """Keep the sight if its commit was a claim."""
        segment = after.segment
        if segment is None or segment.state is not SegmentState.CLAIMED or before.segment == segment:
            return
        with self._lock:
            self._sights[segment.job_id, segment.index] = after
            if len(self._sights) > REMEMBERED_MAX:
                self._sights.popitem(last=False)

    def take(self, job_id: str, segment_index: int | None) -> Sight | None:
        """Give the sight of a claim, once."""
        if segment_index is None:
            return None
        with self._lock:
            return self._sights.pop((job_id, segment_index), None)
