"""The job machine by enumeration: every cell is filled, and every cell does what it says."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from events.requests import Kind, OnSegmentFailure
from pipeline import commands as order
from pipeline import facts, limits
from pipeline.job import TABLE
from pipeline.records import ACTIVE_JOB_STATES, Failure, Job, JobState, Segment, SegmentState, StitchWork
from pipeline.table import Ignore, Illegal, Move
from tests.unit.documents import (
    FUTURE,
    NOW,
    PAST,
    ROUTE,
    J,
    S,
    a_job,
    a_segment,
    answer,
    clip_of,
    film_of,
    refused,
    report_of,
)

_Event = type[facts.JobEvent]
_Situation = tuple[Job, Segment | None, facts.Event]
SKIP = OnSegmentFailure.SKIP
CELLS = [pytest.param(state, event, id=f"{state}-{event.__name__}") for state, event in TABLE]


def _cells(kind: type[Move[JobState, object] | Ignore | Illegal]) -> list[object]:
    return [param for param, cell in zip(CELLS, TABLE.values(), strict=True) if isinstance(cell, kind)]


def jobs_in(state: JobState) -> Iterator[Job]:
    """Give jobs in one state: with and without a deadline that has passed, a stitch under way, tries left, …"""
    for wake_at, policy, deadline_at in product((PAST, FUTURE), OnSegmentFailure, (PAST, NOW + limits.JOB_LONGEST)):
        plain = a_job(state, wake_at=wake_at, on_segment_failure=policy, deadline_at=deadline_at)
        match state:
            case J.QUEUED | J.COMPLETED:
                yield replace(plain, wake_at=None if state is J.COMPLETED else wake_at)
            case J.GENERATING:
                yield plain
                yield replace(plain, done_count=2)
                yield replace(plain, skipped_count=2)
            case J.STITCHING:
                yield plain
                yield replace(plain, stitch=StitchWork(attempt=1, tries=1, not_before=wake_at))
                yield replace(plain, stitch=StitchWork(attempt=2, tries=2, claimed=True, operation="st-2"))
                yield replace(plain, stitch=StitchWork(attempt=3, tries=3, claimed=True), done_count=1, skipped_count=2)
            case J.FAILED | J.CANCELLED:
                yield replace(plain, wake_at=None)
                yield replace(plain, error=Failure("render_failed", "refused", 1), done_count=1)
                yield replace(plain, skipped_count=3)
                yield replace(plain, resume_count=limits.RESUMES_MAX)
                yield replace(plain, done_count=3, stitch=StitchWork(attempt=1, tries=1, claimed=True))
                # No job is stitched with segments missing; if one ever were, its film must not complete it.
                yield replace(plain, done_count=2, stitch=StitchWork(attempt=1, tries=1, claimed=True))


def situations(state: JobState, event: _Event) -> Iterator[_Situation]:
    """Give jobs in one state, each with an event of one class that may really meet it."""
    for job in jobs_in(state):
        if event is facts.SegmentEnded:
            yield from ((job, part, ended) for part, ended in _segment_ends(job))
        else:
            yield from ((job, part, happened) for part, happened in _job_events(event, job))


def _segment_ends(job: Job) -> Iterator[tuple[Segment, facts.SegmentEvent]]:
    """`SegmentEnded` is made by `decide` itself, so what is told here is what ends a segment."""
    if job.ended_count == job.segment_count:
        return
    for index in range(job.segment_count):
        working = a_segment(S.CLAIMED, index=index)
        yield working, facts.SegmentDone(index, 1, clip_of(index, 1), "gs://bucket/f.png")
        yield working, facts.SegmentFailed(index, 1, "render_failed", "the prompt was refused", retryable=False)


def _job_events(event: _Event, job: Job) -> Iterator[tuple[Segment | None, facts.JobEvent]]:
    for attempt, flag in product(range(1, job.stitch.attempt + 1), (True, False)):
        match event:
            case facts.StitchStarted:
                yield None, facts.StitchStarted(attempt, f"st-{attempt}", ROUTE)
            case facts.StitchProgressed:
                yield None, facts.StitchProgressed(attempt, 40 if flag else None)
            case facts.StitchDone:
                yield None, film_of(attempt)
            case facts.StitchFailed:
                yield None, facts.StitchFailed(attempt, "stitch_failed", "no space", retryable=flag)
                bad = facts.StitchFailed(attempt, "bad_media", "cut short", retryable=flag, bad_segment_index=0)
                yield a_segment(S.DONE), bad
    match event:
        case facts.StitchRequested:
            yield from ((None, facts.StitchRequested(died)) for died in (True, False))
        case facts.CancelRequested:
            yield from ((None, facts.CancelRequested("no more", by)) for by in (None, "job_def456"))
        case facts.StitchStarted | facts.StitchProgressed | facts.StitchDone | facts.StitchFailed:
            pass
        case _:
            yield None, event()


def test_every_event_has_an_answer_in_every_state_and_there_is_no_other_cell() -> None:
    assert set(TABLE) == set(product(J, facts.JOB_EVENTS))
    assert {event.__name__ for event in facts.JOB_EVENTS} == {
        event.__name__ for event in facts.JobEvent.__subclasses__()
    }


@pytest.mark.parametrize(("state", "event"), _cells(Move))
def test_a_move_leads_to_every_state_it_names_and_to_no_other(state: JobState, event: _Event) -> None:
    cell = TABLE[state, event]
    assert isinstance(cell, Move)

    decided = [(job, answer(job, part, happened)) for job, part, happened in situations(state, event)]

    assert {(decision.job or job).state for job, decision in decided} == set(cell.to)


@pytest.mark.parametrize(("state", "event"), _cells(Ignore))
def test_what_is_ignored_changes_nothing_and_says_why(state: JobState, event: _Event) -> None:
    cell = TABLE[state, event]
    assert isinstance(cell, Ignore)

    for job, part, happened in situations(state, event):
        decided = answer(job, part, happened)
        assert (decided.changes, decided.reason) == (False, cell.because)
        assert cell.orders_again or not decided.commands


@pytest.mark.parametrize(("state", "event"), _cells(Illegal))
def test_what_is_illegal_is_refused_with_the_state_and_the_reason(state: JobState, event: _Event) -> None:
    """No such job can be; it is made up here, so that the cell itself is asked and not the check of the attempt."""
    cell = TABLE[state, event]
    assert isinstance(cell, Illegal)

    jobs = [replace(job, stitch=StitchWork(attempt=1, tries=1)) for job in jobs_in(state)]
    pairs: list[tuple[Segment | None, facts.Event]] = (
        [*_segment_ends(a_job())] if event is facts.SegmentEnded else [*_job_events(event, jobs[0])]
    )

    told = [refused(job, part, happened) for job, (part, happened) in product(jobs, pairs)]

    assert told
    assert all(cell.because in text and str(state) in text for text in told)


@pytest.mark.parametrize("state", J)
@pytest.mark.parametrize("event", [e for e in facts.JOB_EVENTS if "attempt" in e.__dataclass_fields__])
def test_a_stitch_attempt_that_was_never_started_is_our_own_mistake(state: JobState, event: _Event) -> None:
    one_later = a_job(stitch=StitchWork(attempt=2))

    for part, happened in _job_events(event, one_later):
        if getattr(happened, "attempt", 0) == 2:
            assert "was never started" in refused(a_job(state, stitch=StitchWork(attempt=1)), part, happened)


@pytest.mark.parametrize("event", facts.JOB_EVENTS)
@pytest.mark.parametrize("state", [J.COMPLETED, J.CANCELLED])
def test_a_completed_and_a_cancelled_job_stay_what_they_are(state: JobState, event: _Event) -> None:
    cell = TABLE[state, event]

    assert not isinstance(cell, Move) or cell.to == (state,)


def test_a_failed_job_goes_on_only_when_it_is_resumed_or_its_film_is_found() -> None:
    ways_out = {
        event: set(cell.to) - {J.FAILED}
        for (state, event), cell in TABLE.items()
        if state is J.FAILED and isinstance(cell, Move) and set(cell.to) != {J.FAILED}
    }

    assert ways_out == {facts.ResumeRequested: {J.GENERATING, J.STITCHING}, facts.StitchDone: {J.COMPLETED}}


@pytest.mark.parametrize("state", sorted(ACTIVE_JOB_STATES))
def test_every_active_state_ends_by_itself_when_the_day_is_over(state: JobState) -> None:
    job = a_job(state, deadline_at=NOW, wake_at=NOW)

    decided = answer(job, None, facts.JobDeadlinePassed())

    assert decided.job is not None
    assert decided.job.error == Failure("deadline_exceeded", "not finished within 24 h")
    assert decided.commands == (order.CloseSegments("job_abc123"),)


WAITS_FOR: list[tuple[str, Job, tuple[order.Command, ...]]] = [
    ("its start", a_job(J.QUEUED), (order.RequestJob("job_abc123"),)),
    ("its segments", a_job(J.GENERATING, done_count=1), (order.OpenWindow("job_abc123", 3),)),
    ("somebody to stitch", a_job(J.STITCHING), (order.RequestStitch("job_abc123"),)),
    (
        "the stitcher",
        a_job(J.STITCHING, stitch=StitchWork(attempt=2, tries=1, claimed=True, operation="st-2")),
        (order.InspectStitch("job_abc123", 2, "st-2"),),
    ),
]


@pytest.mark.parametrize(("job", "orders"), [case[1:] for case in WAITS_FOR], ids=[case[0] for case in WAITS_FOR])
def test_when_its_deadline_passes_an_active_job_orders_again_what_it_waits_for(
    job: Job, orders: tuple[order.Command, ...]
) -> None:
    """Commands are a function of state: what a crash left unsent, the sweep says again."""
    assert answer(job, None, facts.JobDeadlinePassed()).commands == ()

    due = answer(replace(job, wake_at=NOW), None, facts.JobDeadlinePassed())

    assert due.commands == orders
    assert due.job is not None
    assert due.job.wake_at is not None
    assert due.job.wake_at > NOW


@pytest.mark.parametrize("job", [case[1] for case in WAITS_FOR[1:]], ids=[case[0] for case in WAITS_FOR[1:]])
@pytest.mark.parametrize("replay", [facts.JobRequested(), facts.ResumeRequested()], ids=["requested", "resumed"])
def test_a_replayed_start_orders_again_what_an_active_job_waits_for(job: Job, replay: facts.JobEvent) -> None:
    decided = answer(job, None, replay)

    assert not decided.changes
    expected = order.OpenWindow("job_abc123", 3) if job.state is J.GENERATING else order.RequestStitch("job_abc123")
    assert decided.commands == (expected,)


def test_a_jobs_start_opens_its_window_and_no_more() -> None:
    decided = answer(a_job(J.QUEUED), None, facts.JobRequested())

    assert decided.commands == (order.RenderSegment("job_abc123", 0), order.RenderSegment("job_abc123", 1))


def test_the_end_of_a_segment_lets_exactly_the_next_one_go() -> None:
    done = facts.SegmentDone(1, 1, clip_of(1, 1))

    decided = answer(a_job(segment_count=5, width=2), a_segment(S.GENERATING, index=1), done)

    assert decided.commands == (order.RenderSegment("job_abc123", 2),)


@pytest.mark.parametrize("state", [S.GENERATING, S.PENDING, S.CANCELLED])
def test_in_a_chain_each_segment_starts_from_the_last_frame_of_the_one_before(state: SegmentState) -> None:
    chain = a_job(daisy_chain=True, width=1, done_count=1, last_frame="gs://bucket/0.png")
    done = facts.SegmentDone(1, 1, clip_of(1, 1), "gs://bucket/1.png")

    decided = answer(chain, a_segment(state, index=1, attempt=1), done)

    assert decided.job is not None
    assert decided.job.last_frame == "gs://bucket/1.png"
    assert decided.commands == (order.RenderSegment("job_abc123", 2),)


def test_a_clip_that_was_left_out_and_lands_after_all_does_not_set_the_chain_back() -> None:
    """Segment 0 was left out, segment 1 is done; segment 2 must start from segment 1, whatever comes late."""
    chain = a_job(daisy_chain=True, width=1, skipped_count=1, done_count=1, last_frame="gs://bucket/1.png")
    left_out = a_segment(S.SKIPPED)
    chain = replace(chain, warnings=("Scene 1 is left out: the prompt was refused",))

    decided = answer(chain, left_out, facts.SegmentDone(0, 1, clip_of(0, 1), "gs://bucket/0.png"))

    assert decided.job is not None
    assert (decided.job.last_frame, decided.job.warnings) == ("gs://bucket/1.png", ())
    assert (decided.job.done_count, decided.job.skipped_count) == (2, 0)


def test_a_segment_that_is_left_out_is_told_in_a_warning() -> None:
    event = facts.SegmentFailed(0, 1, "render_failed", "the prompt was refused", retryable=False)

    decided = answer(a_job(on_segment_failure=SKIP), a_segment(S.GENERATING), event)

    assert decided.job is not None
    assert decided.job.warnings == ("Scene 1 is left out: the prompt was refused",)


def test_a_film_of_nothing_is_refused() -> None:
    event = facts.SegmentFailed(2, 1, "render_failed", "the prompt was refused", retryable=False)

    decided = answer(a_job(on_segment_failure=SKIP, skipped_count=2), a_segment(S.GENERATING, index=2), event)

    assert decided.job is not None
    assert decided.job.error is not None
    assert (decided.job.state, decided.job.error.code) == (J.FAILED, "nothing_to_stitch")


@pytest.mark.parametrize(("blamed", "late", "then"), [(2, 1, 1), (1, 2, 1), (1, 1, 1)])
def test_the_first_failure_in_the_order_of_the_film_is_blamed(blamed: int, late: int, then: int) -> None:
    job = a_job(J.FAILED, error=Failure("render_failed", "refused", blamed))
    event = facts.SegmentFailed(late, 1, "render_failed", "refused", retryable=False)

    decided = answer(job, a_segment(S.GENERATING, index=late), event)

    assert decided.job is not None
    assert decided.job.error == Failure("render_failed", "refused", then)


def test_a_failure_of_the_job_as_a_whole_is_not_blamed_on_a_segment_that_fails_later() -> None:
    job = a_job(J.FAILED, error=Failure("deadline_exceeded", "not finished within 24 h"))
    event = facts.SegmentFailed(0, 1, "render_failed", "refused", retryable=False)

    decided = answer(job, a_segment(S.GENERATING), event)

    assert decided.job is not None
    assert decided.job.error == job.error


@pytest.mark.parametrize(("price", "spent"), [(0, 7), (320_000, 320_007)])
def test_what_a_finished_clip_cost_is_added_up_once(price: int, spent: int) -> None:
    job = replace(a_job(), cost=replace(a_job().cost, spent_micro_usd=7))
    event = facts.SegmentDone(0, 1, clip_of(0, 1))

    first = answer(job, a_segment(S.GENERATING, price_micro_usd=price), event)

    assert first.job is not None
    assert first.job.cost.spent_micro_usd == spent
    assert answer(first.job, first.segment, event).job is None


def test_cancelling_calls_off_a_stitch_that_has_a_name() -> None:
    named = StitchWork(attempt=1, tries=1, claimed=True, operation="st-1")
    close, forget = order.CloseSegments("job_abc123"), order.ForgetCheckpoints("job_abc123")
    call_off = order.CancelStitch("job_abc123", "st-1")

    assert answer(a_job(J.STITCHING, stitch=named), None, facts.CancelRequested()).commands == (call_off, close, forget)
    unnamed = answer(a_job(J.STITCHING, stitch=replace(named, operation=None)), None, facts.CancelRequested())
    assert unnamed.commands == (close, forget)

    assert unnamed.job is not None
    told = answer(unnamed.job, None, facts.StitchStarted(1, "st-1", ROUTE))
    assert told.commands == (call_off,)
    assert answer(told.job, None, facts.StitchStarted(1, "st-1", ROUTE)).changes is False  # type: ignore[arg-type]


@pytest.mark.parametrize(("by", "code"), [(None, "cancelled"), ("job_def456", "superseded")])
def test_a_cancelled_job_says_why(by: str | None, code: str) -> None:
    decided = answer(a_job(), None, facts.CancelRequested("make room", by))

    assert decided.job is not None
    assert decided.job.error == Failure(code, "make room")
    assert decided.job.superseded_by == by


def test_a_job_that_is_over_is_tidied_until_every_segment_knows() -> None:
    over = a_job(J.CANCELLED, wake_at=NOW)

    again = answer(over, None, facts.JobDeadlinePassed())
    tidy = answer(over, None, facts.SegmentsClosed())

    assert again.commands == (order.CloseSegments("job_abc123"),)
    assert tidy.job is not None
    assert tidy.job.wake_at is None
    assert not answer(tidy.job, None, facts.SegmentsClosed()).changes
    assert not answer(tidy.job, None, facts.JobDeadlinePassed()).changes


@pytest.mark.parametrize("attempt", [0, 2])
def test_what_was_encoded_of_a_cancelled_film_is_forgotten_whenever_it_is_tidied_and_when_its_maker_has_ended(
    attempt: int,
) -> None:
    over = a_job(J.CANCELLED, wake_at=NOW, stitch=StitchWork(attempt=attempt, tries=attempt))
    expected = (order.ForgetCheckpoints("job_abc123"),) if attempt else ()

    again = answer(over, None, facts.JobDeadlinePassed())
    ended = answer(over, None, facts.StitchFailed(attempt, "nobody_waits", "the job is over", retryable=False))

    assert again.commands == (order.CloseSegments("job_abc123"), *expected)
    assert ended.commands == expected
    assert not ended.changes


def test_what_was_encoded_of_a_failed_film_is_kept_for_whoever_resumes_it() -> None:
    failed = a_job(J.FAILED, wake_at=NOW, stitch=StitchWork(attempt=2, tries=2))

    again = answer(failed, None, facts.JobDeadlinePassed())
    ended = answer(failed, None, facts.StitchFailed(2, "nobody_waits", "the job is over", retryable=False))

    assert (again.commands, ended.commands) == ((order.CloseSegments("job_abc123"),), ())


def test_a_resumed_job_takes_its_projects_lock_keeps_its_clips_and_counts_its_stitch_tries_anew() -> None:
    failed = a_job(J.FAILED, done_count=2, stitch=StitchWork(attempt=0), progress=60)

    decided = answer(failed, None, facts.ResumeRequested())

    assert decided.takes_lock
    assert decided.job is not None
    assert (decided.job.state, decided.job.done_count, decided.job.progress) == (J.GENERATING, 2, 60)
    assert (decided.job.error, decided.job.ended_at, decided.job.resume_count) == (None, None, 1)
    assert decided.job.deadline_at == NOW + limits.JOB_LONGEST
    assert decided.commands == (order.OpenWindow("job_abc123", 3),)


def test_a_job_whose_stitch_failed_goes_on_with_the_stitch() -> None:
    failed = a_job(J.FAILED, done_count=3, stitch=StitchWork(attempt=3, tries=3, percent=40))

    decided = answer(failed, None, facts.ResumeRequested())

    assert decided.job is not None
    assert (decided.job.state, decided.job.stitch) == (J.STITCHING, StitchWork(attempt=3, began_at=NOW))
    assert (decided.commands, decided.takes_lock) == ((order.RequestStitch("job_abc123"),), True)


def test_a_job_is_resumed_three_times_at_most() -> None:
    decided = answer(a_job(J.FAILED, resume_count=limits.RESUMES_MAX), None, facts.ResumeRequested())

    assert not decided.changes
    assert "resumed 3 times already; start a new job" in decided.reason


def test_a_stitch_is_claimed_once_and_its_claimant_is_looked_after() -> None:
    claimed = answer(a_job(J.STITCHING), None, facts.StitchRequested()).job
    assert claimed is not None
    assert claimed.stitch == StitchWork(attempt=1, tries=1, claimed=True)

    assert answer(claimed, None, facts.StitchRequested()).commands == ()
    died = answer(claimed, None, facts.StitchRequested(claimant_died=True))
    assert died.commands == (order.InspectStitch("job_abc123", 1, None),)


def test_a_stitch_is_tried_three_times_and_then_its_error_is_the_jobs() -> None:
    job, attempts = a_job(J.STITCHING), 0
    now = NOW
    while job.state is J.STITCHING:
        job = answer(job, None, facts.StitchRequested(), now).job or job
        attempts += 1
        event = facts.StitchFailed(job.stitch.attempt, "stitch_failed", "no space", retryable=True)
        job = answer(job, None, event, now).job or job
        now += timedelta(minutes=2)

    assert attempts == limits.TRIES_MAX
    assert job.error == job.stitch_error == Failure("stitch_failed", "no space")


@pytest.mark.parametrize(
    ("policy", "done_count", "retryable", "left_out"),
    [
        (SKIP, 3, False, True),
        (SKIP, 3, True, False),
        (SKIP, 1, False, False),
        (OnSegmentFailure.FAIL, 3, False, False),
    ],
)
def test_a_bad_clip_is_left_out_where_the_job_allows_it_and_another_is_there(
    policy: OnSegmentFailure, done_count: int, retryable: bool, left_out: bool
) -> None:
    claimed = StitchWork(attempt=1, tries=1, claimed=True)
    job = a_job(
        J.STITCHING,
        on_segment_failure=policy,
        done_count=done_count,
        skipped_count=3 - done_count,
        stitch=claimed,
    )
    event = facts.StitchFailed(1, "bad_media", "cut short", retryable, bad_segment_index=0)

    decided = answer(job, a_segment(S.DONE), event)

    assert decided.job is not None
    assert (decided.segment is not None) is left_out
    assert (decided.job.done_count == done_count - 1) is left_out
    assert decided.job.warnings == (("Scene 1 is left out: cut short",) if left_out else ())


@pytest.mark.parametrize(
    "news",
    [
        facts.StitchStarted(1, "st-1", ROUTE),
        facts.StitchProgressed(1, 90),
        facts.StitchFailed(1, "stitch_failed", "no space", retryable=False),
    ],
    ids=lambda news: type(news).__name__,
)
def test_late_news_of_an_earlier_stitch_attempt_does_not_disturb_the_present_one(news: facts.JobEvent) -> None:
    """Only a film is welcome whenever it comes."""
    present = StitchWork(attempt=2, tries=2, claimed=True, operation="st-2")

    assert not answer(a_job(J.STITCHING, stitch=present), None, news).changes
    assert not answer(a_job(J.CANCELLED, stitch=present), None, news).changes
    assert not answer(a_job(J.COMPLETED, stitch=present), None, news).changes
    early_film = answer(a_job(J.STITCHING, stitch=present), None, film_of(1))
    assert early_film.job is not None
    assert early_film.job.state is J.COMPLETED


def test_a_bar_that_was_told_twice_never_goes_back() -> None:
    job = a_job(J.STITCHING, stitch=StitchWork(attempt=1, tries=1, claimed=True))
    forward = answer(job, None, facts.StitchProgressed(1, 50)).job
    assert forward is not None

    back = answer(forward, None, facts.StitchProgressed(1, 20)).job

    assert back is not None
    assert (back.stitch.percent, back.progress) == (50, forward.progress)


def test_a_film_that_overtakes_the_news_of_its_start_still_gets_its_route() -> None:
    claimed = a_job(J.STITCHING, stitch=StitchWork(attempt=1, tries=1, claimed=True))
    completed = answer(claimed, None, film_of(1)).job
    assert completed is not None

    told = answer(completed, None, facts.StitchStarted(1, "st-1", ROUTE))

    assert told.job is not None
    assert (told.job.state, told.job.route) == (J.COMPLETED, ROUTE)
    assert not answer(told.job, None, facts.StitchStarted(1, "st-1", ROUTE)).changes


def test_a_film_brings_its_own_warnings_and_clears_the_errors_of_earlier_tries() -> None:
    job = a_job(
        J.STITCHING,
        stitch=StitchWork(attempt=2, tries=2, claimed=True),
        stitch_error=Failure("stitch_failed", "no space"),
        warnings=("b",),
    )
    film = facts.StitchDone(2, "gs://bucket/film.mp4", 5, report_of("a"))

    decided = answer(job, None, film)

    assert decided.job is not None
    assert (decided.job.warnings, decided.job.stitch_error, decided.job.progress) == (("a", "b"), None, 100)
    assert decided.job.film is not None
    assert (decided.job.film.uri, decided.job.film.generation) == ("gs://bucket/film.mp4", 5)


@pytest.mark.parametrize(
    ("kind", "ended", "percent", "progress"),
    [
        pytest.param(Kind.LONG_FORM, 0, 0, 0, id="long_form, nothing yet"),
        pytest.param(Kind.LONG_FORM, 1, 0, 30, id="long_form, 90 * 1 // 3"),
        pytest.param(Kind.LONG_FORM, 3, 0, 90, id="long_form, 90 * 3 // 3"),
        pytest.param(Kind.LONG_FORM, 3, 50, 94, id="long_form, 90 + (99 - 90) * 50 // 100"),
        pytest.param(Kind.LONG_FORM, 3, 100, 99, id="long_form, 90 + (99 - 90) * 100 // 100"),
        pytest.param(Kind.STITCH, 1, 0, 3, id="stitch, 10 * 1 // 3"),
        pytest.param(Kind.STITCH, 3, 50, 54, id="stitch, 10 + (99 - 10) * 50 // 100"),
    ],
)
def test_progress_is_what_the_work_weighs(kind: Kind, ended: int, percent: int, progress: int) -> None:
    if ended < 3:
        job = a_job(kind=kind, done_count=max(ended - 1, 0), wake_at=NOW)
        happened: facts.Event = facts.SegmentDone(0, 1, clip_of(0, 1)) if ended else facts.JobDeadlinePassed()
        decided = answer(job, a_segment(S.GENERATING) if ended else None, happened)
    else:
        job = a_job(J.STITCHING, kind=kind, stitch=StitchWork(attempt=1, tries=1, claimed=True))
        decided = answer(job, None, facts.StitchProgressed(1, percent))

    assert decided.job is not None
    assert decided.job.progress == progress
