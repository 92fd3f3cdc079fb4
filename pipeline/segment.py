"""The segment machine. Everything that changes a segment is in this file.

A segment is one clip to be had. It waits (`pending`), is claimed by exactly one worker before anything is paid
for (`claimed`, a lease), is worked on by a generator under a prefix of its own (`generating`), and ends `done`
when its clip is there and was probed. The object is the truth: a clip that lands is taken in whatever state the
segment is (adoption), because it was paid for. Everything else that comes late or twice is ignored.

A failure leads back to `pending` with `not_before`, or, when its tries are used up, to `failed`, or to `skipped`
where the job's policy allows it. When the job ends first, what waits is `cancelled`. What a generator has is given up
only with a cancelled job: a failed one may be resumed, and must not buy again what is about to land.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from events.requests import OnSegmentFailure
from pipeline import commands as order
from pipeline import facts, limits
from pipeline.records import Failure, Job, JobState, Segment, SegmentState, replace
from pipeline.retry import GiveUp, after_failure, after_refusal, with_waste, without_waste
from pipeline.table import Ignore, Move, Outcome
from pipeline.waiting import is_due, may_land_until, took_too_long

S = SegmentState
Rule = Callable[[Job, Segment, Any, datetime], Outcome]
Cell = Move[SegmentState, Rule] | Ignore


def _ignored(reason: str, *commands: order.Command) -> Outcome:
    return Outcome(reason, commands=commands)


def _claim(job: Job, segment: Segment, _event: facts.SegmentRequested, now: datetime) -> Outcome:
    if job.state is not JobState.GENERATING:
        return _ignored(f"the job is {job.state}")
    if segment.index >= job.window_end:
        return _ignored("it is outside the job's window; the segment that ends next asks for it")
    if segment.not_before is not None and segment.not_before > now:
        return _ignored("it is too early for the next try; the delayed message or the sweep asks again")
    claimed = replace(
        segment,
        state=S.CLAIMED,
        attempt=segment.attempt + 1,
        tries=segment.tries + 1,
        claimed_at=now,
        operation=None,
        not_before=None,
        waiting_quota=False,
        wake_at=now + limits.CLAIM_LEASE,
    )
    command = order.SubmitSegment(job.job_id, segment.index, claimed.attempt)
    return Outcome(f"claimed for attempt {claimed.attempt}", segment=claimed, commands=(command,))


def _asked_again(job: Job, segment: Segment, event: facts.SegmentRequested, now: datetime) -> Outcome:
    if event.claimant_died or is_due(segment, now):
        return _inspect(job, segment, now, "its claimant is gone")
    return _ignored("somebody is at it, and the lease holds")


def _inspect(job: Job, segment: Segment, now: datetime, reason: str) -> Outcome:
    looked_at = replace(segment, wake_at=now + limits.CLAIM_LEASE)
    command = order.InspectSegment(job.job_id, segment.index, segment.attempt)
    reason = f"{reason}; find out what became of attempt {segment.attempt}"
    return Outcome(reason, segment=looked_at, commands=(command,))


def _started(_job: Job, segment: Segment, event: facts.GenerationStarted, now: datetime) -> Outcome:
    if event.attempt < segment.attempt:
        return _ignored("it belongs to an earlier attempt")
    started = replace(segment, state=S.GENERATING, operation=event.operation, wake_at=now + limits.GENERATION_PATIENCE)
    return Outcome("the generator has it", segment=started)


def _started_too_late(job: Job, segment: Segment, event: facts.GenerationStarted, _now: datetime) -> Outcome:
    if event.attempt < segment.attempt or segment.operation == event.operation:
        return _ignored("it is known, or belongs to an earlier attempt")
    call_off = order.CancelGeneration(job.job_id, segment.index, event.operation)
    recorded = replace(segment, operation=event.operation)
    return Outcome("the job ended while it was submitted", segment=recorded, commands=(call_off,))


def _running(job: Job, segment: Segment, event: facts.GenerationRunning, now: datetime) -> Outcome:
    if event.attempt < segment.attempt:
        return _ignored("it belongs to an earlier attempt")
    if took_too_long(segment, now):
        hours = limits.GENERATION_LONGEST.total_seconds() / 3600
        failure = Failure("generation_timeout", f"no clip after {hours:g} h", segment.index)
        return _failed(job, segment, failure, retryable=True, now=now, jitter=event.jitter)
    waiting = replace(segment, wake_at=now + limits.GENERATION_POLL)
    return Outcome("the generator is still at it", segment=waiting)


def _unknown(job: Job, segment: Segment, event: facts.GenerationUnknown, now: datetime) -> Outcome:
    if event.attempt < segment.attempt:
        return _ignored("it belongs to an earlier attempt")
    if event.resubmittable and not job.active:
        return Outcome("the order was lost, and its job is over", segment=_cancelled(segment))
    if event.resubmittable and not took_too_long(segment, now):
        again = replace(segment, state=S.CLAIMED, operation=None, wake_at=now + limits.CLAIM_LEASE)
        command = order.SubmitSegment(job.job_id, segment.index, segment.attempt)
        return Outcome("the order was lost; giving it again is free", segment=again, commands=(command,))
    if not event.resubmittable and (until := may_land_until(segment, now)) is not None:
        waiting = replace(segment, wake_at=until)
        return Outcome("it may have been bought, and may still land", segment=waiting)
    failure = Failure("attempt_lost", "the order was sent, but no clip landed and its work is unknown", segment.index)
    return _failed(job, segment, failure, retryable=True, now=now, jitter=event.jitter)


def _done(job: Job, segment: Segment, event: facts.SegmentDone, _now: datetime) -> Outcome:
    is_linked = job.daisy_chain and segment.index + 1 < job.segment_count and job.state is not JobState.CANCELLED
    if is_linked and event.last_frame is None:
        keep = order.KeepLastFrame(job.job_id, segment.index, event.attempt, event.clip)
        return _ignored("its last frame is kept first: the next segment starts from it", keep)
    paid = without_waste(segment, event.attempt)
    done = replace(paid, state=S.DONE, clip=event.clip, not_before=None, waiting_quota=False, wake_at=None)
    return Outcome(f"the clip of attempt {event.attempt} is there", segment=done)


def _found_after_all(job: Job, segment: Segment, event: facts.SegmentDone, now: datetime) -> Outcome:
    if job.state is not JobState.GENERATING:
        return _ignored("the film is made without it")
    return _done(job, segment, event, now)


def _attempt_failed(job: Job, segment: Segment, event: facts.SegmentFailed, now: datetime) -> Outcome:
    if event.attempt < segment.attempt:
        return _ignored("it belongs to an earlier attempt")
    failure = Failure(event.code, event.message, segment.index)
    return _failed(job, segment, failure, retryable=event.retryable, now=now, jitter=event.jitter)


def _failed(job: Job, segment: Segment, failure: Failure, *, retryable: bool, now: datetime, jitter: float) -> Outcome:
    segment = with_waste(segment, failure.code)
    answer = after_failure(segment.tries, retryable=retryable, now=now, jitter=jitter)
    if isinstance(answer, GiveUp):
        skip = job.on_segment_failure is OnSegmentFailure.SKIP
        ended = replace(segment, state=S.SKIPPED if skip else S.FAILED, error=failure, wake_at=None)
        return Outcome(f"{failure.code}: {answer.reason}", segment=ended)
    return _put_back(job, replace(segment, error=failure), answer.not_before, f"{failure.code}: try again")


def _put_back(job: Job, segment: Segment, not_before: datetime, reason: str) -> Outcome:
    if not job.active:
        # As if its job had ended a moment later and found it waiting.
        return Outcome(f"{reason}, if the job goes on", segment=_cancelled(segment))
    waiting = replace(segment, state=S.PENDING, not_before=not_before, wake_at=not_before)
    command = order.RenderSegment(job.job_id, segment.index, not_before)
    return Outcome(reason, segment=waiting, commands=(command,))


def _cancelled(segment: Segment) -> Segment:
    return replace(segment, state=S.CANCELLED, not_before=None, waiting_quota=False, wake_at=None)


def _failed_too_late(job: Job, segment: Segment, event: facts.SegmentFailed, now: datetime) -> Outcome:
    # Recorded as if it had come in time, so that the order of a job's last events does not show in its documents.
    if job.active:
        return _ignored("the job goes on, and with it a new attempt")
    return _attempt_failed(job, segment, event, now)


def _quota(job: Job, segment: Segment, event: facts.QuotaExhausted, now: datetime) -> Outcome:
    if event.attempt < segment.attempt:
        return _ignored("it belongs to an earlier attempt")
    not_before = after_refusal(now, event.jitter, event.retry_after_seconds)
    failure = Failure("quota_exhausted", f"{event.message}; next try at {not_before:%H:%M:%S} UTC", segment.index)
    waiting = replace(segment, tries=segment.tries - 1, waiting_quota=True, error=failure)
    return _put_back(job, waiting, not_before, "the provider's quota is used up; this was no try")


def _pending_overdue(job: Job, segment: Segment, _event: facts.SegmentDeadlinePassed, now: datetime) -> Outcome:
    if not is_due(segment, now):
        return _ignored("it is not due")
    if not job.active or segment.index >= job.window_end:
        return Outcome("nobody waits for it now", segment=replace(segment, wake_at=None))
    waiting = replace(segment, wake_at=now + limits.REQUEST_PATIENCE)
    command = order.RenderSegment(job.job_id, segment.index)
    return Outcome("its message is overdue; ask again", segment=waiting, commands=(command,))


def _work_overdue(job: Job, segment: Segment, _event: facts.SegmentDeadlinePassed, now: datetime) -> Outcome:
    if not is_due(segment, now):
        return _ignored("it is not due")
    return _inspect(job, segment, now, "it is overdue")


def _closed(job: Job, segment: Segment, _event: facts.SegmentClosed, _now: datetime) -> Outcome:
    if job.active:
        return _ignored("the job is active again")
    if segment.state is S.PENDING:
        return Outcome("its job is over", segment=_cancelled(segment))
    if job.state is JobState.FAILED:
        return _ignored("the job may be resumed, so what was ordered for it is taken in when it ends")
    call_off = (order.CancelGeneration(job.job_id, segment.index, segment.operation),) if segment.operation else ()
    return Outcome("its job is over", segment=replace(_cancelled(segment), error=None), commands=call_off)


def _reopened(job: Job, segment: Segment, _event: facts.SegmentReopened, now: datetime) -> Outcome:
    if not job.active:
        return _ignored(f"the job is {job.state}")
    # Outside the window it waits for the segments before it, and the job's own deadline covers that.
    wake_at = now + limits.REQUEST_PATIENCE if segment.index < job.window_end else None
    opened = replace(segment, state=S.PENDING, tries=0, not_before=None, wake_at=wake_at)
    return Outcome("the job goes on", segment=opened)


def _next_orders(job: Job) -> tuple[order.Command, ...]:
    """Order again what the end of a segment ordered, in case the process died between commit and publish.

    Only the news of an end may ask for this: a request that a request answers would go round for ever.
    """
    if job.state is JobState.STITCHING:
        return (order.RequestStitch(job.job_id),)
    if job.state is JobState.GENERATING and job.ended_count:
        return (order.RenderSegment(job.job_id, job.window_end - 1),)
    return ()


_STALE = Ignore("its attempt is over")
_OVER = Ignore("the segment is over")
_NO_WAIT = Ignore("it waits for nothing")
_FAILING = (S.PENDING, S.CANCELLED, S.FAILED, S.SKIPPED)
_DONE: Cell = Move(_done, (S.DONE,))

TABLE: dict[tuple[SegmentState, type[facts.SegmentEvent]], Cell] = {
    (S.PENDING, facts.SegmentRequested): Move(_claim, (S.PENDING, S.CLAIMED)),
    (S.PENDING, facts.GenerationStarted): _STALE,
    (S.PENDING, facts.GenerationRunning): _STALE,
    (S.PENDING, facts.GenerationUnknown): _STALE,
    (S.PENDING, facts.SegmentDone): _DONE,
    (S.PENDING, facts.SegmentFailed): _STALE,
    (S.PENDING, facts.QuotaExhausted): _STALE,
    (S.PENDING, facts.SegmentDeadlinePassed): Move(_pending_overdue, (S.PENDING,)),
    (S.PENDING, facts.SegmentClosed): Move(_closed, (S.PENDING, S.CANCELLED)),
    (S.PENDING, facts.SegmentReopened): Ignore("it is open"),
    (S.CLAIMED, facts.SegmentRequested): Move(_asked_again, (S.CLAIMED,)),
    (S.CLAIMED, facts.GenerationStarted): Move(_started, (S.CLAIMED, S.GENERATING)),
    (S.CLAIMED, facts.GenerationRunning): Move(_running, (S.CLAIMED, *_FAILING)),
    (S.CLAIMED, facts.GenerationUnknown): Move(_unknown, (S.CLAIMED, *_FAILING)),
    (S.CLAIMED, facts.SegmentDone): _DONE,
    (S.CLAIMED, facts.SegmentFailed): Move(_attempt_failed, (S.CLAIMED, *_FAILING)),
    (S.CLAIMED, facts.QuotaExhausted): Move(_quota, (S.CLAIMED, S.PENDING, S.CANCELLED)),
    (S.CLAIMED, facts.SegmentDeadlinePassed): Move(_work_overdue, (S.CLAIMED,)),
    (S.CLAIMED, facts.SegmentClosed): Move(_closed, (S.CLAIMED, S.CANCELLED)),
    (S.CLAIMED, facts.SegmentReopened): Ignore("it is open"),
    (S.GENERATING, facts.SegmentRequested): Move(_asked_again, (S.GENERATING,)),
    (S.GENERATING, facts.GenerationStarted): Ignore("the generator is known to have it"),
    (S.GENERATING, facts.GenerationRunning): Move(_running, (S.GENERATING, *_FAILING)),
    (S.GENERATING, facts.GenerationUnknown): Move(_unknown, (S.GENERATING, S.CLAIMED, *_FAILING)),
    (S.GENERATING, facts.SegmentDone): _DONE,
    (S.GENERATING, facts.SegmentFailed): Move(_attempt_failed, (S.GENERATING, *_FAILING)),
    (S.GENERATING, facts.QuotaExhausted): Ignore("the generator has taken it"),
    (S.GENERATING, facts.SegmentDeadlinePassed): Move(_work_overdue, (S.GENERATING,)),
    (S.GENERATING, facts.SegmentClosed): Move(_closed, (S.GENERATING, S.CANCELLED)),
    (S.GENERATING, facts.SegmentReopened): Ignore("it is open"),
    (S.DONE, facts.SegmentRequested): Ignore("its clip is there"),
    (S.DONE, facts.GenerationStarted): _OVER,
    (S.DONE, facts.GenerationRunning): _OVER,
    (S.DONE, facts.GenerationUnknown): _OVER,
    (S.DONE, facts.SegmentDone): Ignore("its clip is there", _next_orders),
    (S.DONE, facts.SegmentFailed): _OVER,
    (S.DONE, facts.QuotaExhausted): _OVER,
    (S.DONE, facts.SegmentDeadlinePassed): _NO_WAIT,
    (S.DONE, facts.SegmentClosed): Ignore("a finished clip is kept"),
    (S.DONE, facts.SegmentReopened): Ignore("a finished clip is kept"),
    (S.FAILED, facts.SegmentRequested): Ignore("it has failed; resume the job to try again"),
    (S.FAILED, facts.GenerationStarted): _OVER,
    (S.FAILED, facts.GenerationRunning): _OVER,
    (S.FAILED, facts.GenerationUnknown): _OVER,
    (S.FAILED, facts.SegmentDone): _DONE,
    (S.FAILED, facts.SegmentFailed): _OVER,
    (S.FAILED, facts.QuotaExhausted): _OVER,
    (S.FAILED, facts.SegmentDeadlinePassed): _NO_WAIT,
    (S.FAILED, facts.SegmentClosed): _OVER,
    (S.FAILED, facts.SegmentReopened): Move(_reopened, (S.FAILED, S.PENDING)),
    (S.SKIPPED, facts.SegmentRequested): Ignore("the film is made without it"),
    (S.SKIPPED, facts.GenerationStarted): _OVER,
    (S.SKIPPED, facts.GenerationRunning): _OVER,
    (S.SKIPPED, facts.GenerationUnknown): _OVER,
    (S.SKIPPED, facts.SegmentDone): Move(_found_after_all, (S.SKIPPED, S.DONE)),
    (S.SKIPPED, facts.SegmentFailed): Ignore("the film is made without it", _next_orders),
    (S.SKIPPED, facts.QuotaExhausted): _OVER,
    (S.SKIPPED, facts.SegmentDeadlinePassed): _NO_WAIT,
    (S.SKIPPED, facts.SegmentClosed): _OVER,
    (S.SKIPPED, facts.SegmentReopened): Ignore("the film is made without it"),
    (S.CANCELLED, facts.SegmentRequested): Ignore("its job ended first"),
    (S.CANCELLED, facts.GenerationStarted): Move(_started_too_late, (S.CANCELLED,)),
    (S.CANCELLED, facts.GenerationRunning): _OVER,
    (S.CANCELLED, facts.GenerationUnknown): _OVER,
    (S.CANCELLED, facts.SegmentDone): _DONE,
    (S.CANCELLED, facts.SegmentFailed): Move(_failed_too_late, (S.CANCELLED, S.FAILED, S.SKIPPED)),
    (S.CANCELLED, facts.QuotaExhausted): _OVER,
    (S.CANCELLED, facts.SegmentDeadlinePassed): _NO_WAIT,
    (S.CANCELLED, facts.SegmentClosed): _OVER,
    (S.CANCELLED, facts.SegmentReopened): Move(_reopened, (S.CANCELLED, S.PENDING)),
}
