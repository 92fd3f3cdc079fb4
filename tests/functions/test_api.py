"""What a caller may do: create, cancel, resume."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from events.errors import AlreadyRunning, InvalidRequest, NotPossible, RenderFailed, StitchFailed, UnknownJob
from events.messages import Topic
from functions import api
from pipeline import limits
from tests.functions.conftest import shows
from tests.functions.world import World


def nothing_was_made(world: World) -> bool:
    return (
        not world.services.jobs.jobs()
        and world.queue.waiting_count() == 0
        and world.objects.list("gs://longreel/") == []
    )


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({}, "prompts"),
        ({"prompts": []}, "prompts"),
        ({"prompts": ["a", {"prompt": "b", "durationMs": 1}]}, "prompts[1].durationMs"),
        ({"prompts": ["a"], "promts": ["b"]}, "promts"),
        ({"prompts": ["a"], "projectId": "../x"}, "projectId"),
        ({"prompts": ["a"], "generator": "nobody"}, "generator"),
        ({"prompts": ["a"], "generator": "clip"}, "generator"),
        ({"prompts": ["a"], "model": "big"}, "model"),
        ({"prompts": ["a", {"prompt": "b", "startImage": "gs://bucket-a/x.png"}]}, "prompts[1].startImage"),
        ({"clips": ["gs://bucket-a/1.mp4"]}, "clips"),
        ({"clips": ["gs://bucket-a/1.mp4", "/etc/passwd"]}, "clips[1]"),
        ({"kind": "reel"}, "kind"),
        ([], ""),
    ],
)
def test_a_wrong_request_is_refused_by_its_field_and_nothing_is_made(world: World, request_: Any, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        api.create_job(world.services, request_, "someone")

    assert refused.value.field == field
    assert nothing_was_made(world)


def test_an_unknown_generator_is_answered_with_those_that_are_here(world: World) -> None:
    with pytest.raises(InvalidRequest, match="there is no 'nobody' here; there are: clip, paid, storyboard"):
        world.create(prompts=["a"], generator="nobody")


def test_the_same_request_twice_makes_one_job(any_world: World) -> None:
    first = any_world.create_paid(requestId="r1")
    second = any_world.create_paid(requestId="r1")
    any_world.run()

    assert second == first
    assert [job.job_id for job in any_world.services.jobs.jobs()] == [first]
    assert any_world.paid.times_bought(first, 0) == 1


def test_the_same_request_at_once_from_two_threads_makes_one_job(world: World) -> None:
    barrier = threading.Barrier(2)
    made: list[str] = []

    def ask() -> None:
        barrier.wait()
        made.append(world.create_paid(requestId="r1"))
        world.database.close()

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 2
    assert set(made) == {job.job_id for job in world.services.jobs.jobs()}
    assert len(set(made)) == 1


def test_of_two_different_requests_at_once_one_is_told_of_the_other(world: World) -> None:
    barrier = threading.Barrier(2)
    answers: list[str] = []

    def ask(number: int) -> None:
        barrier.wait()
        try:
            answers.append(world.create_paid(requestId=f"r{number}"))
        except AlreadyRunning as exc:
            answers.append(exc.job_id)
        world.database.close()

    threads = [threading.Thread(target=ask, args=[number]) for number in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    (job,) = world.services.jobs.jobs()
    assert answers == [job.job_id] * 2


def test_a_request_that_comes_again_after_its_job_is_over_finds_that_job(world: World) -> None:
    world.paid.lands_at_once = True
    first = world.create_paid(requestId="r1")
    world.settle(first)

    assert world.create_paid(requestId="r1") == first
    assert world.queue.waiting_count() == 0


def test_a_creation_whose_message_was_never_sent_is_mended_by_asking_again_or_by_the_sweep(
    make_world: Callable[..., World],
) -> None:
    for mend in (lambda each: each.create_paid(requestId="r1"), lambda each: each.sweep(limits.QUEUED_PATIENCE)):
        world = make_world()
        job_id = world.create_paid(requestId="r1")
        world.drop(world.waiting(Topic.REQUESTED)[0])

        mend(world)
        world.run()

        assert world.job(job_id).state == "generating"


def test_a_second_job_of_a_project_is_told_which_one_is_going(world: World) -> None:
    first = world.create_paid()

    with pytest.raises(AlreadyRunning, match=first) as refused:
        world.create_paid()

    assert refused.value.job_id == first
    assert len(world.services.jobs.jobs()) == 1


def test_another_project_and_another_kind_of_the_same_project_may_go_beside(world: World) -> None:
    world.create_paid()
    world.create_paid(projectId="other")
    world.create(clips=["gs://longreel/a.mp4", "gs://longreel/b.mp4"])

    assert len(world.services.jobs.jobs()) == 3


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_when_a_job_is_over_the_next_may_go(world: World, end: str) -> None:
    first = world.create_paid(1)
    if end == "cancelled":
        world.cancel(first)
    if end == "failed":
        world.paid.refusals.append((RenderFailed("the prompt was refused"), False))
    world.paid.lands_at_once = True
    world.settle(first)

    assert world.job(first).state == end
    assert world.create_paid() != first


def test_a_forced_restart_takes_the_place_of_the_old_job(any_world: World) -> None:
    world = any_world
    old = world.create_paid(4, maxParallelSegments=2)
    world.run()
    world.paid.land(old, 0)
    world.run()

    new = world.create_paid(forceRestart=True)

    job = world.job(old)
    assert (job.state, job.superseded_by, job.error and job.error.code) == ("cancelled", new, "superseded")
    assert job.wake_at is None
    assert world.states(old) == ["done", "cancelled", "cancelled", "cancelled"]
    assert world.paid.cancelled == [f"paid/{old}/{index}/1" for index in (1, 2)]
    world.run()
    assert world.job(new).state == "generating"


def test_a_clip_that_lands_after_a_forced_restart_is_kept_by_its_own_job(any_world: World) -> None:
    world = any_world
    old = world.create_paid(2)
    world.run()
    new = world.create_paid(2, forceRestart=True)
    world.run()

    late = world.paid.land(old, 1)
    world.run()

    assert world.states(old) == ["cancelled", "done"]
    assert world.segment(old, 1).clip.uri == late.uri
    assert (world.job(old).state, world.job(old).done_count) == ("cancelled", 1)
    assert world.states(new) == ["generating", "generating"]
    assert world.dead_letters() == []


def test_a_forced_restart_that_died_half_way_is_finished_by_the_sweep(world: World) -> None:
    old = world.create_paid(2)
    world.run()
    world.trap.name = "after create"
    with pytest.raises(BaseException, match="after create"):
        world.create_paid(2, forceRestart=True, requestId="r2")

    world.sweep(limits.QUEUED_PATIENCE)
    world.run()

    assert world.job(old).state == "cancelled"
    assert world.states(old) == ["cancelled", "cancelled"]
    new = world.job(old).superseded_by
    assert new is not None
    assert world.job(new).state == "generating"


def test_cancelling_stops_a_job_in_every_state(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True

    queued = world.create_paid()
    world.cancel(queued)
    assert (world.job(queued).state, world.states(queued)) == ("cancelled", ["cancelled"] * 3)
    world.run()
    assert world.paid.bought == []

    generating = world.create_paid()
    world.deliver_next(Topic.REQUESTED)
    world.deliver_next(Topic.SEGMENT_REQUESTED)
    world.cancel(generating)
    assert world.job(generating).state == "cancelled"
    assert world.states(generating)[1:] == ["cancelled"] * 2
    world.run()
    assert len(world.paid.bought) == 1

    stitching = world.create_paid()
    world.run(without=Topic.LOCAL_STITCH)
    assert world.job(stitching).state == "stitching"
    world.cancel(stitching)
    world.run()
    assert (world.job(stitching).state, world.job(stitching).film) == ("cancelled", None)
    assert world.states(stitching) == ["done"] * 3


@pytest.mark.parametrize("end", ["completed", "failed", "cancelled"])
def test_cancelling_a_job_that_is_over_changes_nothing_and_says_why(world: World, end: str) -> None:
    job_id = world.create_paid(1)
    if end == "cancelled":
        world.cancel(job_id)
    if end == "failed":
        world.paid.refusals.append((RenderFailed("the prompt was refused"), False))
    world.paid.lands_at_once = True
    before = world.settle(job_id)

    committed = world.cancel(job_id)

    assert not committed.decision.changes
    assert world.job(job_id) == before
    assert end in committed.decision.reason or "failed" in committed.decision.reason


def test_a_job_that_nobody_knows_can_be_neither_cancelled_nor_resumed(world: World) -> None:
    for order in (world.cancel, world.resume):
        with pytest.raises(UnknownJob, match="job_nobody99"):
            order("job_nobody99")


def failed_at_segment_1(world: World) -> str:
    """Make a job of four whose segment 1 is refused for good, while 0 is done, 2 is under way and 3 waits."""
    job_id = world.create_paid(4, maxParallelSegments=3)
    world.deliver_next(Topic.REQUESTED)
    for index in (0, 2):
        world.deliver(next(each for each in world.waiting() if f'"segmentIndex":{index}' in each.delivery.body))
    world.paid.refusals.append((RenderFailed("the prompt was refused", code="filtered"), False))
    world.paid.land(job_id, 0)
    world.run()
    assert world.job(job_id).state == "failed"
    assert world.states(job_id) == ["done", "failed", "generating", "cancelled"]
    return job_id


def test_a_failed_job_says_which_segment_failed_and_why(any_world: World) -> None:
    job_id = failed_at_segment_1(any_world)

    error = any_world.job(job_id).error
    assert error is not None
    assert (error.code, error.message, error.segment_index) == ("filtered", "the prompt was refused", 1)
    assert any_world.segment(job_id, 1).state == "failed"


def test_a_resume_keeps_what_is_finished_and_what_is_under_way_and_buys_only_the_rest(any_world: World) -> None:
    world = any_world
    job_id = failed_at_segment_1(world)
    kept = world.segment(job_id, 0)

    world.resume(job_id)
    world.run()
    assert world.states(job_id) == ["done", "generating", "generating", "generating"]
    for index, attempt in ((1, 2), (2, 1), (3, 1)):
        world.paid.land(job_id, index, attempt)
    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert world.segment(job_id, 0) == kept
    assert shows(world, job_id) == [0, 1, 2, 3]
    assert [world.paid.times_bought(job_id, index) for index in range(4)] == [1, 1, 1, 1]


@pytest.mark.parametrize("told", [True, False], ids=["told", "found by the sweep"])
def test_a_clip_that_lands_while_its_job_is_failed_is_not_bought_again_after_a_resume(
    any_world: World, told: bool
) -> None:
    world = any_world
    job_id = failed_at_segment_1(world)
    world.paid.land(job_id, 2)
    if told:
        world.run()
    else:
        world.drop(world.waiting(Topic.OBJECT_FINALIZED)[0])
        world.sweep(limits.GENERATION_PATIENCE)
    assert world.states(job_id) == ["done", "failed", "done", "cancelled"]

    world.resume(job_id)
    world.run()

    assert world.paid.times_bought(job_id, 2) == 1


@pytest.mark.parametrize("end", ["completed", "cancelled"])
def test_only_a_failed_job_can_be_resumed(world: World, end: str) -> None:
    world.paid.lands_at_once = True
    job_id = world.create_paid(1)
    if end == "cancelled":
        world.cancel(job_id)
    before = world.settle(job_id)

    with pytest.raises(NotPossible, match=end):
        world.resume(job_id)

    assert world.job(job_id) == before


def test_resuming_a_job_that_is_going_asks_it_to_go_on(world: World) -> None:
    job_id = world.create_paid()
    world.drop(world.waiting(Topic.REQUESTED)[0])

    world.resume(job_id)
    world.run()

    assert world.job(job_id).state == "generating"
    assert world.job(job_id).resume_count == 0


def test_a_resume_is_told_who_has_the_project_meanwhile(world: World) -> None:
    failed = failed_at_segment_1(world)
    other = world.create_paid()

    with pytest.raises(AlreadyRunning) as refused:
        world.resume(failed)

    assert refused.value.job_id == other
    assert world.job(failed).state == "failed"


def test_a_resume_takes_the_lock(world: World) -> None:
    failed = failed_at_segment_1(world)
    world.resume(failed)

    with pytest.raises(AlreadyRunning) as refused:
        world.create_paid()

    assert refused.value.job_id == failed


def test_a_job_can_be_resumed_three_times_and_no_more(world: World) -> None:
    job_id = world.create_paid(1)
    for count in range(limits.RESUMES_MAX + 1):
        world.paid.refusals.append((RenderFailed("no"), False))
        world.run()
        world.settle(job_id)
        assert (world.job(job_id).state, world.job(job_id).resume_count) == ("failed", count)
        if count < limits.RESUMES_MAX:
            world.resume(job_id)

    with pytest.raises(NotPossible, match="resumed 3 times already"):
        world.resume(job_id)


def test_a_job_whose_film_failed_is_resumed_with_all_its_clips(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid()
    world.stitcher.refusals.append(StitchFailed("the machine is on fire"))
    world.settle(job_id)
    job = world.job(job_id)
    assert job.state == "failed"
    assert job.stitch_error == job.error

    world.resume(job_id)
    world.settle(job_id)

    job = world.job(job_id)
    assert (job.state, job.error, job.stitch_error) == ("completed", None, None)
    assert shows(world, job_id) == [0, 1, 2]
    assert len(world.paid.bought) == 3


def test_a_resume_gives_a_job_its_whole_time_again(world: World) -> None:
    job_id = failed_at_segment_1(world)
    world.clock.at += timedelta(days=3)

    world.resume(job_id)

    assert world.job(job_id).deadline_at == world.clock.now() + limits.JOB_LONGEST
