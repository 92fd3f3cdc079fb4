"""What lies under a segment's prefixes: clips that were made for it, whoever was told. What was paid for is used."""

from __future__ import annotations

from collections.abc import Iterator

from events.errors import BadMedia
from functions import clips
from functions.services import Services
from pipeline import facts
from pipeline.commands import KeepLastFrame
from pipeline.plan import keep_ms_of
from pipeline.records import Job, Segment


def outcome(services: Services, landed: clips.Landed) -> facts.SegmentDone | facts.SegmentFailed:
    """Look at a clip that landed, and tell what that means for its segment."""
    place = landed.place
    try:
        clip = clips.look_at(services, landed.info)
    except BadMedia as exc:
        return _broken(services, place.segment_index, place.attempt, exc)
    return facts.SegmentDone(place.segment_index, place.attempt, clip)


def with_last_frame(
    services: Services, job: Job, segment: Segment, command: KeepLastFrame
) -> facts.SegmentDone | facts.SegmentFailed:
    """Keep the last frame of a clip that is shown, and tell of the clip again, now with it."""
    keep_ms = keep_ms_of(segment.spec, command.clip)
    try:
        frame = clips.keep_last_frame(services, job.job_id, segment.index, command.attempt, command.clip, keep_ms)
    except BadMedia as exc:
        return _broken(services, segment.index, command.attempt, exc)
    return facts.SegmentDone(segment.index, command.attempt, command.clip, frame)


def paid_for(services: Services, job: Job, segment_index: int, latest: int) -> facts.SegmentDone | None:
    """Look for a good clip of any attempt up to `latest`, the latest attempt first; None if nothing good has landed."""
    for event in _outcomes(services, job, segment_index, latest):
        if isinstance(event, facts.SegmentDone):
            return event
    return None


def came_of(services: Services, job: Job, segment_index: int, attempt: int) -> facts.SegmentEvent | None:
    """Tell by what has landed what came of an attempt: a good clip, be it an earlier one's, else its broken one."""
    broken = None
    for event in _outcomes(services, job, segment_index, attempt):
        if isinstance(event, facts.SegmentDone):
            return event
        if event.attempt == attempt:
            broken = broken or event
    return broken


def _outcomes(
    services: Services, job: Job, segment_index: int, latest: int
) -> Iterator[facts.SegmentDone | facts.SegmentFailed]:
    for landed in clips.find_landed(services, job.job_id, segment_index, latest):
        yield outcome(services, landed)


def _broken(services: Services, segment_index: int, attempt: int, exc: BadMedia) -> facts.SegmentFailed:
    # The generator made a broken clip; another attempt may make a good one.
    return facts.SegmentFailed(segment_index, attempt, exc.code, exc.message, True, services.clock.jitter())
