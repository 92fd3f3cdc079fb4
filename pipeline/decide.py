"""`decide`: one event, one decision. Pure: the same job, segment, event and time always give the same answer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from events.errors import IllegalTransition
from events.requests import Kind
from pipeline import facts, job, limits, segment
from pipeline.commands import Command
from pipeline.records import COUNTED_SEGMENT_STATES, Job, JobState, Segment, replace
from pipeline.table import Ignore, Illegal, Outcome


@dataclass(frozen=True, slots=True)
class Decision:
    """What one event changes, and the orders that follow; with neither job nor segment it changes nothing."""

    reason: str
    #: The job's new version; None when it stays as it is.
    job: Job | None = None
    #: The segment's new version; None when it stays as it is.
    segment: Segment | None = None
    commands: tuple[Command, ...] = ()
    #: The store must give the job its project's lock in the same commit, or refuse with AlreadyRunning.
    takes_lock: bool = False

    @property
    def changes(self) -> bool:
        """Whether anything is to be written."""
        return self.job is not None or self.segment is not None


def segment_index_of(event: facts.Event) -> int | None:
    """Give the segment that `decide` must be shown with this event; None when it needs none."""
    if isinstance(event, facts.SegmentEvent):
        return event.segment_index
    return event.bad_segment_index if isinstance(event, facts.StitchFailed) else None


def decide(before: Job, part: Segment | None, event: facts.Event, now: datetime) -> Decision:
    """Answer one event.

    Args:
        before: the job as it is.
        part: the segment that `segment_index_of(event)` names, as it is.
        event: what happened.
        now: the present time, aware, UTC.

    Raises:
        IllegalTransition: the event can never meet this state; nothing changes.
    """
    if isinstance(event, facts.JobEvent):
        change = job.SegmentChange(part, part, event) if part is not None else None
        return _answer(_ask_job(before, event, now, change), None, now)
    if part is None:
        raise IllegalTransition(f"decide {_name(event)} of {before.job_id}: its segment was not shown")
    outcome = _ask_segment(before, part, event, now)
    after = outcome.segment
    if after is None or after.state is part.state or not ({after.state, part.state} & COUNTED_SEGMENT_STATES):
        return _answer(outcome, None, now)
    ended = facts.SegmentEnded(part.index)
    return _answer(outcome, _ask_job(before, ended, now, job.SegmentChange(part, after, event)), now)


def progress_of(current: Job) -> int:
    """Give how far the job is, 0–100, never below what it said before."""
    if current.state is JobState.COMPLETED:
        return 100
    # Looking at given clips takes no time; making clips takes nearly all of it.
    share = limits.GENERATION_PERCENT if current.kind is Kind.LONG_FORM else 100 - limits.GENERATION_PERCENT
    generated = share * current.ended_count // current.segment_count
    stitched = (99 - share) * current.stitch.percent // 100 if current.ended_count == current.segment_count else 0
    return max(current.progress, generated + stitched)


def _ask_segment(before: Job, part: Segment, event: facts.SegmentEvent, now: datetime) -> Outcome:
    attempt = getattr(event, "attempt", None)
    if attempt is not None and attempt > part.attempt:
        text = f"attempt {attempt} of segment {part.index} was never started (the latest is {part.attempt})"
        raise IllegalTransition(f"decide {_name(event)} of {before.job_id}: {text}")
    cell = segment.TABLE[part.state, type(event)]
    if isinstance(cell, Ignore):
        return Outcome(cell.because, commands=cell.orders_again(before) if cell.orders_again else ())
    return cell.rule(before, part, event, now)


def _ask_job(before: Job, event: facts.JobEvent, now: datetime, change: job.SegmentChange | None) -> Outcome:
    attempt = getattr(event, "attempt", None)
    if attempt is not None and attempt > before.stitch.attempt:
        text = f"stitch attempt {attempt} was never started (the latest is {before.stitch.attempt})"
        raise IllegalTransition(f"decide {_name(event)} of {before.job_id}: {text}")
    cell = job.TABLE[before.state, type(event)]
    if isinstance(cell, Illegal):
        raise IllegalTransition(f"decide {_name(event)} of {before.job_id}, {before.state}: {cell.because}")
    if isinstance(cell, Ignore):
        return Outcome(cell.because, commands=cell.orders_again(before) if cell.orders_again else ())
    return cell.rule(before, event, now, change)


def _answer(outcome: Outcome, on_job: Outcome | None, now: datetime) -> Decision:
    reason, commands, changed = outcome.reason, outcome.commands, outcome.job
    if on_job is not None:
        reason, commands, changed = f"{reason}; {on_job.reason}", commands + on_job.commands, on_job.job
    if changed is not None:
        changed = replace(changed, progress=progress_of(changed), updated_at=now)
    part = replace(outcome.segment, updated_at=now) if outcome.segment is not None else None
    return Decision(reason, changed, part, commands, outcome.takes_lock or (on_job is not None and on_job.takes_lock))


def _name(event: facts.Event) -> str:
    return type(event).__name__
