"""What the commands that make films do, apart from reading their options."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from embedded import exits
from embedded.assembly import Pipeline
from embedded.deliver import Delivery, check_output, film_path, recall, remember
from embedded.exits import Exit
from embedded.json_view import end_value
from embedded.run import deliver_if_asked, see_through
from embedded.run import watch as watch_it
from embedded.submit import submit
from embedded.take_in import taken_in
from embedded.terminal import plain, print_json, say, say_error
from embedded.words import counted, engine_in_words, film_in_words, in_words
from events.errors import InvalidRequest, LimitExceeded
from events.gathered import gathered
from events.plan import Transition
from pipeline.create import CLIP_GENERATOR
from pipeline.limits import RESUMES_MAX
from pipeline.records import Job, JobState
from pipeline.view import segment_noun


def make(pipeline: Pipeline, request: dict[str, Any], delivery: Delivery, *, as_json: bool) -> None:
    """Create a job and see it through."""
    stitch(pipeline, [], request, delivery, as_json=as_json)


def stitch(
    pipeline: Pipeline, clips: list[Path], request: dict[str, Any], delivery: Delivery, *, as_json: bool
) -> None:
    """Take clips in, create a job and see it through."""
    with taken_in(pipeline, clips, request, delivery) as taken:
        job, fresh = submit(pipeline, taken.request, delivery)
    if not fresh:
        taken.take_out()
    _begin(pipeline, job, fresh=fresh, as_json=as_json)


def refuse_idle_options(request: dict[str, Any], *, music_db: int | None, transition_ms: int | None) -> None:
    """Refuse an option that would do nothing: most likely another one was forgotten.

    Args:
        request: with all options in it.
        music_db: the option; None where it was not given.
        transition_ms: the option; None where it was not given.

    Raises:
        InvalidRequest: names the option and the one that is missing.
    """
    if music_db is not None and request.get("music") is None:
        raise InvalidRequest("--music-db", "says how loud music is, but there is none; name a file with --music")
    if transition_ms is not None and request.get("transition", Transition.CUT) == Transition.CUT:
        raise InvalidRequest("--transition-ms", "says how long fades take, but there are none; add --transition")


def _begin(pipeline: Pipeline, job: Job, *, fresh: bool, as_json: bool) -> None:
    if not as_json:
        same = "" if fresh else f", made by the same request before; it is {job.state}"
        preview = ", a storyboard: a free preview of its pace" if job.generator == "storyboard" else ""
        _say_while_read(f"{job.job_id}: {counted(job.segment_count, job)}{preview}{same}")
    if job.state in {JobState.FAILED, JobState.CANCELLED}:
        tell_end(pipeline, job, None, as_json=as_json)
    finish(pipeline, job.job_id, as_json=as_json)


def finish(pipeline: Pipeline, job_id: str, *, as_json: bool) -> None:
    """See a job through, and end with the exit code that tells how it ended."""
    with _resumable(pipeline, job_id, as_json=as_json):
        job, path = see_through(pipeline, job_id, as_json=as_json)
    tell_end(pipeline, job, path, as_json=as_json)


@contextmanager
def _resumable(pipeline: Pipeline, job_id: str, *, as_json: bool) -> Iterator[None]:
    """Turn a stop by the user into words that say what is kept and how to go on."""
    try:
        yield
    except LimitExceeded as exc:
        raise LimitExceeded(f"{exc.message.rstrip('.')}. `longreel resume {job_id}` goes on") from exc
    except KeyboardInterrupt as exc:
        job = pipeline.services.jobs.load(job_id)
        if as_json:
            _say_json_while_read({**end_value(job, None, exits.INTERRUPTED), "type": "stopped"})
        kept = f"{job.done_count} of {counted(job.segment_count, job)} {'is' if job.done_count == 1 else 'are'} kept"
        say_error(f"Stopped; {kept}. `longreel resume {job_id}` finishes the film.")
        raise Exit(exits.INTERRUPTED) from exc


def tell_end(pipeline: Pipeline, job: Job, path: Path | None, *, as_json: bool) -> None:
    """Say how a job ended; raise Exit unless it is completed."""
    code = {JobState.COMPLETED: exits.DONE, JobState.CANCELLED: exits.CANCELLED}.get(job.state, exits.FAILED)
    if as_json:
        film = None if job.film is None else path or film_path(pipeline, job)
        _say_json_while_read(end_value(job, film, code))
    if job.state is JobState.COMPLETED:
        if not as_json:
            _say_while_read("\n".join(_film_lines(pipeline, job, path)))
        return
    say_error(_why(job))
    raise Exit(code)


def _film_lines(pipeline: Pipeline, job: Job, path: Path | None) -> Iterator[str]:
    for warning in gathered(job.warnings):
        yield f"Warning: {plain(warning)}"
    took = f", made in {in_words(job.ended_at - job.created_at)}" if job.ended_at else ""
    yield f"{film_in_words(job)}{took}"
    if job.route is not None:
        yield f"Stitched by {engine_in_words(job.route)}: {plain(job.route.reason)}"
    yield f"Film: {path or film_path(pipeline, job)}"


def _why(job: Job) -> str:
    error = job.error
    assert error is not None, "a job that is over without a film has an error"
    why = plain(error.message).rstrip(".")
    if job.state is JobState.CANCELLED:
        instead = f" `longreel watch {job.superseded_by}` shows the one in its place." if job.superseded_by else ""
        return f"{job.job_id} was {why if why.startswith('cancelled') else f'cancelled: {why}'}.{instead}"
    where = f"{segment_noun(job).lower()} {error.segment_index + 1}: " if error.segment_index is not None else ""
    return f"{job.job_id} failed: {where}{why}. {_next_step(job)}."


def _next_step(job: Job) -> str:
    assert job.error is not None
    if job.error.code == "clip_changed":
        return "Run `longreel stitch` again: it looks at the clips as they are now"
    if job.generator == CLIP_GENERATOR and job.error.segment_index is not None:
        return "Give another file, or leave this one out with --on-bad-clip skip"
    if job.generator == CLIP_GENERATOR and job.done_count == 0:
        return "Give other files"
    if job.resume_count >= RESUMES_MAX:
        return "It was resumed as often as it may be; start a new job"
    return f"`longreel resume {job.job_id}` tries again and keeps what is finished"


def resume(pipeline: Pipeline, job_id: str, output: Path | None, *, overwrite: bool, as_json: bool) -> None:
    """Go on with a job, whatever state it is in."""
    from functions.api import resume_job

    job = pipeline.services.jobs.load(job_id)
    known = recall(pipeline, job_id)
    if output is not None:
        remember(pipeline, job_id, check_output(output, overwrite=overwrite))
    elif overwrite and known is not None:
        remember(pipeline, job_id, Delivery(known.path, overwrite=True))
    if job.state is JobState.COMPLETED:
        tell_end(pipeline, job, deliver_if_asked(pipeline, job), as_json=as_json)
        return
    resume_job(pipeline.services, job_id)
    finish(pipeline, job_id, as_json=as_json)


def watch(pipeline: Pipeline, job_id: str, *, as_json: bool) -> None:
    """Show a job until it is over."""
    try:
        job = watch_it(pipeline, job_id, as_json=as_json)
    except KeyboardInterrupt as exc:
        say_error(f"Stopped watching; {job_id} is not touched by that.")
        raise Exit(exits.INTERRUPTED) from exc
    tell_end(pipeline, job, None, as_json=as_json)


def _say_while_read(text: str) -> None:
    """Print, if somebody reads; a film is made also when nobody does."""
    try:
        say(text)
    except BrokenPipeError:
        return


def _say_json_while_read(value: object) -> None:
    try:
        print_json(value)
    except BrokenPipeError:
        return
