"""One line a step, so that a history can be read; the same seed gives the same lines, on any machine.

    +0:01:23.456  what happened: a delivery, a sweep, a user, something that ended elsewhere
                    job 1      generating -> stitching, 3 of 3, 90 %    SegmentDone: the clip is there; …
                    segment 2  claimed -> generating, attempt 2 (try 1) GenerationStarted: the generator has it

Times count from the start of the history. Messages carry their number in the queue, `m7`; jobs the last digits of
their id. What stands further right belongs to the step above it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

from adapters.local_queue import Leased
from tests.simulation.ports import Change


class Trace:
    """Everything that happened, kept as it came, written out only when somebody reads it."""

    def __init__(self, start: datetime) -> None:
        self._start = start
        self._lines: list[tuple[datetime, str | Change]] = []

    def note(self, at: datetime, text: str) -> None:
        """Keep that something happened."""
        self._lines.append((at, text))

    def change(self, at: datetime, change: Change) -> None:
        """Keep what a commit changed."""
        self._lines.append((at, change))

    def message(self, leased: Leased) -> str:
        """Name a message."""
        body = json.loads(leased.delivery.body)
        about = body.get("name") or "/".join(
            str(body[key]) for key in ("jobId", "segmentIndex", "attempt") if body.get(key) is not None
        )
        return f"m{abs(leased.message_id)} {leased.delivery.topic} {about}"

    def __str__(self) -> str:
        return "\n".join(line for at, what in self._lines for line in self._written(at, what))

    def _written(self, at: datetime, what: str | Change) -> Iterator[str]:
        if isinstance(what, str):
            yield f"+{_since(at - self._start)}  {what}"
            return
        indent = " " * 16
        job, before = what.job, what.job_before
        why = f"{what.event}: {what.reason}"
        if what.segment is not None and what.segment_before is not None:
            segment = what.segment
            moved = _moved(what.segment_before.state, segment.state)
            text = f"segment {segment.index}  {moved}, attempt {segment.attempt} (try {segment.tries})"
            yield f"{indent}{job.job_id[-3:]} {text:48} {why}"
        if before != job:
            moved = _moved(before.state if before else "new", job.state)
            counts = f"{job.done_count}+{job.skipped_count} of {job.segment_count}, {job.progress} %"
            stitch = f", stitch {job.stitch.attempt}" if job.stitch.attempt else ""
            text = f"job {moved}, {counts}{stitch}"
            yield f"{indent}{job.job_id[-3:]} {text:48} {why if what.segment is None else ''}"


def _moved(before: str, after: str) -> str:
    return str(after) if before == after else f"{before} -> {after}"


def _since(passed: timedelta) -> str:
    milliseconds = round(passed.total_seconds() * 1000)
    minutes, rest = divmod(milliseconds, 60_000)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest // 1000:02d}.{rest % 1000:03d}"
