"""From a job's finished segments to the plan of its film."""

from __future__ import annotations

from collections.abc import Sequence

from events.errors import StitchFailed
from events.names import output_name, stitch_name
from events.plan import PlannedClip, StitchPlan
from events.requests import Settings
from pipeline.records import Job, Segment, SegmentState


def build_plan(job: Job, segments: Sequence[Segment], bucket: str) -> StitchPlan:
    """Plan the film: every finished segment, in order, once.

    Args:
        job: claimed for a stitch attempt.
        segments: all of the job's segments, in order.
        bucket: where the film and its papers go.

    Raises:
        StitchFailed: a segment is neither finished nor left out; our own mistake, so it is permanent.
    """
    clips = []
    for segment in segments:
        if segment.state is SegmentState.SKIPPED:
            continue
        if segment.state is not SegmentState.DONE or segment.clip is None:
            text = f"segment {segment.index} is {segment.state} and can be neither used nor left out"
            raise StitchFailed(f"plan the film of {job.job_id}: {text}")
        clips.append(PlannedClip(segment_index=segment.index, **dict(segment.clip)))
    settings = Settings.from_json(job.settings)
    attempt = job.stitch.attempt
    return StitchPlan(
        job_id=job.job_id,
        attempt=attempt,
        title=settings.title,
        clips=clips,
        orientation=settings.orientation,
        fit=settings.fit,
        compression=settings.compression,
        output_uri=f"gs://{bucket}/{output_name(job.job_id, attempt)}",
        report_uri=f"gs://{bucket}/{stitch_name(job.job_id, attempt, 'report.json')}",
    )
