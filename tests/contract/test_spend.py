"""What every `Spend` promises: each job of the day once, by what it is bound to cost."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import given

from pipeline import limits
from pipeline.records import Cost, Job, JobState, replace
from pipeline.spend_port import bound_micro_usd
from tests.contract import documents
from tests.contract.rigs import NOW
from tests.contract.spend_rigs import SpendRig
from tests.contract.test_job_store import a_job, segments_of, set_job

MINUTE = timedelta(minutes=1)
DOLLAR = 1_000_000


def put(spend: SpendRig, number: int = 1, **changes: Any) -> Job:
    job = a_job(f"job_number{number}", project_id=f"p{number}", **changes)
    spend.store.create(job, segments_of(job))
    return job


def test_nothing_was_spent_where_there_is_no_job(spend: SpendRig) -> None:
    assert spend.spend.since(NOW) == 0


def test_an_active_job_is_counted_by_its_estimate_and_what_was_wasted(spend: SpendRig) -> None:
    job = put(spend, cost=Cost(3 * DOLLAR))
    assert spend.spend.since(NOW) == 3 * DOLLAR

    spend.store.transact(job.job_id, None, set_job(cost=Cost(3 * DOLLAR, 2 * DOLLAR, DOLLAR)))

    assert spend.spend.since(NOW) == 4 * DOLLAR


def test_a_completed_job_is_counted_by_what_it_cost(spend: SpendRig) -> None:
    job = put(spend, cost=Cost(3 * DOLLAR))

    change = set_job(state=JobState.COMPLETED, wake_at=None, cost=Cost(3 * DOLLAR, 2 * DOLLAR, 1))
    spend.store.transact(job.job_id, None, change)

    assert spend.spend.since(NOW) == 2 * DOLLAR + 1


def test_a_job_that_was_cancelled_half_way_is_counted_with_the_clips_that_may_be_on_order(spend: SpendRig) -> None:
    job = put(spend, cost=Cost(3 * DOLLAR))

    change = set_job(state=JobState.CANCELLED, started_at=NOW, wake_at=None, cost=Cost(3 * DOLLAR, 0, 5))
    spend.store.transact(job.job_id, None, change)

    assert spend.spend.since(NOW) == 2 * DOLLAR + 5, "its window is two of three segments wide"


def test_jobs_of_the_day_before_are_not_counted_and_those_of_its_first_moment_are(spend: SpendRig) -> None:
    for number, wait in enumerate((-MINUTE, timedelta(0), MINUTE)):
        at = NOW + wait
        put(spend, number, created_at=at, deadline_at=at + limits.JOB_LONGEST, cost=Cost(10**number * DOLLAR))

    assert spend.spend.since(NOW) == 110 * DOLLAR
    assert spend.spend.since(NOW + timedelta(days=1)) == 0


def test_a_job_that_was_resumed_counts_on_the_day_of_its_resume(spend: SpendRig) -> None:
    job = put(spend, cost=Cost(3 * DOLLAR, DOLLAR))
    tomorrow = NOW + timedelta(days=1)

    spend.store.transact(job.job_id, None, set_job(deadline_at=tomorrow + limits.JOB_LONGEST))

    assert spend.spend.since(tomorrow) == 3 * DOLLAR


def test_many_jobs_are_summed_up_whatever_they_are(spend: SpendRig) -> None:
    for number in range(12):
        put(spend, number, user_id=f"user{number % 3}", cost=Cost(number * DOLLAR) if number else Cost())

    assert spend.spend.since(NOW) == sum(range(12)) * DOLLAR


@given(documents.JOB)
def test_what_a_job_is_bound_to_cost_is_never_less_than_it_cost_and_an_end_never_adds_to_it(job: Job) -> None:
    paid = job.cost.spent_micro_usd + job.cost.wasted_micro_usd
    # Counts that belong to one another; the strategy draws each alone.
    count = max(1, job.segment_count)
    job = replace(
        job, segment_count=count, width=1 + job.width % count, skipped_count=0, done_count=job.progress % count
    )
    bounds = {state: bound_micro_usd(replace(job, state=state)) for state in JobState}

    assert min(bounds.values()) >= paid
    assert bounds[JobState.COMPLETED] == paid
    assert max(bounds.values()) == bounds[JobState.QUEUED] == bounds[JobState.GENERATING]
    assert bounds[JobState.QUEUED] <= paid + job.cost.estimated_micro_usd
