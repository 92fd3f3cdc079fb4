"""The cloud's job store: documents in Firestore that an app's page may listen to.

Commits are optimistic: read, decide, and write only if nobody has written since; else read and decide again after a
moment. Google's own `transactional` locks what it reads, and collapses when twenty writers meet.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from adapters.firestore_calls import Calls, Commit, Conflict, Found
from adapters.firestore_creation import Creation
from adapters.firestore_documents import read_job, read_segment
from adapters.firestore_locks import Locks
from adapters.firestore_paths import Paths, is_id
from adapters.firestore_queries import Queries
from adapters.firestore_scripts import Place, Script, Shelf, place_of, read_places, read_script
from adapters.firestore_sights import Claims, Sight
from events.errors import Unavailable, UnknownJob
from pipeline.decide import Decision
from pipeline.ports import Committed, Created, Decide, Overdue
from pipeline.records import Job, JobState, Segment, SegmentState

if TYPE_CHECKING:
    from google.cloud import firestore

#: How often a decision is made anew when others write first; with the waits below, about a quarter of a minute.
ATTEMPTS_MAX = 60
#: The wait before the next attempt is drawn up to this, which grows by half each time.
FIRST_WAIT_S = 0.02
LONGEST_WAIT_S = 0.5
#: How long to try again while Firestore does not answer.
PATIENCE_S = 20.0


class FirestoreJobStore:
    """Jobs and segments as Firestore documents. Safe for threads.

    Args:
        client: makes Google's client; called once, at the first use.
        collection: of the jobs; collections of one name are one store.
        locks: collection of the locks.
        patience_s: how long to try again while Firestore does not answer.
        wait: sleeps for some seconds.
        chance: draws a number in [0, 1).
    """

    def __init__(
        self,
        client: Callable[[], firestore.Client],
        collection: str = "videoJobs",
        *,
        locks: str = "locks",
        patience_s: float = PATIENCE_S,
        wait: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._calls = Calls(client, patience_s)
        self._paths = Paths(collection, locks)
        self._queries = Queries(self._calls, self._paths)
        self._locks = Locks(self._calls, self._paths)
        self._claims = Claims()
        self._shelf = Shelf()
        self._wait = wait
        self._chance = chance

    def create(
        self, job: Job, segments: Sequence[Segment], supersede: Callable[[Job], Decision] | None = None
    ) -> Created:
        """Write a new job, its segments and its project's lock, all or nothing."""
        creation = Creation(self._calls, self._paths, job, segments, supersede)
        attempt = 0
        while True:
            try:
                return creation.attempt()
            except Conflict:
                attempt = self._pause(f"create {job.job_id}", attempt)

    def transact(self, job_id: str, segment_index: int | None, decide: Decide) -> Committed:
        """Read, decide and write, until nobody else has written in between."""
        landed: dict[str, Committed] = {}
        claim = self._claims.take(job_id, segment_index)
        if claim is not None and (committed := self._from_claim(claim, decide, landed)) is not None:
            return committed
        attempt = 0
        while True:
            sight = self._look(job_id, segment_index)
            # A commit whose answer was lost is known by its token.
            for token in sight.tokens & landed.keys():
                return landed[str(token)]
            try:
                return self._commit(sight, decide(sight.job, sight.segment), landed)
            except Conflict:
                attempt = self._pause(f"change {job_id}", attempt)

    def load(self, job_id: str) -> Job:
        """Read one job."""
        return read_job(self._job_found(job_id).fields)

    def segments(
        self, job_id: str, states: frozenset[SegmentState] | None = None, below: int | None = None
    ) -> list[Segment]:
        """Read a job's segments in order."""
        if states == frozenset() or (below is not None and below <= 0) or not is_id(job_id):
            return []
        if states is not None and SegmentState.PENDING not in states:
            return self._queries.segments(job_id, states, below)
        segments = self._all_segments(job_id, below)
        return segments if states is None else [each for each in segments if each.state in states]

    def overdue(self, now: datetime, limit: int) -> list[Overdue]:
        """Give what has a `wake_at` at or before `now`, the longest overdue first."""
        return self._queries.overdue(now, limit)

    def jobs(
        self,
        *,
        project_id: str | None = None,
        user_id: str | None = None,
        states: frozenset[JobState] | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """Read jobs, the newest first."""
        return self._queries.jobs(project_id, user_id, states, limit)

    def _look(self, job_id: str, segment_index: int | None) -> Sight:
        if segment_index is None:
            found = self._job_found(job_id)
            return Sight(read_job(found.fields), found)
        found, part = self._found(job_id, self._paths.segment(job_id, segment_index))
        if part.seen is not None:
            return Sight(read_job(found.fields), found, read_segment(part.fields), part)
        place = place_of(read_places(found.fields), segment_index)
        if place is None:
            raise UnknownJob(f"find segment {segment_index} of {job_id}: there is no such segment")
        beginning = self._script(job_id, place).segment(job_id, segment_index)
        return Sight(read_job(found.fields), found, beginning, part)

    def _from_claim(self, claim: Sight, decide: Decide, landed: dict[str, Committed]) -> Committed | None:
        """Decide on what this process's own claim left; None when that is not to be believed."""
        try:
            decision = decide(claim.job, claim.segment)
        except Exception:  # noqa: BLE001 - decided anew on what is read now, and raised there if it is so
            return None
        if not decision.changes or decision.takes_lock:
            return None
        try:
            return self._commit(claim, decision, landed)
        except Conflict:
            return None

    def _commit(self, sight: Sight, decision: Decision, landed: dict[str, Committed]) -> Committed:
        commit = Commit(self._calls.client)
        if decision.takes_lock:
            self._locks.take_for_resume(commit, sight.job)
        sight.write(commit, decision)
        committed = sight.committed(decision)
        if commit.paths:
            landed[commit.token] = committed
            times = self._calls.commit(f"change {sight.job.job_id}", commit)
            self._claims.put(sight, sight.after(decision, commit, times))
        return committed

    def _all_segments(self, job_id: str, below: int | None) -> list[Segment]:
        there = {each.index: each for each in self._queries.segments(job_id, None, below)}
        segments = []
        for place in self._places(job_id):
            end = place.end if below is None else min(place.end, below)
            script = None
            for index in range(place.first, end):
                if (segment := there.get(index)) is None:
                    script = script or self._script(job_id, place)
                    segment = script.segment(job_id, index)
                segments.append(segment)
        return segments

    def _places(self, job_id: str) -> tuple[Place, ...]:
        found = self._calls.get(f"read the segments of {job_id}", self._paths.job(job_id), only=["scripts"])[0]
        return () if found.seen is None else read_places(found.fields)

    def _script(self, job_id: str, place: Place) -> Script:
        script = self._shelf.find(job_id, place)
        if script is None:
            path = self._paths.script(job_id, place.name)
            script = read_script(self._calls.get(f"read {job_id}", path)[0].fields, place)
            self._shelf.put(job_id, script)
        return script

    def _job_found(self, job_id: str) -> Found:
        return self._found(job_id)[0]

    def _found(self, job_id: str, *others: str) -> list[Found]:
        if not is_id(job_id):
            raise _unknown_job(job_id)
        found = self._calls.get(f"read {job_id}", self._paths.job(job_id), *others)
        if found[0].seen is None:
            raise _unknown_job(job_id)
        return found

    def _pause(self, doing: str, attempt: int) -> int:
        if attempt + 1 == ATTEMPTS_MAX:
            raise Unavailable(
                f"{doing}: others kept writing first, {ATTEMPTS_MAX} times; nothing is written; try again"
            )
        self._wait(self._chance() * min(LONGEST_WAIT_S, FIRST_WAIT_S * 1.5**attempt))
        return attempt + 1


def _unknown_job(job_id: str) -> UnknownJob:
    return UnknownJob(f"find {job_id}: there is no such job in this project's Firestore")
