"""Seeing a job through: a worker in this process, a view of the job, and the film at its place in the end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from adapters.config import read_config
from embedded.assembly import Pipeline, open_pipeline
from embedded.deliver import deliver, recall
from embedded.display import Display, open_display
from embedded.log import log_to
from embedded.worker import Worker
from pipeline.records import Job, JobState

#: How often a shown job is looked at, in seconds.
LOOK_EVERY_SECONDS = 0.05


@contextmanager
def open_home(home: Path | None, *, worker: bool) -> Iterator[Pipeline]:
    """Open the user's home with its log; `worker` says whether this process takes messages."""
    log_to(read_config(home=home).home)
    pipeline = open_pipeline(home, worker=worker)
    try:
        yield pipeline
    finally:
        pipeline.close()


def see_through(pipeline: Pipeline, job_id: str, *, as_json: bool) -> tuple[Job, Path | None]:
    """Work until a job is over, showing it.

    Returns:
        The job as it ended, and where its film was delivered; None when nobody said where.

    Raises:
        KeyboardInterrupt: the user, or SIGTERM, stopped it; the job can be resumed.
    """
    worker = Worker(pipeline, pipeline.adapters.config.workers)
    with _sigterm_as_interrupt():
        worker.start()
        try:
            with open_display(as_json=as_json, clock=pipeline.adapters.clock) as display:
                job = follow(pipeline, job_id, display)
        finally:
            worker.stop()
    return job, deliver_if_asked(pipeline, job)


def watch(pipeline: Pipeline, job_id: str, *, as_json: bool) -> Job:
    """Show a job until it is over; other processes work on it."""
    with _sigterm_as_interrupt(), open_display(as_json=as_json, clock=pipeline.adapters.clock) as display:
        return follow(pipeline, job_id, display)


def deliver_if_asked(pipeline: Pipeline, job: Job) -> Path | None:
    """Put a completed job's film where the user wanted it."""
    delivery = recall(pipeline, job.job_id)
    if job.state is not JobState.COMPLETED or delivery is None:
        return None
    return deliver(pipeline, job, delivery)


def follow(pipeline: Pipeline, job_id: str, display: Display) -> Job:
    """Show a job until it is over; somebody else works on it."""
    jobs, database = pipeline.services.jobs, pipeline.adapters.database
    seen = -1
    while True:
        version = database.data_version()
        if version != seen:
            seen = version
            job = jobs.load(job_id)
            display.show(job, jobs.segments(job_id))
            if not job.active:
                return job
        time.sleep(LOOK_EVERY_SECONDS)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
