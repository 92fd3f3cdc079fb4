"""The log line of a decision: state before, event, state after, reason, and what the metrics count.

No text of the outside gets into it: of a failure it has the code, and the job's document has the words.
"""

from __future__ import annotations

from datetime import datetime

from events.log_lines import ATTRIBUTE, fields
from pipeline import facts
from pipeline.ports import Committed
from pipeline.records import Failure, Job, Segment, SegmentState
from pipeline.retry import NO_ROOM, may_have_been_billed
from pipeline.view import begun_at


def text_of(job: Job, segment: Segment | None, event: facts.Event, committed: Committed) -> str:
    """Say a decision in one line.

    Args:
        job: as it was shown to `decide`.
        segment: the same; None where the event is about none.
        event: what happened.
        committed: what came of it.
    """
    after, part, happened = committed.job, committed.segment, type(event).__name__
    if not committed.decision.changes:
        what, state = ("job", job.state) if segment is None else (f"segments[{segment.index}]", segment.state)
        return f"{what}: {state} + {happened}, ignored: {_reason(committed, event)}"
    moved = f"job: {job.state} + {happened} → {after.state}"
    if segment is not None and part is not None:
        moved = f"segments[{part.index}]: {segment.state} + {happened} → {part.state}"
        if after.state is not job.state:
            moved += f", job: {job.state} → {after.state}"
    return f"{moved}: {_reason(committed, event)}"


def fields_of(
    job: Job, segment: Segment | None, event: facts.Event, committed: Committed
) -> dict[str, dict[str, object]]:
    """Give the line's fields; the arguments are as above."""
    after, part = committed.job, committed.segment
    code = _error_code(job, segment, event, committed)
    is_made = job.film is None and after.film is not None
    return fields(
        action="decision",
        event=type(event).__name__,
        job_id=after.job_id,
        user_id=after.user_id,
        project_id=after.project_id,
        job_type=after.kind,
        clip_count=after.done_count if is_made else None,
        segment=part.index if part else None,
        attempt=part.attempt if part else after.stitch.attempt or None,
        state_before=segment.state if segment else None,
        state_after=part.state if part else None,
        job_state_before=job.state,
        job_state_after=after.state,
        changed=committed.decision.changes,
        reason=_reason(committed, event),
        error_code=code,
        generator=after.generator,
        engine=after.route.stitcher if after.route else None,
        generation_ms=_generation_ms(segment, part),
        first_segment_ms=_first_segment_ms(job, after),
        stitch_ms=_since(after.stitch.began_at, after.updated_at) if is_made else None,
        job_ms=_job_ms(job, after),
        megapixels_per_s=_megapixels_per_s(after) if is_made else None,
        spent_micro_usd=after.cost.spent_micro_usd - job.cost.spent_micro_usd or None,
        wasted_micro_usd=part.wasted_micro_usd - segment.wasted_micro_usd or None if part and segment else None,
        quota_hit=isinstance(event, facts.QuotaExhausted) or code == NO_ROOM or None,
        paid_retry=_is_paid_retry(segment, part) or None,
    )


def fields_of_new(job: Job) -> dict[str, dict[str, object]]:
    """Give the fields of the line of a new job."""
    return fields(
        action="created",
        job_id=job.job_id,
        user_id=job.user_id,
        project_id=job.project_id,
        job_type=job.kind,
        clip_count=job.segment_count,
        job_state_after=job.state,
        generator=job.generator,
    )


def is_trouble(extra: dict[str, dict[str, object]]) -> bool:
    """Tell whether a line says that something went wrong, so that it is to be found by its severity."""
    line = extra[ATTRIBUTE]
    return "errorCode" in line and bool(line["changed"]) and line["event"] != facts.CancelRequested.__name__


def _reason(committed: Committed, event: facts.Event) -> str:
    """Give the reason without what others said: a provider may quote the prompt that it refuses."""
    reason = committed.decision.reason
    if isinstance(event, facts.CancelRequested):
        return reason  # our own words
    errors = (committed.job.error, committed.job.stitch_error, committed.segment.error if committed.segment else None)
    said = {getattr(event, "message", ""), *(error.message for error in errors if error is not None)}
    # Of two that begin alike the longer one goes first.
    for text in sorted(filter(None, said), key=len, reverse=True):
        reason = reason.replace(text, "…")
    return reason


def _error_code(job: Job, segment: Segment | None, event: facts.Event, committed: Committed) -> str | None:
    pairs: list[tuple[Failure | None, Failure | None]] = [(job.error, committed.job.error)]
    if segment is not None and committed.segment is not None:
        pairs.append((segment.error, committed.segment.error))
    pairs.append((job.stitch_error, committed.job.stitch_error))
    for before, after in pairs:
        if after is not None and after != before:
            return after.code
    return getattr(event, "code", None)


def _generation_ms(before: Segment | None, after: Segment | None) -> int | None:
    if before is None or after is None or after.state is not SegmentState.DONE or before.state is SegmentState.DONE:
        return None
    return _since(after.claimed_at, after.updated_at)


def _first_segment_ms(before: Job, after: Job) -> int | None:
    # After a resume somebody has waited in between.
    is_first = before.done_count == 0 and after.done_count == 1 and after.resume_count == 0
    return _since(after.created_at, after.updated_at) if is_first else None


def _job_ms(before: Job, after: Job) -> int | None:
    if after.active or after.state is before.state:
        return None
    return _since(begun_at(after), after.updated_at)


def _megapixels_per_s(job: Job) -> float | None:
    film, took_ms = job.film, _since(job.stitch.began_at, job.updated_at)
    if film is None or not took_ms:
        return None
    pixels = film.report.frame_count * film.report.width_px * film.report.height_px
    return round(pixels / 1000 / took_ms, 1)


def _is_paid_retry(before: Segment | None, after: Segment | None) -> bool:
    if before is None or after is None or after.state is not SegmentState.CLAIMED or after.attempt <= before.attempt:
        return False
    return bool(before.wasted_micro_usd and before.error is not None and may_have_been_billed(before.error.code))


def _since(began_at: datetime | None, now: datetime) -> int | None:
    return max(0, round((now - began_at).total_seconds() * 1000)) if began_at is not None else None
