"""The segment machine by enumeration: every cell is filled, and every cell does what it says."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from itertools import product

import pytest

from events.requests import OnSegmentFailure
from pipeline import commands as order
from pipeline import facts, limits
from pipeline.decide import Decision
from pipeline.records import Failure, JobState, Segment, SegmentState
from pipeline.segment import TABLE
from pipeline.table import Ignore, Move
from tests.unit.documents import (
    FUTURE,
    NOW,
    PAST,
    J,
    S,
    a_job,
    a_segment,
    answer,
    clip_of,
    jobs_around,
    refused,
    segment_events,
    segments_in,
)

_Event = type[facts.SegmentEvent]
CELLS = [pytest.param(state, event, id=f"{state}-{event.__name__}") for state, event in TABLE]
MOVES = [cell for cell in CELLS if isinstance(TABLE[cell.values], Move)]  # type: ignore[index]  # pytest's types
IGNORED = [cell for cell in CELLS if isinstance(TABLE[cell.values], Ignore)]  # type: ignore[index]


def _decisions(state: SegmentState, event: _Event) -> list[tuple[Segment, Decision]]:
    return [
        (segment, answer(job, segment, happened))
        for segment in segments_in(state)
        for job in jobs_around(segment)
        for happened in segment_events(event, segment)
    ]


def test_every_event_has_an_answer_in_every_state_and_there_is_no_other_cell() -> None:
    assert set(TABLE) == set(product(S, facts.SEGMENT_EVENTS))
    assert {event.__name__ for event in facts.SEGMENT_EVENTS} == {
        event.__name__ for event in facts.SegmentEvent.__subclasses__()
    }


@pytest.mark.parametrize(("state", "event"), MOVES)
def test_a_move_leads_to_every_state_it_names_and_to_no_other(
    state: SegmentState, event: type[facts.SegmentEvent]
) -> None:
    cell = TABLE[state, event]
    assert isinstance(cell, Move)

    reached = {(decided.segment or segment).state for segment, decided in _decisions(state, event)}

    assert reached == set(cell.to)


@pytest.mark.parametrize(("state", "event"), IGNORED)
def test_what_is_ignored_changes_nothing_and_says_why(state: SegmentState, event: _Event) -> None:
    cell = TABLE[state, event]
    assert isinstance(cell, Ignore)

    for _, decided in _decisions(state, event):
        assert not decided.changes
        assert decided.reason == cell.because
        assert cell.orders_again or not decided.commands


@pytest.mark.parametrize("state", S)
@pytest.mark.parametrize("event", [e for e in facts.SEGMENT_EVENTS if "attempt" in e.__dataclass_fields__])
def test_an_attempt_that_was_never_started_is_our_own_mistake(
    state: SegmentState, event: type[facts.SegmentEvent]
) -> None:
    segment = a_segment(state)
    happened = next(segment_events(event, replace(segment, attempt=segment.attempt + 1)))

    assert "was never started" in refused(a_job(), segment, happened)


def test_a_segment_that_was_not_shown_cannot_be_decided() -> None:
    assert "its segment was not shown" in refused(a_job(), None, facts.SegmentRequested(0))


@pytest.mark.parametrize("state", S)
def test_a_finished_clip_is_taken_in_whatever_became_of_its_segment(state: SegmentState) -> None:
    """It was paid for. Only a film that is made without it has no place for it any more."""
    segment = a_segment(state, attempt=2)
    for job in (a_job(J.GENERATING), a_job(J.FAILED), a_job(J.CANCELLED)):
        if state is S.SKIPPED:
            job = replace(job, skipped_count=1)
        decided = answer(job, segment, facts.SegmentDone(0, 1, clip_of(0, 1)))
        if state is S.DONE:
            assert not decided.changes
        elif state is S.SKIPPED and job.state is not J.GENERATING:
            assert decided.reason == "the film is made without it"
        else:
            assert decided.segment is not None
            assert (decided.segment.state, decided.segment.clip) == (S.DONE, clip_of(0, 1))


@pytest.mark.parametrize("job_state", [J.QUEUED, J.STITCHING, J.COMPLETED, J.FAILED, J.CANCELLED])
def test_only_a_job_that_generates_lets_a_segment_be_claimed(job_state: JobState) -> None:
    assert not answer(a_job(job_state), a_segment(), facts.SegmentRequested(0)).changes


@pytest.mark.parametrize(("ended", "index", "claimed"), [(0, 1, True), (0, 2, False), (1, 2, True)])
def test_a_segment_is_claimed_inside_the_window_only(ended: int, index: int, claimed: bool) -> None:
    """The window ends at ended + width (2): 0 + 2 = 2 leaves segment 2 out, 1 + 2 = 3 lets it in."""
    decided = answer(a_job(done_count=ended), a_segment(index=index), facts.SegmentRequested(index))

    assert decided.changes is claimed
    assert decided.commands == ((order.SubmitSegment("job_abc123", index, 1),) if claimed else ())


@pytest.mark.parametrize(("not_before", "claimed"), [(FUTURE, False), (NOW, True), (PAST, True), (None, True)])
def test_a_retry_waits_for_its_time(not_before: object, claimed: bool) -> None:
    segment = a_segment(attempt=1, tries=1, not_before=not_before)

    assert answer(a_job(), segment, facts.SegmentRequested(0)).changes is claimed


def test_a_claim_is_a_lease_that_a_second_worker_respects_until_it_runs_out() -> None:
    claimed = answer(a_job(), a_segment(), facts.SegmentRequested(0)).segment
    assert claimed is not None
    assert claimed.wake_at == NOW + limits.CLAIM_LEASE

    again = answer(a_job(), claimed, facts.SegmentRequested(0), NOW + timedelta(seconds=1))
    later = answer(a_job(), claimed, facts.SegmentRequested(0), NOW + limits.CLAIM_LEASE)
    sooner = answer(a_job(), claimed, facts.SegmentRequested(0, claimant_died=True), NOW + timedelta(seconds=1))

    assert (again.changes, again.commands) == (False, ())
    assert later.commands == sooner.commands == (order.InspectSegment("job_abc123", 0, 1),)


def test_a_generation_that_says_it_is_running_is_believed_for_an_hour() -> None:
    segment = a_segment(S.GENERATING, claimed_at=NOW)

    at_last = answer(a_job(), segment, facts.GenerationRunning(0, 1), NOW + limits.GENERATION_LONGEST)
    too_long = answer(
        a_job(), segment, facts.GenerationRunning(0, 1), NOW + limits.GENERATION_LONGEST + timedelta(seconds=1)
    )

    assert at_last.segment is not None
    assert at_last.segment.wake_at == NOW + limits.GENERATION_LONGEST + limits.GENERATION_POLL
    assert too_long.segment is not None
    assert (too_long.segment.state, too_long.segment.error) != (S.GENERATING, None)
    assert "generation_timeout" in too_long.reason


def test_a_lost_order_that_costs_nothing_is_given_again_under_the_same_attempt() -> None:
    decided = answer(a_job(), a_segment(S.GENERATING), facts.GenerationUnknown(0, 1, resubmittable=True))

    assert decided.commands == (order.SubmitSegment("job_abc123", 0, 1),)


def test_a_lost_order_is_not_given_again_for_ever() -> None:
    """An order that kills whoever takes it would otherwise go round until the job's day is over."""
    segment = a_segment(S.GENERATING, claimed_at=NOW - limits.GENERATION_LONGEST - timedelta(seconds=1))

    decided = answer(a_job(), segment, facts.GenerationUnknown(0, 1, resubmittable=True))

    assert decided.segment is not None
    assert decided.segment.error is not None
    assert (decided.segment.state, decided.segment.error.code) == (S.PENDING, "attempt_lost")


def test_a_lost_order_that_was_paid_for_costs_a_counted_try() -> None:
    segment = a_segment(S.GENERATING, claimed_at=NOW - limits.GENERATION_PATIENCE)
    decided = answer(a_job(), segment, facts.GenerationUnknown(0, 1, resubmittable=False))

    assert decided.segment is not None
    assert (decided.segment.state, decided.segment.tries) == (S.PENDING, 1)
    assert decided.segment.error is not None
    assert decided.segment.error.code == "attempt_lost"


def test_an_order_that_its_generator_forgot_is_not_given_up_while_its_clip_may_land() -> None:
    """Found by simulation: a process died right after its order was recorded, and the second order came 3 s later."""
    segment = a_segment(S.GENERATING, claimed_at=NOW)
    decided = answer(a_job(), segment, facts.GenerationUnknown(0, 1, resubmittable=False))

    assert decided.segment is not None
    assert (decided.segment.state, decided.segment.wake_at) == (S.GENERATING, NOW + limits.GENERATION_PATIENCE)
    assert decided.commands == ()


def test_what_is_called_off_half_way_is_no_failure() -> None:
    """Found by simulation: the waste of the attempt before was taken back when its clip landed all the same."""
    failed_before = a_segment(S.GENERATING, attempt=2, error=Failure("bad_media", "no video", 0))

    closed = answer(a_job(J.CANCELLED), failed_before, facts.SegmentClosed(0)).segment

    assert closed is not None
    assert (closed.state, closed.error) == (S.CANCELLED, None)


PRICE = 400_000


@pytest.mark.parametrize(
    ("state", "attempt", "error", "landed", "wasted"),
    [
        pytest.param(S.PENDING, 1, "attempt_lost", 1, 0, id="an attempt that was given up brings its clip after all"),
        pytest.param(S.FAILED, 3, "attempt_lost", 1, 0, id="an early attempt does, when all are given up"),
        pytest.param(S.GENERATING, 2, "attempt_lost", 1, PRICE, id="while another one was bought in its place"),
        pytest.param(S.CLAIMED, 2, "bad_media", 2, PRICE, id="the clip of the latest attempt follows a broken one"),
        pytest.param(S.CANCELLED, 2, None, 2, PRICE, id="it was called off, and lands all the same"),
        pytest.param(S.PENDING, 2, "quota_exhausted", 2, PRICE, id="its failure was not counted"),
    ],
)
def test_waste_is_taken_back_only_for_an_attempt_that_was_counted_as_wasted(
    state: S, attempt: int, error: str | None, landed: int, wasted: int
) -> None:
    """Found by simulation: films whose clips had been billed twice said that they had cost half."""
    failure = Failure(error, "it said", 0) if error else None
    segment = a_segment(state, attempt=attempt, error=failure, price_micro_usd=PRICE, wasted_micro_usd=PRICE)
    job = a_job({S.CANCELLED: J.CANCELLED, S.FAILED: J.FAILED}.get(state, J.GENERATING))

    done = answer(job, segment, facts.SegmentDone(0, landed, clip_of(0, landed))).segment

    assert done is not None
    assert (done.state, done.wasted_micro_usd) == (S.DONE, wasted)


def test_a_used_up_quota_is_no_try() -> None:
    segment = a_segment(S.CLAIMED, tries=limits.TRIES_MAX, attempt=limits.TRIES_MAX)

    decided = answer(a_job(), segment, facts.QuotaExhausted(0, limits.TRIES_MAX, "10 a minute", jitter=0.0))

    assert decided.segment is not None
    assert (decided.segment.tries, decided.segment.waiting_quota) == (limits.TRIES_MAX - 1, True)
    assert decided.segment.not_before == decided.segment.wake_at == NOW + timedelta(seconds=61)
    assert decided.commands == (order.RenderSegment("job_abc123", 0, decided.segment.not_before),)


@pytest.mark.parametrize("policy", OnSegmentFailure)
def test_the_policy_decides_what_becomes_of_a_segment_that_cannot_be_had(policy: OnSegmentFailure) -> None:
    event = facts.SegmentFailed(0, 1, "render_failed", "the prompt was refused", retryable=False)

    decided = answer(a_job(on_segment_failure=policy), a_segment(S.GENERATING), event)

    assert decided.segment is not None
    assert decided.job is not None
    ends = {OnSegmentFailure.FAIL: (S.FAILED, J.FAILED), OnSegmentFailure.SKIP: (S.SKIPPED, J.GENERATING)}
    assert (decided.segment.state, decided.job.state) == ends[policy]


def test_a_failed_job_waits_for_what_a_generator_has_and_a_cancelled_one_calls_it_off() -> None:
    """A failed job may be resumed: what was ordered must not be bought again while it is about to land."""
    working = a_segment(S.GENERATING)

    failed = answer(a_job(J.FAILED), working, facts.SegmentClosed(0))
    cancelled = answer(a_job(J.CANCELLED), working, facts.SegmentClosed(0))
    unnamed = answer(a_job(J.CANCELLED), a_segment(S.CLAIMED), facts.SegmentClosed(0))

    assert not failed.changes
    assert cancelled.commands == (order.CancelGeneration("job_abc123", 0, "op-1"),)
    assert unnamed.segment is not None
    assert (unnamed.segment.state, unnamed.commands) == (S.CANCELLED, ())


def test_an_order_that_was_taken_while_its_job_was_cancelled_is_called_off_once() -> None:
    cancelled, event = a_segment(S.CANCELLED), facts.GenerationStarted(0, 1, "op-9")

    first = answer(a_job(J.CANCELLED), cancelled, event)
    second = answer(a_job(J.CANCELLED), first.segment, event)

    assert first.commands == (order.CancelGeneration("job_abc123", 0, "op-9"),)
    assert (second.changes, second.commands) == (False, ())


@pytest.mark.parametrize("state", [S.CLAIMED, S.GENERATING])
def test_what_would_be_tried_again_is_cancelled_when_its_job_is_over(state: SegmentState) -> None:
    """So that the order in which a job's last events come does not show in its documents."""
    event = facts.SegmentFailed(0, 1, "unavailable", "busy", retryable=True)
    waiting = answer(a_job(), a_segment(state), event).segment

    closed = answer(a_job(J.FAILED), waiting, facts.SegmentClosed(0)).segment
    failed_late = answer(a_job(J.FAILED), a_segment(state), event)

    assert failed_late.segment == closed
    assert failed_late.commands == ()


def test_a_late_failure_does_not_stop_a_job_that_goes_on() -> None:
    event = facts.SegmentFailed(0, 1, "render_failed", "the prompt was refused", retryable=False)

    assert not answer(a_job(resume_count=1), a_segment(S.CANCELLED), event).changes
    assert answer(a_job(J.CANCELLED), a_segment(S.CANCELLED), event).segment is not None


@pytest.mark.parametrize(("index", "wake_at"), [(1, NOW + limits.REQUEST_PATIENCE), (2, None)])
def test_a_reopened_segment_has_a_deadline_only_inside_the_window(index: int, wake_at: object) -> None:
    """The window is 2 wide: segment 1 may start now; segment 2 is asked for by the end of one before it."""
    reopened = answer(a_job(), a_segment(S.FAILED, index=index, tries=3, attempt=3), facts.SegmentReopened(index))

    assert reopened.segment is not None
    assert (reopened.segment.state, reopened.segment.tries, reopened.segment.attempt) == (S.PENDING, 0, 3)
    assert reopened.segment.wake_at == wake_at


def test_the_sweep_asks_once_more_for_a_segment_inside_the_window_and_lets_one_outside_rest() -> None:
    inside = answer(a_job(), a_segment(wake_at=PAST), facts.SegmentDeadlinePassed(0))
    outside = answer(a_job(), a_segment(index=2, wake_at=PAST), facts.SegmentDeadlinePassed(2))

    assert inside.commands == (order.RenderSegment("job_abc123", 0),)
    assert outside.segment is not None
    assert (outside.segment.wake_at, outside.commands) == (None, ())


@pytest.mark.parametrize("state", [S.DONE, S.SKIPPED])
def test_a_replay_of_an_ended_segment_orders_what_its_end_ordered(state: SegmentState) -> None:
    """If the process died between commit and publish, the redelivered event says the orders again."""
    job = a_job(done_count=int(state is S.DONE), skipped_count=int(state is S.SKIPPED))
    replay: facts.Event = facts.SegmentDone(0, 1, clip_of(0, 1))
    if state is S.SKIPPED:
        replay = facts.SegmentFailed(0, 1, "render_failed", "the prompt was refused", retryable=False)

    generating = answer(job, a_segment(state), replay)
    stitching = answer(a_job(J.STITCHING), a_segment(state), replay)
    over = answer(a_job(J.COMPLETED), a_segment(state), replay)

    assert generating.commands == (order.RenderSegment("job_abc123", 2),)
    assert stitching.commands == (order.RequestStitch("job_abc123"),)
    assert over.commands == ()


@pytest.mark.parametrize("state", [S.DONE, S.SKIPPED, S.FAILED, S.CANCELLED])
def test_a_request_for_an_ended_segment_is_not_answered_with_another_request(state: SegmentState) -> None:
    """The next segment may have ended too: two ended segments would ask each other for ever."""
    for job in (a_job(done_count=1), a_job(done_count=2), a_job(J.STITCHING)):
        assert answer(job, a_segment(state), facts.SegmentRequested(0)).commands == ()
