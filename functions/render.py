"""Having a segment's clip made: give its order to the generator; and find out what became of it."""

from __future__ import annotations

from events.errors import DiskFull, LimitExceeded, PipelineError, RenderFailed, Unavailable
from events.names import segment_prefix
from events.requests import SegmentSpec, Settings
from functions import adopt
from functions.services import Services
from pipeline import facts
from pipeline.records import Job, Segment
from pipeline.waiting import claim_is_over
from pipeline.work_ports import ClipReady, Generator, Gone, RenderOrder, Running


def submit(services: Services, job: Job, segment: Segment) -> list[facts.Event]:
    """Start the attempt that `segment` was claimed for; take in a clip that an earlier, paid attempt left.

    A paid order is given only while its claim holds: after that, others may hold it to be lost and order anew.
    """
    index, attempt = segment.index, segment.attempt
    try:
        generator = _generator(services, job)
        if not generator.resubmittable and claim_is_over(segment, services.clock.now()):
            return []
        if attempt > 1 and not generator.resubmittable:
            found = adopt.paid_for(services, job, index, attempt - 1)
            if found is not None:
                return [found]
    except PipelineError as exc:
        return [_failed(services, segment, exc)]
    try:
        answer = generator.submit(_order(services, job, segment))
    except DiskFull as exc:
        return [_failed(services, segment, exc)]
    except LimitExceeded as exc:
        jitter, after = services.clock.jitter(), exc.retry_after_seconds
        return [facts.QuotaExhausted(index, attempt, exc.message, jitter, after)]
    except Unavailable as exc:
        # It may have been bought. The lease runs out, and an inspection finds the clip or the loss.
        return [_failed(services, segment, exc)] if generator.resubmittable else []
    except PipelineError as exc:
        return [_failed(services, segment, exc)]
    if isinstance(answer, ClipReady):
        return [facts.SegmentDone(index, attempt, answer.clip)]
    return [facts.GenerationStarted(index, attempt, answer.operation)]


def inspect(services: Services, job: Job, segment: Segment) -> list[facts.Event]:
    """Find out what became of the latest attempt: look for a clip, then ask the generator.

    Raises:
        Unavailable: nobody answered; the attempt is as it was, and the sweep asks again.
    """
    index, attempt = segment.index, segment.attempt
    if (landed := adopt.came_of(services, job, index, attempt)) is not None:
        return [landed]
    try:
        generator = _generator(services, job)
        answer = generator.poll(segment.operation) if segment.operation is not None else Gone()
    except Unavailable:
        raise
    except PipelineError as exc:
        return [_failed(services, segment, exc)]
    jitter = services.clock.jitter()
    if isinstance(answer, Running):
        return [facts.GenerationRunning(index, attempt, jitter)]
    if (landed := adopt.came_of(services, job, index, attempt)) is not None:
        return [landed]  # between the look and the answer
    if isinstance(answer, Gone):
        return [facts.GenerationUnknown(index, attempt, generator.resubmittable, jitter)]
    return [facts.SegmentFailed(index, attempt, answer.code, answer.message, answer.retryable, jitter)]


def cancel(services: Services, job: Job, operation: str) -> None:
    """Tell the generator that nobody waits any more."""
    if job.generator in services.generators:
        services.generators[job.generator].cancel(operation)


def _generator(services: Services, job: Job) -> Generator:
    generator = services.generators.get(job.generator)
    if generator is None:
        known = ", ".join(sorted(services.generators))
        raise RenderFailed(f"there is no generator {job.generator!r} here; there are: {known}", code="no_generator")
    return generator


def _order(services: Services, job: Job, segment: Segment) -> RenderOrder:
    prefix = segment_prefix(job.job_id, segment.index, segment.attempt)
    return RenderOrder(
        job_id=job.job_id,
        segment_index=segment.index,
        segment_count=job.segment_count,
        attempt=segment.attempt,
        spec=SegmentSpec.from_json(segment.spec),
        settings=Settings.from_json(job.settings),
        output_prefix=f"gs://{services.bucket}/{prefix}",
        start_image=job.last_frame if job.daisy_chain else None,
    )


def _failed(services: Services, segment: Segment, exc: PipelineError) -> facts.SegmentFailed:
    jitter = services.clock.jitter()
    return facts.SegmentFailed(segment.index, segment.attempt, exc.code, exc.message, exc.retryable, jitter)
