"""Making a job: its document, its segments' beginnings and its project's lock, all or nothing."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Sequence

from adapters.firestore_calls import Calls, Commit, Conflict, Found
from adapters.firestore_documents import job_document, read_job, segment_document
from adapters.firestore_locks import Locks, already_running
from adapters.firestore_paths import Paths
from adapters.firestore_scripts import places_document, read_places, script_document, written
from adapters.firestore_sights import write_changes
from events.errors import LimitExceeded, PipelineError
from pipeline.decide import Decision
from pipeline.ports import Committed, Created
from pipeline.records import Job, Segment

#: Firestore takes commits of 10 MiB; longer scripts go ahead, each in a commit of its own.
TOGETHER_BYTES_MAX = 6_000_000
#: Documents of segments that something has happened to; Firestore took 500 writes a commit for long.
WRITES_MAX = 450


class Creation:
    """One creation of one job.

    Args:
        calls: the database.
        paths: where the documents are.
        job: the new job.
        segments: all of its segments, in order.
        supersede: decides what becomes of an active job that has the lock; None refuses.

    Raises:
        LimitExceeded: it does not fit into Firestore.
    """

    def __init__(
        self,
        calls: Calls,
        paths: Paths,
        job: Job,
        segments: Sequence[Segment],
        supersede: Callable[[Job], Decision] | None,
    ) -> None:
        self._calls = calls
        self._paths = paths
        self._locks = Locks(calls, paths)
        self._job = job
        self._supersede = supersede
        self._doing = f"create {job.job_id}"
        # Never used before, so a script that nobody refers to is in nobody's way.
        self._scripts = written(job.job_id, segments, uuid.uuid4().hex[:12])
        self._touched = self._not_pristine(segments)
        self._ahead = sum(each.size_bytes for each in self._scripts) > TOGETHER_BYTES_MAX
        self._went_ahead = False
        self._tokens: set[str] = set()
        self._superseded: Committed | None = None

    def attempt(self) -> Created:
        """Look, and write.

        Raises:
            Conflict: somebody else wrote first; try again.
            AlreadyRunning: another job is active, and there is no `supersede`.
        """
        present, lock = self._calls.get(self._doing, self._paths.job(self._job.job_id), self._paths.lock(self._job))
        if present.seen is not None:
            return self._there_already(present)
        commit = Commit(self._calls.client)
        try:
            self._superseded = self._clear(commit, lock)
        except PipelineError:
            self._take_back()
            raise
        self._write(commit)
        self._locks.take(commit, lock, self._job)
        self._tokens.add(commit.token)
        self._calls.commit(self._doing, commit)
        return Created(self._job, fresh=True, superseded=self._superseded)

    def _there_already(self, present: Found) -> Created:
        if self._is_ours(present):
            # The commit had landed, and only the answer was lost.
            return Created(read_job(present.fields), fresh=True, superseded=self._superseded)
        self._take_back()
        return Created(read_job(present.fields), fresh=False)

    def _is_ours(self, present: Found) -> bool:
        ours = {each.place for each in self._scripts}
        return present.token in self._tokens or bool(ours & set(read_places(present.fields)))

    def _clear(self, commit: Commit, lock: Found) -> Committed | None:
        holder = self._locks.holder(self._doing, lock)
        if holder is None:
            return None
        if self._supersede is None:
            raise already_running(self._job, holder.job)
        decision = self._supersede(holder.job)
        if decision.job is not None:
            write_changes(commit, holder.found, job_document(decision.job), always=True)
        return Committed(decision, decision.job or holder.job, None)

    def _write(self, commit: Commit) -> None:
        job = self._job
        if not self._ahead:
            self._write_scripts(commit)
        elif not self._went_ahead:
            self._went_ahead = True
            self._write_ahead()
        commit.write(self._paths.job(job.job_id), job_document(job) | {"scripts": places_document(self._scripts)}, None)
        for segment in self._touched:
            path = self._paths.segment(job.job_id, segment.index)
            commit.write(path, segment_document(segment, job.user_id), None)

    def _write_scripts(self, commit: Commit) -> None:
        for script, path in zip(self._scripts, self._script_paths(), strict=True):
            commit.write(path, script_document(script, self._job.job_id, self._job.user_id), None)

    def _write_ahead(self) -> None:
        # Nobody reads a script before a job refers to it, so these need not be there at once.
        for script, path in zip(self._scripts, self._script_paths(), strict=True):
            commit = Commit(self._calls.client)
            commit.write(path, script_document(script, self._job.job_id, self._job.user_id), None)
            try:
                self._calls.commit(self._doing, commit)
            except Conflict:
                continue  # its first try has landed: nobody else knows the name

    def _take_back(self) -> None:
        if self._went_ahead:
            commit = Commit(self._calls.client)
            commit.delete(self._script_paths())
            self._calls.commit(self._doing, commit)

    def _script_paths(self) -> list[str]:
        return [self._paths.script(self._job.job_id, each.place.name) for each in self._scripts]

    def _not_pristine(self, segments: Sequence[Segment]) -> list[Segment]:
        pristine = [
            script.segment(self._job.job_id, index)
            for script in self._scripts
            for index in range(script.place.first, script.place.end)
        ]
        touched = [each for each, plain in zip(segments, pristine, strict=True) if each != plain]
        if len(touched) > WRITES_MAX or sum(len(each.spec.encode()) for each in touched) > TOGETHER_BYTES_MAX // 2:
            raise LimitExceeded(f"{self._doing}: {len(touched)} segments are not as new; that is too much at once")
        return touched
