"""Options that several commands of `longreel` have, each with its one explanation."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from events.plan import TRANSITION_MS_MAX, TRANSITION_MS_MIN, Transition

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
