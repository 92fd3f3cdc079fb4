"""From a job's finished segments to the plan of its film."""

from __future__ import annotations

from collections.abc import Sequence

from events.clip import Clip
from events.errors import StitchFailed
from events.names import output_name, stitch_name
from events.plan import PlannedClip, Seams, StitchPlan
from events.requests import SegmentSpec, Settings
from pipeline.records import Job, Segment, SegmentState
from pipeline.titles import source_type_of, title_of

#: A clip that is longer than was asked by no more than this is shown whole: models count in frames.
_ROUNDING_MS = 100


def keep_ms_of(spec: str, clip: Clip) -> int | None:
    """Give how much of a segment's clip is shown, in milliseconds; None for all of it.

    A model makes only certain lengths: it was asked for the next longer one, and the film keeps what the caller asked.

    Args:
        spec: JSON of the segment's SegmentSpec.
        clip: what was made.
    """
    scene = SegmentSpec.from_json(spec).scene
    if scene is None or clip.facts.duration_ms <= scene.duration_ms + _ROUNDING_MS:
        return None
    return scene.duration_ms


def build_plan(job: Job, segments: Sequence[Segment], bucket: str) -> StitchPlan:
    """Plan the film: every finished segment, in order, once.

    Args:
        job: claimed for a stitch attempt.
        segments: all of the job's segments, in order.
        bucket: where the film and its papers go.

    Raises:
        StitchFailed: a segment is neither finished nor left out; our own mistake, so it is permanent.
    """
    clips: list[PlannedClip] = []
    for segment in segments:
        if segment.state is SegmentState.SKIPPED:
            continue
        if segment.state is not SegmentState.DONE or segment.clip is None:
            text = f"segment {segment.index} is {segment.state} and can be neither used nor left out"
            raise StitchFailed(f"plan the film of {job.job_id}: {text}")
        keep_ms = keep_ms_of(segment.spec, segment.clip)
        title = title_of(SegmentSpec.from_json(segment.spec))
        clips.append(
            PlannedClip(
                segment_index=segment.index,
                keep_ms=keep_ms,
                title=title,
                # Behind a segment that was left out, the chain goes on from the last one that is there.
                continues=job.daisy_chain and bool(clips),
                **dict(segment.clip),
            )
        )
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
        transition=settings.transition,
        transition_ms=settings.transition_ms,
        loudness=settings.loudness,
        music=settings.music,
        music_db=settings.music_db,
        fail_on_seams=settings.seams is Seams.FAIL,
        engine=settings.engine,
        larger=job.stitch.larger,
        deadline_at=job.deadline_at,
        created_at=job.created_at,
        digital_source_type=source_type_of(job.generator),
        output_uri=f"gs://{bucket}/{output_name(job.job_id, attempt)}",
        report_uri=f"gs://{bucket}/{stitch_name(job.job_id, attempt, 'report.json')}",
    )
