"""The embedded mode's door: `longreel`. Each command reads its options and hands over to `embedded/`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from embedded.exits import MEANINGS, errors_in_words
from embedded.options import (
    Between,
    BetweenMs,
    Home,
    JobId,
    Json,
    Letter,
    Output,
    Overwrite,
    Parallel,
    Project,
    RequestId,
    Restart,
)
from embedded.terminal import prepare
from events.plan import Compression, Fit, Orientation
from events.requests import AspectRatio, OnSegmentFailure, Resolution

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
letters = typer.Typer(help="Messages that nobody could handle: list, show, replay.", no_args_is_help=True)
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
    script: Annotated[
        str, typer.Argument(metavar="SCRIPT", help="A YAML or JSON request, or a text of prompts; - is standard input.")
    ],
    output: Output,
    title: Annotated[str | None, typer.Option(help="Shown on the cards.")] = None,
    aspect_ratio: Annotated[AspectRatio | None, typer.Option(help="Shape of the film.")] = None,
    resolution: Annotated[Resolution | None, typer.Option(help="Size of the film.")] = None,
    scene_ms: Annotated[int | None, typer.Option(min=100, max=60_000, help="Length of scenes that name none.")] = None,
    generator: Annotated[str | None, typer.Option(help="What makes the clips: storyboard.")] = None,
    daisy_chain: Annotated[
        bool, typer.Option("--daisy-chain", help="Start each scene from the last frame of the one before.")
    ] = False,
    transition: Between = None,
    transition_ms: BetweenMs = None,
    on_segment_failure: Annotated[
        OnSegmentFailure | None, typer.Option(help="What a lost scene does to the film.")
    ] = None,
    parallel: Parallel = None,
    project: Project = None,
    request_id: RequestId = None,
    force_restart: Restart = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    home: Home = None,
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
        delivery = check_output(output, overwrite=overwrite)
        with _opened(home, worker=True) as pipeline:
            commands.make(pipeline, request, delivery, as_json=as_json)


@app.command()
def stitch(
    clips: Annotated[
        list[Path], typer.Argument(metavar="CLIPS...", help="2 to 500 video files, in the order of the film.")
    ],
    output: Output,
    orientation: Annotated[Orientation, typer.Option(help="Which way the film lies.")] = Orientation.SOURCE,
    fit: Annotated[Fit, typer.Option(help="What to do with a clip of another shape.")] = Fit.PAD,
    compression: Annotated[
        Compression, typer.Option(help="How much the bytes may be changed.")
    ] = Compression.OPTIMIZED,
    transition: Between = None,
    transition_ms: BetweenMs = None,
    on_bad_clip: Annotated[
        OnSegmentFailure, typer.Option(help="What a broken clip does to the film.")
    ] = OnSegmentFailure.FAIL,
    title: Annotated[str | None, typer.Option(help="Kept with the job.")] = None,
    parallel: Parallel = None,
    project: Project = None,
    request_id: RequestId = None,
    force_restart: Restart = False,
    overwrite: Overwrite = False,
    as_json: Json = False,
    home: Home = None,
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
        delivery = check_output(output, overwrite=overwrite)
        with _opened(home, worker=True) as pipeline:
            commands.stitch(pipeline, clips, request, delivery, as_json=as_json)


@app.command()
def resume(
    job: JobId,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Another place for the film.")] = None,
    overwrite: Overwrite = False,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Go on with a job that was stopped or has failed; finished segments are kept."""
    with errors_in_words(as_json=as_json):
        from embedded import commands

        with _opened(home, worker=True) as pipeline:
            commands.resume(pipeline, job, output, overwrite=overwrite, as_json=as_json)


@app.command()
def watch(job: JobId, as_json: Json = False, home: Home = None) -> None:
    """Show a job until it is over, without working on it."""
    with errors_in_words(as_json=as_json):
        from embedded import commands

        with _opened(home) as pipeline:
            commands.watch(pipeline, job, as_json=as_json)


@app.command()
def jobs(
    limit: Annotated[int, typer.Option(min=1, help="How many, the newest first.")] = 20,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """List the jobs of this home."""
    with errors_in_words(as_json=as_json):
        from embedded import listing

        with _opened(home) as pipeline:
            listing.list_jobs(pipeline, as_json=as_json, limit=limit)


@app.command()
def status(job: JobId, as_json: Json = False, home: Home = None) -> None:
    """Show one job and its segments."""
    with errors_in_words(as_json=as_json):
        from embedded import listing

        with _opened(home) as pipeline:
            listing.status(pipeline, job, as_json=as_json)


@app.command()
def cancel(job: JobId, home: Home = None) -> None:
    """Stop a job for good; its finished clips are kept in the home."""
    with errors_in_words():
        from embedded import listing

        with _opened(home) as pipeline:
            listing.cancel(pipeline, job)


@app.command()
def replay(job: JobId, home: Home = None) -> None:
    """Publish the event that fits a job's state; safe at any time, any number of times."""
    with errors_in_words():
        from embedded import listing

        with _opened(home) as pipeline:
            listing.replay(pipeline, job)


@app.command()
def doctor(
    job: Annotated[str | None, typer.Argument(metavar="[JOB]", help="A job that seems stuck.")] = None,
    as_json: Json = False,
    home: Home = None,
) -> None:
    """Say what is missing on this machine, or what a job waits for and until when."""
    with errors_in_words(as_json=as_json):
        from embedded import listing

        with _opened(home, make=job is None) as pipeline:
            listing.doctor(pipeline, job, as_json=as_json)


@letters.command("list")
def list_letters(as_json: Json = False, home: Home = None) -> None:
    """List the dead letters, the oldest first: the cloud's where LONGREEL_BUCKET is set, else those of a home."""
    with errors_in_words(as_json=as_json):
        from embedded import dead_letters

        with dead_letters.opened(home) as found:
            dead_letters.list_them(found, as_json=as_json)


@letters.command("show")
def show_letter(letter: Letter, home: Home = None) -> None:
    """Show one dead letter whole."""
    with errors_in_words():
        from embedded import dead_letters

        with dead_letters.opened(home) as found:
            dead_letters.show(found, letter)


@letters.command("replay")
def replay_letter(
    letter: Annotated[
        str | None, typer.Argument(metavar="[NUMBER]", help="Its number; all of them when left out.")
    ] = None,
    home: Home = None,
) -> None:
    """Publish a dead letter again."""
    with errors_in_words():
        from embedded import dead_letters

        with dead_letters.opened(home) as found:
            dead_letters.replay(found, letter)


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
