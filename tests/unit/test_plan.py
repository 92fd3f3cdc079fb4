"""The plan of a film holds every finished segment, in order, once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.errors import StitchFailed
from events.names import parse_uri
from events.plan import Compression, Loudness, Seams, StitchPlan, Transition
from events.requests import Settings
from pipeline.plan import build_plan
from pipeline.records import Segment, SegmentState, StitchWork, replace
from tests.unit.documents import J, S, a_job, a_segment, clip_of

SETTINGS = Settings(
    title="The keeper",
    compression=Compression.SMALL,
    transition=Transition.CROSSFADE,
    transition_ms=700,
    seams=Seams.FAIL,
    loudness=Loudness.R128,
    music="gs://bucket/m.mp3",
    music_db=-30,
)
JOB = a_job(J.STITCHING, settings=SETTINGS.to_json(), stitch=StitchWork(attempt=2, tries=1, claimed=True))


STATES = st.lists(st.sampled_from([S.DONE, S.SKIPPED]), max_size=8).filter(lambda states: S.DONE in states)


def segments_of(states: list[SegmentState]) -> list[Segment]:
    return [
        a_segment(state, index=index, clip=clip_of(index, 1) if state is S.DONE else None)
        for index, state in enumerate(states)
    ]


@given(STATES)
def test_every_finished_segment_is_planned_in_order_once_and_none_that_was_left_out(states: list[SegmentState]) -> None:
    segments = segments_of(states)

    plan = build_plan(JOB, segments, "bucket")

    assert [clip.segment_index for clip in plan.clips] == [each.index for each in segments if each.state is S.DONE]
    assert all(clip.uri == clip_of(clip.segment_index, 1).uri for clip in plan.clips)
    assert StitchPlan.from_json(plan.to_json()) == plan


@given(STATES, st.booleans())
def test_in_a_chain_every_clip_but_the_first_continues_the_one_before_it_and_elsewhere_none(
    states: list[SegmentState], chain: bool
) -> None:
    plan = build_plan(replace(JOB, daisy_chain=chain), segments_of(states), "bucket")

    # Behind a segment that was left out the chain goes on from the last one that is there.
    assert [clip.continues for clip in plan.clips] == [chain and number > 0 for number in range(len(plan.clips))]


def test_a_plan_says_what_the_film_shall_be_and_puts_each_attempt_beside_the_others() -> None:
    plan = build_plan(JOB, [a_segment(S.DONE)], "bucket")

    assert (plan.title, plan.compression, plan.attempt) == ("The keeper", Compression.SMALL, 2)
    assert (plan.transition, plan.transition_ms) == (Transition.CROSSFADE, 700)
    assert plan.fail_on_seams
    assert (plan.loudness, plan.music, plan.music_db) == (Loudness.R128, "gs://bucket/m.mp3", -30)
    assert plan.created_at == JOB.created_at
    assert parse_uri(plan.output_uri).name == "jobs/job_abc123/output/2/film.mp4"
    assert parse_uri(plan.report_uri).name == "jobs/job_abc123/stitch/2/report.json"


@pytest.mark.parametrize("state", [S.PENDING, S.CLAIMED, S.GENERATING, S.FAILED, S.CANCELLED])
def test_a_film_with_a_segment_missing_is_not_planned(state: SegmentState) -> None:
    with pytest.raises(StitchFailed, match=f"segment 1 is {state} and can be neither used nor left out"):
        build_plan(JOB, [a_segment(S.DONE), a_segment(state, index=1)], "bucket")


def test_a_finished_segment_without_a_clip_is_our_own_mistake() -> None:
    with pytest.raises(StitchFailed, match="segment 0 is done"):
        build_plan(JOB, [a_segment(S.DONE, clip=None)], "bucket")
