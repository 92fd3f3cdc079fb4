"""The film: made once, read back, looked for where it lies, and never another than the job says."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from events.errors import InvalidRequest, StitchFailed, Unavailable
from events.messages import ObjectFinalized, StitchRequested, Topic
from functions.perform import drive
from pipeline import facts, limits
from tests.functions.conftest import shows
from tests.functions.doubles import Crash
from tests.functions.world import World


def stitching(world: World, count: int = 3, **request: object) -> str:
    """Make a job whose clips are all there and whose film is asked for."""
    world.paid.lands_at_once = True
    job_id = world.create_paid(count, **request)
    world.run(without=Topic.STITCH_REQUESTED)
    assert world.job(job_id).state == "stitching"
    return job_id


def film_made(world: World, job_id: str) -> ObjectFinalized:
    """Have the film made; its finalize event is held back, and given."""
    world.run(without=Topic.OBJECT_FINALIZED)
    (message,) = [each for each in world.waiting() if "/output/" in each.delivery.body]
    for each in world.waiting(Topic.OBJECT_FINALIZED):
        world.drop(each)
    assert world.job(job_id).state == "stitching"
    return ObjectFinalized.from_json(message.delivery.body)


def rewrite_report(world: World, job_id: str, attempt: int = 1, **changes: object) -> None:
    uri = world.uri(f"jobs/{job_id}/stitch/{attempt}/report.json")
    report = json.loads(world.objects.read(uri))
    world.objects.write(uri, json.dumps(report | changes).encode())


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda world, job_id: rewrite_report(world, job_id, frameCount=17), "reported were (17"),
        (lambda world, job_id: rewrite_report(world, job_id, widthPx=1920), "1920"),
        (lambda world, job_id: rewrite_report(world, job_id, joins=[]), "it holds 1 clips, but 3 segments are done"),
        (lambda world, job_id: rewrite_report(world, job_id, sizeBytes=1), "reported were"),
        (
            lambda world, job_id: world.objects.delete(world.uri(f"jobs/{job_id}/stitch/1/report.json")),
            "report.json is missing",
        ),
    ],
)
def test_a_film_that_differs_from_its_report_is_refused_and_made_again(
    any_world: World, spoil: Callable[[World, str], None], said: str
) -> None:
    world = any_world
    job_id = stitching(world)
    finalized = film_made(world, job_id)
    spoil(world, job_id)

    world.deliver(world.send(finalized))
    job = world.job(job_id)
    assert job.stitch_error is not None
    assert job.stitch_error.code == "film_is_wrong"
    assert said in job.stitch_error.message
    world.settle(job_id)

    job = world.job(job_id)
    assert (job.state, job.stitch.attempt, job.stitch_error) == ("completed", 2, None)
    assert job.film is not None
    assert "/output/2/" in job.film.uri
    assert shows(world, job_id) == [0, 1, 2]


def test_a_film_that_cannot_be_played_is_refused_and_what_is_wrong_is_said(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    film_made(world, job_id)
    world.objects.write(world.uri(f"jobs/{job_id}/output/1/film.mp4"), b"not a film")

    world.run()

    job = world.job(job_id)
    assert (job.state, job.film) == ("failed", None)
    assert job.stitch_error is not None
    assert "film.mp4" in job.stitch_error.message
    world.resume(job_id)
    world.settle(job_id)
    assert world.job(job_id).state == "completed"


def test_a_film_whose_finalize_event_is_lost_is_found_by_the_sweep(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    film_made(world, job_id)

    world.sweep(limits.STITCH_PATIENCE)

    job = world.job(job_id)
    assert (job.state, job.stitch.attempt) == ("completed", 1)
    assert shows(world, job_id) == [0, 1, 2]


def test_a_film_that_is_finalized_twice_completes_its_job_once(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    finalized = film_made(world, job_id)
    world.deliver(world.send(finalized))
    before = world.job(job_id)

    world.deliver(world.send(finalized))

    assert world.job(job_id) == before
    assert before.state == "completed"


def test_a_film_of_an_earlier_attempt_is_taken_and_no_other_is_made(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    film_made(world, job_id)
    drive(world.services, job_id, facts.StitchFailed(1, "stitch_lost", "it went silent", True))
    assert world.job(job_id).stitch.claimed is False

    world.settle(job_id)

    job = world.job(job_id)
    assert (job.state, world.stitcher.started) == ("completed", [1])
    assert job.film is not None
    assert "/output/1/" in job.film.uri
    assert job.stitch.attempt == 2


def test_a_wrong_film_of_an_earlier_attempt_is_passed_over(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    film_made(world, job_id)
    rewrite_report(world, job_id, frameCount=17)

    world.settle(job_id)

    job = world.job(job_id)
    assert job.state == "completed"
    assert job.film is not None
    assert "/output/2/" in job.film.uri


@pytest.mark.parametrize("line", ["before start", "after start", "before commit"])
def test_a_stitch_whose_worker_died_ends_in_one_film(any_world: World, line: str) -> None:
    world = any_world
    job_id = stitching(world)
    if line == "before commit":
        # Claim: before and after its commit; before and after the start; then the commit that records it.
        world.trap.number = len(world.trap.passed) + 5
    else:
        world.trap.name = line
    with pytest.raises(Crash, match=line):
        world.run()

    world.settle(job_id)

    job = world.job(job_id)
    assert job.state == "completed"
    assert shows(world, job_id) == [0, 1, 2]
    assert len(world.stitcher.started) == len(set(world.stitcher.started)), "one attempt was started twice"


def test_a_film_is_made_though_whoever_is_to_begin_it_dies_more_often_than_a_stitch_has_tries(
    any_world: World,
) -> None:
    """Found by chaos: three deaths between claim and start failed a film whose clips were paid for."""
    world = any_world
    job_id = stitching(world)
    for deaths in range(2 * limits.TRIES_MAX):
        world.trap.name, world.trap.sprung = "before start", False
        with pytest.raises(Crash, match="before start"):
            world.run()
        while world.job(job_id).stitch.claimed:
            world.run() if world.embedded else world.sweep(limits.STITCH_LEASE)
        work = world.job(job_id).stitch
        assert (work.attempt, work.tries, work.deaths) == (deaths + 1, 0, deaths + 1)
        world.pass_time(limits.BACKOFF_FIRST)

    job = world.settle(job_id)

    assert (job.state, job.stitch_error, job.stitch.tries, world.stitcher.started) == (
        "completed",
        None,
        1,
        [2 * limits.TRIES_MAX + 1],
    )
    assert shows(world, job_id) == [0, 1, 2]


def test_a_splice_is_started_once_however_often_it_is_asked_for(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    for _ in range(4):
        world.deliver(world.send(StitchRequested(job_id=job_id)))
    assert len(world.waiting(Topic.LOCAL_STITCH)) == 1
    world.run()

    assert world.stitcher.started == [1]
    job = world.job(job_id)
    assert job.route is not None
    assert (job.route.stitcher, job.state) == ("splice", "completed")


def spoil_clip(world: World, job_id: str, index: int) -> None:
    """Put another version of a clip in the place of the one that was looked at."""
    clip = world.segment(job_id, index).clip
    world.objects.write(clip.uri, world.clip_of(index) + b"\0" * 8)
    for message in world.waiting(Topic.OBJECT_FINALIZED):
        world.drop(message)


def test_a_clip_that_cannot_be_stitched_is_left_out_where_the_request_allows_it(any_world: World) -> None:
    world = any_world
    job_id = stitching(world, onSegmentFailure="skip")
    spoil_clip(world, job_id, 1)

    job = world.settle(job_id)

    assert (job.state, job.done_count, job.skipped_count) == ("completed", 2, 1)
    assert world.states(job_id) == ["done", "skipped", "done"]
    assert shows(world, job_id) == [0, 2]
    (warning,) = job.warnings
    assert warning.startswith("Scene 2 is left out: ")


def test_a_clip_that_cannot_be_stitched_fails_the_job_where_it_must_not_be_left_out(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    spoil_clip(world, job_id, 1)

    job = world.settle(job_id)

    assert job.state == "failed"
    assert job.error == job.stitch_error
    assert job.error is not None
    assert job.error.segment_index == 1
    assert world.states(job_id) == ["done"] * 3


def test_a_late_film_that_holds_a_clip_which_was_left_out_since_is_not_taken(any_world: World) -> None:
    world = any_world
    job_id = stitching(world, onSegmentFailure="skip")
    finalized = film_made(world, job_id)
    bad = facts.StitchFailed(1, "bad_media", "its picture breaks off", False, bad_segment_index=1)
    drive(world.services, job_id, bad)
    assert world.states(job_id) == ["done", "skipped", "done"]

    world.deliver(world.send(finalized))
    assert world.job(job_id).state == "stitching"
    world.settle(job_id)

    assert world.job(job_id).state == "completed"
    assert shows(world, job_id) == [0, 2]


def test_a_film_that_lands_after_its_job_has_failed_completes_it(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    finalized = film_made(world, job_id)
    drive(world.services, job_id, facts.StitchFailed(1, "stitch_failed", "it said no", False))
    assert world.job(job_id).state == "failed"

    world.deliver(world.send(finalized))

    assert (world.job(job_id).state, world.job(job_id).error) == ("completed", None)


def test_a_stitcher_that_does_not_answer_its_start_is_tried_again(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    world.stitcher.refusals.append(Unavailable("the line went dead"))
    world.run()
    work = world.job(job_id).stitch
    assert work.not_before is not None
    assert work.not_before > world.clock.now()

    world.settle(job_id)

    assert (world.job(job_id).state, world.job(job_id).stitch.attempt) == ("completed", 2)


def test_a_stitcher_that_does_not_answer_a_question_is_left_at_its_work(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    world.run(without=Topic.LOCAL_STITCH)
    operation = world.job(job_id).stitch.operation
    world.stitcher.poll_errors.append(Unavailable("the line went dead"))

    world.sweep(limits.STITCH_PATIENCE)

    work = world.job(job_id).stitch
    assert (work.attempt, work.claimed, work.operation) == (1, True, operation)
    world.settle(job_id)
    assert world.stitcher.started == [1]


def test_a_film_that_lands_while_the_stitcher_is_asked_is_seen(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    world.run(without=Topic.LOCAL_STITCH)
    world.stitcher.on_poll = lambda: film_made(world, job_id)

    world.sweep(limits.STITCH_PATIENCE)

    job = world.job(job_id)
    assert (job.state, job.stitch.attempt, job.stitch_error) == ("completed", 1, None)


def test_a_stitch_that_still_runs_is_waited_for(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    world.run(without=Topic.LOCAL_STITCH)
    for _ in range(5):
        world.sweep(limits.STITCH_PATIENCE)
    assert world.job(job_id).stitch.attempt == 1

    world.run()

    assert world.job(job_id).state == "completed"


def test_a_stitch_that_fails_three_times_has_failed(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    for _ in range(limits.TRIES_MAX):
        world.stitcher.refusals.append(StitchFailed("no room", retryable=True))

    job = world.settle(job_id)

    assert (job.state, job.stitch.attempt) == ("failed", limits.TRIES_MAX)
    assert job.error is not None
    assert job.error.message == "no room"


def test_a_film_of_a_cancelled_job_is_not_taken(any_world: World) -> None:
    world = any_world
    job_id = stitching(world)
    finalized = film_made(world, job_id)
    world.cancel(job_id)

    world.deliver(world.send(finalized))
    world.sweep(timedelta(hours=1))

    assert (world.job(job_id).state, world.job(job_id).film) == ("cancelled", None)
    assert world.objects.stat(world.uri(finalized.name)) is not None


# Given clips.


def given(world: World, count: int = 2) -> list[str]:
    uris = [world.uri(f"uploads/day {index} ö.mp4") for index in range(count)]
    for index, uri in enumerate(uris):
        world.objects.write(uri, world.clip_of(index))
    return uris


def test_given_clips_become_a_reel_at_the_place_that_the_request_names(any_world: World) -> None:
    world = any_world
    reel = world.uri("reels/Urlaub ö.mp4")
    first, second = given(world)
    job_id = world.create(clips=[second, first, second], outputPath=reel)

    job = world.settle(job_id)

    assert job.film is not None
    assert job.film.uri == reel
    assert job.film.generation == world.objects.stat(reel).generation
    assert world.objects.read(reel) == world.objects.read(world.uri(f"jobs/{job_id}/output/1/film.mp4"))
    assert [segment.clip.uri for segment in world.segments(job_id)] == [second, first, second]


def test_a_film_that_is_finalized_again_leaves_the_reel_alone(any_world: World) -> None:
    world = any_world
    reel = world.uri("reels/1.mp4")
    job_id = world.create(clips=given(world), outputPath=reel)
    world.settle(job_id)
    before = world.objects.stat(reel)

    world.deliver_anew(next(each for each in world.delivered if f"{job_id}/output/" in each.delivery.body))

    assert world.objects.stat(reel) == before


def test_a_film_of_a_job_that_was_superseded_leaves_the_reel_to_its_successor(any_world: World) -> None:
    world = any_world
    reel, clips = world.uri("reels/1.mp4"), given(world)
    old = world.create(clips=clips, outputPath=reel)
    world.run(without=Topic.OBJECT_FINALIZED)
    late = world.waiting(Topic.OBJECT_FINALIZED)[-1]
    assert f"jobs/{old}/output" in late.delivery.body
    new = world.create(clips=clips, outputPath=reel, forceRestart=True)
    world.settle(new)
    before = world.objects.stat(reel)

    world.deliver_anew(late)

    assert world.objects.stat(reel) == before
    assert world.job(new).film.generation == before.generation


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("gs://another-bucket/reel.mp4", "should be in gs://longreel/"),
        ("gs://longreel/jobs/job_abc123/segments/0/1/clip.mp4", "should not lie under jobs/"),
    ],
)
def test_a_reel_goes_neither_to_another_bucket_nor_among_the_jobs_own_objects(
    world: World, path: str, said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said) as refused:
        world.create(clips=given(world), outputPath=path)

    assert refused.value.field == "outputPath"


def test_a_given_clip_that_is_not_there_is_named(any_world: World) -> None:
    world = any_world
    (there,) = given(world, 1)
    job_id = world.create(clips=[there, world.uri("uploads/nowhere.mp4")])

    job = world.settle(job_id)

    assert job.state == "failed"
    assert job.error is not None
    assert (job.error.code, job.error.segment_index) == ("not_found", 1)
    assert "uploads/nowhere.mp4" in job.error.message


def test_a_given_clip_that_is_no_video_is_left_out_where_the_request_allows_it(any_world: World) -> None:
    world = any_world
    clips = given(world, 2)
    world.objects.write(world.uri("uploads/notes.txt"), Path(__file__).read_bytes())
    job_id = world.create(clips=[clips[0], world.uri("uploads/notes.txt"), clips[1]], onSegmentFailure="skip")

    job = world.settle(job_id)

    assert job.state == "completed"
    assert world.states(job_id) == ["done", "skipped", "done"]
    assert "notes.txt" in job.warnings[0]


def test_a_film_that_no_engine_has_room_for_is_tried_again_when_a_quota_would_be_free(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(2)
    for _ in range(limits.TRIES_MAX - 1):
        world.stitcher.refusals.append(StitchFailed("no engine has room now", code="no_room", retryable=True))
    world.run()
    refused = world.job(job_id)
    assert (refused.state, refused.stitch_error.code) == ("stitching", "no_room")
    assert refused.stitch.not_before - world.clock.now() >= limits.QUOTA_WAIT

    assert world.settle(job_id).state == "completed"


def test_a_process_that_stood_still_after_its_claim_starts_no_stitch(any_world: World) -> None:
    """Found by simulation: others take a claim for lost when it is over, and begin anew."""
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(2)
    world.run(without=Topic.STITCH_REQUESTED)

    world.trap.on_line = lambda name: name == "after commit" and world.pass_time(limits.STITCH_LEASE)
    world.deliver_next(Topic.STITCH_REQUESTED)
    world.trap.on_line = lambda _name: None

    assert (world.job(job_id).state, world.stitcher.started) == ("stitching", [])
    world.settle(job_id)
    assert (world.job(job_id).state, len(world.stitcher.started)) == ("completed", 1)
