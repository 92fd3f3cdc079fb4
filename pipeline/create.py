"""How a job begins: from a checked request to its first documents."""

from __future__ import annotations

from datetime import datetime

from events.requests import Kind, LongFormRequest, Request, Settings, segment_specs
from pipeline import limits
from pipeline.records import Cost, Job, Segment

#: The generator of segments that are given clips.
CLIP_GENERATOR = "clip"


def generator_of(request: Request) -> str:
    """Give the name of the generator that makes every segment of the request."""
    return request.generator if isinstance(request, LongFormRequest) else CLIP_GENERATOR


def new_job(request: Request, *, job_id: str, user_id: str, now: datetime) -> tuple[Job, list[Segment]]:
    """Make the first documents of a job; nothing is written.

    Args:
        request: checked, what the caller asked for.
        job_id: the new job's id.
        user_id: who owns it.
        now: aware, UTC.
    """
    specs = segment_specs(request)
    chain = isinstance(request, LongFormRequest) and request.daisy_chain
    job = Job(
        job_id=job_id,
        kind=Kind(request.kind),
        project_id=request.project_id,
        user_id=user_id,
        generator=generator_of(request),
        settings=Settings.of(request).to_json(),
        segment_count=len(specs),
        width=1 if chain else min(request.max_parallel_segments, len(specs)),
        on_segment_failure=request.on_segment_failure,
        daisy_chain=chain,
        created_at=now,
        updated_at=now,
        deadline_at=now + limits.JOB_LONGEST,
        wake_at=now + limits.QUEUED_PATIENCE,
        cost=Cost(),
    )
    segments = [
        Segment(job_id=job_id, index=index, spec=spec.to_json(), updated_at=now) for index, spec in enumerate(specs)
    ]
    return job, segments
