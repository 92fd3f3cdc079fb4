"""What follows a stitch that was cut off, was too large for its machine, or is to come again later: pure rules."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import DiskFull, OutOfMemory
from pipeline import facts, limits
from pipeline.plan import build_plan
from pipeline.records import Job, StitchWork, replace
from pipeline.retry import INTERRUPTED, LOST, NO_ROOM, TIME_LIMIT, after_refusal, backoff
from pipeline.view import message_of, next_attempt_at
from tests.unit.documents import NOW, J, S, a_job, a_segment, answer, clip_of

jitters = st.floats(0, 1, exclude_max=True)


def stitching(**work: Any) -> Job:
    return a_job(J.STITCHING, done_count=3, stitch=StitchWork(**{"attempt": 1, "tries": 1, "claimed": True, **work}))


def cut_off(job: Job, percent: int | None, code: str = TIME_LIMIT) -> Job:
    event = facts.StitchFailed(job.stitch.attempt, code, "it was cut off", retryable=True, percent=percent)
    decided = answer(job, None, event).job
    assert decided is not None
    return decided


def claimed_again(job: Job) -> Job:
    work = job.stitch
    again = replace(work, attempt=work.attempt + 1, tries=work.tries + 1, claimed=True, percent=0, not_before=None)
    return replace(job, stitch=again)


@pytest.mark.parametrize("code", sorted(INTERRUPTED))
def test_a_film_that_needs_many_limits_is_made_as_long_as_each_brings_something(code: str) -> None:
    job = stitching()
    for percent in range(5, 100, 5):
        job = cut_off(job, percent, code)
        assert job.state is J.STITCHING
        assert job.stitch.not_before is not None
        job = claimed_again(job)

    assert job.stitch.attempt == 20


@pytest.mark.parametrize("percent", [40, 39, 0, None])
def test_one_that_gets_nowhere_has_its_tries_and_no_more(percent: int | None) -> None:
    job = stitching(reached=40)
    for _ in range(limits.TRIES_MAX - 1):
        job = claimed_again(cut_off(job, percent))

    assert cut_off(job, percent).state is J.FAILED


@given(st.lists(st.integers(0, 100), max_size=400))
def test_it_ends_whatever_is_told_of_how_far_it_came(percents: list[int]) -> None:
    job, tries = stitching(), 0
    for percent in percents:
        job = cut_off(job, percent)
        tries += 1
        if job.state is J.FAILED:
            break
        job = claimed_again(job)

    assert tries <= 100 * limits.TRIES_MAX + limits.TRIES_MAX


def lost(job: Job) -> Job:
    """Whoever claimed the stitch is gone, and nobody knows whether it had begun."""
    event = facts.StitchFailed(job.stitch.attempt, LOST, "without a word", retryable=True, jitter=0.0)
    decided = answer(job, None, event).job
    assert decided is not None
    return decided


def test_a_death_before_the_work_is_known_to_have_begun_uses_up_no_try_and_is_said() -> None:
    once = lost(stitching())

    assert (once.state, once.stitch.tries, once.stitch.deaths, once.stitch.claimed) == (J.STITCHING, 0, 1, False)
    assert once.stitch.not_before == NOW + backoff(1, 0.0)
    assert once.stitch_error is not None
    assert "died before the work was known to have begun (once)" in once.stitch_error.message
    twice = lost(claimed_again(once))
    assert twice.stitch_error is not None
    assert f"(2 of {limits.DEATHS_MAX} times); clips are kept" in twice.stitch_error.message


def test_so_many_deaths_fail_a_job_all_the_same_and_a_resume_counts_them_anew() -> None:
    job = stitching()
    for _ in range(limits.DEATHS_MAX - 1):
        job = lost(job)
        assert job.state is J.STITCHING
        job = claimed_again(job)

    failed = lost(job)

    assert (failed.state, failed.stitch.tries, failed.stitch.attempt) == (J.FAILED, 0, limits.DEATHS_MAX)
    assert failed.error is not None
    assert (failed.error.code, f"{limits.DEATHS_MAX} of {limits.DEATHS_MAX} times" in failed.error.message) == (
        LOST,
        True,
    )
    resumed = answer(failed, None, facts.ResumeRequested()).job
    assert resumed is not None
    assert (resumed.state, resumed.stitch.deaths, resumed.done_count) == (J.STITCHING, 0, 3)


def test_a_stitch_that_was_known_to_have_begun_and_is_lost_uses_up_its_try() -> None:
    job = stitching()
    for tries in range(1, limits.TRIES_MAX):
        job = lost(replace(job, stitch=replace(job.stitch, operation="st-1")))
        assert (job.stitch.tries, job.stitch.deaths) == (tries, 0)
        job = claimed_again(job)

    assert lost(replace(job, stitch=replace(job.stitch, operation="st-1"))).state is J.FAILED


@given(st.lists(st.booleans(), max_size=60))
def test_it_ends_however_deaths_and_failures_alternate(has_begun: list[bool]) -> None:
    job, ends = stitching(), 0
    for begun in has_begun:
        job = lost(replace(job, stitch=replace(job.stitch, operation="st-1" if begun else None)))
        ends += 1
        assert (job.stitch.tries, job.stitch.deaths) == (sum(has_begun[:ends]), ends - sum(has_begun[:ends]))
        if job.state is J.FAILED:
            break
        job = claimed_again(job)

    assert ends < limits.DEATHS_MAX + limits.TRIES_MAX


def test_a_failure_with_a_reason_is_no_interruption_however_far_it_came() -> None:
    job = cut_off(stitching(tries=limits.TRIES_MAX), 90, "film_is_wrong")

    assert job.state is J.FAILED


@pytest.mark.parametrize("error", [OutOfMemory, DiskFull])
def test_what_is_too_large_for_its_machine_is_made_by_a_larger_one_from_then_on(
    error: type[OutOfMemory | DiskFull],
) -> None:
    job = claimed_again(cut_off(stitching(), None, error.code))
    assert job.stitch.larger
    later = claimed_again(cut_off(job, None, "unavailable"))
    segments = [a_segment(S.DONE, index=index, clip=clip_of(index, 1)) for index in range(3)]

    assert build_plan(later, segments, "films").larger
    told = [each for each in later.warnings if "Memory ran out" in each]
    assert len(told) == (1 if error is OutOfMemory else 0)


def test_a_job_that_failed_for_want_of_memory_and_is_resumed_keeps_to_the_larger_machine() -> None:
    failed = replace(stitching(larger=True, reached=70), state=J.FAILED, segment_count=3)

    resumed = answer(failed, None, facts.ResumeRequested()).job

    assert resumed is not None
    assert (resumed.stitch.larger, resumed.stitch.reached, resumed.stitch.tries) == (True, 0, 0)


@given(st.floats(0, 1e9), jitters)
def test_who_says_when_is_asked_again_then_within_an_hour(wished_seconds: float, jitter: float) -> None:
    at = after_refusal(NOW, jitter, wished_seconds)

    wait = min(timedelta(seconds=wished_seconds), limits.RETRY_AFTER_LONGEST)
    assert wait <= at - NOW <= wait + backoff(1, jitter) + timedelta(milliseconds=1)


def test_who_does_not_say_is_asked_when_quotas_are_counted_anew() -> None:
    assert after_refusal(NOW, 0.0, None) == NOW + limits.QUOTA_WAIT + backoff(1, 0.0)


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 61), (7.0, 8), (600.0, 601)])
def test_a_film_without_room_says_when_it_is_tried_again(retry_after: float | None, seconds: int) -> None:
    event = facts.StitchFailed(1, NO_ROOM, "no cards", retryable=True, jitter=0.0, retry_after_seconds=retry_after)

    waiting = answer(stitching(), None, event).job

    assert waiting is not None
    at = NOW + timedelta(seconds=seconds)
    assert (waiting.stitch.not_before, next_attempt_at(waiting), waiting.wake_at) == (at, at, at)
    assert message_of(waiting) == f"Waiting to Stitch Again at {at:%H:%M:%S} UTC..."


@pytest.mark.parametrize(("retry_after", "seconds"), [(None, 61), (7.0, 8)])
def test_a_segment_without_quota_is_ordered_again_when_the_provider_says(
    retry_after: float | None, seconds: int
) -> None:
    claimed = a_segment(S.CLAIMED, attempt=1, tries=1)

    decided = answer(a_job(J.GENERATING), claimed, facts.QuotaExhausted(0, 1, "quota", 0.0, retry_after))

    assert decided.segment is not None
    assert decided.segment.not_before == NOW + timedelta(seconds=seconds)
    assert (decided.segment.waiting_quota, decided.segment.tries) == (True, 0)
