"""Messages typed by hand: safe at any time, for any job, any number of times; and they mend what is stuck."""

from __future__ import annotations

from typing import Any

import pytest

from embedded.worker import HANDLERS
from events.errors import BadMessage
from events.messages import Requested, SegmentDone, SegmentRequested, StitchRequested, Topic
from pipeline.ports import Delivery
from tests.functions.conftest import shows
from tests.functions.world import World


def test_a_done_message_without_a_clip_finds_the_one_that_landed(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2)
    world.run()
    info = world.paid.land(job_id, 1)
    world.drop(world.waiting(Topic.OBJECT_FINALIZED)[0])

    world.deliver(world.send(SegmentDone(job_id=job_id, segment_index=1)))

    assert world.states(job_id) == ["generating", "done"]
    assert world.segment(job_id, 1).clip.uri == info.uri


def test_a_done_message_without_a_clip_asks_for_the_segment_when_nothing_has_landed(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2, maxParallelSegments=1)
    world.deliver_next(Topic.REQUESTED)
    world.drop(world.waiting(Topic.SEGMENT_REQUESTED)[0])

    for _ in range(3):
        for index in (0, 1):
            world.deliver(world.send(SegmentDone(job_id=job_id, segment_index=index)))

    assert world.states(job_id) == ["generating", "pending"]
    assert world.paid.times_bought(job_id, 0) == 1


def test_a_done_message_finds_a_clip_of_a_job_that_has_failed_or_was_cancelled(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    world.cancel(job_id)
    world.paid.land(job_id, 0)
    world.drop(world.waiting(Topic.OBJECT_FINALIZED)[0])

    world.deliver(world.send(SegmentDone(job_id=job_id, segment_index=0)))

    assert (world.job(job_id).state, world.states(job_id)) == ("cancelled", ["done"])


@pytest.mark.parametrize("message", [SegmentDone, SegmentRequested])
def test_a_segment_that_there_is_not_is_named(world: World, message: Any) -> None:
    job_id = world.create_paid(2)
    world.run()

    world.deliver(world.send(message(job_id=job_id, segment_index=7)))

    (reason,) = world.dead_letters()
    assert "segment 7" in reason
    assert "there is no such segment" in reason


def test_a_job_that_there_is_not_is_named(world: World) -> None:
    for message in (
        Requested(job_id="job_nobody99"),
        StitchRequested(job_id="job_nobody99"),
        SegmentDone(job_id="job_nobody99", segment_index=0),
    ):
        world.deliver(world.send(message))

    assert len(world.dead_letters()) == 3
    assert all("job_nobody99" in reason for reason in world.dead_letters())


def replay_everything(world: World, job_id: str) -> None:
    """Deliver every message that an operator could type, and nothing of what follows from it."""
    known = world.waiting()
    for message in [Requested(job_id=job_id), StitchRequested(job_id=job_id)]:
        world.deliver(world.send(message))
    for index in range(world.job(job_id).segment_count):
        world.deliver(world.send(SegmentRequested(job_id=job_id, segment_index=index)))
        world.deliver(world.send(SegmentDone(job_id=job_id, segment_index=index)))
    for message in world.waiting():
        if message not in known and message.delivery.topic is not Topic.LOCAL_STITCH:
            world.drop(message)


def what_is_finished(world: World, job_id: str) -> list[object]:
    job = world.job(job_id)
    return [segment for segment in world.segments(job_id) if segment.state == "done"] + [job] * (not job.active)


def test_replaying_everything_at_every_stage_changes_neither_what_is_finished_nor_the_bill(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(3, maxParallelSegments=2)
    for _ in range(40):
        finished = what_is_finished(world, job_id)
        replay_everything(world, job_id)
        assert all(each in what_is_finished(world, job_id) for each in finished)
        unlanded = [order for order in world.paid.bought if not world.objects.list(order.output_prefix)]
        if messages := world.waiting():
            world.deliver(messages[-1])
        elif unlanded:
            world.paid.land(job_id, unlanded[-1].segment_index)

    assert world.job(job_id).state == "completed"
    assert [world.paid.times_bought(job_id, index) for index in range(3)] == [1, 1, 1]
    assert world.stitcher.started == [1]
    assert shows(world, job_id) == [0, 1, 2]
    assert world.dead_letters() == []


@pytest.mark.parametrize("topic", [Topic.REQUESTED, Topic.SEGMENT_REQUESTED, Topic.STITCH_REQUESTED])
def test_replaying_the_start_of_a_job_brings_back_a_message_that_was_lost(any_world: World, topic: Topic) -> None:
    world = any_world
    world.paid.lands_at_once = True
    lost: list[object] = []
    world.loses = lambda message: message.delivery.topic is topic and not lost and not lost.append(message)
    job_id = world.create_paid(2)
    world.run()
    assert lost
    assert world.job(job_id).state != "completed"

    world.send(Requested(job_id=job_id))
    world.run()

    assert world.job(job_id).state == "completed"


def test_replaying_a_done_message_brings_back_the_order_that_followed_it(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(2)
    world.run(without=Topic.STITCH_REQUESTED)
    world.drop(world.waiting(Topic.STITCH_REQUESTED)[0])

    world.send(SegmentDone(job_id=job_id, segment_index=0))
    world.run()

    assert world.job(job_id).state == "completed"


@pytest.mark.parametrize("topic", [Topic.REQUESTED, Topic.SEGMENT_DONE, Topic.STITCH_REQUESTED, Topic.OBJECT_FINALIZED])
def test_a_message_that_cannot_be_read_is_refused_by_its_field(world: World, topic: Topic) -> None:
    with pytest.raises(BadMessage, match=r"field (jobId|bucket) is missing"):
        HANDLERS[topic](world.services, Delivery(topic, '{"jobID": 1}'))
