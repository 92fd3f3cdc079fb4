"""With daisyChain a segment starts from the last frame of the one before it, and never sooner."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from itertools import count

import av
import pytest

from events.errors import RenderFailed
from events.messages import Topic
from pipeline import limits
from tests.functions.conftest import shows
from tests.functions.doubles import Crash
from tests.functions.test_paid_calls import live
from tests.functions.world import World


def pixels(content: bytes) -> list[bytes]:
    """Decode a picture or a film to RGB, a frame an entry."""
    with av.open(io.BytesIO(content)) as opened:
        return [frame.to_ndarray(format="rgb24").tobytes() for frame in opened.decode(video=0)]


def started_from(world: World, index: int) -> bytes | None:
    """Give the picture from which the last order of a segment starts."""
    order = [each for each in world.paid.bought if each.segment_index == index][-1]
    return None if order.start_image is None else world.objects.read(order.start_image)


def test_segments_go_one_after_another_each_from_the_last_frame_of_the_one_before(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(3, daisyChain=True, maxParallelSegments=4)
    for index in range(3):
        world.run()
        assert [each.segment_index for each in world.paid.bought] == list(range(index + 1))
        world.paid.land(job_id, index)
    world.settle(job_id)

    assert shows(world, job_id) == [0, 1, 2]
    assert started_from(world, 0) is None
    for index in (1, 2):
        png = started_from(world, index)
        assert png is not None
        assert png.startswith(b"\x89PNG")
        assert pixels(png) == pixels(world.clip_of(index - 1))[-1:]


@pytest.mark.parametrize("seed", range(4))
def test_the_chain_holds_with_everything_twice_and_in_any_order(any_world: World, seed: int) -> None:
    world, chance = any_world, random.Random(seed)
    world.paid.lands_at_once = True
    job_id = world.create_paid(3, daisyChain=True)
    while messages := world.waiting():
        world.deliver(chance.choice(messages), again=chance.random() < 0.4)

    assert world.job(job_id).state == "completed"
    assert [each.segment_index for each in world.paid.bought] == [0, 1, 2]
    for index in (1, 2):
        assert pixels(started_from(world, index) or b"") == pixels(world.clip_of(index - 1))[-1:]


def test_the_chain_holds_wherever_the_process_dies(make_world: Callable[..., World]) -> None:
    for number in count(1, step=3):
        world = make_world()
        world.trap.number = number
        world.paid.lands_at_once = True

        job_id = live(world, 2, daisyChain=True)

        assert shows(world, job_id) == [0, 1]
        assert [each.segment_index for each in world.paid.bought] == [0, 1]
        assert pixels(started_from(world, 1) or b"") == pixels(world.clip_of(0))[-1:]
        if not world.trap.sprung:
            return


def test_a_clip_that_the_sweep_finds_hands_its_last_frame_on(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2, daisyChain=True)
    world.run()
    world.paid.land(job_id, 0)
    world.drop(world.waiting(Topic.OBJECT_FINALIZED)[0])

    world.sweep(limits.GENERATION_PATIENCE)
    world.run()

    assert pixels(started_from(world, 1) or b"") == pixels(world.clip_of(0))[-1:]


def test_a_segment_after_one_that_is_left_out_starts_from_the_last_that_is_there(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(3, daisyChain=True, onSegmentFailure="skip")
    while len(world.paid.bought) < 1:
        world.deliver(world.waiting()[0])
    world.paid.refusals.append((RenderFailed("no"), False))

    world.settle(job_id)

    assert shows(world, job_id) == [0, 2]
    assert pixels(started_from(world, 2) or b"") == pixels(world.clip_of(0))[-1:]


def test_a_last_frame_that_was_stored_by_a_worker_that_died_is_not_stored_twice(any_world: World) -> None:
    world = any_world
    job_id = world.create_paid(2, daisyChain=True)
    world.run()
    world.paid.land(job_id, 0)
    world.deliver_next(Topic.OBJECT_FINALIZED)
    # The first commit finds that the frame is to be kept; the worker dies before the second, which ends the segment.
    world.trap.number = len(world.trap.passed) + 3
    (message,) = world.waiting(Topic.SEGMENT_DONE)
    with pytest.raises(Crash, match="before commit"):
        world.deliver(message)
    frame = world.objects.stat(world.uri(f"jobs/{job_id}/segments/0/1/last_frame.png"))
    assert frame is not None

    world.run()

    assert world.objects.stat(frame.uri) == frame
    assert world.paid.bought[1].start_image == frame.uri


def test_a_resumed_chain_goes_on_from_where_it_stopped(any_world: World) -> None:
    world = any_world
    world.paid.lands_at_once = True
    job_id = world.create_paid(3, daisyChain=True)
    while len(world.paid.bought) < 1:
        world.deliver(world.waiting()[0])
    world.paid.refusals.append((RenderFailed("no"), False))
    world.settle(job_id)
    assert world.states(job_id) == ["done", "failed", "cancelled"]

    world.resume(job_id)
    world.settle(job_id)

    assert shows(world, job_id) == [0, 1, 2]
    assert [each.segment_index for each in world.paid.bought] == [0, 1, 2]
    assert pixels(started_from(world, 1) or b"") == pixels(world.clip_of(0))[-1:]
