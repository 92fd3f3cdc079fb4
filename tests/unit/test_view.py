"""What a person is told about a job."""

from __future__ import annotations

import pytest

from events.requests import Kind
from pipeline.records import Failure, Job, StitchWork
from pipeline.view import message_of, phase_of
from tests.unit.documents import J, a_job

TOLD = [
    (a_job(J.QUEUED), "queued", "Waiting to Start..."),
    (a_job(J.GENERATING), "generating", "Imaginating Scene..."),
    (a_job(J.GENERATING, kind=Kind.STITCH), "checking", "Looking at the Clips..."),
    (a_job(J.STITCHING), "planning", "Stitching Masterpiece..."),
    (a_job(J.STITCHING, stitch=StitchWork(operation="st-1")), "stitching", "Stitching Masterpiece..."),
    (a_job(J.COMPLETED), "completed", "Completed"),
    (a_job(J.FAILED, error=Failure("x", "The disk is full")), "failed", "The disk is full"),
    (a_job(J.CANCELLED, error=None), "cancelled", "Cancelled"),
]


@pytest.mark.parametrize(("job", "phase", "message"), TOLD, ids=[phase for _, phase, _ in TOLD])
def test_a_person_is_told_what_goes_on(job: Job, phase: str, message: str) -> None:
    assert (phase_of(job), message_of(job)) == (phase, message)


def test_every_state_has_something_to_say() -> None:
    assert {job.state for job, _, _ in TOLD} == set(J)
