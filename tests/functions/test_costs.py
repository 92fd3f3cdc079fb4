"""What a job says that it should cost, has cost and has lost: every clip that was paid for is counted once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import LimitExceeded, RenderFailed, Unavailable
from events.messages import Topic
from events.requests import LongFormRequest
from pipeline import facts
from pipeline.create import new_job
from pipeline.decide import decide
from pipeline.records import Cost, Job, Route, Segment, SegmentState
from pipeline.retry import with_waste
from pipeline.work_ports import Quote, Stopped
from tests.functions.doubles import operation_of
from tests.functions.world import World
from tests.unit.documents import NOW, J, a_job, a_segment, film_of

PRICE = 400_000


def landing(world: World, count: int = 3, **request: object) -> str:
    """Ask for a film whose clips land as they are ordered."""
    world.paid.lands_at_once = True
    return world.create_paid(count, **request)


def film_price(job: Job) -> int:
    return job.route.price_micro_usd if job.route else 0


def assert_counted(world: World, job_id: str) -> Cost:
    """Check that what a job says it spent and lost is what was bought for it."""
    job = world.job(job_id)
    bought = sum(order.job_id == job_id for order in world.paid.bought)
    told = job.cost.spent_micro_usd - film_price(job) + job.cost.wasted_micro_usd
    assert told == bought * PRICE, (job.cost, bought)
    assert job.cost.wasted_micro_usd == sum(each.wasted_micro_usd for each in world.segments(job_id))
    return job.cost


def test_a_job_says_before_anything_is_bought_what_it_should_cost(any_world: World) -> None:
    job_id = any_world.create_paid(3)

    assert any_world.job(job_id).cost == Cost(estimated_micro_usd=3 * PRICE)
    assert not any_world.paid.bought


def test_a_film_without_a_mishap_costs_what_was_estimated_and_its_stitch(any_world: World) -> None:
    job_id = landing(any_world)

    any_world.settle(job_id)

    cost = assert_counted(any_world, job_id)
    assert cost == Cost(3 * PRICE, 3 * PRICE + film_price(any_world.job(job_id)), 0)


def test_clips_that_are_given_cost_nothing(any_world: World, clip_of: Callable[[int], bytes]) -> None:
    uris = [any_world.uri(f"uploads/{index}.mp4") for index in range(2)]
    for index, uri in enumerate(uris):
        any_world.objects.write(uri, clip_of(index))

    job_id = any_world.create(clips=uris)
    any_world.settle(job_id)

    job = any_world.job(job_id)
    assert job.state == "completed"
    assert job.cost == Cost(0, film_price(job), 0)


def test_a_broken_clip_was_paid_for_in_vain(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    world.paid.land(job_id, 0, 1, b"no clip at all")
    world.paid.lands_at_once = True

    world.settle(job_id)

    assert assert_counted(world, job_id).wasted_micro_usd == PRICE
    assert world.job(job_id).state == "completed"


@pytest.mark.parametrize("policy", ["fail", "skip"])
def test_a_segment_that_never_succeeds_wastes_every_attempt(any_world: World, policy: str) -> None:
    world = any_world
    job_id = world.create_paid(2, onSegmentFailure=policy, maxParallelSegments=1)
    for attempt in (1, 2, 3):
        while world.paid.times_bought(job_id, 0) < attempt:
            world.run()
            world.sweep(timedelta(seconds=5))
        world.paid.land(job_id, 0, attempt, b"no clip at all")
    world.paid.lands_at_once = True

    world.settle(job_id)

    job = world.job(job_id)
    assert job.state == ("failed" if policy == "fail" else "completed")
    cost = assert_counted(world, job_id)
    assert cost.wasted_micro_usd == 3 * PRICE
    assert cost.spent_micro_usd == (0 if policy == "fail" else PRICE + film_price(job))


@pytest.mark.parametrize(
    "refusal",
    [LimitExceeded("the quota is used up"), Unavailable("it is overloaded"), RenderFailed("not now", retryable=True)],
    ids=["quota", "unavailable", "refused"],
)
def test_what_the_generator_did_not_take_costs_nothing(any_world: World, refusal: Exception) -> None:
    world = any_world
    world.paid.refusals.append((refusal, False))
    world.paid.resubmittable = isinstance(refusal, Unavailable)
    job_id = landing(world, 2)

    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert assert_counted(world, job_id).wasted_micro_usd == 0


def test_a_clip_that_the_filter_held_back_is_not_billed(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    (order,) = world.paid.bought
    world.paid.answers[operation_of(order)] = Stopped("filtered", "it shows a celebrity", retryable=False)

    world.settle(job_id)

    job = world.job(job_id)
    assert job.state == "failed"
    # It was ordered, and never billed: a filtered clip costs nothing.
    assert (job.cost.spent_micro_usd, job.cost.wasted_micro_usd) == (0, 0)


def test_a_resumed_job_keeps_what_it_spent_and_lost(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2, maxParallelSegments=1)
    for attempt in (1, 2, 3):
        while world.paid.times_bought(job_id, 0) < attempt:
            world.run()
            world.sweep(timedelta(seconds=5))
        world.paid.land(job_id, 0, attempt, b"no clip at all")
    world.settle(job_id)
    assert world.job(job_id).state == "failed"
    before = assert_counted(world, job_id)
    world.paid.lands_at_once = True

    world.resume(job_id)
    world.settle(job_id)

    job = world.job(job_id)
    assert job.state == "completed"
    cost = assert_counted(world, job_id)
    assert cost.wasted_micro_usd == before.wasted_micro_usd == 3 * PRICE
    assert cost.spent_micro_usd == 2 * PRICE + film_price(job)


def test_a_clip_that_lands_after_its_job_was_cancelled_is_counted(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2)
    world.run()
    world.cancel(job_id)
    for index in range(2):
        world.paid.land(job_id, index)

    world.settle(job_id)

    job = world.job(job_id)
    assert job.state == "cancelled"
    assert assert_counted(world, job_id).spent_micro_usd == 2 * PRICE


def test_events_that_come_twice_are_counted_once(any_world: World) -> None:
    world = any_world
    job_id = landing(world, 2)
    while waiting := world.waiting():
        again = waiting[0].delivery.topic in (Topic.SEGMENT_DONE, Topic.OBJECT_FINALIZED)
        world.deliver(waiting[0], again=again)
        if again:
            world.drop(waiting[0])
    world.settle(job_id)

    assert assert_counted(world, job_id).spent_micro_usd == 2 * PRICE + film_price(world.job(job_id))


# The parts.

PRICES = st.integers(0, 10**9)
CODES = st.sampled_from(
    ["attempt_lost", "generation_timeout", "bad_media", "no_object", "render_failed", "quota_exhausted", "unavailable"]
)


@given(PRICES, PRICES, CODES)
def test_only_a_failure_after_which_the_provider_may_have_billed_wastes_the_price(
    price: int, wasted: int, code: str
) -> None:
    segment = a_segment(SegmentState.GENERATING, price_micro_usd=price, wasted_micro_usd=wasted)

    after = with_waste(segment, code)

    billed = code in {"attempt_lost", "generation_timeout", "bad_media", "no_object"}
    assert after.wasted_micro_usd == wasted + price * billed
    assert isinstance(after, Segment)
    assert after.price_micro_usd == price


NOTES = st.sampled_from([None, "asks for 6 s and keeps the first 5 s", "the seed is not read"])


@given(st.lists(st.tuples(PRICES, NOTES), min_size=1, max_size=8))
def test_a_job_is_estimated_at_the_sum_of_its_quotes_and_every_note_is_said_once(
    quoted: list[tuple[int, str | None]],
) -> None:
    request = LongFormRequest.model_validate({"prompts": [f"scene {number}" for number in range(len(quoted))]})
    quotes = [Quote(price, note=note) for price, note in quoted]

    job, segments = new_job(request, job_id="job_abc123", user_id="someone", now=NOW, quotes=quotes)

    assert job.cost == Cost(estimated_micro_usd=sum(price for price, _ in quoted))
    assert [each.price_micro_usd for each in segments] == [price for price, _ in quoted]
    said = dict(warning.split(": ", 1)[::-1] for warning in job.warnings)
    assert set(said) == {note for _, note in quoted if note is not None}
    assert len(job.warnings) == len(said)
    for note, scenes in said.items():
        numbers = [number for number, (_, other) in enumerate(quoted, start=1) if other == note]
        words = scenes.replace(" and ", ", ").replace("Scenes ", "").replace("Scene ", "")
        every = len(quoted) > 1 and len(numbers) == len(quoted)
        assert scenes == "Every scene" if every else words == ", ".join(map(str, numbers))


@pytest.mark.parametrize(
    ("noted", "count", "scenes"),
    [([1], 1, "Scene 1"), ([2], 3, "Scene 2"), ([1, 3], 3, "Scenes 1 and 3"), ([1, 2, 4], 4, "Scenes 1, 2 and 4")],
)
def test_a_note_names_its_scenes_as_people_do(noted: list[int], count: int, scenes: str) -> None:
    request = LongFormRequest.model_validate({"prompts": [f"scene {number}" for number in range(count)]})
    quotes = [Quote(1, note="it differs" if number in noted else None) for number in range(1, count + 1)]

    job, _ = new_job(request, job_id="job_abc123", user_id="someone", now=NOW, quotes=quotes)

    assert job.warnings == (f"{scenes}: it differs",)


def test_the_film_itself_is_counted_once_whichever_way_its_route_is_told() -> None:
    """A film may be there before its start is told, and may be made by another route than at first."""
    dear, cheap = Route("gpu", "it encodes", 9_000), Route("cpu", "it encodes", 2_000)
    spent = Cost(0, 100, 0)
    job = a_job(J.STITCHING, cost=spent)
    job = decide(job, None, facts.StitchRequested(), NOW).job or job
    told = decide(job, None, facts.StitchStarted(1, "gpu:1", dear), NOW).job
    assert told is not None
    assert told.cost == spent

    done = decide(told, None, film_of(1), NOW).job
    assert done is not None
    assert done.cost.spent_micro_usd == 100 + 9_000
    first = decide(job, None, film_of(1), NOW).job
    assert first is not None
    assert first.cost.spent_micro_usd == 100
    for route in (cheap, cheap):
        first = decide(first, None, facts.StitchStarted(1, "cpu:1", route), NOW).job or first
    assert (first.cost.spent_micro_usd, first.route) == (100 + 2_000, cheap)


def test_a_clip_that_lands_after_it_was_given_up_as_lost_is_spent_and_not_wasted(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2)
    # The order was taken, but its answer was lost: nobody can be asked about it.
    world.paid.refusals.append((Unavailable("the line was cut"), True))
    world.run()
    for _ in range(12):
        world.sweep(timedelta(minutes=1))
        if world.segment(job_id, 0).wasted_micro_usd:
            break
    assert world.segment(job_id, 0).wasted_micro_usd == PRICE

    world.paid.land(job_id, 0)
    world.paid.lands_at_once = True
    for order in list(world.paid.bought):
        if not world.paid.has_landed(order):
            world.paid.land(order.job_id, order.segment_index, order.attempt)
    world.settle(job_id)

    assert world.segment(job_id, 0).clip.uri.split("/")[-2] in {"1", "2"}
    assert_counted(world, job_id)
