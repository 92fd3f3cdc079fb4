"""Making the film: plan, route, start; and finding out what became of it."""

from __future__ import annotations

from events.errors import PipelineError, StitchFailed, Unavailable
from functions import films
from functions.services import Services
from pipeline import facts
from pipeline.object_port import ObjectInfo
from pipeline.plan import build_plan
from pipeline.records import Job
from pipeline.retry import LOST
from pipeline.waiting import stitch_claim_is_over
from pipeline.work_ports import FilmReady, Gone, Running


def stitch(services: Services, job: Job) -> list[facts.Event]:
    """Start the stitch attempt that `job` was claimed for; take in a film that an earlier attempt left.

    Nothing is started once the claim is over: others may hold it to be lost by then, and begin anew.
    """
    attempt = job.stitch.attempt
    if stitch_claim_is_over(job, services.clock.now()):
        return []
    try:
        if (film := films.find_film(services, job)) is not None:
            return [film]
        plan = build_plan(job, services.jobs.segments(job.job_id), services.bucket)
        route = services.stitcher.route(plan)
        answer = services.stitcher.start(plan, route)
    except PipelineError as exc:
        return [failure(services, attempt, exc)]
    route = answer.route or route
    if isinstance(answer, FilmReady):
        # The route is recorded first, whatever becomes of the film's last step.
        return [facts.StitchStarted(attempt, f"{route.stitcher}:{attempt}", route), _made(services, job, answer)]
    return [facts.StitchStarted(attempt, answer.operation, route)]


def _made(services: Services, job: Job, film: FilmReady) -> facts.Event:
    try:
        info = ObjectInfo(film.uri, film.generation, film.report.size_bytes)
        kept = films.at_output_path(services, job, info)
    except PipelineError as exc:
        return failure(services, job.stitch.attempt, exc)
    return facts.StitchDone(job.stitch.attempt, kept.uri, kept.generation, film.report)


def inspect(services: Services, job: Job, attempt: int, operation: str | None) -> list[facts.Event]:
    """Find out what became of a stitch attempt: look for the film, then ask the stitcher.

    Raises:
        Unavailable: nobody answered; the attempt is as it was, and the sweep asks again.
    """
    try:
        if (film := films.find_film(services, job)) is not None:
            return [film]
        answer = services.stitcher.poll(operation) if operation is not None else Gone()
        # It may have landed between the look and the answer.
        if not isinstance(answer, Running) and (film := films.find_film(services, job)) is not None:
            return [film]
    except Unavailable:
        raise
    except PipelineError as exc:
        return [failure(services, attempt, exc)]
    jitter = services.clock.jitter()
    if isinstance(answer, Running):
        return [facts.StitchProgressed(attempt, answer.percent)]
    if isinstance(answer, Gone):
        text = "the stitch stopped without a film and without a word"
        return [facts.StitchFailed(attempt, LOST, text, True, jitter=jitter)]
    return [
        facts.StitchFailed(
            attempt,
            answer.code,
            answer.message,
            answer.retryable,
            answer.bad_segment_index,
            jitter,
            percent=answer.percent,
        )
    ]


def failure(services: Services, attempt: int, exc: PipelineError) -> facts.StitchFailed:
    """Tell the machine about an error of a stitch attempt."""
    bad = exc.segment_index if isinstance(exc, StitchFailed) else None
    jitter = services.clock.jitter()
    after = exc.retry_after_seconds
    return facts.StitchFailed(attempt, exc.code, exc.message, exc.retryable, bad, jitter, retry_after_seconds=after)
