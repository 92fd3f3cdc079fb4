"""The slow work of the embedded mode: drawing a card, making a film. What fails becomes an event of its job."""

from __future__ import annotations

import time
from collections.abc import Callable

from embedded.assembly import Pipeline
from events.errors import PipelineError, StitchFailed, UnknownJob
from events.messages import LocalRender, LocalStitch, Topic
from functions.perform import drive
from pipeline import facts
from pipeline.ports import Delivery
from pipeline.records import JobState

#: Shortest time between two progress commits of one film; a person sees no more.
PROGRESS_EVERY_SECONDS = 0.3


class Stopping(Exception):
    """This worker was told to stop; the message goes back unhandled."""


class NobodyWaits(PipelineError):
    """The job ended while its film was made; the work was stopped."""

    code = "nobody_waits"


def do(pipeline: Pipeline, delivery: Delivery, stopping: Callable[[], bool]) -> None:
    """Do one piece of slow work.

    Raises:
        Stopping: the worker is to stop.
    """
    if delivery.topic is Topic.LOCAL_RENDER:
        _render(pipeline, LocalRender.from_json(delivery.body), stopping)
    else:
        _stitch(pipeline, LocalStitch.from_json(delivery.body), stopping)


def _render(pipeline: Pipeline, message: LocalRender, stopping: Callable[[], bool]) -> None:
    def still_wanted() -> bool:
        if stopping():
            raise Stopping
        return _state(pipeline, message.job_id) is JobState.GENERATING

    try:
        pipeline.adapters.storyboard.draw(message, still_wanted)
    except PipelineError as exc:
        jitter = pipeline.adapters.clock.jitter()
        index, attempt = message.segment_index, message.attempt
        failed = facts.SegmentFailed(index, attempt, exc.code, exc.message, exc.retryable, jitter)
        _tell(pipeline, message.job_id, failed)


def _stitch(pipeline: Pipeline, message: LocalStitch, stopping: Callable[[], bool]) -> None:
    said_at = 0.0
    reached: int | None = None

    def on_progress(percent: int) -> None:
        nonlocal said_at, reached
        reached = percent
        if stopping():
            raise Stopping
        if time.monotonic() - said_at < PROGRESS_EVERY_SECONDS:
            return
        said_at = time.monotonic()
        if _state(pipeline, message.job_id) is not JobState.STITCHING:
            raise NobodyWaits(f"stitch {message.job_id}: the job is over")
        drive(pipeline.services, message.job_id, facts.StitchProgressed(message.attempt, percent))

    try:
        pipeline.adapters.stitcher.make(message, on_progress)
    except PipelineError as exc:
        bad = exc.segment_index if isinstance(exc, StitchFailed) else None
        jitter = pipeline.adapters.clock.jitter()
        failed = facts.StitchFailed(message.attempt, exc.code, exc.message, exc.retryable, bad, jitter, reached)
        # The program has ended only now: with a cancelled job, what it did since goes as well.
        _tell(pipeline, message.job_id, failed)


def _tell(pipeline: Pipeline, job_id: str, event: facts.Event) -> None:
    drive(pipeline.services, job_id, event)


def _state(pipeline: Pipeline, job_id: str) -> JobState | None:
    try:
        return pipeline.services.jobs.load(job_id).state
    except UnknownJob:
        return None
