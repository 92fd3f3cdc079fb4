"""What was encoded of a film that never came: gone with its job where nobody can go on with it, kept where one can."""

from __future__ import annotations

from events.messages import Topic
from functions.perform import drive
from pipeline import facts
from tests.functions.test_stitch import stitching
from tests.functions.world import World


def left_of(world: World, job_id: str) -> list[str]:
    return [info.uri for info in world.objects.list(world.uri(f"checkpoints/{job_id}/"))]


def claimed(world: World) -> str:
    """Make a job whose film is being made, and what that has left so far."""
    job_id = stitching(world)
    for message in world.waiting(Topic.STITCH_REQUESTED):
        world.drop(message)
    drive(world.services, job_id, facts.StitchRequested())
    for name in ("aa/clip-1-chunk-00000.mp4", "aa/clip-1-chunk-00000.json", "bb/run-0-of-1-0000.json"):
        world.objects.write(world.uri(f"checkpoints/{job_id}/{name}"), b"piece")
    return job_id


def test_a_cancelled_job_leaves_no_checkpoints_and_takes_no_others_with_it(world: World) -> None:
    job_id = claimed(world)
    other = world.uri("checkpoints/job_another1/aa/clip-0-chunk-00000.mp4")
    world.objects.write(other, b"piece")

    world.cancel(job_id)

    assert world.job(job_id).state == "cancelled"
    assert left_of(world, job_id) == []
    assert world.objects.stat(other) is not None


def test_a_failed_job_keeps_them_for_whoever_resumes_it(world: World) -> None:
    job_id = claimed(world)

    drive(world.services, job_id, facts.StitchFailed(1, "bad_media", "it is broken", retryable=False))

    assert world.job(job_id).state == "failed"
    assert len(left_of(world, job_id)) == 3
