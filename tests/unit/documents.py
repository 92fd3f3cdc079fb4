"""Concrete jobs, segments and events that could really be, for the tests of the machines."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from events.clip import Clip, ClipFacts, StitchReport
from events.errors import IllegalTransition
from events.requests import Kind, OnSegmentFailure, PromptSpec, SegmentSpec
from pipeline import facts, limits
from pipeline.decide import Decision, decide
from pipeline.records import Failure, Film, Job, JobState, Route, Segment, SegmentState, StitchWork

J, S = JobState, SegmentState
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
PAST, FUTURE = NOW - timedelta(minutes=1), NOW + timedelta(minutes=1)
ROUTE = Route("splice", "every clip conforms", losers=("gpu: not needed",))


def clip_of(index: int, attempt: int) -> Clip:
    facts_seen = ClipFacts(
        container="mp4",
        size_bytes=1000,
        duration_ms=5000,
        width_px=1280,
        height_px=720,
        video_codec="h264",
        conform={"video": "avc1"},
    )
    return Clip(uri=f"gs://bucket/jobs/job_abc123/segments/{index}/{attempt}/clip.mp4", generation=1, facts=facts_seen)


def report_of(*warnings: str) -> StitchReport:
    return StitchReport(
        frame_count=9, duration_ms=9, width_px=9, height_px=9, size_bytes=9, sound="none", warnings=list(warnings)
    )


def film_of(attempt: int) -> facts.StitchDone:
    return facts.StitchDone(attempt, f"gs://bucket/jobs/job_abc123/output/{attempt}/film.mp4", 1, report_of())


def a_job(state: JobState = J.GENERATING, **changes: Any) -> Job:
    """Make a job of three segments, two of them wide, whose other fields fit its state unless said otherwise."""
    job = Job(
        job_id="job_abc123",
        kind=Kind.LONG_FORM,
        project_id="default",
        user_id="someone",
        generator="storyboard",
        settings="{}",
        segment_count=3,
        width=2,
        on_segment_failure=OnSegmentFailure.FAIL,
        daisy_chain=False,
        created_at=PAST,
        updated_at=PAST,
        deadline_at=PAST + limits.JOB_LONGEST,
        wake_at=FUTURE,
        state=state,
    )
    if state in (J.STITCHING, J.COMPLETED):
        job = replace(job, done_count=3)
    if state is J.COMPLETED:
        film = Film("gs://bucket/jobs/job_abc123/output/1/film.mp4", 1, report_of())
        job = replace(job, wake_at=None, ended_at=PAST, film=film, stitch=StitchWork(attempt=1, tries=1, percent=100))
    if state in (J.FAILED, J.CANCELLED):
        job = replace(job, error=Failure("cancelled", "it was stopped"), ended_at=PAST)
    return replace(job, **changes)


#: A prompt whose clip is as long as it was asked for.
SPEC = SegmentSpec(scene=PromptSpec(prompt="A lighthouse", duration_ms=60_000)).to_json()


def a_segment(state: SegmentState = S.PENDING, **changes: Any) -> Segment:
    """Make the first segment of a job, whose other fields fit its state unless said otherwise."""
    segment = Segment(job_id="job_abc123", index=0, spec=SPEC, updated_at=PAST, state=state)
    if state is not S.PENDING:
        segment = replace(segment, attempt=1, tries=1, claimed_at=PAST)
    if state in (S.CLAIMED, S.GENERATING):
        segment = replace(segment, wake_at=FUTURE)
    if state is S.GENERATING:
        segment = replace(segment, operation="op-1")
    if state is S.DONE:
        segment = replace(segment, clip=clip_of(0, 1))
    if state in (S.FAILED, S.SKIPPED):
        segment = replace(segment, error=Failure("render_failed", "the prompt was refused", 0))
    return replace(segment, **changes)


def answer(job: Job, segment: Segment | None, event: facts.Event, now: datetime = NOW) -> Decision:
    """Decide, and hold `decide` to its promises: the same answer twice, and nothing that it was shown is changed."""
    shown = (job, segment, event)
    before = pickle.dumps(shown)
    decision = decide(job, segment, event, now)
    assert decide(job, segment, event, now) == decision, "the same question got two answers"
    assert pickle.dumps(shown) == before, "decide changed what it was shown"
    _check_written(decision, now)
    return decision


def _check_written(decision: Decision, now: datetime) -> None:
    job, segment = decision.job, decision.segment
    assert decision.reason
    if job is not None:
        assert job.updated_at == now
        assert 0 <= job.ended_count <= job.segment_count
        assert 0 <= job.progress <= 100
        assert not job.active or job.wake_at is not None, f"nothing wakes a job that is {job.state}"
        assert job.state is not J.COMPLETED or job.wake_at is None
        assert job.active or job.ended_at is not None
    if segment is not None:
        assert segment.updated_at == now
        assert 0 <= segment.tries <= limits.TRIES_MAX
        if segment.state in (S.CLAIMED, S.GENERATING):
            assert segment.wake_at is not None, f"nothing wakes a segment that is {segment.state}"
        elif segment.state is not S.PENDING:
            assert segment.wake_at is None
        assert segment.state is not S.DONE or segment.clip is not None


def refused(job: Job, segment: Segment | None, event: facts.Event, now: datetime = NOW) -> str:
    """Give the reason for which an event is illegal; nothing may have changed."""
    before = pickle.dumps((job, segment, event))
    with pytest.raises(IllegalTransition) as found:
        decide(job, segment, event, now)
    assert pickle.dumps((job, segment, event)) == before
    return str(found.value)


def segments_in(state: SegmentState) -> Iterator[Segment]:
    """Give segments in one state, with and without a deadline that has passed, tries left, a known operation, …"""
    for wake_at, tries, index in product((PAST, FUTURE), (0, 1, limits.TRIES_MAX), (0, 2)):
        plain = a_segment(state, index=index, tries=tries, attempt=max(1, tries))
        match state:
            case S.PENDING:
                again = replace(plain, tries=min(tries, limits.TRIES_MAX - 1), waiting_quota=tries == 0)
                yield replace(plain, attempt=0, tries=0, wake_at=None)
                yield replace(again, wake_at=wake_at, not_before=wake_at, operation="op-1")
            case S.CLAIMED | S.GENERATING:
                claimed_at = NOW - limits.GENERATION_LONGEST * (2 if index else 0)
                yield replace(plain, wake_at=wake_at, claimed_at=claimed_at, tries=max(tries, 1))
                yield replace(plain, wake_at=wake_at, operation="op-1", tries=max(tries, 1))
            case _:
                # Nothing wakes them, so the two deadlines stand for a known and an unknown operation.
                yield replace(plain, operation="op-1" if wake_at is PAST else None)


def segment_events(event: type[facts.SegmentEvent], segment: Segment) -> Iterator[facts.SegmentEvent]:
    """Give events of one class about a segment: of its latest and of an earlier attempt, of every kind there is."""
    index = segment.index
    attempts = sorted({segment.attempt, max(segment.attempt - 1, 1)}, reverse=True)
    if segment.attempt == 0:
        attempts = [] if "attempt" in event.__dataclass_fields__ else [0]
    for attempt, flag in product(attempts, (True, False)):
        match event:
            case facts.SegmentRequested:
                yield facts.SegmentRequested(index, flag)
            case facts.GenerationStarted:
                yield facts.GenerationStarted(index, attempt, f"op-{1 + flag}")
            case facts.GenerationRunning:
                yield facts.GenerationRunning(index, attempt)
            case facts.GenerationUnknown:
                yield facts.GenerationUnknown(index, attempt, resubmittable=flag)
            case facts.SegmentDone:
                yield facts.SegmentDone(index, attempt, clip_of(index, attempt), "gs://bucket/f.png" if flag else None)
            case facts.SegmentFailed:
                yield facts.SegmentFailed(index, attempt, "render_failed", "the prompt was refused", retryable=flag)
            case facts.QuotaExhausted:
                yield facts.QuotaExhausted(index, attempt, "10 a minute")
            case _:
                yield event(index)


def jobs_around(segment: Segment) -> Iterator[Job]:
    """Give jobs that such a segment can be part of."""
    policies = OnSegmentFailure
    match segment.state:
        case S.PENDING if segment.attempt == 0:
            states = [J.QUEUED, J.GENERATING, J.FAILED, J.CANCELLED]
        case S.DONE | S.SKIPPED:
            states = [J.GENERATING, J.STITCHING, J.COMPLETED, J.FAILED, J.CANCELLED]
        case _:
            states = [J.GENERATING, J.FAILED, J.CANCELLED]
    for state, policy, others in product(states, policies, (0, 1, 2)):
        done, skipped = segment.state is S.DONE, segment.state is S.SKIPPED
        if state in (J.STITCHING, J.COMPLETED) and others < 2:
            continue
        if state is J.QUEUED and others:
            continue
        if state is J.GENERATING and others + done + skipped == 3:
            continue
        left_out = others // 2
        yield a_job(
            state, on_segment_failure=policy, done_count=others - left_out + done, skipped_count=left_out + skipped
        )
        if others == 2:
            yield a_job(state, on_segment_failure=policy, done_count=done, skipped_count=2 + skipped)
