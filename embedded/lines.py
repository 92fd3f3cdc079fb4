"""Showing a running job line by line: for pipes and logs in words, for programs in JSON."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from embedded.json_view import job_value, segment_value
from embedded.pace import Pace
from embedded.terminal import plain, print_json, say
from embedded.words import counted, left_in_words
from pipeline.records import Job, JobState, Segment, SegmentState
from pipeline.view import message_of, segment_noun

#: A line is due when the job is so many percent further, or after so long when it is further at all.
LINE_EVERY_PERCENT = 10
LINE_EVERY = timedelta(seconds=10)
#: Shortest time between two lines about progress.
LINE_REST = timedelta(seconds=1)


class PlainLines:
    """What a person wants to find in a log: each step of the job, each loss, and now and then how far it is."""

    #: Shown when a job has changed only.
    ticks = False

    def __init__(self) -> None:
        self._pace = Pace()
        self._state: JobState | None = None
        self._troubles: dict[int, str] = {}
        self._said_at: datetime | None = None
        self._said_percent = 0

    def show(self, job: Job, segments: list[Segment], now: datetime) -> None:
        """Print what is new."""
        self._pace.note(job, now)
        if job.active:
            for segment in segments:
                self._show_trouble(job, segment)
            self._show_progress(job, now)
        self._state = job.state

    def _show_progress(self, job: Job, now: datetime) -> None:
        if job.state is not self._state and job.state is not JobState.QUEUED:
            self._say(job, now, message_of(job))
        elif self._is_due(job, now):
            done = f"{job.done_count} of {counted(job.segment_count, job)}."
            self._say(job, now, f"{message_of(job) if job.state is JobState.STITCHING else done}{self._left(now)}")

    def _show_trouble(self, job: Job, segment: Segment) -> None:
        trouble = ""
        if segment.state is SegmentState.SKIPPED:
            trouble = "is left out"  # the warning at the end says why
        elif segment.error is not None and segment.state is not SegmentState.DONE:
            trouble = f"is tried again: {plain(segment.error.message)}"
        if trouble and trouble != self._troubles.get(segment.index):
            say(f"       {segment_noun(job)} {segment.index + 1} {trouble}")
        self._troubles[segment.index] = trouble

    def _is_due(self, job: Job, now: datetime) -> bool:
        if self._said_at is None or job.progress == self._said_percent:
            return False
        waited, further = now - self._said_at, job.progress - self._said_percent
        return waited >= LINE_EVERY or (waited >= LINE_REST and further >= LINE_EVERY_PERCENT)

    def _left(self, now: datetime) -> str:
        left = self._pace.left(now)
        return "" if left is None else f" {left_in_words(left).capitalize()}."

    def _say(self, job: Job, now: datetime, line: str) -> None:
        say(f"{job.progress:3d} %  {line}")
        self._said_at, self._said_percent = now, job.progress


class JsonLines:
    """One JSON object a change of the job, and one a change of a segment."""

    #: Shown when a job has changed only.
    ticks = False

    def __init__(self) -> None:
        self._job: dict[str, Any] = {}
        self._segments: dict[int, Segment] = {}

    def show(self, job: Job, segments: list[Segment], now: datetime) -> None:
        """Print what is new."""
        for segment in segments:
            if segment != self._segments.get(segment.index):
                at = {"type": "segment", "at": now.isoformat(), "jobId": job.job_id}
                print_json({**at, **segment_value(segment)})
                self._segments[segment.index] = segment
        value = {**job_value(job), "updatedAt": None}
        if value != self._job:
            print_json({"type": "job", "at": now.isoformat(), **job_value(job)})
            self._job = value
