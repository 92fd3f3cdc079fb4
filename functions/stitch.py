"""Making the film: plan, route, start; and finding out what became of it."""

from __future__ import annotations

from events.errors import BadMedia, PipelineError, StitchFailed
from events.names import OutputObject, output_name, parse_object_name, parse_uri
from functions import clips
from functions.services import Services
from pipeline import facts
from pipeline.plan import build_plan
from pipeline.records import Job
from pipeline.work_ports import FilmReady, Gone, Running


def stitch(services: Services, job: Job) -> list[facts.Event]:
    """Start the stitch attempt that `job` was claimed for; take in a film that an earlier attempt left."""
    attempt = job.stitch.attempt
    try:
        if (film := _landed_film(services, job)) is not None:
            return [film]
        plan = build_plan(job, services.jobs.segments(job.job_id), services.bucket)
        route = services.stitcher.route(plan)
        answer = services.stitcher.start(plan, route)
    except PipelineError as exc:
        return [failure(services, attempt, exc)]
    if isinstance(answer, FilmReady):
        started = facts.StitchStarted(attempt, f"{route.stitcher}:{attempt}", route)
        return [started, facts.StitchDone(attempt, answer.uri, answer.generation, answer.report)]
    return [facts.StitchStarted(attempt, answer.operation, route)]


def inspect(services: Services, job: Job, attempt: int, operation: str | None) -> list[facts.Event]:
    """Find out what became of a stitch attempt: look for the film, then ask the stitcher."""
    try:
        if (film := _landed_film(services, job)) is not None:
            return [film]
        answer = services.stitcher.poll(operation) if operation is not None else Gone()
    except PipelineError as exc:
        return [failure(services, attempt, exc)]
    jitter = services.clock.jitter()
    if isinstance(answer, Running):
        return [facts.StitchProgressed(attempt, answer.percent)]
    if isinstance(answer, Gone):
        text = "the stitch stopped without a film and without a word"
        return [facts.StitchFailed(attempt, "stitch_lost", text, True, jitter=jitter)]
    return [
        facts.StitchFailed(
            attempt, answer.code, answer.message, answer.retryable, answer.bad_segment_index, jitter=jitter
        )
    ]


def failure(services: Services, attempt: int, exc: PipelineError) -> facts.StitchFailed:
    """Tell the machine about an error of a stitch attempt."""
    bad = exc.segment_index if isinstance(exc, StitchFailed) else None
    return facts.StitchFailed(attempt, exc.code, exc.message, exc.retryable, bad, services.clock.jitter())


def _landed_film(services: Services, job: Job) -> facts.StitchDone | None:
    if job.stitch.attempt == 0:
        return None
    prefix = f"gs://{services.bucket}/{output_name(job.job_id, 1).rsplit('/', 2)[0]}/"
    for info in reversed(services.objects.list(prefix)):
        place = parse_object_name(parse_uri(info.uri).name)
        if isinstance(place, OutputObject):
            try:
                return clips.film_done(services, job.job_id, place.attempt, info)
            except (StitchFailed, BadMedia):
                continue  # a film that is wrong must not stand in the way of the next attempt's
    return None
