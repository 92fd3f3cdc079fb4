"""What is missing on this machine, and what a job waits for."""

from __future__ import annotations

import fcntl
import os
import platform
import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from embedded.assembly import Pipeline
from embedded.words import engine_in_words, in_words, segment_note
from events.errors import PipelineError
from pipeline.limits import RESUMES_MAX
from pipeline.records import OPEN_SEGMENT_STATES, Job, JobState, SegmentState
from pipeline.view import segment_noun

#: Free space under which a film of average length may not fit. In bytes.
FREE_BYTES_MIN = 1_000_000_000
#: Segments of one job that are told of one by one.
SEGMENTS_MAX = 10


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    name: str
    ok: bool
    #: What was found, or what to do.
    note: str


def look_at_machine(pipeline: Pipeline) -> list[Finding]:
    """Look at everything that making films here needs."""
    return [
        Finding("python", True, platform.python_version()),
        _checked("ffmpeg", lambda: _ffmpeg(pipeline)),
        _checked("codecs", _codecs),
        _home(pipeline),
        _checked("database", lambda: _database(pipeline)),
        _workers(pipeline),
        _dead_letters(pipeline),
    ]


def _checked(name: str, look: Callable[[], str]) -> Finding:
    try:
        return Finding(name, True, look())
    except (PipelineError, OSError, ImportError) as exc:
        return Finding(name, False, str(exc))


def _ffmpeg(pipeline: Pipeline) -> str:
    from gpu_job.ffmpeg import FFmpeg
    from gpu_job.ffmpeg_choice import choose_ffmpeg

    named = pipeline.adapters.config.ffmpeg
    ffmpeg = FFmpeg(choose_ffmpeg(named))
    return f"{ffmpeg.version} with libx264 ({'named by LONGREEL_FFMPEG' if named else 'came with pip'})"


def _codecs() -> str:
    import av

    needed = {"libx264": "w", "aac": "w", "h264": "r"}
    for name, mode in needed.items():
        av.Codec(name, "w" if mode == "w" else "r")
    return f"PyAV {av.__version__} with {', '.join(needed)}"


def _home(pipeline: Pipeline) -> Finding:
    home = pipeline.adapters.config.home
    free = shutil.disk_usage(home).free
    if not os.access(home, os.W_OK):
        return Finding("home", False, f"{home} cannot be written to; choose another with --home or LONGREEL_HOME")
    note = f"{home}, {free / 1e9:.1f} GB free"
    if free < FREE_BYTES_MIN:
        return Finding("home", False, f"{note}; free some space before you make a film")
    return Finding("home", True, note)


def _database(pipeline: Pipeline) -> str:
    database = pipeline.adapters.database
    answer = database.connection().execute("PRAGMA quick_check").fetchone()[0]
    if answer != "ok":
        raise PipelineError(f"{database.path} is damaged: {answer}")
    mode = database.connection().execute("PRAGMA journal_mode").fetchone()[0]
    return f"{database.path.name}, {mode}, synchronous {pipeline.adapters.config.synchronous}"


def _workers(pipeline: Pipeline) -> Finding:
    waiting = pipeline.adapters.queue.waiting_count()
    overdue = len(pipeline.services.jobs.overdue(pipeline.adapters.clock.now(), 1000))
    workers = live_workers(pipeline)
    note = f"{waiting} messages wait or are in hand, {overdue} deadlines have passed"
    note += f"; {_processes(workers).lower()} on this home" if workers else "; nobody works on this home now"
    return Finding("queue", overdue == 0, note if overdue == 0 else f"{note}; `longreel resume JOB` works on them")


def live_workers(pipeline: Pipeline) -> list[int]:
    """Give the process ids of the workers of this home: each holds a lock on a file that begins with its id."""
    found = []
    for file in (pipeline.adapters.config.home / "workers").glob("*-*"):
        with suppress(FileNotFoundError), file.open("rb") as handle:
            try:
                fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append(int(file.name.partition("-")[0]))
    return sorted(found)


def _processes(workers: list[int]) -> str:
    if len(workers) == 1:
        return f"Process {workers[0]} works"
    return f"Processes {', '.join(map(str, workers))} work"


def _dead_letters(pipeline: Pipeline) -> Finding:
    count = len(pipeline.adapters.queue.dead_letters())
    if count:
        return Finding("dead letters", False, f"{count}; `longreel dead-letters list` shows them")
    return Finding("dead letters", True, "none")


def look_at_job(pipeline: Pipeline, job: Job) -> list[str]:
    """Say what a job waits for, until when, and what can be done."""
    now = pipeline.adapters.clock.now()
    lines = [f"{job.job_id} is {job.state}, {job.progress} % done ({job.done_count} of {job.segment_count})."]
    if job.error is not None:
        lines.append(f"Why: {job.error.message} ({job.error.code}).")
    in_flight = pipeline.services.jobs.segments(job.job_id, OPEN_SEGMENT_STATES, below=job.window_end)
    for segment in in_flight[:SEGMENTS_MAX] if job.active else ():
        until = f", looked at again in {in_words(segment.wake_at - now)}" if segment.wake_at else ""
        tries = f"try {segment.tries}, " if segment.tries else ""
        noun = f"{segment_noun(job)} {segment.index + 1}"
        lines.append(f"{noun}: {tries}{segment_note(segment, now)}{until}.")
        if segment.error and segment.state is not SegmentState.DONE:
            lines.append(f"  its last failure: {segment.error.message}")
    if job.active and len(in_flight) > SEGMENTS_MAX:
        lines.append(f"… and {len(in_flight) - SEGMENTS_MAX} more in flight.")
    if job.state is JobState.STITCHING:
        begun = job.stitch.operation is not None and job.route is not None
        who = f"is made by {engine_in_words(job.route)}" if begun and job.route else "waits for a stitcher"
        lines.append(f"The film {who}, attempt {max(1, job.stitch.attempt)}.")
        if job.stitch_error:
            lines.append(f"  its last failure: {job.stitch_error.message}")
    if job.active and job.wake_at is not None:
        lines.append(f"If nothing happens, it is looked at again in {in_words(job.wake_at - now)}.")
    lines.append(_advice(pipeline, job))
    return lines


def _advice(pipeline: Pipeline, job: Job) -> str:
    if job.active and (workers := live_workers(pipeline)):
        return f"{_processes(workers)} on it; if it does not move, `longreel dead-letters list` may tell why."
    if job.active:
        return f"Nobody works on this home now; `longreel resume {job.job_id}` goes on with it."
    if job.state is JobState.FAILED and job.resume_count < RESUMES_MAX:
        return f"`longreel resume {job.job_id}` goes on and keeps every finished {segment_noun(job).lower()}."
    if job.state is JobState.COMPLETED:
        return f"`longreel resume {job.job_id}` puts the film at its place again."
    return "It is over; start a new job."
