"""The budget lock: above a day's limit no new paid work is begun, and what is going goes on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from adapters.sqlite_spend import SqliteSpend
from events.errors import DailyLimitReached, RenderFailed, StitchFailed, Unavailable
from functions.budget import Budget
from pipeline.ports import Committed, Created, Decide
from pipeline.records import Job, Segment
from pipeline.spend_port import Spend
from tests.functions.doubles import ReadsThrough
from tests.functions.world import World

#: Of one clip.
PRICE = 400_000
TOMORROW = timedelta(hours=12)


@dataclass
class Counted:
    """Counts how often it was asked."""

    spend: Spend
    times: int = 0

    def since(self, start: datetime) -> int:
        self.times += 1
        return self.spend.since(start)


Limited = Callable[[World, int], Counted]


@pytest.fixture
def limited() -> Limited:
    """Give a function that lets a world pay for so many clips a day."""

    def limit(world: World, clips: int) -> Counted:
        counted = Counted(SqliteSpend(world.database))
        world.services = replace(world.services, budget=Budget(counted, clips * PRICE))
        world.pipeline = replace(world.pipeline, services=world.services)
        return counted

    return limit


def test_a_film_that_would_pass_the_days_limit_is_refused_and_told_when_it_opens(
    any_world: World, limited: Limited
) -> None:
    limited(any_world, 5)
    first = any_world.create_paid(3)

    with pytest.raises(DailyLimitReached) as refused:
        any_world.create_paid(3, projectId="another")

    assert refused.value.message == (
        "make this film: the project's limit of $2.00 a day is reached ($1.20 spent or promised, this should cost"
        " $1.20): it opens at 2026-01-02T00:00Z; the operator sets LONGREEL_DAILY_LIMIT_USD"
    )
    assert (refused.value.limit_micro_usd, refused.value.promised_micro_usd) == (5 * PRICE, 3 * PRICE)
    assert [job.job_id for job in any_world.services.jobs.jobs()] == [first]


def test_a_film_that_just_fits_is_made_and_the_day_is_full_whoever_asks(any_world: World, limited: Limited) -> None:
    limited(any_world, 3)
    any_world.paid.lands_at_once = True

    made = any_world.settle(any_world.create_paid(3))

    assert made.state == "completed"
    with pytest.raises(DailyLimitReached):
        any_world.create_paid(1, user_id="somebody_else")


def test_the_next_day_begins_anew(any_world: World, limited: Limited) -> None:
    limited(any_world, 3)
    any_world.create_paid(3)

    any_world.pass_time(TOMORROW)

    assert any_world.create_paid(3, projectId="another")


def test_a_film_that_no_day_allows_is_told_so(any_world: World, limited: Limited) -> None:
    spend = limited(any_world, 2)

    with pytest.raises(
        DailyLimitReached, match=r"\$1.20, which the project's limit of \$0.80 a day never allows"
    ) as no:
        any_world.create_paid(3)

    assert no.value.opens_at is None
    assert spend.times == 0


def test_the_same_request_again_is_answered_with_its_job_though_the_day_is_full(
    any_world: World, limited: Limited
) -> None:
    limited(any_world, 3)
    job_id = any_world.create_paid(3, requestId="r1")

    assert any_world.create_paid(3, requestId="r1") == job_id


def test_what_costs_nothing_goes_on_and_nobody_counts(any_world: World, limited: Limited) -> None:
    spend = limited(any_world, 0)

    assert any_world.create(prompts=["a free preview"])
    assert spend.times == 0


def test_a_running_job_ends_with_all_its_tries_though_the_day_is_full(any_world: World, limited: Limited) -> None:
    limited(any_world, 3)
    any_world.paid.lands_at_once = True
    any_world.paid.refusals.append((RenderFailed("filtered", retryable=True), False))
    job_id = any_world.create_paid(3)
    limited(any_world, 0)

    assert any_world.settle(job_id).state == "completed"


def failed_with_one_of_three(world: World) -> str:
    world.paid.lands_at_once = True
    world.paid.refusals.extend([(RenderFailed("no"), False)])
    return world.settle(world.create_paid(3, maxParallelSegments=1)).job_id


def test_a_job_is_resumed_only_where_the_day_has_room_for_what_is_missing(any_world: World, limited: Limited) -> None:
    job_id = failed_with_one_of_three(any_world)
    limited(any_world, 2)

    with pytest.raises(DailyLimitReached, match=f"resume {job_id}: "):
        any_world.resume(job_id)

    assert any_world.job(job_id).state == "failed"
    limited(any_world, 6)
    any_world.resume(job_id)
    assert any_world.settle(job_id).state == "completed"


def test_a_job_whose_clips_are_all_paid_for_is_resumed_on_any_day(any_world: World, limited: Limited) -> None:
    any_world.paid.lands_at_once = True
    any_world.stitcher.refusals.append(StitchFailed("no"))
    job_id = any_world.create_paid(1)
    assert any_world.settle(job_id).state == "failed"
    limited(any_world, 0)

    any_world.resume(job_id)

    assert any_world.settle(job_id).state == "completed"
    assert any_world.job(job_id).cost.spent_micro_usd == PRICE


def test_a_job_of_today_that_just_fits_is_resumed_and_counted_once(any_world: World, limited: Limited) -> None:
    """What it was promised before it failed is not to be had twice."""
    limited(any_world, 3)
    job_id = failed_with_one_of_three(any_world)

    any_world.resume(job_id)

    assert any_world.settle(job_id).state == "completed"
    assert any_world.job(job_id).cost.spent_micro_usd == 3 * PRICE


def test_a_job_of_today_is_not_resumed_where_others_have_taken_its_room(any_world: World, limited: Limited) -> None:
    limited(any_world, 4)
    job_id = failed_with_one_of_three(any_world)
    any_world.create_paid(2, projectId="another")

    with pytest.raises(DailyLimitReached) as refused:
        any_world.resume(job_id)

    assert (refused.value.promised_micro_usd, refused.value.estimated_micro_usd) == (2 * PRICE, 3 * PRICE)


def test_a_job_of_yesterday_is_resumed_on_today_s_money(any_world: World, limited: Limited) -> None:
    limited(any_world, 3)
    job_id = failed_with_one_of_three(any_world)
    any_world.clock.at = any_world.clock.at.replace(hour=23, minute=59, second=59)
    with pytest.raises(DailyLimitReached):
        any_world.create_paid(3, projectId="another")

    any_world.pass_time(timedelta(seconds=1))
    any_world.create_paid(1, projectId="another")
    with pytest.raises(DailyLimitReached) as refused:
        any_world.resume(job_id)

    assert (refused.value.promised_micro_usd, refused.value.estimated_micro_usd) == (PRICE, 3 * PRICE)
    assert refused.value.opens_at == any_world.clock.at.replace(hour=0, minute=0, second=0) + timedelta(days=1)


def test_a_forced_restart_without_room_leaves_the_job_that_runs(any_world: World, limited: Limited) -> None:
    """What it has on order is billed, so the one that would take its place has to fit beside it."""
    limited(any_world, 3)
    job_id = any_world.create_paid(2)

    with pytest.raises(DailyLimitReached):
        any_world.create_paid(2, forceRestart=True)

    any_world.paid.lands_at_once = True
    assert any_world.settle(job_id).state == "completed"


def test_requests_of_one_moment_pass_the_limit_by_no_more_than_what_they_ask_for(
    world: World, limited: Limited
) -> None:
    """Both are asked before either is written: the next one of all sees both."""
    spend = limited(world, 3)
    store, inner = world.services.jobs, []

    class Meanwhile(ReadsThrough):
        """Lets another request through between the question and the first one's write."""

        def __init__(self) -> None:
            self.store = store

        def create(self, job: Job, segments: Sequence[Segment], supersede: Any = None) -> Created:
            if not inner:
                inner.append(job.job_id)
                world.create_paid(2, projectId="another")
            return store.create(job, segments, supersede)

        def transact(self, job_id: str, segment_index: int | None, decide: Decide) -> Committed:
            return store.transact(job_id, segment_index, decide)

    world.services = replace(world.services, jobs=Meanwhile())
    world.create_paid(2)

    assert spend.since(world.clock.now().replace(hour=0)) == 4 * PRICE
    with pytest.raises(DailyLimitReached):
        world.create_paid(1, projectId="third")


def test_a_limit_that_cannot_be_looked_up_begins_nothing(any_world: World) -> None:
    class Silent:
        def since(self, start: datetime) -> int:
            raise Unavailable("sum up what the day costs: no answer")

    budget: Any = Budget(Silent(), 100 * PRICE)
    any_world.services = replace(any_world.services, budget=budget)

    with pytest.raises(Unavailable):
        any_world.create_paid(3)

    assert not any_world.services.jobs.jobs()
