"""What the commands that look at jobs, or nudge them, print."""

from __future__ import annotations

from datetime import datetime
from itertools import groupby

from embedded import exits
from embedded.assembly import Pipeline
from embedded.deliver import film_path, recall
from embedded.exits import Exit
from embedded.json_view import job_value, segment_value
from embedded.terminal import fitted, plain, print_json, say
from embedded.words import counted, film_in_words, in_words, job_title, segment_mark, segment_note, segment_title
from events.gathered import gathered
from pipeline.records import Job, JobState, Segment, SegmentState
from pipeline.view import message_of

#: Segments of one job that are listed one by one; with more, those that only wait are counted.
LISTED_MAX = 50
#: The title of a script that has none; it names nothing.
UNTITLED = "Untitled"
#: Width of a segment's prompt or file name in a list.
TITLE_COLUMNS = 56


def list_jobs(pipeline: Pipeline, *, as_json: bool, limit: int) -> None:
    """Show the newest jobs."""
    jobs = pipeline.services.jobs.jobs(limit=limit)
    if as_json:
        print_json([job_value(job) for job in jobs])
        return
    if not jobs:
        say("There are no jobs yet; `longreel make SCRIPT -o film.mp4` starts one.")
        return
    now = pipeline.adapters.clock.now()
    width = max(len(job.job_id) for job in jobs)
    done = max(len(_done(job)) for job in jobs)
    ages = [f"{in_words(now - job.created_at)} ago" for job in jobs]
    age_width = max(map(len, ages))
    for job, age in zip(jobs, ages, strict=True):
        columns = f"{job.job_id:<{width}}  {job.state:<10}  {job.progress:3d} %  {_done(job):>{done}}"
        say(f"{columns}  {age:>{age_width}}  {_name(pipeline, job)}")


def _name(pipeline: Pipeline, job: Job) -> str:
    """Give what a user knows a job by: its title where it has one, and the file that it makes."""
    delivery = recall(pipeline, job.job_id)
    title = "" if job_title(job) in {job.project_id, UNTITLED} else job_title(job)
    file = plain(delivery.path.name) if delivery is not None else ""
    return "  ".join(filter(None, [title, file])) or job.project_id


def _done(job: Job) -> str:
    return f"{job.done_count}/{counted(job.segment_count, job)}"


def status(pipeline: Pipeline, job_id: str, *, as_json: bool) -> None:
    """Show one job and its segments."""
    job = pipeline.services.jobs.load(job_id)
    segments = pipeline.services.jobs.segments(job_id)
    if as_json:
        output = str(film_path(pipeline, job)) if job.film is not None else None
        print_json({**job_value(job), "output": output, "segments": [segment_value(each) for each in segments]})
        return
    now = pipeline.adapters.clock.now()
    say(f"{_name(pipeline, job)}  ({job.job_id})")
    say(f"{str(job.state).capitalize()}, {job.progress} %, {job.done_count} of {counted(job.segment_count, job)} done")
    if job.active:
        say(f"{message_of(job)} It was asked for {in_words(now - job.created_at)} ago.")
    _say_segments(segments, now)
    for warning in gathered(job.warnings):
        say(f"Warning: {plain(warning)}")
    if job.error is not None:
        say(f"Why: {plain(job.error.message)}")
    if job.film is not None:
        say(f"Film: {film_path(pipeline, job)}  ({film_in_words(job)})")
    elif job.active or job.state is JobState.FAILED:
        say(f"`longreel doctor {job_id}` says what it waits for and what to do.")


def _say_segments(segments: list[Segment], now: datetime) -> None:
    quiet = {SegmentState.DONE, SegmentState.PENDING, SegmentState.CANCELLED} if len(segments) > LISTED_MAX else set()
    for key, group in groupby(segments, lambda each: each.state if each.state in quiet and not each.error else each):
        run = list(group)
        if isinstance(key, SegmentState) and len(run) > 1:
            say(f"  {segment_mark(run[0])} {run[0].index + 1:3d} to {run[-1].index + 1}: {key}")
            continue
        for each in run:
            title = fitted(segment_title(each), TITLE_COLUMNS)
            say(f"  {segment_mark(each)} {each.index + 1:3d}  {title}  {segment_note(each, now)}")


def cancel(pipeline: Pipeline, job_id: str) -> None:
    """Stop a job."""
    from functions.api import cancel_job

    committed = cancel_job(pipeline.services, job_id)
    job = committed.job
    if committed.decision.changes:
        say(f"{job_id} is cancelled; {counted(job.done_count, job)} finished before, kept in the home.")
    else:
        say(f"{job_id} was {job.state} already; nothing was changed.")


def replay(pipeline: Pipeline, job_id: str) -> None:
    """Publish the event that fits a job's state."""
    from events.messages import Requested, StitchRequested
    from pipeline.commands import Outgoing

    job = pipeline.services.jobs.load(job_id)
    if not job.active:
        again = f"; `longreel resume {job_id}` goes on with it" if job.state is JobState.FAILED else ""
        say(f"{job_id} is {job.state}, so there is nothing to replay{again}.")
        return
    stitching = job.state is JobState.STITCHING
    message = StitchRequested(job_id=job_id) if stitching else Requested(job_id=job_id)
    pipeline.services.bus.publish([Outgoing(message)])
    topic = "stitch_requested" if stitching else "requested"
    say(f"Published {topic} for {job_id}; a running worker takes it, `longreel resume {job_id}` starts one.")


def doctor(pipeline: Pipeline, job_id: str | None, *, as_json: bool) -> None:
    """Say what is missing here, or what a job waits for."""
    from embedded.doctor import look_at_job, look_at_machine

    if job_id is not None:
        lines = look_at_job(pipeline, pipeline.services.jobs.load(job_id))
        if as_json:
            print_json({"jobId": job_id, "lines": lines})
        else:
            say("\n".join(lines))
        return
    findings = look_at_machine(pipeline)
    if as_json:
        print_json([{"name": each.name, "ok": each.ok, "note": each.note} for each in findings])
    else:
        for each in findings:
            say(f"{'ok  ' if each.ok else 'LOOK'}  {each.name:<13} {each.note}")
    if not all(each.ok for each in findings):
        raise Exit(exits.FAILED)
