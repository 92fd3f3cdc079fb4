"""Seeing a job through: a worker in this process, a view of the job, and the film at its place in the end."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from adapters.config import read_config
from embedded.assembly import Pipeline, open_pipeline
from embedded.deliver import deliver, recall
from embedded.display import Display, open_display
from embedded.exits import INTERRUPTED
from embedded.log import log_to
from embedded.terminal import say_error
from embedded.worker import Worker
from events.errors import NotFound, PipelineError
from pipeline.records import Job, JobState

#: How often a shown job is looked at, in seconds.
LOOK_EVERY_SECONDS = 0.05
#: Shortest time between two views of a job that is not over; a person sees no more. In seconds.
SHOW_EVERY_SECONDS = 0.2
#: How often a view with a clock in it is redrawn when nothing happens. In seconds.
TICK_SECONDS = 1.0
#: How often dead letters are counted. In seconds.
COUNT_EVERY_SECONDS = 2.0


@contextmanager
def open_home(home: Path | None, *, worker: bool, make: bool = True) -> Iterator[Pipeline]:
    """Open the user's home with its log.

    Args:
        home: a folder that the user named; None for the configured one.
        worker: whether this process takes messages.
        make: whether a home that is not there is made; else it is an error.

    Raises:
        NotFound: there is no home there, and none is to be made.
        PipelineError: the folder cannot be used; says why.
    """
    chosen = read_config(home=home).home
    if not make and not (chosen / "longreel.db").exists():
        raise NotFound(f"there are no jobs in {chosen}; is it the right home? --home or LONGREEL_HOME names another")
    try:
        log_to(chosen)
        pipeline = open_pipeline(home, worker=worker)
    except OSError as exc:
        text = f"open the home {chosen}: {exc.strerror or exc}; choose another with --home or LONGREEL_HOME"
        raise PipelineError(text) from exc
    try:
        yield pipeline
    finally:
        pipeline.close()


def see_through(pipeline: Pipeline, job_id: str, *, as_json: bool) -> tuple[Job, Path | None]:
    """Work until a job is over, showing it. When nobody reads what is shown any more, the work goes on.

    Returns:
        The job as it ended, and where its film was delivered; None when nobody said where.

    Raises:
        KeyboardInterrupt: the user, or SIGTERM, stopped it; the job can be resumed.
        PipelineError: this process can take no messages; says why. The job can be resumed.
    """
    worker = Worker(pipeline, pipeline.adapters.config.workers)
    with stops_as_interrupts():
        worker.start()
        try:
            try:
                with open_display(as_json=as_json) as display:
                    job = follow(pipeline, job_id, display, worker)
            except BrokenPipeError:
                job = follow(pipeline, job_id, Silence(), worker)
        finally:
            worker.stop()
    return job, deliver_if_asked(pipeline, job)


def watch(pipeline: Pipeline, job_id: str, *, as_json: bool) -> Job:
    """Show a job until it is over; other processes work on it."""
    with stops_as_interrupts(), open_display(as_json=as_json) as display:
        return follow(pipeline, job_id, display)


def deliver_if_asked(pipeline: Pipeline, job: Job) -> Path | None:
    """Put a completed job's film where the user wanted it."""
    delivery = recall(pipeline, job.job_id)
    if job.state is not JobState.COMPLETED or delivery is None:
        return None
    return deliver(pipeline, job, delivery)


class Silence:
    """Shows nothing."""

    #: There is nothing to redraw.
    ticks = False

    def show(self, *_: object) -> None:
        """Show nothing."""


def follow(pipeline: Pipeline, job_id: str, display: Display, worker: Worker | None = None) -> Job:
    """Show a job until it is over.

    Args:
        pipeline: the home.
        job_id: the job.
        display: where it is shown.
        worker: who works on it in this process; None when somebody else does.

    Raises:
        PipelineError: the worker can take no messages; says why.
    """
    jobs, database, clock = pipeline.services.jobs, pipeline.adapters.database, pipeline.adapters.clock
    letters = LetterBox(pipeline)
    seen, stale, shown_at = -1, True, float("-inf")
    while True:
        version = database.data_version()
        stale, seen = stale or version != seen, version
        waited = time.monotonic() - shown_at
        if stale or (display.ticks and waited >= TICK_SECONDS):
            job = jobs.load(job_id)
            if not job.active or waited >= SHOW_EVERY_SECONDS:
                display.show(job, jobs.segments(job_id), clock.now())
                stale, shown_at = False, time.monotonic()
            if not job.active:
                return job
        if worker is not None and worker.trouble is not None:
            raise worker.trouble
        letters.look()
        time.sleep(LOOK_EVERY_SECONDS)


class LetterBox:
    """Tells the user once when a message of this home could not be handled while they were watching."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._queue = pipeline.adapters.queue
        self._log = pipeline.adapters.config.home / "logs" / "longreel.log"
        self._known = {letter.message_id for letter in self._queue.dead_letters()}
        self._looked_at = time.monotonic()

    def look(self) -> None:
        """Look, if it is time."""
        if time.monotonic() - self._looked_at < COUNT_EVERY_SECONDS:
            return
        self._looked_at = time.monotonic()
        for letter in self._queue.dead_letters():
            if letter.message_id not in self._known:
                self._known.add(letter.message_id)
                step = f"`longreel dead-letters show {letter.message_id}` shows it, {self._log} has the details"
                say_error(f"A message ({letter.topic}) could not be handled: {letter.reason.rstrip('.')}. {step}.")


@contextmanager
def stops_as_interrupts() -> Iterator[None]:
    """Make Ctrl-C and SIGTERM a KeyboardInterrupt, and a second one the end at once: a resume mends what it breaks."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, _end_at_once)
        raise KeyboardInterrupt

    # Who started us may have told us to ignore Ctrl-C, as a shell does with what runs in its background.
    heard = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    before = {each: signal.signal(each, interrupt) for each in heard}
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


def _end_at_once(_number: int, _frame: FrameType | None) -> None:
    show_cursor = "\x1b[?25h" if sys.stdout.isatty() else ""
    os.write(sys.stderr.fileno(), f"{show_cursor}\nlongreel: Ended at once; `longreel resume` still works.\n".encode())
    os._exit(INTERRUPTED)
