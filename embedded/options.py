"""Options that several commands of `longreel` have, each with its one explanation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from events.plan import (
    MUSIC_DB_MIN,
    TRANSITION_MS_MAX,
    TRANSITION_MS_MIN,
    Compression,
    Fit,
    Loudness,
    Orientation,
    Seams,
    Transition,
)
from events.requests import AspectRatio, OnSegmentFailure, Resolution

# What is read.
Script = Annotated[
    str, typer.Argument(metavar="SCRIPT", help="A YAML or JSON request, or a text of prompts; - is standard input.")
]
Clips = Annotated[
    list[Path], typer.Argument(metavar="CLIPS...", help="2 to 500 video files, in the order of the film.")
]

# How a job is made, shown and kept.

Home = Annotated[Path | None, typer.Option("--home", help="Folder of jobs and objects; else LONGREEL_HOME.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON lines for programs.")]
Output = Annotated[Path, typer.Option("--output", "-o", help="Where the film goes; ends in .mp4.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a file that is there already.")]
Project = Annotated[
    str | None, typer.Option("--project", help="One job of a kind runs in a project; without it, one for each output.")
]
RequestId = Annotated[str | None, typer.Option("--request-id", help="The same id is the same job: it is made once.")]
Restart = Annotated[bool, typer.Option("--force-restart", help="Cancel the project's running job and start anew.")]
Parallel = Annotated[int | None, typer.Option("--parallel", min=1, max=50, help="Segments in flight at most.")]
Letter = Annotated[str, typer.Argument(metavar="NUMBER", help="Its number; `longreel dead-letters list` shows it.")]
JobId = Annotated[str, typer.Argument(metavar="JOB", help="The job's id; `longreel jobs` lists them.")]
Between = Annotated[
    Transition | None, typer.Option("--transition", help="How each clip becomes the next. Default: cut.")
]
BetweenMs = Annotated[
    int | None,
    typer.Option(
        "--transition-ms",
        min=TRANSITION_MS_MIN,
        max=TRANSITION_MS_MAX,
        help="How long a fade takes, at most half of the shortest clip. Default: 500.",
    ),
]

# What a script's film is.
Title = Annotated[str | None, typer.Option("--title", help="Shown on the cards, and by players.")]
Shape = Annotated[AspectRatio | None, typer.Option("--aspect-ratio", help="Shape of the film.")]
Size = Annotated[Resolution | None, typer.Option("--resolution", help="Size of the film.")]
SceneMs = Annotated[
    int | None, typer.Option("--scene-ms", min=100, max=60_000, help="Length of scenes that name none.")
]
Generator = Annotated[str | None, typer.Option("--generator", help="What makes the clips: storyboard.")]
Chain = Annotated[bool, typer.Option("--daisy-chain", help="Start each scene from the last frame of the one before.")]
OnLostScene = Annotated[
    OnSegmentFailure | None, typer.Option("--on-segment-failure", help="What a lost scene does to the film.")
]

# What the film of given clips is.
ReelTitle = Annotated[str | None, typer.Option("--title", help="Shown by players, and kept with the job.")]
Lies = Annotated[Orientation, typer.Option("--orientation", help="Which way the film lies.")]
Fits = Annotated[Fit, typer.Option("--fit", help="What to do with a clip of another shape.")]
Bytes = Annotated[Compression, typer.Option("--compression", help="How much the bytes may be changed.")]
OnBadClip = Annotated[OnSegmentFailure, typer.Option("--on-bad-clip", help="What a broken clip does to the film.")]

# How the clips become one film, whatever they are.
Music = Annotated[
    str | None,
    typer.Option(
        "--music", metavar="FILE", help="Sound file that plays under the film, repeated or cut to its length."
    ),
]
MusicDb = Annotated[
    int | None,
    typer.Option(
        "--music-db", min=MUSIC_DB_MIN, max=0, help="Level of the music beside the clips' sound, in dB. Default: -18."
    ),
]
Loud = Annotated[
    Loudness | None,
    typer.Option("--loudness", help="As loud as the clips are, or -16 LUFS as EBU R 128 measures. Default: keep."),
]
Joins = Annotated[
    Seams | None,
    typer.Option("--seams", help="A join that people would notice is a warning, or there is no film. Default: warn."),
]
