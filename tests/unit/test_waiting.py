"""What the clock says about a segment that waits."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pipeline import facts, limits
from pipeline.records import JobState, SegmentState
from pipeline.waiting import claim_is_over, is_due, may_land_until, stitch_claim_is_over, took_too_long
from tests.unit.documents import NOW, a_job, a_segment, answer

J, S = JobState, SegmentState
MOMENT = timedelta(milliseconds=1)


@pytest.mark.parametrize(("wake_at", "due"), [(None, False), (NOW + MOMENT, False), (NOW, True), (NOW - MOMENT, True)])
def test_a_segment_is_due_from_its_time_on(wake_at: object, due: bool) -> None:
    assert is_due(a_segment(S.CLAIMED, wake_at=wake_at), NOW) is due


@pytest.mark.parametrize(("late", "too_long"), [(timedelta(0), False), (MOMENT, True)])
def test_an_attempt_took_too_long_after_its_longest_time(late: timedelta, too_long: bool) -> None:
    segment = a_segment(S.GENERATING, claimed_at=NOW - limits.GENERATION_LONGEST - late)

    assert took_too_long(segment, NOW) is too_long
    assert not took_too_long(a_segment(), NOW), "nobody has claimed it"


def test_an_order_of_which_nobody_knows_may_bring_a_clip_until_patience_ends() -> None:
    segment = a_segment(S.CLAIMED, claimed_at=NOW)
    end = NOW + limits.GENERATION_PATIENCE

    assert may_land_until(segment, end - MOMENT) == end
    assert may_land_until(segment, end) is None
    assert may_land_until(a_segment(S.GENERATING, claimed_at=NOW), NOW) == end, "its name is not known there"
    assert may_land_until(a_segment(), NOW) is None, "nobody has claimed it"


def test_a_paid_order_that_nobody_can_ask_about_is_waited_for_before_it_is_counted_as_lost() -> None:
    """The lease of a claim is shorter than a generation: its end is no proof that nothing was bought."""
    claimed = a_segment(S.CLAIMED, claimed_at=NOW)
    event = facts.GenerationUnknown(0, 1, resubmittable=False)

    waits = answer(a_job(), claimed, event, NOW + limits.CLAIM_LEASE)
    lost = answer(a_job(), claimed, event, NOW + limits.GENERATION_PATIENCE)

    assert waits.segment is not None
    assert (waits.segment.state, waits.segment.wake_at) == (S.CLAIMED, NOW + limits.GENERATION_PATIENCE)
    assert waits.commands == ()
    assert lost.segment is not None
    assert lost.segment.state is S.PENDING
    assert lost.segment.error is not None
    assert lost.segment.error.code == "attempt_lost"


def test_a_claim_holds_until_its_lease_ends() -> None:
    segment = a_segment(S.CLAIMED, claimed_at=NOW)
    end = NOW + limits.CLAIM_LEASE

    assert not claim_is_over(segment, end - MOMENT)
    assert claim_is_over(segment, end)
    assert not claim_is_over(a_segment(), end), "nobody has claimed it"


def test_the_claim_of_a_stitch_holds_until_its_job_is_looked_at() -> None:
    job = a_job(J.STITCHING, wake_at=NOW)

    assert not stitch_claim_is_over(job, NOW - MOMENT)
    assert stitch_claim_is_over(job, NOW)
    assert not stitch_claim_is_over(a_job(J.STITCHING, wake_at=None), NOW)
