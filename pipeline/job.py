"""The job machine: everything that changes a job, its stitch excepted (`pipeline/stitching.py`), is in this file.

A job maps over its segments, then finishes. `queued` until its window is opened; `generating` while segments are
made, at most `width` at a time: segments below `window_end` may be in flight, and each that ends pushes the window
one further, so that starting a segment never writes the job. When the last has ended the job is `stitching`, and
`completed` when the film is there and was read back.

Commands are a function of state: what a state waits for it can order again, at a deadline or a replay, and the
receiver ignores what it has already. Terminal states absorb; only a failed job may be resumed, with its project's
lock, and it keeps every finished segment. What still ends after the job did is counted and kept.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pipeline import commands as order
from pipeline import facts, limits, stitching
from pipeline.records import (
    COUNTED_SEGMENT_STATES,
    Cost,
    Failure,
    Job,
    JobState,
    Segment,
    SegmentState,
    StitchWork,
    replace,
)
from pipeline.table import Ignore, Illegal, Move, Outcome
from pipeline.view import left_out

J = JobState
Rule = Callable[[Job, Any, datetime, "SegmentChange | None"], Outcome]
Cell = Move[JobState, Rule] | Ignore | Illegal


@dataclass(frozen=True, slots=True)
class SegmentChange:
    """What an event does to a segment, as the job sees it."""

    before: Segment
    after: Segment
    cause: facts.Event


def _opened(job: Job, _event: facts.JobRequested, now: datetime, _change: SegmentChange | None) -> Outcome:
    started = replace(job, state=J.GENERATING, started_at=now, wake_at=_wake(job, now, limits.JOB_PATIENCE))
    return Outcome("its window opens", job=started, commands=_window(job))


def _window(job: Job) -> tuple[order.Command, ...]:
    return tuple(order.RenderSegment(job.job_id, index) for index in range(job.window_end))


def _segment_ended(job: Job, _event: facts.SegmentEnded, now: datetime, change: SegmentChange | None) -> Outcome:
    counted = replace(_count(job, change), wake_at=_wake(job, now, limits.JOB_PATIENCE))
    assert change is not None
    if change.after.state is SegmentState.FAILED:
        assert change.after.error is not None
        return _fail(counted, change.after.error, now)
    if counted.ended_count < counted.segment_count:
        return Outcome("the next segment may go", job=counted, commands=_let_next_go(job, counted))
    if counted.done_count == 0:
        return _fail(counted, Failure("nothing_to_stitch", "every segment was left out, so there is no film"), now)
    return stitching.begin(counted, now)


def _let_next_go(before: Job, after: Job) -> tuple[order.Command, ...]:
    return tuple(order.RenderSegment(after.job_id, index) for index in range(before.window_end, after.window_end))


def _count(job: Job, change: SegmentChange | None) -> Job:
    assert change is not None
    before, after = change.before.state, change.after.state
    counted = replace(
        job,
        done_count=job.done_count + (after is SegmentState.DONE) - (before is SegmentState.DONE),
        skipped_count=job.skipped_count + (after is SegmentState.SKIPPED) - (before is SegmentState.SKIPPED),
        cost=_cost(job.cost, change),
        warnings=_warnings(job, change),
    )
    last_frame = change.cause.last_frame if isinstance(change.cause, facts.SegmentDone) else None
    # A clip that was left out and landed after all must not set the chain back behind the segments that followed it.
    is_last_of_chain = change.after.index == counted.ended_count - 1
    return replace(counted, last_frame=last_frame) if last_frame and is_last_of_chain else counted


def _cost(cost: Cost, change: SegmentChange) -> Cost:
    before, after = change.before, change.after
    spent = after.price_micro_usd if after.state is SegmentState.DONE is not before.state else 0
    # A job's waste is that of its segments that have ended; an open one has not told yet.
    wasted = _told_waste(after) - _told_waste(before)
    if not spent and not wasted:
        return cost
    return replace(cost, spent_micro_usd=cost.spent_micro_usd + spent, wasted_micro_usd=cost.wasted_micro_usd + wasted)


def _told_waste(segment: Segment) -> int:
    return segment.wasted_micro_usd if segment.state in COUNTED_SEGMENT_STATES else 0


def _warnings(job: Job, change: SegmentChange) -> tuple[str, ...]:
    warnings = set(job.warnings)
    if change.before.state is SegmentState.SKIPPED:
        warnings.discard(left_out(job, change.before))
    if change.after.state is SegmentState.SKIPPED:
        warnings.add(left_out(job, change.after))
    return tuple(sorted(warnings))


def _fail(job: Job, failure: Failure, now: datetime) -> Outcome:
    failed = replace(job, state=J.FAILED, error=failure, ended_at=now, wake_at=now + limits.CLOSING_PATIENCE)
    return Outcome(f"{failure.code}: {failure.message}", job=failed, commands=(order.CloseSegments(job.job_id),))


def _ended_after_failure(job: Job, _event: facts.SegmentEnded, _now: datetime, change: SegmentChange | None) -> Outcome:
    counted = _count(job, change)
    assert change is not None
    blamed = job.error.segment_index if job.error else None
    if change.after.state is SegmentState.FAILED and blamed is not None and change.after.index < blamed:
        # The first in the order of the film is blamed, whichever came first.
        counted = replace(counted, error=change.after.error)
    return Outcome("counted after the job ended", job=counted)


def _ended_after_cancel(job: Job, _event: facts.SegmentEnded, _now: datetime, change: SegmentChange | None) -> Outcome:
    return Outcome("kept, though the job was cancelled", job=_count(job, change))


def _cancel(job: Job, event: facts.CancelRequested, now: datetime, _change: SegmentChange | None) -> Outcome:
    cancelled = replace(
        job,
        state=J.CANCELLED,
        error=Failure("superseded" if event.superseded_by else "cancelled", event.reason),
        superseded_by=event.superseded_by,
        ended_at=now,
        wake_at=now + limits.CLOSING_PATIENCE,
    )
    operation = job.stitch.operation if job.state is J.STITCHING else None
    call_off = (order.CancelStitch(job.job_id, operation),) if operation else ()
    return Outcome(event.reason, job=cancelled, commands=(*call_off, *_closing(cancelled)))


def _closing(job: Job) -> tuple[order.Command, ...]:
    """Order what is left to do for a job that is over."""
    return (order.CloseSegments(job.job_id), *(stitching.forgotten(job) if job.state is J.CANCELLED else ()))


def _resume(job: Job, _event: facts.ResumeRequested, now: datetime, _change: SegmentChange | None) -> Outcome:
    if job.resume_count >= limits.RESUMES_MAX:
        return Outcome(f"it was resumed {limits.RESUMES_MAX} times already; start a new job")
    if job.skipped_count == job.segment_count:
        return Outcome("every segment was left out; start a new job with others")
    resumed = replace(
        job,
        state=J.GENERATING,
        resume_count=job.resume_count + 1,
        error=None,
        stitch_error=None,
        ended_at=None,
        deadline_at=now + limits.JOB_LONGEST,
        wake_at=now + limits.JOB_PATIENCE,
        stitch=StitchWork(attempt=job.stitch.attempt, larger=job.stitch.larger),
    )
    if resumed.ended_count == resumed.segment_count:
        begun = stitching.begin(resumed, now)
        return Outcome(begun.reason, job=begun.job, commands=begun.commands, takes_lock=True)
    return Outcome("it goes on where it stopped", job=resumed, commands=_orders(resumed), takes_lock=True)


def _overdue(job: Job, event: facts.JobDeadlinePassed, now: datetime, _change: SegmentChange | None) -> Outcome:
    if job.wake_at is None or job.wake_at > now:
        return Outcome("it is not due")
    if job.deadline_at <= now:
        hours = limits.JOB_LONGEST.total_seconds() / 3600
        return _fail(job, Failure("deadline_exceeded", f"not finished within {hours:g} h"), now)
    if job.state is J.STITCHING:
        return stitching.overdue(job, event, now)
    patience = limits.QUEUED_PATIENCE if job.state is J.QUEUED else limits.JOB_PATIENCE
    waiting = replace(job, wake_at=_wake(job, now, patience))
    return Outcome("nothing moved for a while; order again", job=waiting, commands=_orders(job))


def _closing_overdue(
    job: Job, _event: facts.JobDeadlinePassed, now: datetime, _change: SegmentChange | None
) -> Outcome:
    if job.wake_at is None or job.wake_at > now:
        return Outcome("it is not due")
    waiting = replace(job, wake_at=now + limits.CLOSING_PATIENCE)
    return Outcome("segments may be open", job=waiting, commands=_closing(job))


def _tidied(job: Job, _event: facts.SegmentsClosed, _now: datetime, _change: SegmentChange | None) -> Outcome:
    return Outcome("every segment knows", job=replace(job, wake_at=None) if job.wake_at else None)


def _orders(job: Job) -> tuple[order.Command, ...]:
    """Order what an active job waits for."""
    if job.state is J.QUEUED:
        return (order.RequestJob(job.job_id),)
    if job.state is J.GENERATING:
        return (order.OpenWindow(job.job_id, job.window_end),)
    return (order.RequestStitch(job.job_id),)


def _wake(job: Job, now: datetime, patience: timedelta) -> datetime:
    return min(now + patience, job.deadline_at)


def _on_the_stitch(rule: Callable[[Job, Any, datetime], Outcome]) -> Rule:
    return lambda job, event, now, _change: rule(job, event, now)


def _clip_failed_in_stitch(job: Job, event: facts.StitchFailed, now: datetime, change: SegmentChange | None) -> Outcome:
    return stitching.failed(job, event, now, change.before if change else None)


_GOING = Ignore("it is going", _orders)
_OPEN = Ignore("segments are open; the last one to end asks for the stitch")
_OVER = Ignore("the job is over")
_NO_STITCH = Illegal("no stitch was started before the last segment ended")
_ALL_ENDED = Illegal("every segment has ended")
_ACTIVE = Ignore("the job is active")
_CANCEL: Cell = Move(_cancel, (J.CANCELLED,))

TABLE: dict[tuple[JobState, type[facts.JobEvent]], Cell] = {
    (J.QUEUED, facts.JobRequested): Move(_opened, (J.GENERATING,)),
    (J.QUEUED, facts.SegmentEnded): Illegal("no segment is claimed before the window opens"),
    (J.QUEUED, facts.StitchRequested): _OPEN,
    (J.QUEUED, facts.StitchStarted): _NO_STITCH,
    (J.QUEUED, facts.StitchProgressed): _NO_STITCH,
    (J.QUEUED, facts.StitchDone): _NO_STITCH,
    (J.QUEUED, facts.StitchFailed): _NO_STITCH,
    (J.QUEUED, facts.CancelRequested): _CANCEL,
    (J.QUEUED, facts.ResumeRequested): _GOING,
    (J.QUEUED, facts.JobDeadlinePassed): Move(_overdue, (J.QUEUED, J.FAILED)),
    (J.QUEUED, facts.SegmentsClosed): _ACTIVE,
    (J.GENERATING, facts.JobRequested): _GOING,
    (J.GENERATING, facts.SegmentEnded): Move(_segment_ended, (J.GENERATING, J.STITCHING, J.FAILED)),
    (J.GENERATING, facts.StitchRequested): _OPEN,
    (J.GENERATING, facts.StitchStarted): _NO_STITCH,
    (J.GENERATING, facts.StitchProgressed): _NO_STITCH,
    (J.GENERATING, facts.StitchDone): _NO_STITCH,
    (J.GENERATING, facts.StitchFailed): _NO_STITCH,
    (J.GENERATING, facts.CancelRequested): _CANCEL,
    (J.GENERATING, facts.ResumeRequested): _GOING,
    (J.GENERATING, facts.JobDeadlinePassed): Move(_overdue, (J.GENERATING, J.FAILED)),
    (J.GENERATING, facts.SegmentsClosed): _ACTIVE,
    (J.STITCHING, facts.JobRequested): _GOING,
    (J.STITCHING, facts.SegmentEnded): _ALL_ENDED,
    (J.STITCHING, facts.StitchRequested): Move(_on_the_stitch(stitching.requested), (J.STITCHING,)),
    (J.STITCHING, facts.StitchStarted): Move(_on_the_stitch(stitching.started), (J.STITCHING,)),
    (J.STITCHING, facts.StitchProgressed): Move(_on_the_stitch(stitching.progressed), (J.STITCHING,)),
    (J.STITCHING, facts.StitchDone): Move(_on_the_stitch(stitching.done), (J.COMPLETED,)),
    (J.STITCHING, facts.StitchFailed): Move(_clip_failed_in_stitch, (J.STITCHING, J.FAILED)),
    (J.STITCHING, facts.CancelRequested): _CANCEL,
    (J.STITCHING, facts.ResumeRequested): _GOING,
    (J.STITCHING, facts.JobDeadlinePassed): Move(_overdue, (J.STITCHING, J.FAILED)),
    (J.STITCHING, facts.SegmentsClosed): _ACTIVE,
    (J.COMPLETED, facts.JobRequested): _OVER,
    (J.COMPLETED, facts.SegmentEnded): _ALL_ENDED,
    (J.COMPLETED, facts.StitchRequested): _OVER,
    (J.COMPLETED, facts.StitchStarted): Move(_on_the_stitch(stitching.started_after_done), (J.COMPLETED,)),
    (J.COMPLETED, facts.StitchProgressed): _OVER,
    (J.COMPLETED, facts.StitchDone): Ignore("the film is there"),
    (J.COMPLETED, facts.StitchFailed): Ignore("the film is there"),
    (J.COMPLETED, facts.CancelRequested): Ignore("it is completed; there is nothing to cancel"),
    (J.COMPLETED, facts.ResumeRequested): Ignore("it is completed; there is nothing to resume"),
    (J.COMPLETED, facts.JobDeadlinePassed): _OVER,
    (J.COMPLETED, facts.SegmentsClosed): _OVER,
    (J.FAILED, facts.JobRequested): Ignore("it has failed; resume it to go on"),
    (J.FAILED, facts.SegmentEnded): Move(_ended_after_failure, (J.FAILED,)),
    (J.FAILED, facts.StitchRequested): Ignore("it has failed; resume it to go on"),
    (J.FAILED, facts.StitchStarted): _OVER,
    (J.FAILED, facts.StitchProgressed): _OVER,
    (J.FAILED, facts.StitchDone): Move(_on_the_stitch(stitching.found_after_all), (J.FAILED, J.COMPLETED)),
    (J.FAILED, facts.StitchFailed): _OVER,
    (J.FAILED, facts.CancelRequested): Ignore("it has failed; there is nothing to cancel"),
    (J.FAILED, facts.ResumeRequested): Move(_resume, (J.FAILED, J.GENERATING, J.STITCHING)),
    (J.FAILED, facts.JobDeadlinePassed): Move(_closing_overdue, (J.FAILED,)),
    (J.FAILED, facts.SegmentsClosed): Move(_tidied, (J.FAILED,)),
    (J.CANCELLED, facts.JobRequested): _OVER,
    (J.CANCELLED, facts.SegmentEnded): Move(_ended_after_cancel, (J.CANCELLED,)),
    (J.CANCELLED, facts.StitchRequested): _OVER,
    (J.CANCELLED, facts.StitchStarted): Move(_on_the_stitch(stitching.started_too_late), (J.CANCELLED,)),
    (J.CANCELLED, facts.StitchProgressed): _OVER,
    (J.CANCELLED, facts.StitchDone): Ignore("nobody waits for the film any more; the object is kept"),
    (J.CANCELLED, facts.StitchFailed): Ignore("the job is over", stitching.forgotten),
    (J.CANCELLED, facts.CancelRequested): Ignore("it is cancelled"),
    (J.CANCELLED, facts.ResumeRequested): Ignore("it was cancelled; start a new job"),
    (J.CANCELLED, facts.JobDeadlinePassed): Move(_closing_overdue, (J.CANCELLED,)),
    (J.CANCELLED, facts.SegmentsClosed): Move(_tidied, (J.CANCELLED,)),
}
