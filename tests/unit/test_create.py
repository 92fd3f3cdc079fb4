"""How a job begins."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from events.requests import Kind, LongFormRequest, SegmentSpec, Settings, StitchRequest
from pipeline import limits
from pipeline.create import CLIP_GENERATOR, generator_of, new_job
from pipeline.records import JobState, SegmentState
from tests.unit.documents import NOW

PROMPTS = [{"prompt": "a lighthouse"}, {"prompt": "a lamp"}, {"prompt": "a door"}]
CLIPS = ["gs://bucket/a.mp4", "gs://bucket/b.mp4"]


def test_a_job_begins_queued_with_a_deadline_and_every_segment_pending_in_order() -> None:
    request = LongFormRequest.model_validate({"prompts": PROMPTS, "title": "The keeper", "maxParallelSegments": 2})

    job, segments = new_job(request, job_id="job_abc123", user_id="someone", now=NOW)

    assert (job.state, job.width, job.segment_count, job.kind) == (JobState.QUEUED, 2, 3, Kind.LONG_FORM)
    assert (job.wake_at, job.deadline_at) == (NOW + limits.QUEUED_PATIENCE, NOW + limits.JOB_LONGEST)
    assert Settings.from_json(job.settings).title == "The keeper"
    assert [(each.index, each.state, each.attempt) for each in segments] == [
        (index, SegmentState.PENDING, 0) for index in range(3)
    ]
    specs = [SegmentSpec.from_json(each.spec) for each in segments]
    assert [spec.scene for spec in specs] == request.prompts


def test_given_clips_are_segments_that_are_there_already() -> None:
    request = StitchRequest.model_validate({"clips": CLIPS})

    job, segments = new_job(request, job_id="job_abc123", user_id="someone", now=NOW)

    assert (job.kind, job.generator, generator_of(request)) == (Kind.STITCH, CLIP_GENERATOR, CLIP_GENERATOR)
    assert [SegmentSpec.from_json(each.spec).clip.clip for each in segments] == CLIPS  # type: ignore[union-attr]  # all


@pytest.mark.parametrize("width", [1, 4, 50])
def test_a_chain_makes_one_segment_at_a_time_whatever_was_asked_for(width: int) -> None:
    request = LongFormRequest.model_validate({"prompts": PROMPTS, "maxParallelSegments": width, "daisyChain": True})

    job, _ = new_job(request, job_id="job_abc123", user_id="someone", now=NOW)

    assert (job.width, job.daisy_chain) == (1, True)


@given(st.integers(1, 60), st.integers(1, 50))
def test_a_job_is_never_wider_than_it_is_long(count: int, width: int) -> None:
    request = LongFormRequest.model_validate({"prompts": [{"prompt": "a"}] * count, "maxParallelSegments": width})

    job, segments = new_job(request, job_id="job_abc123", user_id="someone", now=NOW)

    assert job.width == min(count, width)
    assert job.window_end == job.width
    assert len(segments) == count
