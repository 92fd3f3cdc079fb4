"""The queries of the job store. Each needs an index of `infra/firestore.indexes.json`, which a test holds to them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from adapters.firestore_calls import Calls, Found
from adapters.firestore_documents import read_job, read_segment
from adapters.firestore_paths import SEGMENTS, Paths
from pipeline.ports import Overdue
from pipeline.records import Job, JobState, Segment, SegmentState

if TYPE_CHECKING:
    from google.cloud.firestore import Query

#: The only order in which documents with a `wakeAt` are looked at.
_WAKE_AT = "wakeAt"
#: What Firestore calls a document's own name in queries.
_NAME = "__name__"


@dataclass(frozen=True, slots=True)
class Queries:
    """The queries of one deployment."""

    calls: Calls
    paths: Paths

    def segments(self, job_id: str, states: frozenset[SegmentState] | None, below: int | None) -> list[Segment]:
        """Give the segments that have documents, in order: those in `states`, with an index under `below`."""
        query = self.calls.client.collection(self.paths.segments(job_id)).order_by("index")
        if states is not None:
            query = self._where(query, "state", "in", sorted(states))
        if below is not None:
            query = self._where(query, "index", "<", below)
        return [read_segment(each.fields) for each in self.calls.run(f"read the segments of {job_id}", query)]

    def jobs(
        self, project_id: str | None, user_id: str | None, states: frozenset[JobState] | None, limit: int
    ) -> list[Job]:
        """Give jobs, the newest first."""
        if states == frozenset() or limit <= 0:
            return []
        query = self.calls.client.collection(self.paths.jobs).order_by("createdAt", direction="DESCENDING")
        if user_id is not None:
            query = self._where(query, "userId", "==", user_id)
        if project_id is not None:
            query = self._where(query, "projectId", "==", project_id)
        if states is not None:
            query = self._where(query, "state", "in", sorted(states))
        return [read_job(each.fields) for each in self.calls.run("list the jobs", query.limit(limit))]

    def overdue(self, now: datetime, limit: int) -> list[Overdue]:
        """Give what has a `wakeAt` at or before `now`, the longest overdue first."""
        if limit <= 0:
            return []
        client = self.calls.client
        found: list[tuple[datetime, Overdue]] = []
        for documents in (client.collection(self.paths.jobs), client.collection_group(SEGMENTS)):
            found += self._due(documents, now, limit)
        found.sort(key=lambda each: each[0])
        return [overdue for _, overdue in found[:limit]]

    def _due(self, documents: Any, now: datetime, limit: int) -> list[tuple[datetime, Overdue]]:
        query = self._where(documents.order_by(_WAKE_AT).order_by(_NAME).select([_WAKE_AT]), _WAKE_AT, "<=", now)
        ours: list[tuple[datetime, Overdue]] = []
        for found in self._pages(query, limit):
            if (overdue := self.paths.overdue(found.path)) is not None:
                ours.append((found.fields.instant(_WAKE_AT), overdue))
            if len(ours) == limit:
                break
        return ours

    def _pages(self, query: Query, limit: int) -> Iterator[Found]:
        """Give what a query finds, `limit` documents a call, so that strangers cannot crowd ours out."""
        page = self.calls.run("look for what is overdue", query.limit(limit))
        while page:
            yield from page
            if len(page) < limit:
                return
            last = self.calls.client.document(page[-1].path)
            after = query.start_after({_WAKE_AT: page[-1].values[_WAKE_AT], _NAME: last})
            page = self.calls.run("look for what is overdue", after.limit(limit))

    def _where(self, query: Any, field: str, op: Literal["==", "<", "<=", "in"], value: object) -> Any:
        from google.cloud.firestore_v1.base_query import FieldFilter

        return query.where(filter=FieldFilter(field, op, value))
