"""The embedded job store: a row a job, a row a segment, in one SQLite file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from adapters.database import Database
from adapters.sqlite_rows import (
    JOB_CHANGING,
    JOB_FIXED,
    SEGMENT_CHANGING,
    job_changing,
    job_fixed,
    read_job,
    read_segment,
    segment_changing,
    to_ms,
)
from adapters.transaction import Transaction, translated
from events.errors import AlreadyRunning, UnknownJob
from pipeline.commands import Command
from pipeline.decide import Decision
from pipeline.ports import Committed, Created, Decide, Overdue
from pipeline.records import Job, JobState, Segment, SegmentState

#: Publishes a decision's messages inside the transaction that writes it.
Outbox = Callable[[Transaction, tuple[Command, ...]], None]


def _marks(columns: str) -> str:
    return ", ".join("?" * (columns.count(",") + 1))


def _sets(columns: str) -> str:
    return ", ".join(f"{name.strip()} = ?" for name in columns.split(","))


# Only our own constants go into these texts; every value is bound.
_SELECT_JOB = f"SELECT {JOB_FIXED}, {JOB_CHANGING} FROM jobs"
_SELECT_SEGMENT = f"SELECT job_id, position, spec, {SEGMENT_CHANGING} FROM segments JOIN specs USING (job_id, position)"
_SELECT_ONE_JOB = f"{_SELECT_JOB} WHERE job_id = ?"
_SELECT_ONE_SEGMENT = f"{_SELECT_SEGMENT} WHERE job_id = ? AND position = ?"
_SELECT_LOCK_HOLDER = "SELECT job_id FROM locks WHERE scope = ? AND kind = ?"
_INSERT_JOB = f"INSERT INTO jobs ({JOB_FIXED}, {JOB_CHANGING}) VALUES ({_marks(JOB_FIXED + ',' + JOB_CHANGING)})"
_UPDATE_JOB = f"UPDATE jobs SET {_sets(JOB_CHANGING)} WHERE job_id = ?"
_INSERT_SEGMENT = (
    f"INSERT INTO segments (job_id, position, {SEGMENT_CHANGING}) VALUES (?, ?, {_marks(SEGMENT_CHANGING)})"
)
_UPDATE_SEGMENT = f"UPDATE segments SET {_sets(SEGMENT_CHANGING)} WHERE job_id = ? AND position = ?"
_INSERT_SPEC = "INSERT INTO specs (job_id, position, spec) VALUES (?, ?, ?)"
_SET_LOCK = "INSERT OR REPLACE INTO locks (scope, kind, job_id) VALUES (?, ?, ?)"


class SqliteJobStore:
    """Jobs and segments in one SQLite file.

    Args:
        database: the file.
        outbox: publishes messages in the same transaction; None leaves publishing to the caller.
    """

    def __init__(self, database: Database, outbox: Outbox | None = None) -> None:
        self._database = database
        self._outbox = outbox

    def create(
        self, job: Job, segments: Sequence[Segment], supersede: Callable[[Job], Decision] | None = None
    ) -> Created:
        """Write a new job, its segments and its project's lock, all or nothing."""
        with self._database.transaction(f"create {job.job_id}") as transaction:
            present = self._find_job(transaction, job.job_id)
            if present is not None:
                return Created(present, fresh=False)
            superseded = self._clear_lock(transaction, job, supersede)
            transaction.execute(_INSERT_JOB, job_fixed(job) + job_changing(job))
            transaction.executemany(_INSERT_SPEC, [(each.job_id, each.index, each.spec) for each in segments])
            rows = [(each.job_id, each.index, *segment_changing(each)) for each in segments]
            transaction.executemany(_INSERT_SEGMENT, rows)
            transaction.execute(_SET_LOCK, (job.scope, job.kind.value, job.job_id))
        return Created(job, fresh=True, superseded=superseded)

    def transact(self, job_id: str, segment_index: int | None, decide: Decide) -> Committed:
        """Read, decide and write in one transaction."""
        with self._database.transaction(f"change {job_id}") as transaction:
            job = self._job(transaction, job_id)
            segment = None if segment_index is None else self._segment(transaction, job_id, segment_index)
            return self._write(transaction, job, segment, decide(job, segment))

    def load(self, job_id: str) -> Job:
        """Read one job."""
        with translated(f"read {job_id}"):
            row = self._database.connection().execute(_SELECT_ONE_JOB, (job_id,)).fetchone()
        if row is None:
            raise _unknown_job(job_id)
        return read_job(row)

    def segments(
        self, job_id: str, states: frozenset[SegmentState] | None = None, below: int | None = None
    ) -> list[Segment]:
        """Read a job's segments in order."""
        query, values = f"{_SELECT_SEGMENT} WHERE job_id = ?", [job_id]
        if states is not None:
            query += f" AND state IN ({', '.join('?' * len(states))})"
            values += [state.value for state in states]
        if below is not None:
            query += f" AND position < {below:d}"
        with translated(f"read the segments of {job_id}"):
            return [
                read_segment(row) for row in self._database.connection().execute(f"{query} ORDER BY position", values)
            ]

    def overdue(self, now: datetime, limit: int) -> list[Overdue]:
        """Give what has a `wake_at` at or before `now`, the longest overdue first."""
        query = (
            "SELECT job_id, NULL, wake_at FROM jobs WHERE wake_at <= :now"
            " UNION ALL SELECT job_id, position, wake_at FROM segments WHERE wake_at <= :now"
            " ORDER BY 3 LIMIT :limit"
        )
        with translated("look for what is overdue"):
            rows = self._database.connection().execute(query, {"now": to_ms(now), "limit": limit})
            return [Overdue(job_id, position) for job_id, position, _ in rows]

    def jobs(
        self,
        *,
        project_id: str | None = None,
        user_id: str | None = None,
        states: frozenset[JobState] | None = None,
        limit: int = 100,
    ) -> list[Job]:
        """Read jobs, the newest first."""
        query, values = f"{_SELECT_JOB} WHERE TRUE", list[object]()
        if user_id is not None:
            query += " AND user_id = ?"
            values.append(user_id)
        if project_id is not None:
            query += " AND project_id = ?"
            values.append(project_id)
        if states is not None:
            query += f" AND state IN ({', '.join('?' * len(states))})"
            values += [state.value for state in states]
        with translated("list the jobs"):
            query += " ORDER BY created_at DESC, job_id DESC LIMIT ?"
            return [read_job(row) for row in self._database.connection().execute(query, [*values, limit])]

    def _clear_lock(
        self, transaction: Transaction, job: Job, supersede: Callable[[Job], Decision] | None
    ) -> Committed | None:
        holder = self._lock_holder(transaction, job)
        if holder is None or not holder.active:
            return None
        if supersede is None:
            text = f"project {job.project_id!r} has {holder.job_id}, which is {holder.state}"
            raise AlreadyRunning(
                f"start a {job.kind} job: {text}; wait for it, cancel it, or force a restart", holder.job_id
            )
        return self._write(transaction, holder, None, supersede(holder))

    def _write(self, transaction: Transaction, job: Job, segment: Segment | None, decision: Decision) -> Committed:
        if decision.takes_lock:
            self._take_lock(transaction, job)
        if self._outbox is not None and decision.commands:
            self._outbox(transaction, decision.commands)
        job_id = job.job_id
        if (new_job := decision.job) is not None:
            transaction.later(_UPDATE_JOB, job_id, lambda: (*job_changing(new_job), job_id))
            transaction.known[job_id] = job = new_job
        if (new := decision.segment) is not None:
            key = job_id, new.index
            transaction.later(_UPDATE_SEGMENT, key, lambda: (*segment_changing(new), *key))
            transaction.known[key] = segment = new
        return Committed(decision, job, segment, self._outbox is not None)

    def _take_lock(self, transaction: Transaction, job: Job) -> None:
        holder = self._lock_holder(transaction, job)
        if holder is not None and holder.active and holder.job_id != job.job_id:
            text = f"project {job.project_id!r} has {holder.job_id}, which is {holder.state}"
            raise AlreadyRunning(f"resume {job.job_id}: {text}; wait for it or cancel it", holder.job_id)
        transaction.execute(_SET_LOCK, (job.scope, job.kind.value, job.job_id))

    def _lock_holder(self, transaction: Transaction, job: Job) -> Job | None:
        row = transaction.execute(_SELECT_LOCK_HOLDER, (job.scope, job.kind.value)).fetchone()
        return None if row is None else self._job(transaction, row[0])

    def _job(self, transaction: Transaction, job_id: str) -> Job:
        job = self._find_job(transaction, job_id)
        if job is None:
            raise _unknown_job(job_id)
        return job

    def _find_job(self, transaction: Transaction, job_id: str) -> Job | None:
        job: Job | None = transaction.known.get(job_id)
        if job is None:
            # Whatever is kept back is known, so this row is not.
            row = transaction.look_up(_SELECT_ONE_JOB, (job_id,))
            if row is not None:
                job = transaction.known[job_id] = read_job(row)
        return job

    def _segment(self, transaction: Transaction, job_id: str, index: int) -> Segment:
        segment: Segment | None = transaction.known.get((job_id, index))
        if segment is None:
            row = transaction.look_up(_SELECT_ONE_SEGMENT, (job_id, index))
            if row is None:
                raise UnknownJob(f"find segment {index} of {job_id}: there is no such segment")
            segment = transaction.known[job_id, index] = read_segment(row)
        return segment


def _unknown_job(job_id: str) -> UnknownJob:
    return UnknownJob(f"find {job_id}: there is no such job here; `longreel jobs` lists those that are")
