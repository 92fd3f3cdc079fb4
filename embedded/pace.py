"""How long a job has been going, and how long it will take, where that can be known."""

from __future__ import annotations

from datetime import datetime, timedelta

from pipeline.records import Job, JobState

#: Percent that must have been watched before an estimate is worth saying.
_PERCENT_MIN = 3
#: Time that must have been watched before an estimate is worth saying.
_WATCHED_MIN = timedelta(seconds=2)


class Pace:
    """Watches a job's progress and tells when it will be done at the same pace.

    Making segments and making the film go at different paces, so each is watched by itself; while segments are made,
    the film is counted with its share of the bar.
    """

    def __init__(self) -> None:
        self._state: JobState | None = None
        self._from: tuple[datetime, int] | None = None
        self._latest: tuple[datetime, int] | None = None

    def note(self, job: Job, now: datetime) -> None:
        """Take in how far a job is."""
        if job.state is not self._state:
            self._state, self._from, self._latest = job.state, None, None
        if self._latest is None or job.progress != self._latest[1]:
            self._latest = now, job.progress
        if self._from is None:
            self._from = self._latest

    def left(self, now: datetime) -> timedelta | None:
        """Give the time that is left; None where it cannot be known."""
        if self._from is None or self._latest is None:
            return None
        (since, first), (at, latest) = self._from, self._latest
        if latest - first < _PERCENT_MIN or now - since < _WATCHED_MIN:
            return None
        at_this_pace = (at - since) * (100 - first) / (latest - first)
        return max(timedelta(0), since + at_this_pace - now)
