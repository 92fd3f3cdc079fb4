"""Events come twice, late and out of order; what they lead to happens once."""

from __future__ import annotations

import random

import pytest

from events.messages import ObjectFinalized, SegmentDone, SegmentRequested, StitchRequested, Topic
from tests.functions.conftest import shows
from tests.functions.doubles import Crash, operation_of
from tests.functions.world import World


def test_a_job_goes_from_prompts_to_a_film_that_shows_every_segment_in_order(any_world: World) -> None:
    any_world.paid.lands_at_once = True
    job_id = any_world.create_paid(4, maxParallelSegments=2)

    any_world.settle(job_id)

    job = any_world.job(job_id)
    assert (job.state, job.done_count, job.progress, job.error) == ("completed", 4, 100, None)
    assert shows(any_world, job_id) == [0, 1, 2, 3]
    assert any_world.dead_letters() == []


@pytest.mark.parametrize("seed", range(8))
def test_with_everything_twice_and_in_any_order_the_film_is_the_same_and_nothing_is_bought_twice(
    any_world: World, seed: int
) -> None:
    world, chance = any_world, random.Random(seed)
    world.paid.lands_at_once = chance.random() < 0.5
    job_id = world.create_paid(4, maxParallelSegments=3)

    for _ in range(500):
        messages = world.waiting()
        landing = [order for order in world.paid.bought if not landed(world, order)]
        if landing and chance.random() < 0.3:
            order = chance.choice(landing)
            world.paid.land(order.job_id, order.segment_index, order.attempt)
        elif messages:
            world.deliver(chance.choice(messages), again=chance.random() < 0.4)
        elif not landing:
            break

    assert world.job(job_id).state == "completed"
    assert shows(world, job_id) == [0, 1, 2, 3]
    assert [world.paid.times_bought(job_id, index) for index in range(4)] == [1, 1, 1, 1]
    assert world.stitcher.started == [1]
    assert world.dead_letters() == []


def landed(world: World, order: object) -> bool:
    return bool(world.objects.list(order.output_prefix))


def test_a_segment_is_claimed_by_one_of_many_duplicates_and_submitted_once(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.deliver_next(Topic.REQUESTED)
    for _ in range(5):
        world.send(SegmentRequested(job_id=job_id, segment_index=0))

    for message in world.waiting(Topic.SEGMENT_REQUESTED):
        world.deliver(message, again=True)
        world.deliver(message)

    assert world.paid.times_bought(job_id, 0) == 1
    assert (world.segment(job_id, 0).attempt, world.segment(job_id, 0).tries) == (1, 1)


def test_however_often_segment_done_comes_one_film_is_made(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(3)
    world.run(without=Topic.SEGMENT_DONE)

    for _ in range(4):
        for message in world.waiting(Topic.SEGMENT_DONE):
            world.deliver(message, again=True)
    assert world.job(job_id).done_count == 3
    for message in world.waiting(Topic.STITCH_REQUESTED):
        world.deliver(message, again=True)
    world.run()

    assert world.stitcher.started == [1]
    assert (world.job(job_id).state, world.job(job_id).stitch.attempt) == ("completed", 1)


def test_a_clip_that_is_done_before_its_start_is_told_stays_done(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.deliver_next(Topic.REQUESTED)
    world.trap.name = "after submit"
    with pytest.raises(Crash):
        world.deliver_next(Topic.SEGMENT_REQUESTED)
    assert world.segment(job_id, 0).state == "claimed"

    world.paid.land(job_id, 0)
    world.deliver_next(Topic.OBJECT_FINALIZED)
    world.deliver_next(Topic.SEGMENT_DONE)
    assert world.segment(job_id, 0).state == "done"
    world.run()

    assert world.segment(job_id, 0).state == "done"
    assert world.paid.times_bought(job_id, 0) == 1


def test_a_generator_whose_clip_is_there_before_it_answers_loses_nothing(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(1)
    world.deliver_next(Topic.REQUESTED)
    world.deliver_next(Topic.SEGMENT_REQUESTED)

    assert world.segment(job_id, 0).operation == operation_of(world.paid.bought[0])
    world.run()
    assert world.job(job_id).state == "completed"


def test_an_object_that_is_finalized_twice_ends_its_segment_once(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2)
    world.run()
    world.paid.land(job_id, 0)
    (message,) = world.waiting(Topic.OBJECT_FINALIZED)

    world.deliver(message, again=True)
    world.deliver(message)
    assert len(world.waiting(Topic.SEGMENT_DONE)) == 2
    world.run()

    assert world.job(job_id).done_count == 1


def finalized(world: World, name: str, *, bucket: str = "longreel", generation: int = 1, size: int = 9) -> None:
    world.deliver(world.send(ObjectFinalized(bucket=bucket, name=name, generation=generation, size=size)))


@pytest.mark.parametrize(
    ("bucket", "name"),
    [
        ("somebody-else", "jobs/{job}/segments/0/1/sample_0.mp4"),
        ("longreel", "jobs/{job}/segments/0/1/last_frame.png"),
        ("longreel", "jobs/{job}/segments/0/1/notes.txt"),
        ("longreel", "jobs/{job}/segments/00/1/sample_0.mp4"),
        ("longreel", "jobs/{job}/stitch/1/plan.json"),
        ("longreel", "jobs/{job}/output/1/thumbnail.jpg"),
        ("longreel", "jobs/{job}/output/1/other.mp4"),
        ("longreel", "jobs/../uploads/x.mp4"),
        ("longreel", "uploads/holiday.mp4"),
        ("longreel", "uploads/Ürlaub 🏖.mp4"),
    ],
)
def test_an_object_that_is_none_of_our_business_changes_nothing(world: World, bucket: str, name: str) -> None:
    job_id = world.create_paid(1)
    world.run()
    before = world.job(job_id), world.segments(job_id)

    finalized(world, name.format(job=job_id), bucket=bucket)

    assert (world.job(job_id), world.segments(job_id)) == before
    assert world.waiting() == []
    assert world.dead_letters() == []


def test_a_foreign_file_beside_the_film_does_not_stop_the_stitch(world: World) -> None:
    world.paid.lands_at_once = True
    job_id = world.create_paid(2)
    world.run(without=Topic.LOCAL_STITCH)
    world.objects.write(world.uri(f"jobs/{job_id}/output/1/thumbnail.jpg"), b"a picture")

    world.run()

    assert (world.job(job_id).state, world.job(job_id).stitch.attempt) == ("completed", 1)


def test_an_object_of_a_job_that_nobody_knows_becomes_a_dead_letter_that_says_so(world: World) -> None:
    world.objects.write(world.uri("jobs/job_nobody99/segments/0/1/sample_0.mp4"), world.clip_of(0))
    world.run()

    (reason,) = world.dead_letters()
    assert "there is no such job" in reason


@pytest.mark.parametrize("content", [b"", b"\x89PNG\r\n\x1a\n not a video", b"\0" * 5000])
def test_a_broken_clip_fails_its_attempt_and_another_is_tried(any_world: World, content: bytes) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()

    world.paid.land(job_id, 0, content=content)
    world.run()
    waiting = world.segment(job_id, 0)
    assert (waiting.state, waiting.error and waiting.error.code) == ("pending", "bad_media")
    assert waiting.not_before is not None
    world.clock.at = waiting.not_before
    world.run()
    world.paid.land(job_id, 0, attempt=2)
    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert world.segment(job_id, 0).attempt == 2


def test_a_broken_file_beside_a_good_clip_does_no_harm_when_the_segment_is_looked_after(world: World) -> None:
    job_id = world.create_paid(1)
    world.run()
    world.paid.land(job_id, 0, content=b"", name="a_preview.mp4")
    world.paid.land(job_id, 0, name="sample_0.mp4")
    for message in world.waiting(Topic.OBJECT_FINALIZED):
        world.drop(message)

    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert world.segment(job_id, 0).clip.uri.endswith("/sample_0.mp4")


def test_a_good_clip_is_taken_in_although_the_attempt_failed_before(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    world.paid.land(job_id, 0, content=b"")
    world.run()

    world.paid.land(job_id, 0)
    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert world.paid.times_bought(job_id, 0) == 1


def test_a_version_that_was_overwritten_before_it_was_looked_at_is_left_to_its_successor(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(1)
    world.run()
    world.paid.land(job_id, 0)
    newer = world.paid.land(job_id, 0)

    world.settle(job_id)

    assert world.segment(job_id, 0).clip.generation == newer.generation
    assert world.job(job_id).state == "completed"
    assert world.dead_letters() == []


def test_messages_about_a_job_that_is_over_change_nothing(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(2)
    before = world.settle(job_id), world.segments(job_id)
    seen = {each.delivery.body: each for each in world.delivered}

    for message in seen.values():
        world.deliver_anew(message)
    world.run()

    assert (world.job(job_id), world.segments(job_id)) == before
    assert world.stitcher.started == [1]


def test_a_stitch_that_is_asked_for_too_early_waits_for_the_segments(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2)
    world.run()

    world.deliver(world.send(StitchRequested(job_id=job_id)))
    world.deliver(world.send(SegmentDone(job_id=job_id, segment_index=1)))

    assert world.job(job_id).state == "generating"
    assert world.stitcher.started == []
