"""A clip that was paid for is never bought again, never lost: not over a crash, not over an answer that never came."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from events.errors import LimitExceeded, RenderFailed, Unavailable
from events.messages import SegmentRequested, Topic
from pipeline import limits
from pipeline.work_ports import Gone, Stopped
from tests.functions.conftest import shows
from tests.functions.doubles import Crash, operation_of
from tests.functions.world import World

#: Source: Veo takes 30 s to 3 min.
SLOWEST = timedelta(minutes=3)


def live(world: World, segment_count: int = 1, **request: Any) -> str:
    """Ask for a job until it is there, and let it live; after each crash the process is started anew."""
    job_id = ""
    for _ in range(100):
        try:
            job_id = job_id or world.create_paid(segment_count, requestId="r1", **request)
            world.run()
        except Crash:
            continue
        job = world.job(job_id)
        if not job.active and job.wake_at is None:
            return job_id
        try:
            world.sweep(timedelta(seconds=30))
        except Crash:
            continue
    raise AssertionError(f"it does not end: {world.segments(job_id)}")


@pytest.mark.parametrize("embedded", [False, True], ids=["cloud", "embedded"])
@pytest.mark.parametrize("lands_after", [None, SLOWEST], ids=["lands at once", "lands late"])
def test_wherever_the_process_dies_a_segment_is_bought_once_and_the_film_is_made(
    make_world: Callable[..., World], embedded: bool, lands_after: timedelta | None
) -> None:
    """Every line that a whole run passes is died at once, in a run of its own."""
    for number in count(1):
        world = make_world(embedded=embedded)
        world.trap.number = number
        world.paid.lands_after, world.paid.lands_at_once = lands_after, lands_after is None

        job_id = live(world)

        died_at = world.trap.passed[number - 1] if world.trap.sprung else "nowhere"
        assert world.job(job_id).state == "completed", f"died at {died_at}"
        assert world.paid.times_bought(job_id, 0) == 1, f"died at {died_at}"
        assert shows(world, job_id) == [0], f"died at {died_at}"
        if not world.trap.sprung:
            assert number > 15, "the run passes more lines than that"
            return


@pytest.mark.parametrize("line", ["before submit", "after submit", "before commit"])
def test_when_nothing_landed_and_the_work_is_unknown_one_new_attempt_is_bought_and_it_shows(
    any_world: World, line: str
) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.deliver_next(Topic.REQUESTED)
    if line == "before commit":
        # Claim: before and after its commit; before and after the submit; then the commit that records the operation.
        world.trap.number = len(world.trap.passed) + 5
    else:
        world.trap.name = line
    with pytest.raises(Crash, match=line):
        world.deliver_next(Topic.SEGMENT_REQUESTED)
    bought = world.paid.times_bought(job_id, 0)
    claimed_at = world.clock.now()

    while world.segment(job_id, 0).attempt == 1:
        assert world.clock.now() < claimed_at + timedelta(minutes=10)
        world.run()
        world.sweep(timedelta(seconds=10))
    world.run()

    assert world.paid.times_bought(job_id, 0) == bought + 1
    assert world.clock.now() - claimed_at > SLOWEST, "the first clip could still have landed"
    segment = world.segment(job_id, 0)
    assert (segment.state, segment.attempt, segment.tries) == ("generating", 2, 2)
    assert segment.error is not None
    assert segment.error.code == "attempt_lost"
    for _ in range(60):
        world.sweep(timedelta(seconds=10))
        world.run()
    assert world.paid.times_bought(job_id, 0) == bought + 1


def test_a_clip_of_an_attempt_that_was_given_up_is_used_and_the_next_is_not_bought(any_world: World) -> None:
    """Its finalize event is lost; the look before the purchase finds it."""
    world = any_world
    job_id = world.create_paid(1)
    world.deliver_next(Topic.REQUESTED)
    world.trap.name = "after submit"
    with pytest.raises(Crash):
        world.deliver_next(Topic.SEGMENT_REQUESTED)
    while world.segment(job_id, 0).state == "claimed":
        world.run()
        world.sweep(timedelta(seconds=30))
    assert world.segment(job_id, 0).state == "pending"

    world.paid.land(job_id, 0, attempt=1)
    world.drop(world.waiting(Topic.OBJECT_FINALIZED)[0])
    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert world.paid.times_bought(job_id, 0) == 1
    assert "/segments/0/1/" in world.segment(job_id, 0).clip.uri


def test_a_clip_of_an_earlier_attempt_ends_the_segment_while_a_later_one_is_under_way(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    world.paid.answers[f"paid/{job_id}/0/1"] = Gone()
    world.sweep(limits.GENERATION_PATIENCE)
    world.clock.at += limits.BACKOFF_LONGEST
    world.run()
    assert world.segment(job_id, 0).attempt == 2

    world.paid.land(job_id, 0, attempt=1)
    for message in world.waiting(Topic.OBJECT_FINALIZED):
        world.drop(message)
    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert world.paid.times_bought(job_id, 0) == 2


def test_a_clip_that_lands_while_the_generator_is_asked_is_seen(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    world.paid.answers[f"paid/{job_id}/0/1"] = Gone()
    world.paid.on_poll = lambda _operation: world.paid.land(job_id, 0)

    world.sweep(limits.GENERATION_PATIENCE)

    assert world.segment(job_id, 0).state == "done"
    assert world.paid.times_bought(job_id, 0) == 1


@pytest.mark.parametrize("taken", [True, False])
def test_an_order_without_an_answer_is_not_given_again_before_its_clip_could_have_landed(
    any_world: World, taken: bool
) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.paid.refusals.append((Unavailable("the line went dead"), taken))
    world.run()
    assert world.segment(job_id, 0).state == "claimed"

    ordered_at = world.clock.now()
    while world.clock.now() <= ordered_at + SLOWEST:
        world.send(SegmentRequested(job_id=job_id, segment_index=0))
        world.run()
        world.sweep(timedelta(seconds=20))
        assert world.segment(job_id, 0).attempt == 1
    if taken:
        world.paid.land(job_id, 0)
        world.run()
    world.paid.lands_at_once = True
    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert world.paid.times_bought(job_id, 0) == 1
    assert world.segment(job_id, 0).attempt == (1 if taken else 2)


def test_a_process_that_stood_still_after_its_claim_buys_nothing(any_world: World) -> None:
    """Found by simulation: others take a claim for lost when its lease is over, and buy in its place."""
    world = any_world
    job_id = world.create_paid(1)
    world.deliver_next(Topic.REQUESTED)
    world.trap.on_line = lambda name: name == "after commit" and world.pass_time(limits.CLAIM_LEASE)
    world.deliver_next(Topic.SEGMENT_REQUESTED)
    world.trap.on_line = lambda _name: None
    assert (world.segment(job_id, 0).state, world.paid.bought) == ("claimed", [])

    world.paid.lands_at_once = True
    world.settle(job_id)
    assert world.job(job_id).state == "completed"
    assert world.paid.times_bought(job_id, 0) == 1


def test_a_free_order_without_an_answer_is_given_again_soon(any_world: World) -> None:
    world = any_world
    world.paid.resubmittable = True
    world.paid.lands_at_once = True
    job_id = world.create_paid(1)
    world.paid.refusals.append((Unavailable("the line went dead"), False))

    world.settle(job_id, step=timedelta(seconds=5), steps_max=3)

    assert world.job(job_id).state == "completed"


def test_a_used_up_quota_is_waited_for_and_is_no_try(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    for _ in range(limits.TRIES_MAX + 2):
        world.paid.refusals.append((LimitExceeded("10 requests a minute"), False))
    world.run()

    for _ in range(limits.TRIES_MAX + 2):
        segment = world.segment(job_id, 0)
        assert (segment.state, segment.waiting_quota, segment.tries) == ("pending", True, 0)
        assert segment.error is not None
        assert segment.error.code == "quota_exhausted"
        assert segment.not_before is not None
        assert segment.not_before >= world.clock.now() + limits.QUOTA_WAIT
        assert world.waiting(Topic.SEGMENT_REQUESTED) == []
        world.clock.at = segment.not_before
        world.run()

    segment = world.segment(job_id, 0)
    assert (segment.state, segment.waiting_quota, segment.tries) == ("generating", False, 1)
    assert world.paid.times_bought(job_id, 0) == 1


def test_what_a_generator_refuses_for_good_fails_the_job(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2, maxParallelSegments=1)
    world.paid.refusals.append((RenderFailed("the prompt was refused", code="filtered"), False))

    job = world.settle(job_id)

    assert job.state == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.segment_index) == ("filtered", 0)
    assert world.states(job_id) == ["failed", "cancelled"]
    assert world.paid.bought == []


def test_what_a_generator_refuses_for_good_is_left_out_where_the_request_allows_it(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(3, maxParallelSegments=1, onSegmentFailure="skip")
    world.deliver_next(Topic.REQUESTED)
    world.deliver_next(Topic.SEGMENT_REQUESTED)
    world.paid.refusals.append((RenderFailed("the prompt was refused", code="filtered"), False))

    job = world.settle(job_id)

    assert (job.state, job.done_count, job.skipped_count) == ("completed", 2, 1)
    assert shows(world, job_id) == [0, 2]
    assert job.warnings == ("Scene 2 is left out: the prompt was refused",)


def test_when_every_segment_is_left_out_there_is_no_film(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2, onSegmentFailure="skip")
    for _ in range(2):
        world.paid.refusals.append((RenderFailed("no"), False))

    job = world.settle(job_id)

    assert job.state == "failed"
    assert job.error is not None
    assert job.error.code == "nothing_to_stitch"


def test_a_failure_that_may_pass_is_tried_again_later_by_a_delayed_message(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.paid.refusals.append((RenderFailed("busy", code="busy", retryable=True), False))
    world.run()

    segment = world.segment(job_id, 0)
    assert (segment.state, segment.tries, segment.error and segment.error.code) == ("pending", 1, "busy")
    assert segment.not_before is not None
    assert segment.not_before > world.clock.now()
    world.deliver(world.send(SegmentRequested(job_id=job_id, segment_index=0)))
    assert world.segment(job_id, 0).attempt == 1, "a message typed by hand does not jump the queue"
    world.clock.at = segment.not_before
    world.run()

    assert (world.segment(job_id, 0).state, world.segment(job_id, 0).attempt) == ("generating", 2)


def test_after_three_tries_a_segment_has_failed(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    for _ in range(limits.TRIES_MAX):
        world.paid.refusals.append((RenderFailed("busy", retryable=True), False))

    world.settle(job_id)

    assert (world.job(job_id).state, world.segment(job_id, 0).attempt) == ("failed", limits.TRIES_MAX)
    assert not world.paid.refusals


@pytest.mark.parametrize(("retryable", "state"), [(True, "pending"), (False, "failed")])
def test_a_generation_that_stopped_without_a_clip_is_found_by_the_sweep(
    any_world: World, retryable: bool, state: str
) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    world.paid.answers[operation_of(world.paid.bought[0])] = Stopped("filtered", "the clip was withheld", retryable)

    world.sweep(limits.GENERATION_PATIENCE - timedelta(seconds=1))
    assert world.paid.polled == [], "nobody is asked before it is overdue"
    world.sweep(timedelta(seconds=1))

    segment = world.segment(job_id, 0)
    assert (segment.state, segment.error and segment.error.message) == (state, "the clip was withheld")


def test_a_generator_that_does_not_answer_leaves_the_attempt_as_it_was(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    operation = operation_of(world.paid.bought[0])
    world.paid.answers[operation] = Unavailable("the line went dead")

    world.sweep(limits.GENERATION_PATIENCE)
    segment = world.segment(job_id, 0)
    assert (segment.state, segment.attempt, segment.operation) == ("generating", 1, operation)
    del world.paid.answers[operation]
    world.paid.land(job_id, 0)
    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert world.paid.times_bought(job_id, 0) == 1


def test_a_generation_that_runs_for_ever_is_given_up_after_an_hour(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    ordered_at = world.clock.now()

    while world.segment(job_id, 0).attempt == 1:
        world.sweep(limits.GENERATION_POLL)
        world.run()

    assert world.clock.now() - ordered_at > limits.GENERATION_LONGEST
    assert world.segment(job_id, 0).error.code == "generation_timeout"
    world.paid.land(job_id, 0, attempt=1)
    world.run()
    assert world.segment(job_id, 0).state == "done", "what was given up is used when it lands after all"


def test_a_job_is_cancelled_although_its_generator_does_not_answer(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(3)
    world.run()
    world.paid.cancel_errors.append(Unavailable("the line went dead"))

    world.cancel(job_id)

    assert (world.job(job_id).state, world.states(job_id)) == ("cancelled", ["cancelled"] * 3)
    assert len(world.paid.cancelled) == 3


def test_work_that_was_ordered_while_its_job_was_cancelled_is_called_off(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.deliver_next(Topic.REQUESTED)
    submit = type(world.paid).submit

    class Slow(type(world.paid)):  # type: ignore[misc] # only its submit is slow
        def submit(self, order: object) -> object:
            world.cancel(job_id)
            return submit(self, order)

    world.paid.__class__ = Slow
    world.deliver_next(Topic.SEGMENT_REQUESTED)

    assert world.states(job_id) == ["cancelled"]
    assert world.paid.cancelled == [operation_of(world.paid.bought[0])]


def test_a_generator_that_is_no_longer_there_fails_the_segment_by_name(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2, maxParallelSegments=1)
    world.run()
    del world.services.generators["paid"]

    world.sweep(limits.GENERATION_PATIENCE)
    world.settle(job_id)

    assert world.job(job_id).state == "failed"
    assert world.segment(job_id, 0).error.code == "no_generator"
