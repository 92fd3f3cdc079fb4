"""The rules of the `stitching` state.

The film is claimed by one worker, planned, made under an attempt of its own, and read back.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from events.errors import OutOfMemory
from events.gathered import gathered
from events.requests import OnSegmentFailure
from pipeline import commands as order
from pipeline import facts, limits
from pipeline.records import Cost, Failure, Film, Job, JobState, Route, Segment, SegmentState, StitchWork, replace
from pipeline.retry import (
    INTERRUPTED,
    LOST,
    NO_ROOM,
    TOO_SMALL,
    GiveUp,
    Retry,
    after_death,
    after_failure,
    after_refusal,
)
from pipeline.table import Outcome
from pipeline.view import left_out

#: Code of a failure → what the job says of it for good, because the film was made in another way then.
_TOO_SMALL_WARNINGS = {
    OutOfMemory.code: (
        "Memory ran out while the film was made, so it is made again by the larger machine, or with less at a time.",
    ),
}


def begin(job: Job, now: datetime) -> Outcome:
    """Enter `stitching`; given once, by the event that ends the last segment (or by a resume)."""
    work = replace(job.stitch, began_at=now)
    begun = replace(job, state=JobState.STITCHING, stitch=work, wake_at=_wake(job, now, limits.REQUEST_PATIENCE))
    return Outcome("every segment has ended", job=begun, commands=(order.RequestStitch(job.job_id),))


def requested(job: Job, event: facts.StitchRequested, now: datetime) -> Outcome:
    """Claim the stitch for one worker."""
    work = job.stitch
    if work.claimed:
        if event.claimant_died:
            return _inspect(job, now, "its claimant is gone")
        return Outcome("somebody is at it, and the lease holds")
    if work.not_before is not None and work.not_before > now:
        return Outcome("it is too early for the next try; the delayed message or the sweep asks again")
    claimed = replace(
        work,
        attempt=work.attempt + 1,
        tries=work.tries + 1,
        claimed=True,
        operation=None,
        percent=0,
        not_before=None,
    )
    changed = replace(job, stitch=claimed, wake_at=_wake(job, now, limits.STITCH_LEASE))
    return Outcome(
        f"claimed for attempt {claimed.attempt}",
        job=changed,
        commands=(order.StitchClips(job.job_id, claimed.attempt),),
    )


def started(job: Job, event: facts.StitchStarted, now: datetime) -> Outcome:
    """Record the route and the stitcher's name for its work."""
    if event.attempt < job.stitch.attempt or job.stitch.operation == event.operation or not job.stitch.claimed:
        return Outcome("it is known, or belongs to an earlier attempt")
    work = replace(job.stitch, operation=event.operation)
    changed = replace(
        job,
        stitch=work,
        route=event.route,
        warnings=tuple(sorted({*job.warnings, *event.route.warnings})),
        wake_at=_wake(job, now, limits.STITCH_PATIENCE),
    )
    return Outcome(f"the {event.route.stitcher} stitcher has it", job=changed)


def started_after_done(job: Job, event: facts.StitchStarted, _now: datetime) -> Outcome:
    """Record the route of a film that was there before its start was told."""
    if event.attempt < job.stitch.attempt or job.route == event.route:
        return Outcome("it is known, or belongs to an earlier attempt")
    warnings = tuple(sorted({*job.warnings, *event.route.warnings}))
    changed = replace(job, route=event.route, warnings=warnings, cost=_with_stitch(job.cost, job.route, event.route))
    return Outcome("the film was there first", job=changed)


def started_too_late(job: Job, event: facts.StitchStarted, _now: datetime) -> Outcome:
    """Call off work that was started while its job was cancelled: nobody waits for the film."""
    if event.attempt < job.stitch.attempt or job.stitch.operation == event.operation:
        return Outcome("it is known, or belongs to an earlier attempt")
    changed = replace(job, stitch=replace(job.stitch, operation=event.operation), route=event.route)
    command = order.CancelStitch(job.job_id, event.operation)
    return Outcome("the job was cancelled while it was started", job=changed, commands=(command,))


def progressed(job: Job, event: facts.StitchProgressed, now: datetime) -> Outcome:
    """Move the bar forward, and wait longer."""
    if event.attempt < job.stitch.attempt or not job.stitch.claimed:
        return Outcome("it belongs to an earlier attempt")
    percent = job.stitch.percent if event.percent is None else max(job.stitch.percent, event.percent)
    work = replace(job.stitch, percent=percent)
    changed = replace(job, stitch=work, wake_at=_wake(job, now, limits.STITCH_PATIENCE))
    return Outcome(f"the film is {percent} % made", job=changed)


def done(job: Job, event: facts.StitchDone, now: datetime) -> Outcome:
    """Complete the job: the film is there and holds every clip."""
    film = Film(event.uri, event.generation, event.report)
    work = replace(job.stitch, claimed=False, percent=100)
    completed = replace(
        job,
        state=JobState.COMPLETED,
        film=film,
        stitch=work,
        error=None,
        stitch_error=None,
        warnings=tuple(sorted({*job.warnings, *gathered(event.report.warnings)})),
        cost=_with_stitch(job.cost, None, job.route),
        ended_at=now,
        wake_at=None,
    )
    return Outcome("the film is there", job=completed)


def _with_stitch(cost: Cost, counted: Route | None, route: Route | None) -> Cost:
    """Count what the film itself cost, once."""
    more = (route.price_micro_usd if route else 0) - (counted.price_micro_usd if counted else 0)
    return replace(cost, spent_micro_usd=cost.spent_micro_usd + more) if more else cost


def found_after_all(job: Job, event: facts.StitchDone, now: datetime) -> Outcome:
    """Take in a film that landed after its attempt was given up: it is made, so it is kept."""
    if job.ended_count < job.segment_count:
        return Outcome("segments are missing")
    return done(job, event, now)


def failed(job: Job, event: facts.StitchFailed, now: datetime, bad: Segment | None) -> Outcome:
    """Try again, leave the bad clip out where the job allows it, or fail."""
    if event.attempt < job.stitch.attempt or not job.stitch.claimed:
        return Outcome("it belongs to an earlier attempt")
    failure = Failure(event.code, event.message, event.bad_segment_index)
    if bad is not None and not event.retryable and _may_leave_out(job, bad):
        return _leave_out(job, bad, failure, now)
    if event.code == LOST and job.stitch.operation is None:
        return _never_begun(job, event, now)
    work = _interrupted(job.stitch, event)
    answer = after_failure(work.tries, retryable=event.retryable, now=now, jitter=event.jitter)
    if isinstance(answer, Retry) and (event.code == NO_ROOM or event.retry_after_seconds is not None):
        # Room is given by the minute.
        answer = Retry(after_refusal(now, event.jitter, event.retry_after_seconds))
    return _again_or_over(job, work, failure, answer, now)


def _never_begun(job: Job, event: facts.StitchFailed, now: datetime) -> Outcome:
    """Give an attempt its try back whose worker died before it was known to have begun: no stitch has failed."""
    work = replace(job.stitch, tries=job.stitch.tries - 1, deaths=job.stitch.deaths + 1)
    times = f"{work.deaths} of {limits.DEATHS_MAX} times" if work.deaths > 1 else "once"
    text = f"what was to make the film died before the work was known to have begun ({times}); clips are kept"
    answer = after_death(work.deaths, now=now, jitter=event.jitter)
    return _again_or_over(job, work, Failure(event.code, text), answer, now)


def _again_or_over(job: Job, work: StitchWork, failure: Failure, answer: Retry | GiveUp, now: datetime) -> Outcome:
    work = replace(work, claimed=False, operation=None)
    if isinstance(answer, GiveUp):
        over = replace(
            job,
            state=JobState.FAILED,
            error=failure,
            stitch_error=failure,
            stitch=work,
            ended_at=now,
            wake_at=None,
        )
        return Outcome(f"{failure.code}: {answer.reason}", job=over)
    waiting = replace(work, not_before=answer.not_before, larger=work.larger or failure.code in TOO_SMALL)
    warnings = {*job.warnings, *_TOO_SMALL_WARNINGS.get(failure.code, ())}
    changed = replace(
        job,
        stitch=waiting,
        stitch_error=failure,
        warnings=tuple(sorted(warnings)),
        wake_at=answer.not_before,
    )
    command = order.RequestStitch(job.job_id, answer.not_before)
    return Outcome(f"{failure.code}: try again", job=changed, commands=(command,))


def _interrupted(work: StitchWork, event: facts.StitchFailed) -> StitchWork:
    """Count an attempt that was cut off further on than all before it as the first try of a new row."""
    if event.code not in INTERRUPTED or event.percent is None or event.percent <= work.reached:
        return work
    return replace(work, reached=event.percent, tries=1)


def overdue(job: Job, _event: facts.JobDeadlinePassed, now: datetime) -> Outcome:
    """Ask again for a stitch that nobody took, or look after one that somebody did."""
    if job.stitch.claimed:
        return _inspect(job, now, "it is overdue")
    waiting = replace(job, wake_at=_wake(job, now, limits.REQUEST_PATIENCE))
    return Outcome("its message is overdue; ask again", job=waiting, commands=(order.RequestStitch(job.job_id),))


def _inspect(job: Job, now: datetime, reason: str) -> Outcome:
    looked_at = replace(job, wake_at=_wake(job, now, limits.STITCH_LEASE))
    command = order.InspectStitch(job.job_id, job.stitch.attempt, job.stitch.operation)
    return Outcome(
        f"{reason}; find out what became of attempt {job.stitch.attempt}", job=looked_at, commands=(command,)
    )


def _may_leave_out(job: Job, bad: Segment) -> bool:
    return job.on_segment_failure is OnSegmentFailure.SKIP and bad.state is SegmentState.DONE and job.done_count > 1


def forgotten(job: Job) -> tuple[order.Command, ...]:
    """Order what is left of a film to go with a job that nobody can resume; there is nothing before an attempt."""
    return (order.ForgetCheckpoints(job.job_id),) if job.stitch.attempt else ()


def _leave_out(job: Job, bad: Segment, failure: Failure, now: datetime) -> Outcome:
    segment = replace(bad, state=SegmentState.SKIPPED, error=failure, wake_at=None)
    changed = replace(
        job,
        done_count=job.done_count - 1,
        skipped_count=job.skipped_count + 1,
        warnings=tuple(sorted({*job.warnings, left_out(job, segment)})),
        stitch=replace(job.stitch, claimed=False, operation=None, tries=0, reached=0),
        wake_at=_wake(job, now, limits.REQUEST_PATIENCE),
    )
    return Outcome(
        "the film is made without the bad clip",
        job=changed,
        segment=segment,
        commands=(order.RequestStitch(job.job_id),),
    )


def _wake(job: Job, now: datetime, patience: timedelta) -> datetime:
    return min(now + patience, job.deadline_at)
