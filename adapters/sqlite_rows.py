"""Jobs and segments ↔ rows. Pure; the order of the columns is the order of the functions' tuples."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from events.clip import Clip, StitchReport
from events.requests import Kind, OnSegmentFailure
from pipeline.records import Cost, Failure, Film, Job, JobState, Route, Segment, SegmentState, StitchWork

Row = tuple[Any, ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)

# Looked up by value, which costs a tenth of a call of the class.
_KINDS = {each.value: each for each in Kind}
_POLICIES = {each.value: each for each in OnSegmentFailure}
_JOB_STATES = {each.value: each for each in JobState}
_SEGMENT_STATES = {each.value: each for each in SegmentState}

#: Columns that never change after the job is made.
JOB_FIXED = (
    "job_id, kind, project_id, user_id, generator, segment_count, width, on_segment_failure, daisy_chain,"
    " created_at, settings"
)
JOB_CHANGING = (
    "updated_at, deadline_at, wake_at, state, done_count, skipped_count, resume_count, progress, started_at,"
    " ended_at, last_frame, superseded_by, error, stitch_error, warnings, route, film, stitch, cost"
)
SEGMENT_CHANGING = (
    "updated_at, state, attempt, tries, claimed_at, operation, not_before, waiting_quota, clip, error,"
    " price_micro_usd, wasted_micro_usd, wake_at"
)


def to_ms(instant: datetime | None) -> int | None:
    """Give whole milliseconds since 1970."""
    return None if instant is None else (instant - _EPOCH) // _MILLISECOND


def from_ms(value: int | None) -> datetime | None:
    """Give the aware UTC instant."""
    return None if value is None else _EPOCH + timedelta(milliseconds=value)


def job_fixed(job: Job) -> Row:
    """Give the values of JOB_FIXED."""
    return (
        job.job_id,
        job.kind.value,
        job.project_id,
        job.user_id,
        job.generator,
        job.segment_count,
        job.width,
        job.on_segment_failure.value,
        job.daisy_chain,
        to_ms(job.created_at),
        job.settings,
    )


def job_changing(job: Job) -> Row:
    """Give the values of JOB_CHANGING."""
    return (
        to_ms(job.updated_at),
        to_ms(job.deadline_at),
        to_ms(job.wake_at),
        job.state.value,
        job.done_count,
        job.skipped_count,
        job.resume_count,
        job.progress,
        to_ms(job.started_at),
        to_ms(job.ended_at),
        job.last_frame,
        job.superseded_by,
        _failure_text(job.error),
        _failure_text(job.stitch_error),
        json.dumps(job.warnings) if job.warnings else None,
        _route_text(job.route),
        _film_text(job.film),
        _work_text(job.stitch),
        _cost_text(job.cost),
    )


def read_job(row: Row) -> Job:
    """Make the job of a row of JOB_FIXED, JOB_CHANGING."""
    return Job(
        job_id=row[0],
        kind=_KINDS[row[1]],
        project_id=row[2],
        user_id=row[3],
        generator=row[4],
        segment_count=row[5],
        width=row[6],
        on_segment_failure=_POLICIES[row[7]],
        daisy_chain=bool(row[8]),
        created_at=_instant(row[9]),
        settings=row[10],
        updated_at=_instant(row[11]),
        deadline_at=_instant(row[12]),
        wake_at=from_ms(row[13]),
        state=_JOB_STATES[row[14]],
        done_count=row[15],
        skipped_count=row[16],
        resume_count=row[17],
        progress=row[18],
        started_at=from_ms(row[19]),
        ended_at=from_ms(row[20]),
        last_frame=row[21],
        superseded_by=row[22],
        error=_failure(row[23]),
        stitch_error=_failure(row[24]),
        warnings=tuple(json.loads(row[25])) if row[25] else (),
        route=_route(row[26]),
        film=_film(row[27]),
        stitch=_work(row[28]),
        cost=Cost(*json.loads(row[29])) if row[29] else Cost(),
    )


def segment_changing(segment: Segment) -> Row:
    """Give the values of SEGMENT_CHANGING."""
    return (
        to_ms(segment.updated_at),
        segment.state.value,
        segment.attempt,
        segment.tries,
        to_ms(segment.claimed_at),
        segment.operation,
        to_ms(segment.not_before),
        segment.waiting_quota,
        segment.clip.to_json() if segment.clip else None,
        _failure_text(segment.error),
        segment.price_micro_usd,
        segment.wasted_micro_usd,
        to_ms(segment.wake_at),
    )


def read_segment(row: Row) -> Segment:
    """Make the segment of a row of job_id, position, spec, SEGMENT_CHANGING."""
    return Segment(
        job_id=row[0],
        index=row[1],
        spec=row[2],
        updated_at=_instant(row[3]),
        state=_SEGMENT_STATES[row[4]],
        attempt=row[5],
        tries=row[6],
        claimed_at=from_ms(row[7]),
        operation=row[8],
        not_before=from_ms(row[9]),
        waiting_quota=bool(row[10]),
        clip=Clip.from_json(row[11]) if row[11] else None,
        error=_failure(row[12]),
        price_micro_usd=row[13],
        wasted_micro_usd=row[14],
        wake_at=from_ms(row[15]),
    )


def _instant(value: int) -> datetime:
    return _EPOCH + timedelta(milliseconds=value)


def _failure_text(failure: Failure | None) -> str | None:
    return json.dumps([failure.code, failure.message, failure.segment_index]) if failure else None


def _failure(text: str | None) -> Failure | None:
    return Failure(*json.loads(text)) if text else None


def _route_text(route: Route | None) -> str | None:
    if route is None:
        return None
    return json.dumps([route.stitcher, route.reason, route.price_micro_usd, route.losers, route.warnings])


def _route(text: str | None) -> Route | None:
    if not text:
        return None
    stitcher, reason, price, losers, *warnings = json.loads(text)
    # The first version kept no warnings.
    return Route(stitcher, reason, price, tuple(losers), tuple(warnings[0]) if warnings else ())


def _film_text(film: Film | None) -> str | None:
    return json.dumps([film.uri, film.generation, film.report.to_wire()]) if film else None


def _film(text: str | None) -> Film | None:
    if not text:
        return None
    uri, generation, report = json.loads(text)
    return Film(uri, generation, StitchReport.model_validate(report))


def _work_text(work: StitchWork) -> str | None:
    if work == StitchWork():
        return None
    fields = [work.attempt, work.tries, work.claimed, work.operation, work.percent, to_ms(work.not_before)]
    return json.dumps([*fields, work.larger, work.reached, work.deaths, to_ms(work.began_at)])


def _work(text: str | None) -> StitchWork:
    if not text:
        return StitchWork()
    attempt, tries, claimed, operation, percent, not_before, *later = json.loads(text)
    # A home of an earlier version has no `larger`, no `reached`, no `deaths`, or no `began_at`.
    later[3:] = map(from_ms, later[3:])
    return StitchWork(attempt, tries, claimed, operation, percent, from_ms(not_before), *later)


def _cost_text(cost: Cost) -> str | None:
    if cost == Cost():
        return None
    return json.dumps([cost.estimated_micro_usd, cost.spent_micro_usd, cost.wasted_micro_usd])
