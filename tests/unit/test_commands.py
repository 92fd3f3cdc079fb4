"""Which orders are messages, and what those say."""

from __future__ import annotations

import pytest

from events import messages
from pipeline import commands as order
from pipeline.commands import Command, Outgoing, as_message
from tests.unit.documents import FUTURE, clip_of

JOB = "job_abc123"
PUBLISHED: list[tuple[Command, Outgoing]] = [
    (order.RequestJob(JOB), Outgoing(messages.Requested(job_id=JOB))),
    (order.RenderSegment(JOB, 3), Outgoing(messages.SegmentRequested(job_id=JOB, segment_index=3))),
    (order.RenderSegment(JOB, 3, FUTURE), Outgoing(messages.SegmentRequested(job_id=JOB, segment_index=3), FUTURE)),
    (order.RequestStitch(JOB), Outgoing(messages.StitchRequested(job_id=JOB))),
    (order.RequestStitch(JOB, FUTURE), Outgoing(messages.StitchRequested(job_id=JOB), FUTURE)),
]
CARRIED_OUT: list[Command] = [
    order.OpenWindow(JOB, 2),
    order.CloseSegments(JOB),
    order.ForgetCheckpoints(JOB),
    order.SubmitSegment(JOB, 0, 1),
    order.InspectSegment(JOB, 0, 1),
    order.CancelGeneration(JOB, 0, "op"),
    order.KeepLastFrame(JOB, 0, 1, clip_of(0, 1)),
    order.StitchClips(JOB, 1),
    order.InspectStitch(JOB, 1, None),
    order.CancelStitch(JOB, "op"),
]


@pytest.mark.parametrize(("command", "outgoing"), PUBLISHED)
def test_an_order_that_is_a_message_says_which_and_when(command: Command, outgoing: Outgoing) -> None:
    assert as_message(command) == outgoing


@pytest.mark.parametrize("command", CARRIED_OUT, ids=lambda command: type(command).__name__)
def test_an_order_that_is_carried_out_in_the_world_is_no_message(command: Command) -> None:
    assert as_message(command) is None


def test_every_order_is_one_or_the_other() -> None:
    known = {type(command).__name__ for command in [*CARRIED_OUT, *(pair[0] for pair in PUBLISHED)]}

    assert known == {kind.__name__ for kind in Command.__subclasses__()}
