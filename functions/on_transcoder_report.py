"""Topic `transcoder_reports`: a failure ends the stitch attempt; a success is only a hint to look for the film."""

from __future__ import annotations

import logging
from typing import Protocol, runtime_checkable

from events.errors import NotFound, PipelineError, Unavailable
from events.log_lines import fields
from events.messages import TranscoderJob, TranscoderReport
from functions import films, stitch
from functions.perform import drive
from functions.services import Services
from pipeline import facts
from pipeline.ports import Delivery
from pipeline.records import JobState
from pipeline.transcoder_failure import stopped_by

log = logging.getLogger("longreel.on_transcoder_report")


@runtime_checkable
class FindsOwners(Protocol):
    """A stitcher that knows whose a piece of work is by the other side's own name for it."""

    def owner_of(self, operation: str) -> tuple[str, int] | None:
        """Give the job id and the attempt (1-based); None if it is none of ours."""
        ...


def handle(services: Services, delivery: Delivery) -> None:
    """Take one delivery."""
    report = TranscoderReport.from_json(delivery.body).job
    owner = _owner(services, report)
    if owner is None:
        # Deleted since, such as after a cancel; or made by somebody else who reports to our topic.
        log.info("%s is nobody's", report.name, extra=fields(action="unknown_transcoder_job"))
        return
    job_id, attempt = owner
    event = _failed(services, job_id, attempt, report) if report.state == "FAILED" else _made(services, job_id, attempt)
    if event is not None:
        drive(services, job_id, event)


def _owner(services: Services, report: TranscoderJob) -> tuple[str, int] | None:
    stitcher = services.stitcher
    return stitcher.owner_of(report.name) if isinstance(stitcher, FindsOwners) else None


def _failed(services: Services, job_id: str, attempt: int, report: TranscoderJob) -> facts.JobEvent:
    clips = [segment for segment in services.jobs.segments(job_id) if segment.clip is not None]
    segment_of_uri = {segment.clip.uri: segment.index for segment in clips if segment.clip is not None}
    why = stopped_by(report.error, segment_of_uri)
    jitter = services.clock.jitter()
    return facts.StitchFailed(attempt, why.code, why.message, why.retryable, why.bad_segment_index, jitter)


def _made(services: Services, job_id: str, attempt: int) -> facts.JobEvent | None:
    """Look for the film at once, where its own finalize event has not brought it home yet; else wait for that."""
    job = services.jobs.load(job_id)
    if job.state is not JobState.STITCHING:
        return None
    try:
        return films.find_film(services, job)
    except (NotFound, Unavailable):
        raise
    except PipelineError as exc:
        return stitch.failure(services, attempt, exc)
