"""One active job a project and kind: the lock document names it, and its commit is held to what was read."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.firestore_calls import Calls, Commit, Found
from adapters.firestore_documents import read_job
from adapters.firestore_paths import Paths
from events.errors import AlreadyRunning
from pipeline.records import Job


@dataclass(frozen=True, slots=True)
class Holder:
    """The active job that a lock names."""

    job: Job
    found: Found


@dataclass(frozen=True, slots=True)
class Locks:
    """The locks of one deployment."""

    calls: Calls
    paths: Paths

    def take_for_resume(self, commit: Commit, job: Job) -> None:
        """Give an existing job its project's lock, in the same commit as its own change.

        The lock is written even if it names the job already: whoever saw the job ended, and takes the lock for another
        at the same time, must not get it.

        Raises:
            AlreadyRunning: another job is active.
        """
        doing = f"resume {job.job_id}"
        lock = self.calls.get(doing, self.paths.lock(job))[0]
        holder = self.holder(doing, lock)
        if holder is not None and holder.job.job_id != job.job_id:
            raise AlreadyRunning(f"{doing}: {_busy(holder.job)}; wait for it or cancel it", holder.job.job_id)
        self.take(commit, lock, job)

    def holder(self, doing: str, lock: Found) -> Holder | None:
        """Give the active job that a lock names; None for a lock that nobody holds."""
        if lock.seen is None:
            return None
        found = self.calls.get(doing, self.paths.job(lock.fields.text("jobId")))[0]
        if found.seen is None:
            return None
        job = read_job(found.fields)
        return Holder(job, found) if job.active else None

    def take(self, commit: Commit, lock: Found, job: Job) -> None:
        """Put the taking of a lock into a commit."""
        fields = {"jobId": job.job_id, "userId": job.user_id, "projectId": job.project_id, "kind": job.kind.value}
        commit.write(lock.path, fields, lock.seen)


def already_running(job: Job, holder: Job) -> AlreadyRunning:
    """Give the error of a creation that meets an active job."""
    text = f"{_busy(holder)}; wait for it, cancel it, or force a restart"
    return AlreadyRunning(f"start a {job.kind} job: {text}", holder.job_id)


def _busy(holder: Job) -> str:
    return f"project {holder.project_id!r} has {holder.job_id}, which is {holder.state}"
