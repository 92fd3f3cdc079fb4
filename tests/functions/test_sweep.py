"""What a crash or a lost message left behind, the sweep mends; and every job ends."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import count
from typing import Any

import pytest

from events.errors import LimitExceeded
from events.messages import Topic
from pipeline import limits
from tests.functions.conftest import shows
from tests.functions.world import World


def storyboard(world: World) -> str:
    """Ask for four cards of a tenth of a second."""
    prompts = [{"prompt": f"Scene {index + 1}", "durationMs": 100} for index in range(4)]
    return world.create(prompts=prompts, maxParallelSegments=2)


def free(world: World) -> str:
    """Ask for four clips of a generator that, like the storyboard, makes the same again for nothing."""
    world.paid.resubmittable = world.paid.lands_at_once = True
    return world.create_paid(4, maxParallelSegments=2)


def documents(world: World, job_id: str) -> Any:
    """Give all that a reader of the documents could see, save times, versions of objects and the film's attempt."""
    film = world.job(job_id).film
    assert film is not None
    times = dict.fromkeys(("created_at", "updated_at", "started_at", "ended_at", "deadline_at"))
    job = replace(world.job(job_id), **times, film=film.report, stitch=None)
    segments = []
    for segment in world.segments(job_id):
        clip = segment.clip.model_copy(update={"generation": 0})
        segments.append(replace(segment, updated_at=None, claimed_at=None, clip=clip))
    return job, segments


@pytest.mark.parametrize(
    ("ask", "embedded"), [(storyboard, False), (free, True)], ids=["storyboard in the cloud", "clips embedded"]
)
def test_whichever_message_is_lost_for_good_the_job_ends_with_the_same_documents(
    make_world: Callable[..., World], ask: Callable[[World], str], embedded: bool
) -> None:
    whole = make_world(embedded=embedded)
    job_id = ask(whole)
    whole.run()
    wanted = documents(whole, job_id)
    topics = Counter(message.delivery.topic for message in whole.delivered)
    assert topics[Topic.SEGMENT_DONE] == 4

    for number in range(len(whole.delivered)):
        world, passed = make_world(embedded=embedded), count()
        world.loses = lambda _message, passed=passed, number=number: next(passed) == number
        job_id = ask(world)
        world.settle(job_id, step=timedelta(minutes=1))

        lost = whole.delivered[number].delivery
        assert documents(world, job_id) == wanted, f"without {lost.topic} {lost.body}"
        assert world.dead_letters() == []


def test_even_when_every_message_of_a_kind_is_lost_once_the_job_ends(make_world: Callable[..., World]) -> None:
    for topic in (Topic.SEGMENT_REQUESTED, Topic.SEGMENT_DONE, Topic.OBJECT_FINALIZED, Topic.STITCH_REQUESTED):
        world, seen = make_world(), set[str]()

        def loses(message: Any, topic: Topic = topic, seen: set[str] = seen) -> bool:
            first = message.delivery.topic is topic and message.delivery.body not in seen
            seen.add(message.delivery.body)
            return first

        world.loses = loses
        world.paid.lands_at_once = True
        job_id = world.create_paid(3)
        world.settle(job_id)

        assert shows(world, job_id) == [0, 1, 2]
        assert len(world.paid.bought) == 3


def test_a_sweep_that_finds_nothing_changes_nothing(any_world: World) -> None:
    job_id = any_world.create_paid(2)
    any_world.run()
    before = any_world.job(job_id), any_world.segments(job_id)

    assert any_world.sweep(timedelta(seconds=1)) == 0

    assert (any_world.job(job_id), any_world.segments(job_id)) == before


def test_two_sweeps_at_once_order_the_same_thing_once(any_world: World) -> None:
    job_id = any_world.create_paid(1)
    any_world.drop(any_world.waiting(Topic.REQUESTED)[0])
    any_world.sweep(limits.QUEUED_PATIENCE)
    any_world.sweep()
    any_world.run()

    assert any_world.paid.times_bought(job_id, 0) == 1


def test_a_job_that_cannot_be_mended_does_not_stand_in_the_way_of_the_others(
    any_world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world = any_world
    poisoned = world.create_paid(1, projectId="first")
    world.run()
    world.clock.at += timedelta(seconds=1)
    healthy = world.create_paid(1, projectId="second")
    world.run()
    world.paid.answers[f"paid/{poisoned}/0/1"] = ZeroDivisionError("a bug")
    world.paid.land(healthy, 0)
    for message in world.waiting(Topic.OBJECT_FINALIZED):
        world.drop(message)

    world.sweep(limits.GENERATION_PATIENCE)

    assert world.segment(healthy, 0).state == "done"
    assert f"look after {poisoned}" in caplog.text
    assert "a bug" in caplog.text


def test_a_job_that_never_moves_fails_at_its_deadline_and_leaves_nothing_open(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(3)
    for message in world.waiting():
        world.drop(message)
    world.loses = lambda _message: True

    job = world.settle(job_id, step=timedelta(minutes=30), steps_max=60)

    assert (job.state, job.error and job.error.code) == ("failed", "deadline_exceeded")
    assert job.ended_at == job.deadline_at == job.created_at + limits.JOB_LONGEST
    assert world.states(job_id) == ["cancelled"] * 3


def test_a_job_whose_quota_never_comes_back_fails_at_its_deadline(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2)
    world.paid.refusals.extend((LimitExceeded("10 requests a minute"), False) for _ in range(1000))

    job = world.settle(job_id, step=timedelta(minutes=30), steps_max=60)

    assert (job.state, job.error and job.error.code) == ("failed", "deadline_exceeded")
    assert world.states(job_id) == ["cancelled"] * 2
    assert world.paid.bought == []


def test_a_job_whose_clips_run_for_ever_fails_and_in_the_end_nothing_is_open(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2)

    job = world.settle(job_id, step=timedelta(minutes=5), steps_max=60)
    assert (job.state, job.error and job.error.code) == ("failed", "generation_timeout")
    for _ in range(60):
        world.sweep(timedelta(minutes=5))
        world.run()

    assert set(world.states(job_id)) <= {"failed", "cancelled"}
    assert all(segment.attempt <= limits.TRIES_MAX for segment in world.segments(job_id))


def test_a_stitch_that_never_ends_fails_at_the_deadline(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(1)
    world.run(without=Topic.LOCAL_STITCH)

    for _ in range(60):
        world.sweep(timedelta(minutes=30))
        world.run(without=Topic.LOCAL_STITCH)

    job = world.job(job_id)
    assert (job.state, job.error and job.error.code) == ("failed", "deadline_exceeded")
    assert world.states(job_id) == ["done"]
    world.run()
    assert world.job(job_id).state == "failed", "nobody makes the film of a job that has failed"


def test_closing_a_job_is_finished_by_the_sweep_when_its_process_died(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(3)
    world.run()
    world.trap.number = len(world.trap.passed) + 4
    with pytest.raises(BaseException, match="commit"):
        world.cancel(job_id)
    assert world.job(job_id).state == "cancelled"
    assert "generating" in world.states(job_id)

    world.sweep(limits.CLOSING_PATIENCE)

    assert world.states(job_id) == ["cancelled"] * 3
    assert world.job(job_id).wake_at is None
