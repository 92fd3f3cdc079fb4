"""What each command of `cli.py` does, apart from reading its options."""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from embedded import exits
from embedded.assembly import Pipeline
from embedded.deliver import Delivery, check_output, recall, remember
from embedded.exits import Exit, say_error
from embedded.run import deliver_if_asked, see_through
from embedded.submit import submit, take_in_clips
from embedded.words import film_in_words, in_words, segment_noun
from events.errors import NotFound
from pipeline.limits import RESUMES_MAX
from pipeline.records import Job, JobState


def make(pipeline: Pipeline, request: dict[str, Any], delivery: Delivery, *, as_json: bool) -> None:
    """Create a job and see it through."""
    job, fresh = submit(pipeline, request, delivery)
    if not as_json:
        said = "" if fresh else " (the same request made it before)"
        say(f"{job.job_id}: {job.segment_count} {segment_noun(job).lower()}s{said}")
        if job.generator == "storyboard":
            say("A storyboard is a free preview of the film's pace: nothing is generated, nothing is paid for.")
    finish(pipeline, job.job_id, as_json=as_json)


def stitch(
    pipeline: Pipeline, clips: list[Path], request: dict[str, Any], delivery: Delivery, *, as_json: bool
) -> None:
    """Take clips in, create a job and see it through."""
    request["clips"] = take_in_clips(pipeline, clips)
    make(pipeline, request, delivery, as_json=as_json)


def finish(pipeline: Pipeline, job_id: str, *, as_json: bool) -> None:
    """See a job through, and end with the exit code that tells how it ended."""
    try:
        job, path = see_through(pipeline, job_id, as_json=as_json)
    except KeyboardInterrupt as exc:
        job = pipeline.services.jobs.load(job_id)
        kept = f"{job.done_count} of {job.segment_count} {segment_noun(job).lower()}s are finished and kept"
        say_error(f"Stopped. {kept}; `longreel resume {job_id}` finishes the film.")
        raise Exit(exits.INTERRUPTED) from exc
    tell_end(pipeline, job, path, as_json=as_json)


def tell_end(pipeline: Pipeline, job: Job, path: Path | None, *, as_json: bool) -> None:
    """Say how a job ended; raise Exit unless it is completed."""
    if as_json:
        film = str(path or pipeline.adapters.objects.path(job.film.uri)) if job.film else None
        print_json({"type": "end", "jobId": job.job_id, "state": job.state, "film": film})
    elif job.state is JobState.COMPLETED:
        _tell_film(pipeline, job, path)
    if job.state is JobState.COMPLETED:
        return
    assert job.error is not None, "a job that is over without a film has an error"
    if job.state is JobState.CANCELLED:
        say_error(f"{job.job_id} was cancelled: {job.error.message}.")
        raise Exit(exits.CANCELLED)
    say_error(_why(job))
    raise Exit(exits.FAILED)


def _tell_film(pipeline: Pipeline, job: Job, path: Path | None) -> None:
    assert job.film is not None
    for warning in job.warnings:
        say(f"Warning: {warning}")
    took = f" in {in_words(job.ended_at - job.created_at)}" if job.ended_at else ""
    say(f"{film_in_words(job)}, made{took}")
    if job.route is not None:
        say(f"Stitched by {job.route.stitcher}: {job.route.reason}")
    say(f"Film: {path or pipeline.adapters.objects.path(job.film.uri)}")


def _why(job: Job) -> str:
    assert job.error is not None
    index = job.error.segment_index
    where = f"{segment_noun(job).lower()} {index + 1}: " if index is not None else ""
    if job.resume_count >= RESUMES_MAX:
        step = "It was resumed as often as it may be; start a new job"
    elif job.error.code in {"bad_media", "not_found"} and job.generator == "clip":
        step = "Leave it out with --on-bad-clip skip, or give another file"
    else:
        step = f"`longreel resume {job.job_id}` tries again and keeps what is finished"
    return f"{job.job_id} failed: {where}{job.error.message.rstrip('.')}. {step}."


def resume(pipeline: Pipeline, job_id: str, output: Path | None, *, overwrite: bool, as_json: bool) -> None:
    """Go on with a job, whatever state it is in."""
    from functions.api import resume_job

    if output is not None:
        remember(pipeline, job_id, check_output(output, overwrite=overwrite))
    job = pipeline.services.jobs.load(job_id)
    if job.state is JobState.COMPLETED:
        tell_end(pipeline, job, deliver_if_asked(pipeline, job), as_json=as_json)
        return
    resume_job(pipeline.services, job_id)
    finish(pipeline, job_id, as_json=as_json)


def cancel(pipeline: Pipeline, job_id: str) -> None:
    """Stop a job."""
    from functions.api import cancel_job

    committed = cancel_job(pipeline.services, job_id)
    if committed.decision.changes:
        job = committed.job
        say(f"{job_id} is cancelled; {job.done_count} finished {segment_noun(job).lower()}s are kept in the home.")
    else:
        say(f"{job_id} stays {committed.job.state}: {committed.decision.reason}.")


def replay(pipeline: Pipeline, job_id: str) -> None:
    """Publish the event that fits a job's state."""
    from events.messages import Requested, StitchRequested
    from pipeline.commands import Outgoing

    job = pipeline.services.jobs.load(job_id)
    if not job.active:
        say(f"{job_id} is {job.state}; there is nothing to replay.")
        return
    stitching = job.state is JobState.STITCHING
    message = StitchRequested(job_id=job_id) if stitching else Requested(job_id=job_id)
    pipeline.services.bus.publish([Outgoing(message)])
    topic = "stitch_requested" if stitching else "requested"
    say(f"Published {topic} for {job_id}; a running worker takes it, `longreel resume {job_id}` starts one.")


def list_jobs(pipeline: Pipeline, *, as_json: bool, limit: int) -> None:
    """Show the newest jobs."""
    from embedded.words import job_as_json

    jobs = pipeline.services.jobs.jobs(limit=limit)
    if as_json:
        print_json([job_as_json(job) for job in jobs])
        return
    if not jobs:
        say("There are no jobs yet; `longreel make SCRIPT -o film.mp4` starts one.")
    now = datetime.now(UTC)
    for job in jobs:
        done = f"{job.done_count}/{job.segment_count}"
        age = in_words(now - job.created_at)
        title = json.loads(job.settings).get("title") or job.project_id
        say(f"{job.job_id}  {job.state:<10} {job.progress:3d} %  {done:>7}  {age:>12} ago  {title}")


def status(pipeline: Pipeline, job_id: str, *, as_json: bool) -> None:
    """Show one job and its segments."""
    from embedded.words import job_as_json, segment_mark, segment_note, segment_title
    from pipeline.view import message_of

    job = pipeline.services.jobs.load(job_id)
    segments = pipeline.services.jobs.segments(job_id)
    if as_json:
        print_json(job_as_json(job, segments))
        return
    say(f"{job.job_id}  {job.state}  {job.progress} %  {message_of(job)}")
    now = datetime.now(UTC)
    for each in segments:
        say(f"  {segment_mark(each)} {each.index + 1:3d}  {segment_title(each)[:60]:<60}  {segment_note(each, now)}")
    for warning in job.warnings:
        say(f"  Warning: {warning}")
    if job.film is not None:
        delivery = recall(pipeline, job_id)
        film = pipeline.adapters.objects.path(job.film.uri)
        say(f"  Film: {delivery.path if delivery and delivery.path.exists() else film}  ({film_in_words(job)})")


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


def dead_letters(pipeline: Pipeline, *, as_json: bool) -> None:
    """List the dead letters."""
    letters = pipeline.adapters.queue.dead_letters()
    if as_json:
        values = [
            {"id": each.message_id, "topic": each.topic, "deliveries": each.deliveries, "reason": each.reason}
            for each in letters
        ]
        print_json([{**value, "body": json.loads(each.body)} for value, each in zip(values, letters, strict=True)])
        return
    if not letters:
        say("There are no dead letters.")
    for each in letters:
        say(f"{each.message_id:6d}  {each.topic:<18} {each.deliveries} deliveries  {each.reason}")


def show_dead_letter(pipeline: Pipeline, message_id: int) -> None:
    """Show one dead letter whole."""
    for each in pipeline.adapters.queue.dead_letters():
        if each.message_id == message_id:
            say(f"{each.topic}, {each.deliveries} deliveries\nwhy: {each.reason}\n{each.body}")
            return
    raise NotFound(f"show dead letter {message_id}: there is none; `longreel dead-letters list` shows those that are")


def replay_dead_letters(pipeline: Pipeline, message_id: int | None) -> None:
    """Publish one dead letter again, or all of them."""
    letters = (
        [each.message_id for each in pipeline.adapters.queue.dead_letters()] if message_id is None else [message_id]
    )
    for each in letters:
        queue.replay(each)
    say(f"Published {len(letters)} again.")


def say(line: str) -> None:
    """Print a line for a person."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_json(value: object) -> None:
    """Print a line for a program."""
    say(json.dumps(value, ensure_ascii=False))
