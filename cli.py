"""The embedded mode's door: `longreel`. Each command reads its options and hands over to `embedded/`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedded import options as opt
from embedded.exits import MEANINGS, errors_in_words
from embedded.letter_commands import letters
from embedded.terminal import prepare
from events.plan import Compression, Fit, Orientation
from events.requests import OnSegmentFailure

if TYPE_CHECKING:
    from embedded.assembly import Pipeline

_CODES = "\n".join(f"{code:>3}  {meaning}" for code, meaning in MEANINGS.items())

app = typer.Typer(
    name="longreel",
    help="Prompts or clips in, one finished long video out. Runs whole on this machine, with no account.",
    epilog=f"Exit codes:\n{_CODES}",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.add_typer(letters, name="dead-letters")


def _tell_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"longreel {version('longreel')}")
        raise typer.Exit


@app.callback()
def longreel(
    version: Annotated[
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    """Prompts or clips in, one finished long video out. Runs whole on this machine, with no account."""


@app.command()
def make(
    script: opt.Script,
    output: opt.Output,
    title: opt.Title = None,
    aspect_ratio: opt.Shape = None,
    resolution: opt.Size = None,
    scene_ms: opt.SceneMs = None,
    generator: opt.Generator = None,
    daisy_chain: opt.Chain = False,
    transition: opt.Between = None,
    transition_ms: opt.BetweenMs = None,
    music: opt.Music = None,
    music_db: opt.MusicDb = None,
    loudness: opt.Loud = None,
    seams: opt.Joins = None,
    on_segment_failure: opt.OnLostScene = None,
    parallel: opt.Parallel = None,
    project: opt.Project = None,
    request_id: opt.RequestId = None,
    force_restart: opt.Restart = False,
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    home: opt.Home = None,
) -> None:
    """Make a film of a script.

    A text script has a prompt a line; blank lines and lines that begin with # are skipped.
    A YAML or JSON script has `prompts:` and what else a request has: title, aspectRatio, resolution, requestId, …
    An option wins over the script's field. Ctrl-C stops; `longreel resume JOB` goes on.
    """
    with errors_in_words(as_json=as_json):
        from embedded import commands
        from embedded.deliver import check_output
        from embedded.script import read_script, with_scene_length

        request = with_scene_length(read_script(script), scene_ms)
        _set(request, title=title, aspectRatio=aspect_ratio, resolution=resolution, generator=generator)
        _set(request, onSegmentFailure=on_segment_failure, daisyChain=daisy_chain or None)
        _set(request, maxParallelSegments=parallel, projectId=project, requestId=request_id)
        _set(request, forceRestart=force_restart or None, transition=transition, transitionMs=transition_ms)
        _set(request, music=music, musicDb=music_db, loudness=loudness, seams=seams)
        commands.refuse_idle_options(request, music_db=music_db, transition_ms=transition_ms)
        delivery = check_output(output, overwrite=overwrite)
        with _opened(home, worker=True) as pipeline:
            commands.make(pipeline, request, delivery, as_json=as_json)


@app.command()
def stitch(
    clips: opt.Clips,
    output: opt.Output,
    orientation: opt.Lies = Orientation.SOURCE,
    fit: opt.Fits = Fit.PAD,
    compression: opt.Bytes = Compression.OPTIMIZED,
    transition: opt.Between = None,
    transition_ms: opt.BetweenMs = None,
    music: opt.Music = None,
    music_db: opt.MusicDb = None,
    loudness: opt.Loud = None,
    seams: opt.Joins = None,
    on_bad_clip: opt.OnBadClip = OnSegmentFailure.FAIL,
    title: opt.ReelTitle = None,
    parallel: opt.Parallel = None,
    project: opt.Project = None,
    request_id: opt.RequestId = None,
    force_restart: opt.Restart = False,
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    home: opt.Home = None,
) -> None:
    """Make one film of given clips.

    Clips that conform are joined without encoding; only what differs in size, rate or codec is encoded.
    Put -- before the clips when a file's name begins with a dash. Your files are never changed.
    """
    with errors_in_words(as_json=as_json):
        from embedded import commands
        from embedded.deliver import check_output

        request: dict[str, Any] = {"kind": "stitch", "orientation": orientation, "fit": fit, "compression": compression}
        _set(request, onSegmentFailure=on_bad_clip, title=title, maxParallelSegments=parallel, projectId=project)
        _set(request, requestId=request_id, forceRestart=force_restart or None)
        _set(request, transition=transition, transitionMs=transition_ms)
        _set(request, music=music, musicDb=music_db, loudness=loudness, seams=seams)
        commands.refuse_idle_options(request, music_db=music_db, transition_ms=transition_ms)
        delivery = check_output(output, overwrite=overwrite)
        with _opened(home, worker=True) as pipeline:
            commands.stitch(pipeline, clips, request, delivery, as_json=as_json)


@app.command()
def resume(
    job: opt.JobId,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Another place for the film.")] = None,
    overwrite: opt.Overwrite = False,
    as_json: opt.Json = False,
    home: opt.Home = None,
) -> None:
    """Go on with a job that was stopped or has failed; finished segments are kept."""
    with errors_in_words(as_json=as_json):
        from embedded import commands

        with _opened(home, worker=True) as pipeline:
            commands.resume(pipeline, job, output, overwrite=overwrite, as_json=as_json)


@app.command()
def watch(job: opt.JobId, as_json: opt.Json = False, home: opt.Home = None) -> None:
    """Show a job until it is over, without working on it."""
    with errors_in_words(as_json=as_json):
        from embedded import commands

        with _opened(home) as pipeline:
            commands.watch(pipeline, job, as_json=as_json)


@app.command()
def jobs(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: opt.Json = False,
    home: opt.Home = None,
) -> None:
    """List the jobs of this home."""
    with errors_in_words(as_json=as_json):
        from embedded import listing

        with _opened(home) as pipeline:
            listing.list_jobs(pipeline, as_json=as_json, limit=limit)


@app.command()
def status(job: opt.JobId, as_json: opt.Json = False, home: opt.Home = None) -> None:
    """Show one job and its segments."""
    with errors_in_words(as_json=as_json):
        from embedded import listing

        with _opened(home) as pipeline:
            listing.status(pipeline, job, as_json=as_json)


@app.command("log")
def show_log(
    job: opt.JobId,
    everything: Annotated[bool, typer.Option("--all", help="Show events that changed nothing, too.")] = False,
    as_json: opt.Json = False,
    home: opt.Home = None,
) -> None:
    """Show what was decided about a job and why: a line for each state, event, next state and reason."""
    with errors_in_words(as_json=as_json):
        from embedded import log_view

        with _opened(home) as pipeline:
            log_view.show_log(pipeline, job, everything=everything, as_json=as_json)


@app.command()
def cancel(job: opt.JobId, home: opt.Home = None) -> None:
    """Stop a job for good; its finished clips are kept in the home."""
    with errors_in_words():
        from embedded import listing

        with _opened(home) as pipeline:
            listing.cancel(pipeline, job)


@app.command()
def replay(job: opt.JobId, home: opt.Home = None) -> None:
    """Publish the event that fits a job's state; safe at any time, any number of times."""
    with errors_in_words():
        from embedded import listing

        with _opened(home) as pipeline:
            listing.replay(pipeline, job)


@app.command()
def doctor(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="A job that seems stuck.")] = None,
    as_json: opt.Json = False,
    home: opt.Home = None,
) -> None:
    """Say what is missing on this machine, or what a job waits for and until when."""
    with errors_in_words(as_json=as_json):
        from embedded import listing

        with _opened(home, make=job is None) as pipeline:
            listing.doctor(pipeline, job, as_json=as_json)


@app.command()
def report(
    days: Annotated[int, typer.Option(min=1, max=3650, help="How many days, today included; days are UTC's.")] = 30,
    as_json: opt.Json = False,
    home: opt.Home = None,
) -> None:
    """Show what the jobs of some days cost each user, how long they took, what fails most, how many succeed."""
    with errors_in_words(as_json=as_json):
        from embedded import report_view

        with _opened(home) as pipeline:
            report_view.report(pipeline, days, as_json=as_json)


def _set(request: dict[str, Any], **options: object) -> None:
    """Let an option that was given win over the script's field."""
    request.update({name: value for name, value in options.items() if value is not None})


@contextmanager
def _opened(home: Path | None, *, worker: bool = False, make: bool = False) -> Iterator[Pipeline]:
    from embedded.run import open_home

    with open_home(home, worker=worker, make=make or worker) as pipeline:
        yield pipeline


def main() -> None:
    """Run the command line."""
    # Imports and requests make many objects that live as long as the command: looking for garbage finds none.
    gc.set_threshold(50_000, 20, 20)
    prepare()
    app()


if __name__ == "__main__":
    main()
